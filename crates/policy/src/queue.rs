//! Who is let in next where a provider takes only so many calls at a time.
//!
//! - Classes of service share what comes free by their weights: each entry of a class stands a stride further than the one
//!   before it, and the one that stands the least far goes first (stride scheduling,
//!   <https://dl.acm.org/doi/10.5555/1267638.1267639>). A class that nobody used saves nothing up.
//! - Within a class, keys take turns; within a key, who came first goes first.
//! - The length is bounded. Where there is no room, whoever takes the most for its share gives way, and that is its latest:
//!   neither a class nor a key can fill the queue against the others.

use std::{
    borrow::Cow,
    collections::{BTreeMap, VecDeque},
};

use uuid::Uuid;
use wire::{Fault, Kind, Origin, Retry};

use crate::moment::Moment;

/// A class of service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Priority {
    /// Somebody waits for the answer.
    Interactive,
    #[default]
    Default,
    /// Nobody is in a hurry.
    Batch,
}

impl Priority {
    pub const ALL: [Priority; 3] = [Priority::Interactive, Priority::Default, Priority::Batch];

    pub fn name(self) -> &'static str {
        match self {
            Priority::Interactive => "interactive",
            Priority::Default => "default",
            Priority::Batch => "batch",
        }
    }

    /// Reads what a caller says; `place` is where it stood, for the fault.
    pub fn parse(text: &str, place: &str) -> Result<Priority, Fault> {
        let text = text.trim();
        Priority::ALL.into_iter().find(|known| known.name() == text).ok_or_else(|| {
            Fault::invalid(place, "is no class of service; write interactive, default or batch")
                .code("invalid_priority")
        })
    }

    /// How far an entry of this class stands behind the one before it: the inverse of the weights 8, 4 and 1.
    fn stride(self) -> u64 {
        match self {
            Priority::Interactive => 1,
            Priority::Default => 2,
            Priority::Batch => 8,
        }
    }
}

/// Why somebody who waited is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// As many wait as may.
    Full,
    /// No place came free in time.
    Late,
}

impl Refused {
    pub const ALL: [Refused; 2] = [Refused::Full, Refused::Late];

    /// The code that callers are told.
    pub fn code(self) -> &'static str {
        match self {
            Refused::Full => "queue_full",
            Refused::Late => "queue_timeout",
        }
    }

    /// What the caller is told, in no dialect.
    pub fn fault(self, message: String, retry: Retry) -> Fault {
        Fault::new(Origin::Gateway, Kind::Overloaded, message).code(self.code()).retry(retry)
    }

    /// Whether a fault says that a queue let nobody in. The provider was not asked, and asking to be let in again would
    /// make a queue out of callers' waits.
    pub(crate) fn is(fault: &Fault) -> bool {
        let of_queue = |code: &Cow<'_, str>| Refused::ALL.iter().any(|refused| refused.code() == code);
        fault.origin == Origin::Gateway && fault.code.as_ref().is_some_and(of_queue)
    }
}

/// Says who waits, to whoever wants to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    pub priority: Priority,
    pub key: Uuid,
    number: u64,
}

/// What came of wanting to wait.
#[derive(Debug, PartialEq, Eq)]
pub enum Joined<T> {
    Waits(Ticket),
    /// Somebody else gave way.
    InPlaceOf(Ticket, T),
    /// There is no room.
    Full(T),
}

/// Those who wait.
#[derive(Debug)]
pub struct Queue<T> {
    /// The number of the next entry.
    number: u64,
    /// Where the entry stood that was let in last.
    passed: u64,
    lanes: [Lane<T>; Priority::ALL.len()],
}

/// Those of one class.
#[derive(Debug)]
struct Lane<T> {
    /// Where its next entry stands.
    stands: u64,
    length: usize,
    /// Keys in the order of their turns: those that have somebody waiting.
    turns: VecDeque<Uuid>,
    waiting: BTreeMap<Uuid, VecDeque<Entry<T>>>,
}

#[derive(Debug)]
struct Entry<T> {
    number: u64,
    until: Moment,
    what: T,
}

impl<T> Default for Queue<T> {
    fn default() -> Queue<T> {
        let lane = || Lane { stands: 0, length: 0, turns: VecDeque::new(), waiting: BTreeMap::new() };
        Queue { number: 0, passed: 0, lanes: [lane(), lane(), lane()] }
    }
}

impl<T> Queue<T> {
    pub fn len(&self) -> usize {
        self.lanes.iter().map(|lane| lane.length).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.lanes.iter().all(|lane| lane.length == 0)
    }

    /// How many of a class wait.
    pub fn len_of(&self, priority: Priority) -> usize {
        self.lanes[priority as usize].length
    }

    /// Lets somebody wait until a moment, among `length_max` at most.
    pub fn join(
        &mut self,
        (priority, key): (Priority, Uuid),
        length_max: usize,
        until: Moment,
        what: T,
    ) -> Joined<T> {
        let room = self.len() < length_max;
        let gives_way = if room { None } else { self.crowding(priority, key) };
        if !room && (gives_way.is_none() || length_max == 0) {
            return Joined::Full(what);
        }
        let gone =
            gives_way.and_then(|(priority, key)| self.lanes[priority as usize].take_last(priority, key));
        self.number += 1;
        let ticket = Ticket { priority, key, number: self.number };
        self.lanes[priority as usize].add(ticket, self.passed, Entry { number: self.number, until, what });
        match gone {
            Some(entry) => Joined::InPlaceOf(ticket, entry.what),
            None => Joined::Waits(ticket),
        }
    }

    /// Takes out who is let in next. Those whose time is over are passed by.
    pub fn next(&mut self, now: Moment) -> Option<T> {
        loop {
            let waiting = Priority::ALL.into_iter().filter(|priority| self.len_of(*priority) > 0);
            // Where two stand equally far, the higher class goes first.
            let priority =
                waiting.min_by_key(|priority| (self.lanes[*priority as usize].stands, *priority))?;
            let lane = &mut self.lanes[priority as usize];
            self.passed = lane.stands;
            let entry = lane.take_first()?;
            lane.stands += priority.stride();
            if entry.until > now {
                return Some(entry.what);
            }
        }
    }

    /// Takes out who leaves; `None` where it was let in or gave way already.
    pub fn leave(&mut self, ticket: Ticket) -> Option<T> {
        self.lanes[ticket.priority as usize].take(ticket).map(|entry| entry.what)
    }

    /// Whose latest entry gives way to a newcomer: of the class that takes the most for its weight, the key that has the most;
    /// `None` where that is the newcomer itself.
    fn crowding(&self, priority: Priority, key: Uuid) -> Option<(Priority, Uuid)> {
        let load = |class: Priority| {
            let newcomer = u64::from(class == priority);
            (self.len_of(class) as u64 + newcomer) * class.stride()
        };
        let crowded = Priority::ALL.into_iter().max_by_key(|class| (load(*class), *class == priority))?;
        let lane = &self.lanes[crowded as usize];
        let count = |key: &Uuid| lane.waiting.get(key).map_or(0, VecDeque::len);
        let most = lane.turns.iter().copied().max_by_key(count)?;
        let fair = crowded != priority || count(&most) > count(&key) + 1;
        fair.then_some((crowded, most))
    }
}

impl<T> Lane<T> {
    fn add(&mut self, ticket: Ticket, passed: u64, entry: Entry<T>) {
        if self.length == 0 {
            // A class begins anew where the others are.
            self.stands = self.stands.max(passed + ticket.priority.stride());
        }
        self.length += 1;
        let waiting = self.waiting.entry(ticket.key).or_default();
        if waiting.is_empty() {
            self.turns.push_back(ticket.key);
        }
        waiting.push_back(entry);
    }

    /// The first entry of the key whose turn it is; the key goes to the end of the turns.
    fn take_first(&mut self) -> Option<Entry<T>> {
        let key = self.turns.pop_front()?;
        let waiting = self.waiting.get_mut(&key)?;
        let entry = waiting.pop_front();
        if waiting.is_empty() {
            self.waiting.remove(&key);
        } else {
            self.turns.push_back(key);
        }
        self.length -= usize::from(entry.is_some());
        entry
    }

    fn take_last(&mut self, priority: Priority, key: Uuid) -> Option<Entry<T>> {
        let number = self.waiting.get(&key)?.back()?.number;
        self.take(Ticket { priority, key, number })
    }

    fn take(&mut self, ticket: Ticket) -> Option<Entry<T>> {
        let waiting = self.waiting.get_mut(&ticket.key)?;
        let at = waiting.binary_search_by_key(&ticket.number, |entry| entry.number).ok()?;
        let entry = waiting.remove(at)?;
        if waiting.is_empty() {
            self.waiting.remove(&ticket.key);
            self.turns.retain(|key| *key != ticket.key);
        }
        self.length -= 1;
        if self.length == 0 {
            // Who leaves has used nothing.
            self.stands = self.stands.saturating_sub(ticket.priority.stride());
        }
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    const EVER: Moment = Moment(u64::MAX);

    fn key(number: u8) -> Uuid {
        Uuid::from_u128(u128::from(number))
    }

    fn join(queue: &mut Queue<u32>, priority: Priority, who: u8, what: u32) -> Joined<u32> {
        queue.join((priority, key(who)), 13, EVER, what)
    }

    fn drain(queue: &mut Queue<u32>) -> Vec<u32> {
        std::iter::from_fn(|| queue.next(Moment(0))).collect()
    }

    #[test]
    fn classes_share_by_weight_and_keys_take_turns() {
        let mut queue = Queue::default();
        for number in 0..4 {
            join(&mut queue, Priority::Batch, 1, 100 + number);
        }
        for number in 0..4 {
            join(&mut queue, Priority::Default, 1, 200 + number);
        }
        for number in 0..3 {
            join(&mut queue, Priority::Interactive, 1, 300 + number);
        }
        join(&mut queue, Priority::Interactive, 2, 400);
        let order = drain(&mut queue);
        assert_eq!(order[..6], [300, 400, 200, 301, 302, 201]);
        assert_eq!(order[order.len() - 3..], [101, 102, 103]);
    }

    #[test]
    fn whoever_takes_the_most_gives_way() {
        let mut queue = Queue::default();
        for number in 0..13 {
            join(&mut queue, Priority::Batch, 1, number);
        }
        assert_eq!(join(&mut queue, Priority::Batch, 1, 50), Joined::Full(50), "its own key takes the most");
        assert!(matches!(join(&mut queue, Priority::Batch, 2, 51), Joined::InPlaceOf(_, 12)));
        for number in 0..12 {
            let joined = join(&mut queue, Priority::Interactive, 3, 60 + number);
            assert!(matches!(joined, Joined::InPlaceOf(..)), "{joined:?}");
        }
        assert_eq!(queue.len_of(Priority::Batch), 1, "one place in thirteen is its share");
        assert_eq!(join(&mut queue, Priority::Interactive, 3, 90), Joined::Full(90));
        assert!(matches!(join(&mut queue, Priority::Default, 3, 91), Joined::InPlaceOf(_, 71)));
        assert_eq!(queue.len(), 13);
    }

    #[test]
    fn who_leaves_leaves_no_trace() {
        let mut queue = Queue::default();
        for round in 0..100 {
            let Joined::Waits(ticket) = join(&mut queue, Priority::Batch, 1, round) else { panic!() };
            assert_eq!(queue.leave(ticket), Some(round));
            assert_eq!(queue.leave(ticket), None, "once");
        }
        join(&mut queue, Priority::Batch, 1, 1);
        for number in 0..12 {
            join(&mut queue, Priority::Interactive, 2, 10 + number);
        }
        let order = drain(&mut queue);
        let batch = order.iter().position(|what| *what == 1);
        assert_eq!(batch, Some(8), "having left does not count against a class: {order:?}");
        assert!(queue.is_empty() && queue.lanes.iter().all(|lane| lane.turns.is_empty()));
    }

    #[test]
    fn who_has_waited_too_long_is_passed_by() {
        let mut queue = Queue::default();
        queue.join((Priority::Default, key(1)), 10, Moment(5), 1);
        queue.join((Priority::Default, key(1)), 10, Moment(9), 2);
        assert_eq!(queue.next(Moment(5)), Some(2));
        assert_eq!(queue.next(Moment(5)), None);
        assert_eq!(queue.join((Priority::Default, key(1)), 0, EVER, 3), Joined::Full(3));
    }

    /// What happens to a queue.
    #[derive(Clone, Debug)]
    enum Event {
        Join(Priority, u8),
        Next,
        Leave(usize),
    }

    fn events() -> impl Strategy<Value = Vec<Event>> {
        let priority = (0..3_usize).prop_map(|number| Priority::ALL[number]);
        let event = prop_oneof![
            3 => (priority, 0..4_u8).prop_map(|(priority, who)| Event::Join(priority, who)),
            2 => Just(Event::Next),
            1 => (0..40_usize).prop_map(Event::Leave),
        ];
        vec(event, 0..400)
    }

    proptest! {
        /// Nobody is lost or let in twice; the bound holds; a key's entries keep their order; a class that waits is let in at
        /// least once in so many.
        #[test]
        fn everybody_is_let_in_or_leaves_in_order(events in events(), length_max in 1..20_usize) {
            let mut queue = Queue::default();
            let mut waiting: Vec<(Ticket, u32)> = Vec::new();
            let mut passed_over = [0_u32; 3];
            for (number, event) in events.into_iter().enumerate() {
                let number = u32::try_from(number).unwrap();
                match event {
                    Event::Join(priority, who) => {
                        match queue.join((priority, key(who)), length_max, EVER, number) {
                            Joined::Waits(ticket) => waiting.push((ticket, number)),
                            Joined::InPlaceOf(ticket, gone) => {
                                prop_assert_eq!(waiting.len(), length_max);
                                waiting.retain(|(_, known)| *known != gone);
                                waiting.push((ticket, number));
                            }
                            Joined::Full(_) => prop_assert_eq!(waiting.len(), length_max),
                        }
                    }
                    Event::Next => {
                        let Some(what) = queue.next(Moment(0)) else {
                            prop_assert!(waiting.is_empty());
                            continue;
                        };
                        let at = waiting.iter().position(|(_, known)| *known == what).unwrap();
                        let (ticket, _) = waiting.remove(at);
                        let same = |(other, _): &(Ticket, u32)| {
                            (other.priority, other.key) == (ticket.priority, ticket.key)
                        };
                        prop_assert!(!waiting[..at].iter().any(same), "the first of a key goes first");
                        for priority in Priority::ALL {
                            let over = &mut passed_over[priority as usize];
                            let left = waiting.iter().any(|(other, _)| other.priority == priority);
                            *over = if priority == ticket.priority || !left { 0 } else { *over + 1 };
                            prop_assert!(*over <= 14, "{priority:?} starves");
                        }
                    }
                    Event::Leave(at) => {
                        if at < waiting.len() {
                            let (ticket, number) = waiting.remove(at);
                            prop_assert_eq!(queue.leave(ticket), Some(number));
                        }
                    }
                }
                prop_assert_eq!(queue.len(), waiting.len());
                prop_assert!(queue.len() <= length_max);
                for priority in Priority::ALL {
                    let count = waiting.iter().filter(|(ticket, _)| ticket.priority == priority).count();
                    prop_assert_eq!(queue.len_of(priority), count);
                    if count == 0 {
                        passed_over[priority as usize] = 0;
                    }
                }
            }
        }
    }
}

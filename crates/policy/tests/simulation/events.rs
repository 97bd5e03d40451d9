//! Virtual time: what happens next.

use std::{cmp::Ordering, collections::BinaryHeap};

use tollgate_policy::moment::Moment;

/// What is to happen, the soonest first; what happens at the same moment happens in the order in which it was put in.
pub(crate) struct Queue<E> {
    heap: BinaryHeap<Entry<E>>,
    put: u64,
}

struct Entry<E> {
    at: Moment,
    number: u64,
    event: E,
}

impl<E> Queue<E> {
    pub(crate) fn new() -> Queue<E> {
        Queue { heap: BinaryHeap::new(), put: 0 }
    }

    pub(crate) fn put(&mut self, at: Moment, event: E) {
        self.put += 1;
        self.heap.push(Entry { at, number: self.put, event });
    }

    pub(crate) fn next(&mut self) -> Option<(Moment, E)> {
        self.heap.pop().map(|entry| (entry.at, entry.event))
    }
}

impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Entry<E>) -> Ordering {
        // The heap gives the greatest first.
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Entry<E>) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Entry<E>) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<E> Eq for Entry<E> {}

#[test]
fn what_is_soonest_comes_first_and_equals_in_order() {
    let mut queue = Queue::new();
    for (at, event) in [(5, 'c'), (1, 'a'), (5, 'd'), (2, 'b')] {
        queue.put(Moment(at), event);
    }
    let order: String = std::iter::from_fn(|| queue.next()).map(|(_, event)| event).collect();
    assert_eq!(order, "abcd");
}

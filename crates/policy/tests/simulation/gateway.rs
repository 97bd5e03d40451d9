//! A gateway of several cores and its calls, from the first attempt to the answer or the last fault: the plan and its
//! attempts, rests and news, and a hedge where there is one, as the real data plane has them, in virtual time.

use std::time::Duration;

use tollgate_policy::{
    attempt::{Attempts, Failed, Step},
    health::Shown,
    hedge::Hedging,
    lesson,
    moment::Moment,
    route::Plan,
    strategy::{Choice, Contender, Strategy, adaptive::Reaped},
    vitals::{News, Vitals},
};

use crate::{
    events::Queue,
    tally::Tally,
    upstream::{Fate, Upstream, pause},
};

/// What is simulated.
pub(crate) struct Gateway<'p> {
    pub(crate) plan: &'p Plan,
    pub(crate) upstreams: Vec<Upstream>,
    pub(crate) manner: Manner,
    pub(crate) hedging: Option<Hedging>,
    /// Whether a call that may not hedge when its target's time is over asks again when as much time has passed.
    pub(crate) asks_again: bool,
    /// Calls a second.
    pub(crate) rate: f64,
    /// For how long calls come.
    pub(crate) span: Duration,
    pub(crate) cores: usize,
    /// How long news take from one core to another; `None` where cores do not tell each other.
    pub(crate) news: Option<Duration>,
}

/// How a call is driven.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Manner {
    /// As Tollgate does.
    Tollgate,
    /// By chance, and so many further attempts, whatever happened before.
    Plain { further: u32 },
}

impl<'p> Gateway<'p> {
    /// One core at a hundred calls a second for a minute.
    pub(crate) fn new(plan: &'p Plan, upstreams: Vec<Upstream>) -> Gateway<'p> {
        Gateway {
            plan,
            upstreams,
            manner: Manner::Tollgate,
            hedging: None,
            asks_again: false,
            rate: 100.0,
            span: Duration::from_secs(60),
            cores: 1,
            news: Some(Duration::from_millis(1)),
        }
    }

    pub(crate) fn run(self) -> Tally {
        let contender = |target: &tollgate_policy::route::Target| Contender {
            id: target.id,
            weight: 1,
            cost: None,
            cost_cached: None,
        };
        let mut run = Run {
            cores: (0..self.cores as u64).map(Vitals::new).collect(),
            contenders: self.plan.targets.iter().map(contender).collect(),
            tally: Tally::new(self.upstreams.len()),
            chance: fastrand::Rng::with_seed(11),
            queue: Queue::new(),
            calls: Vec::new(),
            free: Vec::new(),
            gateway: self,
        };
        // A moment of zero means that nothing was measured.
        run.queue.put(Moment(1), Event::Arrives);
        while let Some((now, event)) = run.queue.next() {
            run.happens(event, now);
        }
        run.tally
    }
}

enum Event {
    Arrives,
    /// A wait before a further attempt is over.
    Asks(CallId, usize),
    Ends(CallId, Ask, Fate),
    /// The first target has had its time.
    Hedges(CallId, Duration),
    Hears(usize, News),
}

/// A call that is or was in a slot.
#[derive(Clone, Copy, PartialEq)]
struct CallId {
    slot: usize,
    life: u32,
}

/// One request to one target.
#[derive(Clone, Copy, PartialEq)]
struct Ask {
    number: u32,
    target: usize,
    began: Moment,
    hedge: bool,
}

struct Call {
    life: u32,
    core: usize,
    began: Moment,
    attempts: Attempts,
    asks: u32,
    /// Under way.
    live: Vec<Ask>,
    cost: u64,
    hedge_cost: u64,
}

struct Run<'p> {
    gateway: Gateway<'p>,
    cores: Vec<Vitals>,
    /// For hedges.
    contenders: Vec<Contender>,
    chance: fastrand::Rng,
    queue: Queue<Event>,
    calls: Vec<Call>,
    free: Vec<usize>,
    tally: Tally,
}

impl Run<'_> {
    fn happens(&mut self, event: Event, now: Moment) {
        match event {
            Event::Arrives => self.arrives(now),
            Event::Asks(id, target) => self.ask(id, target, false, now),
            Event::Ends(id, ask, fate) => self.ends(id, ask, fate, now),
            Event::Hedges(id, delay) => self.hedge(id, delay, now),
            Event::Hears(core, news) => self.cores[core].hear(news, now),
        }
    }

    fn arrives(&mut self, now: Moment) {
        let next = now.after(pause(self.gateway.rate, &mut self.chance));
        if next.since(Moment(0)) < self.gateway.span {
            self.queue.put(next, Event::Arrives);
        }
        let plan = self.gateway.plan;
        let core = self.chance.usize(..self.cores.len());
        let id = self.begin(core, now);
        self.tally.begins(now);
        if let Manner::Plain { .. } = self.gateway.manner {
            let target = self.chance.usize(..plan.targets.len());
            return self.ask(id, target, false, now);
        }
        let vitals = &mut self.cores[core];
        if let Some(hedging) = &self.gateway.hedging {
            vitals.hedges(plan.route, now).pay_in(hedging);
        }
        let step = self.calls[id.slot].attempts.first(plan, vitals, now);
        self.go_on(id, step, now);
        if let (Some(hedging), Step::Try(first)) = (&self.gateway.hedging, step) {
            let delay = hedging.delay(self.cores[core].health(plan.targets[first].id));
            if let Some(delay) = delay {
                self.queue.put(now.after(delay), Event::Hedges(id, delay));
            }
        }
    }

    fn begin(&mut self, core: usize, now: Moment) -> CallId {
        let attempts = Attempts::new(now.after(self.gateway.plan.deadlines.total));
        let slot = self.free.pop().unwrap_or(self.calls.len());
        let life = self.calls.get(slot).map_or(0, |call| call.life);
        let call =
            Call { life, core, began: now, attempts, asks: 0, live: Vec::new(), cost: 0, hedge_cost: 0 };
        match self.calls.get_mut(slot) {
            Some(old) => *old = call,
            None => self.calls.push(call),
        }
        CallId { slot, life }
    }

    fn go_on(&mut self, id: CallId, step: Step, now: Moment) {
        match step {
            Step::Try(target) => self.ask(id, target, false, now),
            Step::Wait(wait, target) => self.queue.put(now.after(wait), Event::Asks(id, target)),
            Step::GiveUp => {
                self.tally.given_up(self.calls[id.slot].began);
                self.release(id, now);
            }
        }
    }

    fn ask(&mut self, id: CallId, target: usize, hedge: bool, now: Moment) {
        let gateway = &mut self.gateway;
        let call = &mut self.calls[id.slot];
        call.asks += 1;
        let ask = Ask { number: call.asks, target, began: now, hedge };
        call.live.push(ask);
        self.tally.asks(now, target, call.asks == 1);
        self.cores[call.core].begin(gateway.plan.targets[target].id, now);
        let upstream = &mut gateway.upstreams[target];
        call.cost += upstream.price;
        call.hedge_cost += if hedge { upstream.price } else { 0 };
        let (wait, fate) = upstream.ask(now, gateway.plan.deadlines.first_byte, &mut self.chance);
        self.queue.put(now.after(wait), Event::Ends(id, ask, fate));
    }

    /// Asks another target beside the first, where the account allows it.
    fn hedge(&mut self, id: CallId, delay: Duration, now: Moment) {
        let (plan, call) = (self.gateway.plan, &self.calls[id.slot]);
        let (Some(hedging), [first]) = (&self.gateway.hedging, call.live.as_slice()) else { return };
        if call.life != id.life || call.asks > 1 {
            return;
        }
        let (first, vitals) = (first.target, &mut self.cores[call.core]);
        let ready = |number: &usize| *number != first && plan.targets[*number].resting(vitals, now).is_none();
        let left: Vec<usize> = (0..plan.targets.len()).filter(ready).collect();
        if left.is_empty() {
            return;
        }
        if !vitals.hedges(plan.route, now).take(hedging) {
            if self.gateway.asks_again {
                self.queue.put(now.after(delay), Event::Hedges(id, delay));
            }
            return;
        }
        let (contenders, left, route) = (&self.contenders, &left, plan.route);
        let target = plan.strategy.pick(&mut Choice { contenders, left, vitals, route, affinity: 0, now });
        self.tally.hedges += 1;
        self.ask(id, target, true, now);
    }

    fn ends(&mut self, id: CallId, ask: Ask, fate: Fate, now: Moment) {
        let call = &mut self.calls[id.slot];
        let Some(at) = call.live.iter().position(|live| *live == ask).filter(|_| call.life == id.life) else {
            return;
        };
        call.live.swap_remove(at);
        let core = call.core;
        self.learn(core, ask, fate, now);
        match fate.fault() {
            None => self.answered(id, ask, now),
            Some(fault) => {
                self.tally.fails(now, ask.number);
                let call = &mut self.calls[id.slot];
                if !call.live.is_empty() {
                    return;
                }
                let step = match self.gateway.manner {
                    Manner::Tollgate => {
                        let failed = Failed { fault: &fault, target: ask.target, sent: true };
                        call.attempts.after(self.gateway.plan, &failed, &mut self.cores[core], now)
                    }
                    Manner::Plain { further } if call.asks <= further => {
                        Step::Try(self.chance.usize(..self.gateway.plan.targets.len()))
                    }
                    Manner::Plain { .. } => Step::GiveUp,
                };
                self.go_on(id, step, now);
            }
        }
        self.tell(core, now);
    }

    fn learn(&mut self, core: usize, ask: Ask, fate: Fate, now: Moment) {
        let plan = self.gateway.plan;
        let (target, vitals, wait) = (&plan.targets[ask.target], &mut self.cores[core], now.since(ask.began));
        match fate.fault() {
            None => {
                vitals.answered(target.id, now, wait);
                vitals.ended(target.id, &Shown { wait: Some(wait), ..Shown::default() });
            }
            Some(fault) => lesson::failed(vitals, target, 0, &fault, now),
        }
        if let Strategy::Adaptive(weights) = &plan.strategy {
            let cost = Some(self.gateway.upstreams[ask.target].price);
            let reaped = Reaped { answered: fate == Fate::Answered, wait, cost };
            vitals.arms(plan.route, now).learn(target.id, weights, &reaped);
        }
    }

    fn answered(&mut self, id: CallId, ask: Ask, now: Moment) {
        let (plan, call) = (self.gateway.plan, &self.calls[id.slot]);
        let vitals = &mut self.cores[call.core];
        if !ask.hedge {
            call.attempts.answered(plan, vitals, now);
        }
        for loser in &call.live {
            vitals.outrun(plan.targets[loser.target].id, now, now.since(loser.began));
        }
        self.tally.answered(call.began, now, ask.hedge);
        self.release(id, now);
    }

    fn release(&mut self, id: CallId, now: Moment) {
        let call = &mut self.calls[id.slot];
        call.life += 1;
        self.tally.pays(call.cost, call.hedge_cost);
        if self.gateway.hedging.is_some() {
            let account = self.cores[call.core].hedges(self.gateway.plan.route, now);
            account.settle(call.cost, call.hedge_cost);
        }
        self.free.push(id.slot);
    }

    /// What one core has seen, the others hear a little later.
    fn tell(&mut self, core: usize, now: Moment) {
        if !self.cores[core].has_news() {
            return;
        }
        let news = self.cores[core].take_news();
        let Some(delay) = self.gateway.news else { return };
        for other in (0..self.cores.len()).filter(|other| *other != core) {
            for news in &news {
                self.queue.put(now.after(delay), Event::Hears(other, *news));
            }
        }
    }
}

//! Many upstreams, and calls that each ask one of them: only [`Strategy::pick`], without rests and further attempts. A name
//! of the configuration has 64 targets at most; the strategies themselves have no such bound.

use std::time::Duration;

use tollgate_policy::{
    health::Shown,
    moment::Moment,
    strategy::{Choice, Contender, Strategy},
    vitals::{RouteId, TargetId, Vitals},
};

use crate::{
    events::Queue,
    figures::Waits,
    upstream::{Upstream, pause},
};

pub(crate) struct Fleet {
    pub(crate) strategy: Strategy,
    /// With their weights.
    pub(crate) upstreams: Vec<(u32, Upstream)>,
    /// Calls a second.
    pub(crate) rate: f64,
    pub(crate) calls: u64,
    /// Cores of the gateway; each knows only its own calls.
    pub(crate) cores: usize,
}

/// What became of the calls.
pub(crate) struct Spread {
    /// Calls that each upstream was asked.
    pub(crate) asked: Vec<u64>,
    pub(crate) waits: Waits,
}

enum Event {
    Arrives,
    Answers { core: usize, number: usize, wait: Duration },
}

/// Contenders of these weights.
pub(crate) fn contenders(weights: impl Iterator<Item = u32>) -> Vec<Contender> {
    let contender = |(number, weight): (usize, u32)| Contender {
        id: TargetId::of(&format!("p{number}"), "m"),
        weight,
        cost: None,
        cost_cached: None,
    };
    weights.enumerate().map(contender).collect()
}

impl Fleet {
    pub(crate) fn run(mut self) -> Spread {
        let contenders = contenders(self.upstreams.iter().map(|(weight, _)| *weight));
        let left: Vec<usize> = (0..contenders.len()).collect();
        let route = RouteId::of("fleet");
        let mut chance = fastrand::Rng::with_seed(7);
        let mut cores: Vec<Vitals> = (0..self.cores as u64).map(Vitals::new).collect();
        let mut spread = Spread { asked: vec![0; contenders.len()], waits: Waits::default() };
        let mut queue = Queue::new();
        let mut begun = 0;
        queue.put(Moment(1), Event::Arrives);
        while let Some((now, event)) = queue.next() {
            match event {
                Event::Arrives => {
                    begun += 1;
                    if begun < self.calls {
                        queue.put(now.after(pause(self.rate, &mut chance)), Event::Arrives);
                    }
                    let core = chance.usize(..cores.len());
                    let (contenders, left, affinity) = (&contenders, &left, chance.u64(..));
                    let vitals = &mut cores[core];
                    let number =
                        self.strategy.pick(&mut Choice { contenders, left, vitals, route, affinity, now });
                    vitals.begin(contenders[number].id, now);
                    spread.asked[number] += 1;
                    let (wait, _) = self.upstreams[number].1.ask(now, Duration::MAX, &mut chance);
                    queue.put(now.after(wait), Event::Answers { core, number, wait });
                }
                Event::Answers { core, number, wait } => {
                    let id = contenders[number].id;
                    cores[core].answered(id, now, wait);
                    cores[core].ended(id, &Shown::default());
                    spread.waits.add(wait);
                }
            }
        }
        spread
    }
}

//! What a data-plane core has learned of targets, credentials and routes. One core's own: nothing here is shared, and what
//! others ought to know is told as news.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    sync::Arc,
    time::Duration,
};

use fnv::FnvHasher;

use crate::{
    breaker::BreakerPolicy,
    budget::RetryBudget,
    health::{CACHED_SHARE_GUESS, Health, Shown},
    hedge::HedgeAccount,
    moment::Moment,
    rollout::Stages,
    strategy::adaptive::Arms,
};

/// The most of each kind that is remembered; callers may name models of their own invention.
const ENTRIES_MAX: usize = 8_192;
/// What was not used for so long is forgotten where there is no room.
const FORGET: Duration = Duration::from_secs(600);

/// A model at a provider, as a number that every process computes alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TargetId(pub u64);

/// A name under which models are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RouteId(pub u64);

/// A provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProviderId(pub u64);

/// One credential of a provider, for one model: limits hold for both together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SeatId(pub u64);

impl TargetId {
    pub fn of(provider: &str, model: &str) -> TargetId {
        TargetId(number(&[provider.as_bytes(), model.as_bytes()]))
    }
}

impl ProviderId {
    pub fn of(name: &str) -> ProviderId {
        ProviderId(number(&[b"provider", name.as_bytes()]))
    }
}

impl RouteId {
    pub fn of(name: &str) -> RouteId {
        RouteId(number(&[name.as_bytes()]))
    }
}

impl SeatId {
    pub fn of(target: TargetId, credential: usize) -> SeatId {
        SeatId(mix(target.0 ^ mix(credential as u64 + 1)))
    }
}

/// A number for texts: the same in every process (FNV-1a, <http://www.isthe.com/chongo/tech/comp/fnv/>, and then mixed).
pub fn number(texts: &[&[u8]]) -> u64 {
    let mut hasher = FnvHasher::default();
    for text in texts {
        hasher.write(text);
        hasher.write_u8(0xff);
    }
    mix(hasher.finish())
}

/// Spreads a number's bits (the finaliser of splitmix64, <https://prng.di.unimi.it/splitmix64.c>).
pub(crate) fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// What one core has learned.
#[derive(Clone)]
pub struct Vitals {
    targets: Map<Health>,
    routes: Map<Route>,
    seats: Map<Seat>,
    /// Providers that fail their health check, and until when that is believed.
    down: Map<Moment>,
    chance: fastrand::Rng,
    news: Vec<News>,
    /// When the last attempt began.
    latest: Moment,
    stages: Arc<Stages>,
}

/// What is known of a name's calls.
#[derive(Clone, Debug, Default)]
pub(crate) struct Route {
    pub(crate) budget: RetryBudget,
    /// Where turns stand, for turns by weight.
    pub(crate) turns: Vec<(TargetId, i64)>,
    pub(crate) arms: Arms,
    hedges: HedgeAccount,
    used: Moment,
}

/// What is known of a credential, for one model.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Seat {
    pub rest: Option<Rest>,
    /// Where its turn stands.
    pub(crate) turn: i64,
    used: Moment,
}

/// Why a credential is left alone, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rest {
    pub until: Moment,
    pub why: RestReason,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestReason {
    /// Its limit of requests or tokens in a while is reached, or nearly so.
    Limited,
    /// Its credit is used up.
    Exhausted,
    /// The provider refuses it.
    Refused,
}

/// What other cores ought to know, too.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum News {
    /// A target keeps failing: how often its rest was in vain before, and for how long it rests.
    Opened(TargetId, u32, Duration),
    /// A target wants to be left alone for so long.
    Cooling(TargetId, Duration),
    /// A credential is to be left alone for so long.
    Resting(SeatId, Duration, RestReason),
    /// A target that had failed has answered.
    Back(TargetId),
    /// A provider fails its health check: it is left alone for so long.
    Down(ProviderId, Duration),
    /// It does no longer.
    Up(ProviderId),
    /// How good somebody found an answer, in 0..=1.
    Feedback(RouteId, TargetId, f64),
}

impl Vitals {
    /// `seed` gives chance its beginning.
    pub fn new(seed: u64) -> Vitals {
        Vitals {
            targets: Map::default(),
            routes: Map::default(),
            seats: Map::default(),
            down: Map::default(),
            chance: fastrand::Rng::with_seed(seed),
            news: Vec::new(),
            latest: Moment(0),
            stages: Arc::default(),
        }
    }

    /// How far each rollout is.
    pub fn stages(&self) -> &Arc<Stages> {
        &self.stages
    }

    pub fn set_stages(&mut self, stages: Arc<Stages>) {
        self.stages = stages;
    }

    pub fn chance(&mut self) -> &mut fastrand::Rng {
        &mut self.chance
    }

    pub fn health(&self, id: TargetId) -> Option<&Health> {
        self.targets.get(&id.0)
    }

    /// Until when a target's provider asked that it be left alone; `None` where it did not.
    pub(crate) fn cooling(&self, id: TargetId, now: Moment) -> Option<Moment> {
        self.health(id).and_then(|health| health.cooling(now))
    }

    /// Until when a target rests; `None` where it may be asked.
    pub fn resting(&self, id: TargetId, now: Moment, policy: &BreakerPolicy) -> Option<Moment> {
        self.health(id).and_then(|health| health.resting(now, policy))
    }

    pub fn in_flight(&self, id: TargetId) -> u32 {
        self.health(id).map_or(0, Health::in_flight)
    }

    /// Share of a conversation's input that a target's prompt cache holds. One that was not asked for long is given
    /// another chance.
    pub(crate) fn cached_share(&self, id: TargetId) -> f64 {
        let fresh = |health: &&Health| self.latest.since(health.last_used()) < FORGET;
        self.health(id).filter(fresh).map_or(CACHED_SHARE_GUESS, Health::cached_share)
    }

    /// An attempt begins.
    pub fn begin(&mut self, id: TargetId, now: Moment) {
        self.latest = now;
        if !self.targets.contains_key(&id.0) {
            room(&mut self.targets, now, |health| (health.in_flight() > 0, health.last_used()));
        }
        self.targets.entry(id.0).or_default().begin(now);
    }

    /// The first piece of an answer came.
    pub fn answered(&mut self, id: TargetId, now: Moment, wait: Duration) {
        if let Some(health) = self.targets.get_mut(&id.0) {
            let was_suspect = health.is_suspect();
            health.answered(now, wait);
            if was_suspect && !health.is_suspect() {
                self.news.push(News::Back(id));
            }
        }
    }

    /// An attempt has ended after it was answered.
    pub fn ended(&mut self, id: TargetId, shown: &Shown) {
        if let Some(health) = self.targets.get_mut(&id.0) {
            health.ended(shown);
        }
    }

    pub fn failed(&mut self, id: TargetId, now: Moment, policy: &BreakerPolicy) {
        let jitter = self.chance.f64();
        if let Some(health) = self.targets.get_mut(&id.0)
            && health.failed(now, policy, jitter)
        {
            let until = health.resting(now, policy).unwrap_or(now);
            self.news.push(News::Opened(id, health.breaker.times(), until.since(now)));
        }
    }

    /// An attempt was dropped before its answer began, because another target's came first.
    pub fn outrun(&mut self, id: TargetId, now: Moment, waited: Duration) {
        if let Some(health) = self.targets.get_mut(&id.0) {
            health.outrun(now, waited);
        }
    }

    /// Attempts of the last ten seconds, and how many of them failed.
    pub(crate) fn recent(&self, id: TargetId, now: Moment) -> (u32, u32) {
        self.health(id).map_or((0, 0), |health| health.breaker.recent(now))
    }

    /// A target rests because its peers fail far less often.
    pub(crate) fn eject(&mut self, id: TargetId, now: Moment, policy: &BreakerPolicy) {
        let jitter = self.chance.f64();
        if let Some(health) = self.targets.get_mut(&id.0)
            && health.breaker.eject(now, policy, jitter)
        {
            let until = health.resting(now, policy).unwrap_or(now);
            self.news.push(News::Opened(id, health.breaker.times(), until.since(now)));
        }
    }

    /// Until when a provider is left alone that fails its health check.
    pub(crate) fn down(&self, id: ProviderId, now: Moment) -> Option<Moment> {
        self.down.get(&id.0).copied().filter(|until| *until > now)
    }

    /// An attempt has ended, and what became of it is not the target's doing.
    pub fn let_go(&mut self, id: TargetId) {
        if let Some(health) = self.targets.get_mut(&id.0) {
            health.let_go();
        }
    }

    /// A provider asked that a target be left alone.
    pub fn cool(&mut self, id: TargetId, now: Moment, span: Duration) {
        self.targets.entry(id.0).or_default().cool(now.after(span));
        self.news.push(News::Cooling(id, span));
    }

    pub fn seat(&self, id: SeatId) -> Seat {
        self.seats.get(&id.0).copied().unwrap_or_default()
    }

    pub(crate) fn seat_mut(&mut self, id: SeatId, now: Moment) -> &mut Seat {
        if !self.seats.contains_key(&id.0) {
            room(&mut self.seats, now, |seat| (false, seat.used));
        }
        let seat = self.seats.entry(id.0).or_default();
        seat.used = now;
        seat
    }

    /// A credential is to be left alone.
    pub fn rest(&mut self, id: SeatId, now: Moment, span: Duration, why: RestReason) {
        self.seat_mut(id, now).rest_until(now.after(span), why);
        self.news.push(News::Resting(id, span, why));
    }

    pub(crate) fn route(&mut self, id: RouteId, now: Moment) -> &mut Route {
        if !self.routes.contains_key(&id.0) {
            room(&mut self.routes, now, |route| (false, route.used));
        }
        let route = self.routes.entry(id.0).or_default();
        route.used = now;
        route
    }

    pub fn budget(&mut self, id: RouteId, now: Moment) -> &mut RetryBudget {
        &mut self.route(id, now).budget
    }

    pub fn hedges(&mut self, id: RouteId, now: Moment) -> &mut HedgeAccount {
        &mut self.route(id, now).hedges
    }

    pub fn arms(&mut self, id: RouteId, now: Moment) -> &mut Arms {
        &mut self.route(id, now).arms
    }

    /// What other cores ought to know, once.
    pub fn take_news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    pub fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    /// Takes in what another core has seen.
    pub fn hear(&mut self, news: News, now: Moment) {
        let jitter = self.chance.f64();
        match news {
            News::Opened(id, times, span) => {
                // The one that saw it probes first.
                let until = now.after(span + span.mul_f64(0.1 + 0.4 * jitter));
                self.targets.entry(id.0).or_default().breaker.hear(now, until, times);
            }
            News::Back(id) => {
                if let Some(health) = self.targets.get_mut(&id.0).filter(|health| health.is_suspect()) {
                    health.back(now);
                }
            }
            News::Cooling(id, span) => self.targets.entry(id.0).or_default().cool(now.after(span)),
            News::Resting(id, span, why) => self.seat_mut(id, now).rest_until(now.after(span), why),
            News::Down(id, span) => {
                self.down.insert(id.0, now.after(span));
            }
            News::Up(id) => {
                self.down.remove(&id.0);
            }
            News::Feedback(route, id, score) => self.arms(route, now).judge(id, score),
        }
    }
}

impl Seat {
    /// Why it is to be left alone now.
    pub fn resting(&self, now: Moment) -> Option<Rest> {
        self.rest.filter(|rest| rest.until > now)
    }

    fn rest_until(&mut self, until: Moment, why: RestReason) {
        if self.rest.is_none_or(|rest| rest.until < until) {
            self.rest = Some(Rest { until, why });
        }
    }
}

/// Keys are hashes already.
type Map<T> = HashMap<u64, T, BuildHasherDefault<AsItIs>>;

/// Makes room for one more where there is none.
fn room<T>(map: &mut Map<T>, now: Moment, used: impl Fn(&T) -> (bool, Moment)) {
    if map.len() < ENTRIES_MAX {
        return;
    }
    map.retain(|_, entry| {
        let (busy, last) = used(entry);
        busy || now.since(last) < FORGET
    });
    if map.len() >= ENTRIES_MAX {
        map.retain(|_, entry| used(entry).0);
    }
}

/// Takes a number as its own hash.
#[derive(Clone, Copy, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = number(&[bytes]);
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invented_names_do_not_fill_the_memory() {
        let mut vitals = Vitals::new(1);
        let busy = TargetId::of("busy", "model");
        vitals.begin(busy, Moment(0));
        for number in 0..3 * ENTRIES_MAX {
            let id = TargetId::of("provider", &number.to_string());
            vitals.begin(id, Moment(number as u64));
            vitals.let_go(id);
            assert!(vitals.targets.len() <= ENTRIES_MAX);
        }
        assert_eq!(vitals.in_flight(busy), 1, "what is in use stays");
    }

    #[test]
    fn cores_tell_each_other_of_what_fails() {
        let policy = BreakerPolicy { failures: 2, ..BreakerPolicy::default() };
        let (mut here, mut there) = (Vitals::new(1), Vitals::new(2));
        let id = TargetId::of("provider", "model");
        let now = Moment(1);
        for _ in 0..2 {
            here.begin(id, now);
            here.failed(id, now, &policy);
        }
        let news = here.take_news();
        assert!(matches!(news[..], [News::Opened(opened, 0, _)] if opened == id), "{news:?}");
        there.hear(news[0], now);
        let rests = |vitals: &Vitals| vitals.resting(id, now, &policy).unwrap();
        assert!(rests(&here) < rests(&there), "the one that saw it probes first");
        let later = rests(&here);
        here.begin(id, later);
        here.answered(id, later, Duration::from_millis(5));
        for news in here.take_news() {
            there.hear(news, later);
        }
        assert_eq!(there.resting(id, later, &policy), None);
    }

    #[test]
    fn numbers_are_the_same_in_every_process() {
        assert_eq!(TargetId::of("a", "b"), TargetId(0xb912_458b_53ec_5105));
        assert_ne!(TargetId::of("ab", ""), TargetId::of("a", "b"));
    }
}

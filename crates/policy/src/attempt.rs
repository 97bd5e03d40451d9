//! What to do next of a call: ask a target, wait, or give up.
//!
//! Nothing of an answer may have reached the caller while this is asked: after the first byte there are no further attempts.
//! - A fault of one target is no reason to wait: another is asked at once. When all were asked, they are asked again after
//!   a wait that chance chooses between nothing and a bound that doubles ("full jitter",
//!   <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>), or as long as a provider asked for.
//! - A request that is too long goes where there is room for it; one against a content policy only to targets that are
//!   named for that.
//! - What the caller did wrong is told at once.
//! - A target whose queue let the call not in is not asked again: others are, and that costs nothing.
//! - Every further attempt is paid from the route's budget.

use std::time::Duration;

use wire::{Fault, Kind, Origin, Retry};

use crate::{
    moment::{Moment, micros},
    pool,
    queue::Refused,
    route::{Plan, Purpose, Target},
    strategy::{Choice, Strategy},
    vitals::Vitals,
};

/// How often, and after which waits, a target is asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    /// The most further attempts at one target.
    pub max: u32,
    /// The bound of the first wait; it doubles with each round.
    pub backoff: Duration,
    pub backoff_max: Duration,
    /// The longest wait that a provider may ask for; where it asks for more, the caller is told.
    pub wait_max: Duration,
    /// Further attempts that fail, in thousandths of the calls.
    pub budget_permille: u32,
}

impl Default for Retries {
    fn default() -> Retries {
        Retries {
            max: 2,
            backoff: Duration::from_millis(250),
            backoff_max: Duration::from_secs(8),
            wait_max: Duration::from_secs(5),
            budget_permille: 200,
        }
    }
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Ask the target with this number.
    Try(usize),
    /// Wait for so long, and then ask it.
    Wait(Duration, usize),
    /// Tell the caller of the last fault.
    GiveUp,
}

/// What became of an attempt.
#[derive(Clone, Copy, Debug)]
pub struct Failed<'f> {
    pub fault: &'f Fault,
    /// The number of the target that was asked.
    pub target: usize,
    /// Whether the request may have reached the provider and been acted on.
    pub sent: bool,
}

/// The attempts of one call. Targets are counted in bits: there are at most [`TARGETS_MAX`].
#[derive(Clone, Copy, Debug)]
pub struct Attempts {
    /// Those that were asked in this round.
    tried: u64,
    /// Those that will not be asked again.
    barred: u64,
    round: u32,
    made: u32,
    /// When the whole call must have ended.
    deadline: Moment,
}

/// The most targets that a name has.
pub const TARGETS_MAX: usize = 64;
/// The most attempts of one call, whatever is configured.
const ATTEMPTS_MAX: u32 = 32;

/// What a fault says of further attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Remedy {
    /// None would help.
    None,
    /// Another target, or the same one later.
    Any,
    /// Another credential or target; this one refuses for good.
    Other,
    /// A target with room for more.
    Larger,
    /// A target that is named for what others refuse.
    Permitted,
}

impl Attempts {
    pub fn new(deadline: Moment) -> Attempts {
        Attempts { tried: 0, barred: 0, round: 0, made: 0, deadline }
    }

    /// The target to ask first.
    pub fn first(&mut self, plan: &Plan, vitals: &mut Vitals, now: Moment) -> Step {
        self.made = 1;
        vitals.budget(plan.route, now).pay_in(plan.retries.budget_permille);
        if let Some(hedging) = &plan.hedging {
            vitals.hedges(plan.route, now).pay_in(hedging);
        }
        match self.untried(plan, Remedy::Any, None, vitals, now) {
            Some(number) => Step::Try(self.took(number)),
            None => Step::GiveUp,
        }
    }

    /// The numbers of the targets in the order in which they would be asked.
    pub fn order(plan: &Plan, vitals: &mut Vitals, now: Moment) -> Vec<usize> {
        let mut attempts = Attempts::new(Moment(u64::MAX));
        let mut order = Vec::with_capacity(plan.targets.len());
        let mut last = None;
        while let Some(number) = attempts.untried(plan, Remedy::Any, last, vitals, now) {
            order.push(attempts.took(number));
            last = Some(number);
        }
        // Those for what others refuse come last.
        order.extend((0..plan.targets.len()).filter(|&number| plan.purpose(number) != Purpose::Any));
        order
    }

    /// The first piece of an answer came.
    pub fn answered(&self, plan: &Plan, vitals: &mut Vitals, now: Moment) {
        if self.made > 1 {
            vitals.budget(plan.route, now).give_back();
        }
    }

    /// Another target to ask beside one that is late: one that is ready.
    pub fn beside(&self, plan: &Plan, late: usize, vitals: &mut Vitals, now: Moment) -> Option<usize> {
        let number = self.untried(plan, Remedy::Any, Some(late), vitals, now)?;
        let ready = plan.targets.get(number).is_some_and(|target| target.resting(vitals, now).is_none());
        (ready && self.made < ATTEMPTS_MAX).then_some(number)
    }

    /// Takes a hedge to this target out of the route's account; false where none can be afforded.
    pub fn hedge(&mut self, plan: &Plan, number: usize, vitals: &mut Vitals, now: Moment) -> bool {
        let affordable = plan.hedging.is_some_and(|hedging| vitals.hedges(plan.route, now).take(&hedging));
        if affordable {
            self.made += 1;
            self.took(number);
        }
        affordable
    }

    /// What to do where a target cannot take the request: it was not asked.
    pub fn without(&mut self, plan: &Plan, number: usize, vitals: &mut Vitals, now: Moment) -> Step {
        self.barred |= bit(number);
        match self.untried(plan, Remedy::Any, Some(number), vitals, now) {
            Some(number) => Step::Try(self.took(number)),
            None => Step::GiveUp,
        }
    }

    /// What to do after an attempt that failed.
    pub fn after(&mut self, plan: &Plan, failed: &Failed<'_>, vitals: &mut Vitals, now: Moment) -> Step {
        let remedy = remedy(failed.fault);
        let acted_on = failed.sent && !plan.repeatable && !was_refused(failed.fault);
        let Some(target) = plan.targets.get(failed.target) else { return Step::GiveUp };
        if remedy == Remedy::None || acted_on || self.made >= ATTEMPTS_MAX || now >= self.deadline {
            return Step::GiveUp;
        }
        let spare = self.is_spare(target, failed.fault, vitals, now);
        let refused_here = Refused::is(failed.fault);
        if refused_here || (remedy == Remedy::Other && !spare) {
            self.barred |= bit(failed.target);
        }
        let step = if spare {
            Step::Try(failed.target)
        } else if let Some(number) = self.untried(plan, remedy, Some(failed.target), vitals, now) {
            Step::Try(self.took(number))
        } else if matches!(remedy, Remedy::Any | Remedy::Other) {
            self.again(plan, failed, vitals, now)
        } else {
            Step::GiveUp
        };
        if refused_here && matches!(step, Step::Try(_)) {
            return step;
        }
        if step == Step::GiveUp || !vitals.budget(plan.route, now).take() {
            return Step::GiveUp;
        }
        self.made += 1;
        step
    }

    /// Whether the provider has another credential that is ready, where the fault is that of the one that was used.
    fn is_spare(&self, target: &Target, fault: &Fault, vitals: &Vitals, now: Moment) -> bool {
        let credentials = &target.provider.credentials;
        let of_credential = matches!(
            fault.kind,
            Kind::RateLimited | Kind::QuotaExhausted | Kind::Unauthenticated | Kind::Forbidden
        );
        // The one that was used rests by now.
        of_credential
            && credentials.len() > 1
            && pool::resting(credentials, target.id, &target.model, vitals, now).is_none()
    }

    /// One that was not asked in this round.
    fn untried(
        &self,
        plan: &Plan,
        remedy: Remedy,
        failed: Option<usize>,
        vitals: &mut Vitals,
        now: Moment,
    ) -> Option<usize> {
        if plan.is_single() {
            return (self.tried == 0).then_some(0);
        }
        if failed.is_some() && !plan.falls_back {
            return None;
        }
        let room = |number: usize| plan.targets.get(number).and_then(Target::context_tokens);
        let left = |number: &usize| {
            let larger = failed.and_then(room).zip(room(*number)).is_some_and(|(one, other)| other > one);
            let fits = match (remedy, plan.purpose(*number)) {
                (Remedy::Any | Remedy::Other, Purpose::Any) => true,
                (Remedy::Larger, Purpose::Any) => larger,
                (Remedy::Larger, Purpose::LongerContext) | (Remedy::Permitted, Purpose::ContentPolicy) => {
                    true
                }
                // Once such a target was asked, those beside it may be.
                (Remedy::Any | Remedy::Other, purpose) => {
                    failed.is_some_and(|failed| plan.purpose(failed) == purpose)
                }
                (Remedy::None | Remedy::Larger | Remedy::Permitted, _) => false,
            };
            fits && (self.tried | self.barred) & bit(*number) == 0
        };
        let left: Vec<usize> = (0..plan.targets.len().min(TARGETS_MAX)).filter(left).collect();
        // A side's own targets come before those that stand in for them.
        let ready = |number: &usize| {
            let target = plan.targets.get(*number);
            *number < plan.own && target.is_some_and(|target| target.resting(vitals, now).is_none())
        };
        let own: Vec<usize> = left.iter().copied().filter(ready).collect();
        among(plan, if own.is_empty() { &left } else { &own }, vitals, now)
    }

    /// All were asked: the next round.
    fn again(&mut self, plan: &Plan, failed: &Failed<'_>, vitals: &mut Vitals, now: Moment) -> Step {
        if self.round >= plan.retries.max {
            return Step::GiveUp;
        }
        let purpose = plan.purpose(failed.target);
        let open = |number: &usize| {
            plan.purpose(*number) == purpose
                && self.barred & bit(*number) == 0
                && (plan.falls_back || *number == failed.target)
        };
        let left: Vec<usize> = (0..plan.targets.len().min(TARGETS_MAX)).filter(open).collect();
        let Some(number) = among(plan, &left, vitals, now) else { return Step::GiveUp };
        let cooling = plan.targets.get(number).and_then(|target| target.cooling(vitals, now));
        let cooling = cooling.map_or(Duration::ZERO, |until| until.since(now));
        let asked = match failed.fault.retry {
            Retry::After(after) if number == failed.target => after,
            Retry::After(_) | Retry::Soon | Retry::Never => Duration::ZERO,
        };
        let asked = asked.max(cooling);
        if asked > plan.retries.wait_max {
            return Step::GiveUp;
        }
        let bound =
            plan.retries.backoff.saturating_mul(1 << self.round.min(16)).min(plan.retries.backoff_max);
        let wait = asked + Duration::from_micros(vitals.chance().u64(..=micros(bound)));
        if now.after(wait) >= self.deadline {
            return Step::GiveUp;
        }
        self.round += 1;
        self.tried = 0;
        Step::Wait(wait, self.took(number))
    }

    fn took(&mut self, number: usize) -> usize {
        self.tried |= bit(number);
        number
    }
}

/// The one to ask of these: by the strategy among those that are ready. Where all rest because they failed, nobody knows
/// which is back: chance spreads the calls, so that it is found soon and none has to bear them all. Where providers asked
/// to be left alone, the one that did so for the shortest time.
fn among(plan: &Plan, left: &[usize], vitals: &mut Vitals, now: Moment) -> Option<usize> {
    let (contenders, route, affinity) = (&plan.contenders, plan.route, plan.affinity);
    let those = |is: &dyn Fn(&Target) -> bool| -> Vec<usize> {
        left.iter().copied().filter(|&number| plan.targets.get(number).is_some_and(is)).collect()
    };
    let ready = those(&|target| target.resting(vitals, now).is_none());
    if !ready.is_empty() {
        return Some(plan.strategy.pick(&mut Choice {
            contenders,
            left: &ready,
            vitals,
            route,
            affinity,
            now,
        }));
    }
    let failing = those(&|target| target.cooling(vitals, now).is_none());
    if !failing.is_empty() {
        let choice = &mut Choice { contenders, left: &failing, vitals, route, affinity, now };
        return Some(Strategy::Weighted.pick(choice));
    }
    let until = |number: &&usize| plan.targets.get(**number).and_then(|target| target.cooling(vitals, now));
    left.iter().min_by_key(until).copied()
}

fn bit(number: usize) -> u64 {
    1_u64.checked_shl(u32::try_from(number).unwrap_or(u32::MAX)).unwrap_or_default()
}

/// A provider's refusal of our credential, its quota and its missing model are no mistakes of the caller.
fn remedy(fault: &Fault) -> Remedy {
    match fault.kind {
        Kind::RateLimited
        | Kind::Overloaded
        | Kind::Timeout
        | Kind::Unreachable
        | Kind::Cut
        | Kind::Garbage
        | Kind::Internal => Remedy::Any,
        Kind::QuotaExhausted => Remedy::Other,
        Kind::Unauthenticated | Kind::Forbidden | Kind::NotFound if fault.origin == Origin::Upstream => {
            Remedy::Other
        }
        Kind::ContextTooLong => Remedy::Larger,
        Kind::ContentPolicy => Remedy::Permitted,
        Kind::Invalid
        | Kind::Unsupported
        | Kind::MethodNotAllowed
        | Kind::TooLarge
        | Kind::Unauthenticated
        | Kind::Forbidden
        | Kind::NotFound => Remedy::None,
    }
}

/// Whether the provider said that it has not acted on the request.
fn was_refused(fault: &Fault) -> bool {
    matches!(
        fault.kind,
        Kind::RateLimited | Kind::Overloaded | Kind::QuotaExhausted | Kind::Unauthenticated | Kind::Forbidden
    ) && fault.upstream_status.is_some()
}

//! A provider's places: how many calls it is sent at a time, over all cores, and who waits for one.
//!
//! Only providers with `concurrency` have a gate. Its lock is held for a few steps at a time and never across a wait; whoever
//! waits is woken through a channel of its own. A place is a [`Permit`]: its drop gives it back, once, whatever became of the
//! call.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use policy::{
    concurrency::{ConcurrencyPolicy, Limiter, Sample, Seen},
    moment::Moment,
    queue::{Joined, Priority, Queue, Refused, Ticket},
    route::{Plan, Target},
};
use tokio::sync::oneshot;
use uuid::Uuid;
use wire::{Fault, Retry};

use crate::{attempt::Missed, call::Call, headers, inbound::Inbound, world::Endpoint};

/// The bounds of what callers that are turned away are told to wait.
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(60);

/// The places of one provider.
pub(crate) struct Gate {
    /// Since when moments are counted.
    epoch: Instant,
    state: Mutex<State>,
}

struct State {
    limiter: Limiter,
    in_flight: u32,
    queue: Queue<oneshot::Sender<Result<Permit, Refused>>>,
    counts: Counts,
    /// How long a place is held.
    held: Duration,
}

/// What a gate has seen.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// By reason, as [`Refused::ALL`].
    pub(crate) refused: [u64; Refused::ALL.len()],
    /// Those who waited and were let in, and for how long in all.
    pub(crate) waited: u64,
    pub(crate) wait: Duration,
}

/// What a gate shows of itself.
pub(crate) struct Shown {
    pub(crate) limit: u32,
    pub(crate) in_flight: u32,
    /// By class, as [`Priority::ALL`].
    pub(crate) queued: [usize; Priority::ALL.len()],
    pub(crate) counts: Counts,
}

/// A place at a provider.
pub(crate) struct Permit {
    gate: Arc<Gate>,
    sample: Sample,
}

impl std::fmt::Debug for Permit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Permit")
    }
}

/// The class of service of a call: as its caller says, or its model's.
pub(crate) fn priority(inbound: &Inbound<'_>, plan: &Plan) -> Result<Priority, Fault> {
    let Some(value) = headers::own(&inbound.parts.headers, &headers::PRIORITY) else {
        return Ok(plan.priority);
    };
    Priority::parse(value.to_str().unwrap_or_default(), headers::PRIORITY.as_str())
}

/// A place for an attempt, where its provider has a gate: at once, or after a wait in the queue.
pub(crate) async fn enter(
    call: &mut Call,
    endpoint: &Endpoint,
    target: &Target,
    deadline: tokio::time::Instant,
) -> Result<Option<Permit>, Missed> {
    let Some(gate) = &endpoint.gate else { return Ok(None) };
    let open = call.open();
    // Boxed, since every call would carry what only this way needs.
    let entered = Box::pin(gate.enter((open.priority, open.principal.id), deadline)).await;
    let provider = &target.provider.facts.id;
    entered.map(Some).map_err(|refused| Missed {
        fault: gate.fault(refused, provider),
        sent: false,
        fatal: false,
    })
}

/// A place for a further attempt beside another, where one is free; the error says that there is none.
pub(crate) fn try_enter(endpoint: &Endpoint) -> Result<Option<Permit>, Refused> {
    let Some(gate) = &endpoint.gate else { return Ok(None) };
    let permit = gate.take(&mut gate.state());
    permit.map(Some).ok_or(Refused::Full)
}

impl Gate {
    pub(crate) fn new(policy: ConcurrencyPolicy) -> Arc<Gate> {
        let state = State {
            limiter: Limiter::new(policy),
            in_flight: 0,
            queue: Queue::default(),
            counts: Counts::default(),
            held: Duration::ZERO,
        };
        Arc::new(Gate { epoch: Instant::now(), state: Mutex::new(state) })
    }

    /// Takes up a new configuration: those who are in flight and those who wait stay.
    pub(crate) fn adopt(self: &Arc<Gate>, policy: ConcurrencyPolicy) {
        let mut state = self.state();
        if *state.limiter.policy() != policy {
            state.limiter.adopt(policy);
            self.hand_out(state);
        }
    }

    pub(crate) fn shown(&self) -> Shown {
        let state = self.state();
        Shown {
            limit: state.limiter.limit(),
            in_flight: state.in_flight,
            queued: Priority::ALL.map(|priority| state.queue.len_of(priority)),
            counts: state.counts,
        }
    }

    async fn enter(
        self: &Arc<Gate>,
        who: (Priority, Uuid),
        deadline: tokio::time::Instant,
    ) -> Result<Permit, Refused> {
        let (waiting, until) = {
            let mut state = self.state();
            if let Some(permit) = self.take(&mut state) {
                return Ok(permit);
            }
            let policy = *state.limiter.policy();
            let until = deadline.min(tokio::time::Instant::now() + policy.queue_wait);
            (self.wait(state, who, policy.queue_max, until)?, until)
        };
        let began = Instant::now();
        let permit = waiting.permit(until).await;
        let mut state = self.state();
        match &permit {
            Ok(_) => {
                state.counts.waited += 1;
                state.counts.wait += began.elapsed();
            }
            Err(refused) => state.counts.refused[*refused as usize] += 1,
        }
        drop(state);
        permit
    }

    /// A place, where one is free. Where somebody waits, none is.
    fn take(self: &Arc<Gate>, state: &mut State) -> Option<Permit> {
        let limit = state.limiter.limit();
        if state.in_flight >= limit {
            return None;
        }
        state.in_flight += 1;
        let in_flight = state.in_flight;
        let sample = Sample { began: self.now(), in_flight, limit, seen: Seen::Nothing };
        Some(Permit { gate: Arc::clone(self), sample })
    }

    fn wait(
        self: &Arc<Gate>,
        mut state: MutexGuard<'_, State>,
        who: (Priority, Uuid),
        length_max: usize,
        until: tokio::time::Instant,
    ) -> Result<Waiting, Refused> {
        let (sender, receiver) = oneshot::channel();
        let (ticket, gone) = match state.queue.join(who, length_max, self.moment(until.into_std()), sender) {
            Joined::Waits(ticket) => (ticket, None),
            Joined::InPlaceOf(ticket, gone) => (ticket, Some(gone)),
            Joined::Full(_) => {
                state.counts.refused[Refused::Full as usize] += 1;
                return Err(Refused::Full);
            }
        };
        drop(state);
        if let Some(gone) = gone {
            // Who went away meanwhile needs no answer.
            let _ = gone.send(Err(Refused::Full));
        }
        Ok(Waiting { gate: Arc::clone(self), ticket, receiver })
    }

    /// Gives free places to those who wait. Whoever went away meanwhile drops what is sent, and so passes it on.
    fn hand_out(self: &Arc<Gate>, mut state: MutexGuard<'_, State>) {
        let mut let_in = Vec::new();
        while state.in_flight < state.limiter.limit() {
            let Some(next) = state.queue.next(self.now()) else { break };
            let Some(permit) = self.take(&mut state) else { break };
            let_in.push((next, permit));
        }
        drop(state);
        for (next, permit) in let_in {
            let _ = next.send(Ok(permit));
        }
    }

    fn fault(&self, refused: Refused, provider: &str) -> Fault {
        let state = self.state();
        let (limit, policy) = (state.limiter.limit(), state.limiter.policy());
        let message = match refused {
            Refused::Full if policy.queue_max == 0 => {
                format!("all {limit} places at {provider} are taken (providers.{provider}.concurrency)")
            }
            Refused::Full => format!(
                "all {limit} places at {provider} are taken, and {} calls wait (providers.{provider}.queue.max)",
                policy.queue_max
            ),
            Refused::Late => format!(
                "none of the {limit} places at {provider} came free in time: {:?} at most (providers.{provider}.queue.wait)",
                policy.queue_wait
            ),
        };
        // As long as those who wait now need.
        let rounds = (state.queue.len() as u32).saturating_add(1).div_ceil(limit.max(1));
        let after = state.held.saturating_mul(rounds).clamp(RETRY_MIN, RETRY_MAX);
        refused.fault(message, Retry::After(after))
    }

    fn now(&self) -> Moment {
        self.moment(Instant::now())
    }

    fn moment(&self, at: Instant) -> Moment {
        let since = at.saturating_duration_since(self.epoch);
        // No moment is the very first one, which stands for never.
        Moment(u64::try_from(since.as_micros()).unwrap_or(u64::MAX).saturating_add(1))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// Gives the place back, and tells what was seen of how busy the provider is.
    pub(crate) fn give_back(mut self, seen: Seen) {
        self.sample.seen = seen;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.gate.state();
        let now = self.gate.now();
        state.in_flight = state.in_flight.saturating_sub(1);
        let held = now.since(self.sample.began);
        state.held = if state.held.is_zero() { held } else { state.held.mul_f64(0.9) + held.mul_f64(0.1) };
        state.limiter.learn(&self.sample, now);
        self.gate.hand_out(state);
    }
}

/// Somebody in the queue. Whoever drops it leaves the queue, and a place that is given to it at that moment is passed on.
struct Waiting {
    gate: Arc<Gate>,
    ticket: Ticket,
    receiver: oneshot::Receiver<Result<Permit, Refused>>,
}

impl Waiting {
    async fn permit(mut self, until: tokio::time::Instant) -> Result<Permit, Refused> {
        match tokio::time::timeout_at(until, &mut self.receiver).await {
            Ok(Ok(told)) => told,
            // The queue passes those by whose time is over.
            Ok(Err(_)) | Err(_) => Err(Refused::Late),
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.gate.state().queue.leave(self.ticket);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant as TokioInstant;

    use super::*;

    fn policy(max: u32, queue_max: usize) -> ConcurrencyPolicy {
        ConcurrencyPolicy { queue_max, ..ConcurrencyPolicy::fixed(max) }
    }

    fn who(number: u128) -> (Priority, Uuid) {
        (Priority::Default, Uuid::from_u128(number))
    }

    fn later() -> TokioInstant {
        TokioInstant::now() + Duration::from_secs(3_600)
    }

    #[tokio::test(start_paused = true)]
    async fn places_go_round_and_come_back() {
        let gate = Gate::new(policy(1, 2));
        let first = gate.enter(who(1), later()).await.unwrap();
        let mut second = Box::pin(gate.enter(who(1), later()));
        let mut third = Box::pin(gate.enter(who(2), later()));
        assert!(futures_pending(&mut second).await && futures_pending(&mut third).await);
        assert_eq!(gate.enter(who(3), later()).await.unwrap_err(), Refused::Full);
        drop(first);
        let second = second.await.unwrap();
        assert_eq!(gate.shown().in_flight, 1);
        // Who goes away makes room, in the queue or with the place that it was given.
        drop(second);
        drop(third);
        let shown = gate.shown();
        assert_eq!((shown.in_flight, shown.queued[Priority::Default as usize]), (0, 0));
        assert_eq!(shown.counts.refused[Refused::Full as usize], 1);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_too_long_is_told() {
        let gate = Gate::new(policy(1, 2));
        let _first = gate.enter(who(1), later()).await.unwrap();
        assert_eq!(gate.enter(who(1), later()).await.unwrap_err(), Refused::Late);
        assert_eq!(gate.shown().counts.refused[Refused::Late as usize], 1);
        let fault = gate.fault(Refused::Late, "house");
        assert!(fault.message.contains("providers.house.queue.wait"), "{fault}");
        gate.adopt(policy(2, 2));
        assert!(gate.enter(who(1), later()).await.is_ok(), "a new limit holds at once");
        assert_eq!(gate.shown().in_flight, 1);
    }

    async fn futures_pending<F: Future + Unpin>(future: &mut F) -> bool {
        tokio::select! {
            biased;
            _ = future => false,
            () = tokio::task::yield_now() => true,
        }
    }
}

//! Which of a provider's credentials opens a call: by their weights and the models they are for, past those that are
//! limited, used up or refused.

use crate::{
    Secret,
    identity::Identity,
    moment::Moment,
    vitals::{Rest, SeatId, TargetId, Vitals},
};

/// One of a provider's credentials.
pub struct Credential {
    /// The name that the journal shows, where it has one.
    pub name: Option<String>,
    pub opens: Opens,
    /// How often it is used next to the others; 0 only where no other is left.
    pub weight: u32,
    /// The models it is for, each exact or with a trailing `*`; empty means all.
    pub models: Vec<String>,
}

/// What opens a provider.
pub enum Opens {
    /// Nothing needs to.
    Nothing,
    Key(Secret),
    /// The credential of this name that the registry keeps.
    Registered(String),
    Identity(Box<Identity>),
}

/// The credential for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// Its number among the provider's.
    pub number: usize,
    /// Why it is to be left alone: no better one is there.
    pub rest: Option<Rest>,
}

impl Credential {
    /// One that opens everything.
    pub fn new(opens: Opens) -> Credential {
        Credential { name: None, opens, weight: 1, models: Vec::new() }
    }

    fn is_for(&self, model: &str) -> bool {
        let named = |pattern: &String| match pattern.strip_suffix('*') {
            Some(start) => model.starts_with(start),
            None => pattern == model,
        };
        self.models.is_empty() || self.models.iter().any(named)
    }
}

/// The credential that opens a call to this target now; `None` where none is for this model.
pub fn choose(
    credentials: &[Credential],
    target: TargetId,
    model: &str,
    vitals: &mut Vitals,
    now: Moment,
) -> Option<Chosen> {
    if let [only] = credentials {
        let rest = vitals.seat(SeatId::of(target, 0)).resting(now);
        return only.is_for(model).then_some(Chosen { number: 0, rest });
    }
    let mut ready = 0;
    let mut best: Option<(Chosen, i64)> = None;
    for (number, credential) in
        credentials.iter().enumerate().filter(|(_, credential)| credential.is_for(model))
    {
        let seat = vitals.seat_mut(SeatId::of(target, number), now);
        let rest = seat.resting(now);
        if rest.is_none() {
            // Turns by weight, as evenly as can be.
            seat.turn += i64::from(credential.weight);
            ready += i64::from(credential.weight);
        }
        let chosen = Chosen { number, rest };
        let better = best.is_none_or(|(known, turn)| match (rest, known.rest) {
            (None, None) => seat.turn > turn,
            (None, Some(_)) => true,
            (Some(_), None) => false,
            (Some(one), Some(other)) => one.until < other.until,
        });
        if better {
            best = Some((chosen, seat.turn));
        }
    }
    let (chosen, _) = best?;
    if chosen.rest.is_none() {
        vitals.seat_mut(SeatId::of(target, chosen.number), now).turn -= ready;
    }
    Some(chosen)
}

/// Until when all credentials for a target rest; `None` where one of them is ready.
pub fn resting(
    credentials: &[Credential],
    target: TargetId,
    model: &str,
    vitals: &Vitals,
    now: Moment,
) -> Option<Moment> {
    let able = credentials.iter().enumerate().filter(|(_, credential)| credential.is_for(model));
    let mut soonest: Option<Moment> = None;
    for (number, _) in able {
        let until = vitals.seat(SeatId::of(target, number)).resting(now)?.until;
        soonest = Some(soonest.map_or(until, |known| known.min(until)));
    }
    // Where no credential is for the model, none will ever be.
    Some(soonest.unwrap_or(Moment(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::vitals::RestReason;

    fn credential(weight: u32, models: &[&str]) -> Credential {
        let models = models.iter().map(|&model| model.to_owned()).collect();
        Credential { weight, models, ..Credential::new(Opens::Nothing) }
    }

    #[test]
    fn credentials_take_turns_by_weight_and_those_that_rest_are_passed_over() {
        let pool = [credential(2, &[]), credential(1, &[]), credential(5, &["other-*"])];
        let mut vitals = Vitals::new(1);
        let target = TargetId::of("provider", "model");
        let numbers = |vitals: &mut Vitals, count: usize, now: Moment| -> Vec<usize> {
            let next = |_| choose(&pool, target, "model", vitals, now).unwrap().number;
            (0..count).map(next).collect()
        };
        assert_eq!(numbers(&mut vitals, 6, Moment(0)), [0, 1, 0, 0, 1, 0]);
        let seat = SeatId::of(target, 0);
        vitals.rest(seat, Moment(0), Duration::from_secs(5), RestReason::Limited);
        assert_eq!(numbers(&mut vitals, 3, Moment(1)), [1, 1, 1]);
        assert_eq!(resting(&pool, target, "model", &vitals, Moment(1)), None);
        vitals.rest(SeatId::of(target, 1), Moment(0), Duration::from_secs(9), RestReason::Exhausted);
        assert_eq!(numbers(&mut vitals, 2, Moment(1)), [0, 0], "the one that is back first");
        assert_eq!(resting(&pool, target, "model", &vitals, Moment(1)), Some(Moment(5_000_000)));
        assert_eq!(choose(&pool[2..], target, "model", &mut vitals, Moment(0)), None);
    }
}

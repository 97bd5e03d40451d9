//! Whether a provider is well, as it says itself when it is asked from time to time.

use std::time::Duration;

use crate::vitals::{News, ProviderId};

/// How a provider is asked whether it is well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    pub asks: Asks,
    /// From one question to the next.
    pub every: Duration,
    /// For the whole answer.
    pub timeout: Duration,
    /// After so many bad answers in a row its targets rest.
    pub failures: u32,
}

/// What it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asks {
    /// A path, below where its API begins.
    Path(String),
    /// A completion of a few tokens of this model.
    Model(String),
}

/// What a provider's answers to its health check come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Bad answers in a row.
    failed: u32,
    down: bool,
}

/// How many questions a rest lasts where no further one is answered: whoever asks may itself be gone.
const ROUNDS: u32 = 3;

impl Verdict {
    /// An answer has come, or has not; what cores ought to know.
    pub fn hear(&mut self, provider: ProviderId, well: bool, check: &HealthCheck) -> Option<News> {
        if well {
            let was_down = self.down;
            *self = Verdict::default();
            return was_down.then_some(News::Up(provider));
        }
        self.failed = self.failed.saturating_add(1);
        self.down |= self.failed >= check.failures;
        // Told again each time, so that the rest goes on.
        self.down.then(|| News::Down(provider, (check.every + check.timeout).saturating_mul(ROUNDS)))
    }

    /// Nobody asks any more.
    pub fn end(self, provider: ProviderId) -> Option<News> {
        self.down.then_some(News::Up(provider))
    }

    pub fn is_down(&self) -> bool {
        self.down
    }
}

/// Whether an answer's status says that a provider is well. One that limits us is.
pub fn is_well(status: u16) -> bool {
    matches!(status, 200..=299 | 429)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_several_bad_answers_and_one_good_one() {
        let check = HealthCheck {
            asks: Asks::Path("/health".to_owned()),
            every: Duration::from_secs(10),
            timeout: Duration::from_secs(2),
            failures: 2,
        };
        let id = ProviderId::of("house");
        let mut verdict = Verdict::default();
        assert_eq!(verdict.hear(id, true, &check), None);
        assert_eq!(verdict.hear(id, false, &check), None);
        assert_eq!(verdict.hear(id, true, &check), None);
        assert_eq!(verdict.hear(id, false, &check), None);
        let down = Some(News::Down(id, Duration::from_secs(36)));
        assert_eq!(verdict.hear(id, false, &check), down);
        assert_eq!(verdict.hear(id, false, &check), down, "the rest goes on");
        assert_eq!(verdict.end(id), Some(News::Up(id)));
        assert_eq!(verdict.hear(id, true, &check), Some(News::Up(id)));
        assert_eq!(verdict.hear(id, true, &check), None);
    }
}

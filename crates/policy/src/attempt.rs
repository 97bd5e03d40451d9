//! What to do after an attempt: the next target, or give up.

use wire::{Fault, Kind, Origin};

/// Counts attempts over the targets of a plan. Nothing of an answer may have reached the caller while it is
/// asked: after the first byte there are no more attempts.
#[derive(Clone, Copy, Debug)]
pub struct Attempts {
    targets: usize,
    made: usize,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Try the target with this number.
    Try(usize),
    /// Tell the caller of the last fault.
    GiveUp,
}

impl Attempts {
    pub fn new(targets: usize) -> Attempts {
        Attempts { targets, made: 0 }
    }

    pub fn first(&mut self) -> Step {
        self.next()
    }

    /// After a fault: another target may do better, unless the caller itself is at fault.
    pub fn after(&mut self, fault: &Fault) -> Step {
        if is_worth_another_target(fault) { self.next() } else { Step::GiveUp }
    }

    fn next(&mut self) -> Step {
        if self.made < self.targets {
            self.made += 1;
            Step::Try(self.made - 1)
        } else {
            Step::GiveUp
        }
    }
}

/// A provider's refusal of our credential, its quota and its missing model are no mistakes of the caller:
/// another target may well answer. A request that is invalid, too long or against a content policy is refused
/// as it is.
fn is_worth_another_target(fault: &Fault) -> bool {
    match fault.kind {
        Kind::RateLimited
        | Kind::Overloaded
        | Kind::Timeout
        | Kind::Unreachable
        | Kind::Cut
        | Kind::Garbage
        | Kind::Internal
        | Kind::QuotaExhausted => true,
        Kind::Unauthenticated | Kind::Forbidden | Kind::NotFound => fault.origin == Origin::Upstream,
        Kind::Invalid
        | Kind::Unsupported
        | Kind::MethodNotAllowed
        | Kind::TooLarge
        | Kind::ContextTooLong
        | Kind::ContentPolicy => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_on_only_where_another_target_may_do_better() {
        let check = |origin, kind, expected| {
            let mut attempts = Attempts::new(2);
            assert_eq!(attempts.first(), Step::Try(0));
            let fault = Fault::new(origin, kind, "");
            assert_eq!(attempts.after(&fault), expected, "{kind:?}");
            assert_eq!(attempts.after(&fault), Step::GiveUp, "{kind:?}: there are two targets");
        };
        check(Origin::Upstream, Kind::Overloaded, Step::Try(1));
        check(Origin::Upstream, Kind::Unauthenticated, Step::Try(1));
        check(Origin::Upstream, Kind::Unreachable, Step::Try(1));
        check(Origin::Upstream, Kind::Invalid, Step::GiveUp);
        check(Origin::Upstream, Kind::ContextTooLong, Step::GiveUp);
        check(Origin::Client, Kind::Forbidden, Step::GiveUp);
    }
}

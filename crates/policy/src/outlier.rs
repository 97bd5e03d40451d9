//! A target that fails far more often than its peers rests, though its own breaker would still let calls through: the model
//! behind a name is well elsewhere (as "outlier detection" of
//! <https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/outlier>).

use crate::{
    moment::Moment,
    route::{Plan, Target},
    vitals::Vitals,
};

/// So many times its peers' share of failures makes an outlier.
const TIMES: u64 = 3;
/// A peer is compared with where it had at least this part of the calls that a share of failures takes.
const PEER_CALLS_PART: u32 = 4;

/// Lets a target rest that has just failed, where it is an outlier. At most half of the targets of a name rest by this.
pub fn eject(vitals: &mut Vitals, plan: &Plan, failed: &Target, now: Moment) {
    let policy = &failed.provider.breaker;
    let peers = || plan.targets.iter().filter(|target| target.id != failed.id);
    if plan.is_single() || policy.outlier_permille == 0 {
        return;
    }
    let (all, bad) = vitals.recent(failed.id, now);
    let share = permille(all, bad);
    if all < policy.calls_min.max(1) || share <= u64::from(policy.outlier_permille) {
        return;
    }
    let calls_min = (policy.calls_min / PEER_CALLS_PART).max(1);
    let shares = peers().map(|peer| vitals.recent(peer.id, now)).filter(|(all, _)| *all >= calls_min);
    let mut shares: Vec<u64> = shares.map(|(all, bad)| permille(all, bad)).collect();
    shares.sort_unstable();
    let middle = (shares.get(shares.len().saturating_sub(1) / 2), shares.get(shares.len() / 2));
    let (Some(lower), Some(upper)) = middle else { return };
    let median = u64::midpoint(*lower, *upper);
    let resting = plan.targets.iter().filter(|target| target.resting(vitals, now).is_some()).count();
    if share > TIMES * median && (resting + 1) * 2 <= plan.targets.len() {
        vitals.eject(failed.id, now, policy);
    }
}

fn permille(all: u32, bad: u32) -> u64 {
    u64::from(bad) * 1_000 / u64::from(all.max(1))
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use wire::Dialect;

    use super::*;
    use crate::{
        Snapshot,
        config::{self, Sources},
        pool::{Credential, Opens},
        snapshot::{Deadlines, Provider},
        strategy::Contender,
    };

    struct Nothing;

    impl Sources for Nothing {
        fn read_file(&self, _: &std::path::Path) -> std::io::Result<String> {
            Err(std::io::ErrorKind::NotFound.into())
        }

        fn variable(&self, _: &str) -> Option<String> {
            None
        }

        fn command(&self, _: &[String]) -> Result<String, String> {
            Err(String::new())
        }
    }

    /// A plan with so many targets.
    fn plan(targets: usize) -> Plan {
        let snapshot: Snapshot = config::zero(&Nothing);
        let facts = catalog::known().first().expect("the catalogue has providers").clone();
        let credentials = vec![Credential::new(Opens::Nothing)];
        let provider = Arc::new(Provider::new(facts, credentials, Deadlines::default()));
        let target = |number: usize| {
            Target::passed(Arc::clone(&provider), &format!("model-{number}"), Dialect::OpenaiChat)
        };
        let mut plan = Plan::direct(target(0), &snapshot);
        plan.targets.extend((1..targets).map(target));
        plan.contenders.extend(plan.targets.iter().map(|target| Contender {
            id: target.id,
            weight: 1,
            cost: None,
            cost_cached: None,
        }));
        plan
    }

    /// How many targets rest where of a hundred calls to each so many fail.
    fn resting(failures: &[u64]) -> Vec<usize> {
        let (plan, mut vitals) = (plan(failures.len()), Vitals::new(1));
        for call in 0..100 {
            let now = Moment(1_000_000 + call * 50_000);
            for (target, failures) in plan.targets.iter().zip(failures) {
                if target.resting(&vitals, now).is_some() {
                    continue;
                }
                vitals.begin(target.id, now);
                // Spread, so that no breaker opens by failures in a row.
                if call * failures / 100 != (call + 1) * failures / 100 {
                    vitals.failed(target.id, now, &target.provider.breaker);
                    eject(&mut vitals, &plan, target, now);
                } else {
                    vitals.answered(target.id, now, Duration::from_millis(5));
                    vitals.let_go(target.id);
                }
            }
        }
        let rests = |number: &usize| plan.targets[*number].resting(&vitals, Moment(6_000_000)).is_some();
        (0..plan.targets.len()).filter(rests).collect()
    }

    #[test]
    fn what_fails_far_more_than_its_peers_rests() {
        let check =
            |failures: &[u64], expected: &[usize]| assert_eq!(resting(failures), expected, "{failures:?}");
        check(&[30, 0, 0], &[0]);
        check(&[30, 5, 6], &[0]);
        check(&[15, 0, 0], &[]);
        check(&[40, 20, 20], &[]);
        check(&[40, 40, 40], &[]);
        check(&[40], &[]);
    }

    #[test]
    fn at_most_half_of_the_targets_rest() {
        assert_eq!(resting(&[30, 30, 0, 0, 0, 0]).len(), 2);
        assert_eq!(resting(&[30, 30, 30, 0, 0, 0]).len(), 3);
        assert_eq!(resting(&[30, 30, 0]).len(), 0, "half of its peers fail, too");
        assert_eq!(resting(&[30, 0]), [0]);
        assert_eq!(resting(&[100, 30, 0]), [0], "one in three rests already");
    }
}

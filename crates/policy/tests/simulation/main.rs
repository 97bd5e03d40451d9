//! Routing at scale, in virtual time: the real strategies, attempts, rests, budgets and hedges over virtual upstreams. Each
//! experiment asserts a law; its figures, at full size, stand in `docs/routing-simulation.md`.
//!
//! Without optimisation the experiments are smaller, and only their laws are checked:
//! `cargo test --release -p tollgate-policy --test simulation` checks the page, too, and with `TOLLGATE_UPDATE=1` writes it.

mod bandit;
mod cache;
mod configured;
mod events;
mod figures;
mod fleet;
mod gateway;
mod hedges;
mod herd;
mod mixed;
mod outage;
mod retries;
mod spread;
mod tally;
mod upstream;

/// How much of an experiment is run: all of it where the code is optimised.
const FULL: bool = cfg!(not(debug_assertions));

/// The larger number at full size.
fn size<T>(full: T, small: T) -> T {
    if FULL { full } else { small }
}

/// Runs an experiment, which asserts its law, and compares its figures with the page's.
fn check(name: &str, experiment: fn() -> String) {
    let figures = experiment();
    if FULL {
        figures::check_page(name, &figures);
    }
}

#[test]
fn calls_are_spread_by_weights_and_speeds() {
    check("spread", spread::weights_and_speeds);
}

#[test]
fn only_conversations_of_the_target_that_leaves_move() {
    check("sticky", spread::sessions_that_move);
}

#[test]
fn nobody_runs_to_a_target_that_comes_back() {
    check("comes back", herd::a_target_that_comes_back);
}

#[test]
fn a_target_that_fails_fast_draws_no_calls() {
    check("fails fast", herd::a_target_that_fails_fast);
}

#[test]
fn few_probes_ask_a_target_that_is_out() {
    check("outage", outage::one_of_three);
}

#[test]
fn a_limit_is_kept_to() {
    check("limit", outage::a_limit);
}

#[test]
fn the_first_target_that_is_back_is_found() {
    check("all out", outage::all_of_them);
}

#[test]
fn a_storm_of_failures_is_no_storm_of_retries() {
    check("retries", retries::a_storm_of_failures);
}

#[test]
fn hedges_shorten_tails_within_their_share() {
    check("hedges", hedges::heavy_tails);
}

#[test]
fn one_target_that_is_well_is_enough() {
    check("mixed", mixed::one_fails_and_one_stalls);
}

#[test]
fn the_best_target_is_learned() {
    check("bandit", bandit::regret);
}

#[test]
fn conversations_stay_where_they_are_cheap() {
    check("cache", cache::conversations);
}

//! `tollgate rollouts`.

use clap::Args;
use policy::rollout::{Kept, Tally};
use serde_json::json;

use super::{Place, say, table};

#[derive(Args)]
#[command(after_help = "Example: tollgate rollouts --json")]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Print as JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let kept = arguments.place.open()?.database()?.rollouts()?;
    let kept: Vec<(String, Kept)> = kept
        .into_iter()
        .filter_map(|(name, state)| Some((name, serde_json::from_str(&state).ok()?)))
        .collect();
    if arguments.json {
        let listed = kept.iter().map(|(name, kept)| {
            let progress = &kept.progress;
            json!({"model": name, "phase": progress.phase, "share": f64::from(kept.share) / 1e3,
                   "step": progress.step, "calls": progress.candidate.calls(), "advice": progress.advice,
                   "reason": progress.reason})
        });
        say(&json!(listed.collect::<Vec<_>>()).to_string());
        return Ok(());
    }
    let rows: Vec<Vec<String>> = kept.iter().map(|(name, kept)| row(name, kept)).collect();
    say(&table(
        &["model", "phase", "share", "step", "candidate's calls", "failures", "latency", "USD a call", "why"],
        &rows,
    ));
    Ok(())
}

/// Figures of the candidate and, behind a bar, of what is there.
fn row(name: &str, kept: &Kept) -> Vec<String> {
    let progress = &kept.progress;
    let both = |figure: fn(&Tally) -> Option<String>| {
        let shown = |tally| figure(tally).unwrap_or_else(|| "-".to_owned());
        format!("{} | {}", shown(&progress.candidate), shown(&progress.current))
    };
    vec![
        name.to_owned(),
        progress.phase.name().to_owned(),
        format!("{} %", f64::from(kept.share) / 10.0),
        format!("{} of {}", progress.step + 1, kept.steps.len()),
        progress.candidate.calls().to_string(),
        both(|tally| Some(format!("{:.1} %", tally.failures.share()? * 100.0))),
        both(|tally| Some(format!("{:.0} ms", tally.latency_us.geometric_mean()? / 1e3))),
        both(|tally| Some(format!("{:.6}", tally.cost_picodollars.mean()? / 1e12))),
        progress.reason.clone(),
    ]
}

//! Why something is done, in a sentence with figures.

use super::{Guard, Measure, Tally, label::percent};

/// How the two sides do by one measure: `failures: candidate 14.2 % of 120 calls, current 2.1 % of 11880; 2 % more are
/// allowed`.
pub(super) fn comparison(measure: Measure, guard: &Guard, candidate: &Tally, current: &Tally) -> String {
    let margin = guard.margin(measure).unwrap_or_default();
    let allowed = percent((margin * 1e3).round() as u32);
    let figure = |tally: &Tally| match tally.figure(measure) {
        Some(figure) => shown(measure, figure),
        None => "nothing".to_owned(),
    };
    let (one, other) = (candidate.count(measure), current.count(measure));
    let name = measure.name();
    let both = format!(
        "{name}: candidate {} of {one} calls, current {} of {other}",
        figure(candidate),
        figure(current)
    );
    match measure {
        Measure::Failures | Measure::Refusals | Measure::Schema => {
            format!("{both}; {allowed} points more are allowed")
        }
        Measure::Latency | Measure::Cost => format!("{both}; {allowed} % more is allowed"),
        Measure::Score => format!("{both}; {allowed} points less are allowed"),
    }
}

fn shown(measure: Measure, figure: f64) -> String {
    match measure {
        Measure::Failures | Measure::Refusals | Measure::Schema | Measure::Score => {
            format!("{:.1} %", figure * 100.0)
        }
        Measure::Latency => format!("{:.0} ms", figure / 1e3),
        Measure::Cost => format!("{:.6} USD", figure / 1e12),
    }
}

/// How much worse the candidate looks, as what is allowed is counted.
pub(super) fn looks_worse_by(measure: Measure, candidate: &Tally, current: &Tally) -> Option<f64> {
    let (one, other) = (candidate.figure(measure)?, current.figure(measure)?);
    Some(match measure {
        Measure::Failures | Measure::Refusals | Measure::Schema => one - other,
        Measure::Latency | Measure::Cost => one / other.max(f64::MIN_POSITIVE) - 1.0,
        Measure::Score => other - one,
    })
}

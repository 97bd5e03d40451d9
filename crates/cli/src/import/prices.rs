//! Prices per token to prices per million, as the catalogue has them.

use serde_json::{Map, Number, Value};

use super::{fields::Fields, report::Report};

/// LiteLLM's fields (<https://docs.litellm.ai/docs/proxy/custom_pricing>), ours, and how many of theirs make one of ours.
const RATES: [(&str, &str, f64); 13] = [
    ("input_cost_per_token", "input", 1e6),
    ("output_cost_per_token", "output", 1e6),
    ("cache_read_input_token_cost", "cached", 1e6),
    ("cache_creation_input_token_cost", "cache_write", 1e6),
    ("cache_creation_input_token_cost_above_1hr", "cache_write_1h", 1e6),
    ("output_cost_per_reasoning_token", "reasoning", 1e6),
    ("input_cost_per_audio_token", "audio_input", 1e6),
    ("output_cost_per_audio_token", "audio_output", 1e6),
    ("output_cost_per_image", "per_image", 1.0),
    ("input_cost_per_second", "per_minute", 60.0),
    ("input_cost_per_character", "per_1m_characters", 1e6),
    ("input_cost_per_query", "per_1k_searches", 1e3),
    ("input_cost_per_request", "per_1k_requests", 1e3),
];

/// Prices of long prompts: the field's end, and the tokens it speaks of.
const LONG: [(&str, u64); 3] =
    [("_above_128k_tokens", 128_000), ("_above_200k_tokens", 200_000), ("_above_272k_tokens", 272_000)];

/// The price that these fields tell; empty where they tell none.
pub(super) fn read(fields: &mut Fields<'_>, report: &mut Report) -> Map<String, Value> {
    let mut price = Map::new();
    for (theirs, ours, factor) in RATES {
        rate(fields, theirs, factor, (ours, &mut price), report);
    }
    for (end, tokens) in LONG {
        let mut above = Map::new();
        for (theirs, ours, factor) in RATES.into_iter().take(4) {
            rate(fields, &format!("{theirs}{end}"), factor, (ours, &mut above), report);
        }
        if !above.is_empty() {
            above.insert("tokens".to_owned(), tokens.into());
            price.insert("above".to_owned(), above.into());
        }
    }
    price
}

fn rate(
    fields: &mut Fields<'_>,
    theirs: &str,
    factor: f64,
    (ours, into): (&str, &mut Map<String, Value>),
    report: &mut Report,
) {
    let Some(number) = fields.number(theirs, report) else { return };
    let path = fields.at(theirs);
    match per_million(number, factor) {
        Some((rate, true)) => {
            report.exact(&path, format!("is `price.{ours}`"));
            into.insert(ours.to_owned(), rate.into());
        }
        Some((rate, false)) => {
            report.approximate(&path, format!("is `price.{ours}`, rounded to six decimals"));
            into.insert(ours.to_owned(), rate.into());
        }
        None => report.manual(&path, "is no price; write it under `price`"),
    }
}

/// A rate with six decimals, and whether that is all of it.
fn per_million(number: f64, factor: f64) -> Option<(Number, bool)> {
    if !(0.0..1e9).contains(&(number * factor)) {
        return None;
    }
    let micros = (number * factor * 1e6).round();
    let exact = (number * factor * 1e6 - micros).abs() <= 1e-6 * micros.max(1.0);
    let rate = if (micros / 1e6).fract() == 0.0 {
        Number::from((micros / 1e6) as u64)
    } else {
        Number::from_f64(micros / 1e6)?
    };
    Some((rate, exact))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn prices_are_per_million() {
        let value = json!({
            "input_cost_per_token": 0.00000015, "output_cost_per_token": "6e-07", "cache_read_input_token_cost": 1e-13,
            "input_cost_per_second": 0.0001, "input_cost_per_token_above_200k_tokens": 3e-7, "output_cost_per_image": -1,
        });
        let mut report = Report::default();
        let mut fields = Fields::of("", &value, &mut report).unwrap();
        let price = read(&mut fields, &mut report);
        let expected = json!({
            "input": 0.15, "output": 0.6, "cached": 0, "per_minute": 0.006,
            "above": {"input": 0.3, "tokens": 200_000},
        });
        assert_eq!(Value::from(price), expected);
        assert_eq!(report.summary(), "4 exact, 1 approximate, 1 manual, 0 unsupported");
    }
}

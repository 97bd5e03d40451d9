//! What is left of a credential's limits, as providers tell it in the headers of their answers.
//!
//! - OpenAI and those that follow it: `x-ratelimit-{limit,remaining,reset}-{requests,tokens}`, the reset as a span such as
//!   `1s` or `6m0s` (<https://platform.openai.com/docs/guides/rate-limits>).
//! - Anthropic: `anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-{limit,remaining,reset}`, the reset as a
//!   moment (<https://docs.anthropic.com/en/api/rate-limits>).

use std::time::Duration;

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limited {
    Requests,
    Tokens,
    InputTokens,
    OutputTokens,
}

/// What is left of one limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowance {
    pub limit: Option<u64>,
    pub remaining: u64,
    /// When it is whole again.
    pub resets_in: Option<Duration>,
}

/// What is left of all limits that an answer tells of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowances {
    left: [Option<Allowance>; 4],
}

const KINDS: [(Limited, &str, &str); 4] = [
    (Limited::Requests, "requests", "requests"),
    (Limited::Tokens, "tokens", "tokens"),
    (Limited::InputTokens, "", "input-tokens"),
    (Limited::OutputTokens, "", "output-tokens"),
];

impl Allowances {
    /// Reads them. `header` finds a header's value by its name in lower case; `now_us` is the time since 1970.
    pub fn read<'h>(header: impl Fn(&str) -> Option<&'h str>, now_us: i64) -> Option<Allowances> {
        let openai =
            header("x-ratelimit-remaining-requests").or_else(|| header("x-ratelimit-remaining-tokens"));
        let anthropic = header("anthropic-ratelimit-requests-remaining");
        if openai.is_none() && anthropic.is_none() {
            return None;
        }
        let mut found = Allowances::default();
        for ((_, openai_kind, anthropic_kind), slot) in KINDS.iter().zip(&mut found.left) {
            let value = |what: &str| {
                if anthropic.is_some() {
                    header(&format!("anthropic-ratelimit-{anthropic_kind}-{what}"))
                } else {
                    header(&format!("x-ratelimit-{what}-{openai_kind}"))
                }
            };
            let number = |what: &str| value(what)?.trim().parse().ok();
            let Some(remaining) = number("remaining") else { continue };
            let resets_in = value("reset").and_then(|text| span(text).or_else(|| until(text, now_us)));
            *slot = Some(Allowance { limit: number("limit"), remaining, resets_in });
        }
        Some(found)
    }

    pub fn all(&self) -> impl Iterator<Item = (Limited, Allowance)> {
        KINDS.iter().zip(self.left).filter_map(|((kind, ..), left)| Some((*kind, left?)))
    }
}

impl Allowance {
    /// Whether another call would be refused, as far as can be told: no requests beside those under way, or less than a
    /// hundredth of the tokens.
    pub fn is_spent(&self, kind: Limited, in_flight: u64) -> bool {
        match kind {
            Limited::Requests => self.remaining <= in_flight,
            Limited::Tokens | Limited::InputTokens | Limited::OutputTokens => {
                self.remaining <= self.limit.unwrap_or_default() / 100
            }
        }
    }
}

/// A span such as `1s`, `6m0s`, `20ms`, `1h2m3.5s`, or a bare number of seconds.
fn span(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(rest.len());
        let (number, behind) = rest.split_at(end);
        let number: f64 = number.parse().ok()?;
        let units = [("ms", 1e-3), ("h", 3_600.0), ("m", 60.0), ("s", 1.0), ("d", 86_400.0)];
        let unit = units.into_iter().find(|(unit, _)| behind.starts_with(unit));
        let (unit, factor) = unit.or_else(|| behind.is_empty().then_some(("", 1.0)))?;
        seconds += number * factor;
        rest = behind.get(unit.len()..)?;
    }
    Duration::try_from_secs_f64(seconds).ok().filter(|_| !text.trim().is_empty())
}

/// The time to a moment such as `2026-01-31T12:00:00Z`.
fn until(text: &str, now_us: i64) -> Option<Duration> {
    let moment: jiff::Timestamp = text.trim().parse().ok()?;
    let left = moment.as_microsecond().saturating_sub(now_us);
    Some(Duration::from_micros(u64::try_from(left).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_of_telling_are_read() {
        let openai = |name: &str| match name {
            "x-ratelimit-limit-requests" => Some("60"),
            "x-ratelimit-remaining-requests" => Some("0"),
            "x-ratelimit-reset-requests" => Some("1m2.5s"),
            "x-ratelimit-remaining-tokens" => Some("149984"),
            "x-ratelimit-reset-tokens" => Some("6ms"),
            _ => None,
        };
        let found: Vec<_> = Allowances::read(openai, 0).unwrap().all().collect();
        let (requests, tokens) = (found[0].1, found[1].1);
        assert_eq!((requests.remaining, requests.resets_in), (0, Some(Duration::from_millis(62_500))));
        assert!(requests.is_spent(Limited::Requests, 0) && !tokens.is_spent(Limited::Tokens, 9));
        let anthropic = |name: &str| match name {
            "anthropic-ratelimit-requests-remaining" => Some("9"),
            "anthropic-ratelimit-input-tokens-limit" => Some("20000"),
            "anthropic-ratelimit-input-tokens-remaining" => Some("100"),
            "anthropic-ratelimit-input-tokens-reset" => Some("1970-01-01T00:00:30Z"),
            _ => None,
        };
        let found: Vec<_> = Allowances::read(anthropic, 10_000_000).unwrap().all().collect();
        assert_eq!(found[1].0, Limited::InputTokens);
        assert_eq!(found[1].1.resets_in, Some(Duration::from_secs(20)));
        assert!(found[1].1.is_spent(Limited::InputTokens, 0));
        assert_eq!(Allowances::read(|_| None, 0), None);
        assert_eq!((span("x"), span(""), span("12")), (None, None, Some(Duration::from_secs(12))));
    }
}

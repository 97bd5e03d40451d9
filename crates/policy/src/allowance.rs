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

/// What is limited, by OpenAI's name and by Anthropic's.
const KINDS: [(Limited, &str, &str); 4] = [
    (Limited::Requests, "requests", "requests"),
    (Limited::Tokens, "tokens", "tokens"),
    (Limited::InputTokens, "", "input-tokens"),
    (Limited::OutputTokens, "", "output-tokens"),
];

impl Allowances {
    /// Reads them out of all headers of an answer, by their names in lower case. `now_us` tells the time since 1970.
    pub fn read<'h>(
        headers: impl Iterator<Item = (&'h str, &'h [u8])>,
        now_us: impl Fn() -> i64,
    ) -> Option<Allowances> {
        let mut found: [Option<Told>; 4] = [None; 4];
        for (name, value) in headers {
            let Some((kind, what)) = named(name) else { continue };
            let Some(slot) = found.get_mut(kind) else { continue };
            let Ok(value) = std::str::from_utf8(value) else { continue };
            let told = slot.get_or_insert_default();
            match what {
                "limit" => told.limit = value.trim().parse().ok(),
                "remaining" => told.remaining = value.trim().parse().ok(),
                "reset" => told.resets_in = span(value).or_else(|| until(value, now_us())),
                _ => {}
            }
        }
        let left = found.map(|told| {
            let Told { limit, remaining, resets_in } = told?;
            Some(Allowance { limit, remaining: remaining?, resets_in })
        });
        left.iter().any(Option::is_some).then_some(Allowances { left })
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

/// What headers have told of one limit so far.
#[derive(Clone, Copy, Default)]
struct Told {
    limit: Option<u64>,
    remaining: Option<u64>,
    resets_in: Option<Duration>,
}

/// The place of a limit among [`KINDS`], and what of it a header tells.
fn named(name: &str) -> Option<(usize, &str)> {
    if let Some(rest) = name.strip_prefix("x-ratelimit-") {
        let (what, kind) = rest.split_once('-')?;
        return Some((KINDS.iter().position(|(_, openai, _)| *openai == kind)?, what));
    }
    let (kind, what) = name.strip_prefix("anthropic-ratelimit-")?.rsplit_once('-')?;
    Some((KINDS.iter().position(|(.., anthropic)| *anthropic == kind)?, what))
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

    fn read(headers: &[(&str, &str)], now_us: i64) -> Option<Allowances> {
        Allowances::read(headers.iter().map(|(name, value)| (*name, value.as_bytes())), || now_us)
    }

    #[test]
    fn both_ways_of_telling_are_read() {
        let openai = [
            ("content-type", "application/json"),
            ("x-ratelimit-limit-requests", "60"),
            ("x-ratelimit-remaining-requests", "0"),
            ("x-ratelimit-reset-requests", "1m2.5s"),
            ("x-ratelimit-remaining-tokens", "149984"),
            ("x-ratelimit-reset-tokens", "6ms"),
        ];
        let found: Vec<_> = read(&openai, 0).unwrap().all().collect();
        let (requests, tokens) = (found[0].1, found[1].1);
        assert_eq!((requests.remaining, requests.resets_in), (0, Some(Duration::from_millis(62_500))));
        assert_eq!((requests.limit, tokens.limit), (Some(60), None));
        assert!(requests.is_spent(Limited::Requests, 0) && !tokens.is_spent(Limited::Tokens, 9));
        let anthropic = [
            ("anthropic-ratelimit-requests-remaining", "9"),
            ("anthropic-ratelimit-input-tokens-limit", "20000"),
            ("anthropic-ratelimit-input-tokens-remaining", "100"),
            ("anthropic-ratelimit-input-tokens-reset", "1970-01-01T00:00:30Z"),
        ];
        let found: Vec<_> = read(&anthropic, 10_000_000).unwrap().all().collect();
        assert_eq!(found[1].0, Limited::InputTokens);
        assert_eq!(found[1].1.resets_in, Some(Duration::from_secs(20)));
        assert!(found[1].1.is_spent(Limited::InputTokens, 0));
        assert_eq!(read(&[], 0), None);
        assert_eq!(read(&[("x-ratelimit-reset-requests", "1s"), ("x-ratelimit-", "1")], 0), None);
        assert_eq!((span("x"), span(""), span("12")), (None, None, Some(Duration::from_secs(12))));
    }
}

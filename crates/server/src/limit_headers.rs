//! How limits stand, told in the headers that the caller's SDK knows.

use std::sync::Arc;

use jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use policy::{
    ledger::Standing,
    limit::{Limit, Meter},
};
use wire::Dialect;

use crate::headers;

/// One meter's three headers: the limit, what is left of it, and when all of it is left again.
type Names = [&'static str; 3];

/// OpenAI's names (<https://platform.openai.com/docs/guides/rate-limits>), which most others took over.
const OPENAI: [(Meter, Names); 2] = [
    (
        Meter::Requests,
        ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"],
    ),
    (Meter::Tokens, ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"]),
];

/// Anthropic's names (<https://docs.anthropic.com/en/api/rate-limits>).
const ANTHROPIC: [(Meter, Names); 4] = [
    (
        Meter::Requests,
        [
            "anthropic-ratelimit-requests-limit",
            "anthropic-ratelimit-requests-remaining",
            "anthropic-ratelimit-requests-reset",
        ],
    ),
    (
        Meter::Tokens,
        [
            "anthropic-ratelimit-tokens-limit",
            "anthropic-ratelimit-tokens-remaining",
            "anthropic-ratelimit-tokens-reset",
        ],
    ),
    (
        Meter::InputTokens,
        [
            "anthropic-ratelimit-input-tokens-limit",
            "anthropic-ratelimit-input-tokens-remaining",
            "anthropic-ratelimit-input-tokens-reset",
        ],
    ),
    (
        Meter::OutputTokens,
        [
            "anthropic-ratelimit-output-tokens-limit",
            "anthropic-ratelimit-output-tokens-remaining",
            "anthropic-ratelimit-output-tokens-reset",
        ],
    ),
];

/// What a caller is told of its limits: of each meter the limit that is nearest to its end, and warnings.
pub(crate) fn told(
    dialect: Dialect,
    limits: &[Arc<Limit>],
    standings: &[Option<Standing>],
    now_us: i64,
) -> Vec<(&'static str, String)> {
    let known = || limits.iter().zip(standings).filter_map(|(limit, standing)| Some((limit, (*standing)?)));
    let names: &[(Meter, Names)] = match dialect {
        Dialect::AnthropicMessages => &ANTHROPIC,
        Dialect::OpenaiChat
        | Dialect::OpenaiResponses
        | Dialect::Gemini
        | Dialect::CohereV2
        | Dialect::BedrockConverse
        | Dialect::Ollama => &OPENAI,
    };
    let mut told = Vec::new();
    for (meter, [most, left, resets]) in names {
        let of_meter = known().filter(|(limit, _)| limit.meter == *meter && !limit.shadow);
        let nearest = of_meter.min_by(|(_, one), (_, other)| share_left(one).total_cmp(&share_left(other)));
        let Some((_, standing)) = nearest else { continue };
        told.push((*most, standing.limit.to_string()));
        told.push((*left, standing.left.to_string()));
        told.push((*resets, reset(dialect, standing.resets_us, now_us)));
    }
    let warnings: Vec<String> = known().filter_map(|(limit, standing)| warning(limit, &standing)).collect();
    if !warnings.is_empty() {
        told.push((
            headers::WARNING,
            warnings.join("; ").replace(|letter: char| !(' '..='~').contains(&letter), "?"),
        ));
    }
    told
}

fn share_left(standing: &Standing) -> f64 {
    standing.left as f64 / standing.limit.max(1) as f64
}

/// Anthropic writes a moment (RFC 3339), OpenAI how long it is until then, as Go writes durations. What is not written
/// out counts as a whole, so that nobody comes back too soon.
fn reset(dialect: Dialect, at_us: i64, now_us: i64) -> String {
    if dialect == Dialect::AnthropicMessages {
        let up = TimestampRound::new().smallest(Unit::Second).mode(RoundMode::Ceil);
        let at = Timestamp::from_microsecond(at_us).and_then(|at| at.round(up));
        return at.map(|at| at.to_string()).unwrap_or_default();
    }
    let millis = at_us.saturating_sub(now_us).max(0).unsigned_abs().div_ceil(1_000);
    let millis = if millis > 60_000 { millis.next_multiple_of(1_000) } else { millis };
    let (hours, minutes) = (millis / 3_600_000, millis / 60_000 % 60);
    let (seconds, rest) = (millis / 1_000 % 60, millis % 1_000);
    match (hours, minutes, seconds) {
        (0, 0, 0) => format!("{rest}ms"),
        (0, 0, _) if rest == 0 => format!("{seconds}s"),
        (0, 0, _) => format!("{seconds}.{rest:03}s"),
        (0, _, _) => format!("{minutes}m{seconds}s"),
        (_, _, _) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

/// A limit that is nearly used up, where it is to warn, and one that only tells what it would refuse.
fn warning(limit: &Limit, standing: &Standing) -> Option<String> {
    let (name, whose) = (&limit.name, &limit.whose);
    if limit.shadow {
        return standing.exceeded.then(|| format!("{name} of {whose} would have refused this call"));
    }
    let warn = i128::from(limit.warn_permille?);
    let used = i128::from(standing.limit) - i128::from(standing.left);
    let permille = used * 1_000 / i128::from(standing.limit.max(1));
    (permille >= warn).then(|| format!("{name} of {whose} is used up to {} %", permille / 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resets_are_told_as_each_dialect_does() {
        let now_us = 1_795_284_000_000_000;
        let check_us = |dialect: Dialect, after_us: i64, expected: &str| {
            assert_eq!(reset(dialect, now_us + after_us, now_us), expected);
        };
        let check = |dialect, after_ms: i64, expected| check_us(dialect, after_ms * 1_000, expected);
        check(Dialect::OpenaiChat, 0, "0ms");
        check(Dialect::OpenaiChat, 17, "17ms");
        check(Dialect::OpenaiChat, 1_000, "1s");
        check(Dialect::OpenaiChat, 1_250, "1.250s");
        check(Dialect::OpenaiChat, 360_000, "6m0s");
        check(Dialect::OpenaiChat, 90_061_000, "25h1m1s");
        check(Dialect::OpenaiChat, 119_001, "2m0s");
        check_us(Dialect::OpenaiChat, 1_250_001, "1.251s");
        check(Dialect::AnthropicMessages, 60_400, "2026-11-21T18:01:01Z");
        check(Dialect::AnthropicMessages, 61_000, "2026-11-21T18:01:01Z");
    }
}

//! The words of a fault script.

use std::time::Duration;

use http::HeaderValue;

use crate::{account::Limit, line::Break, refusal::Refusal};

/// The longest answer that can be asked for.
const HUGE_BYTES_MAX: usize = 256 << 20;

/// What shall go wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Script {
    /// As it was written: the key under which calls with it are counted.
    pub(crate) text: String,
    /// Before the head of the answer.
    pub(crate) latency: Duration,
    /// Between a few bytes of the answer's head and the next.
    pub(crate) slow_head: Duration,
    /// Between events.
    pub(crate) pace: Duration,
    /// Between the head of the answer and its first event.
    pub(crate) first_event: Duration,
    pub(crate) status: Option<u16>,
    pub(crate) refuse: Option<Refusal>,
    pub(crate) retry_after: Option<Duration>,
    /// So many calls of one credential in a while; more are refused.
    pub(crate) limit: Option<Limit>,
    /// The connection breaks in place of an answer.
    pub(crate) broken: Option<Break>,
    /// After so many events nothing more is sent, and the connection is kept.
    pub(crate) half: Option<usize>,
    /// The body ends, as if it were complete, after so many bytes.
    pub(crate) truncate: Option<usize>,
    /// The status of an answer that points elsewhere.
    pub(crate) redirect: Option<u16>,
    pub(crate) content_type: Option<HeaderValue>,
    /// The connection breaks after so many events.
    pub(crate) cut: Option<usize>,
    /// The body ends, as if it were complete, after so many events.
    pub(crate) end: Option<usize>,
    /// An error event comes after so many events.
    pub(crate) error: Option<usize>,
    /// Nothing more comes after so many events.
    pub(crate) stall: Option<usize>,
    /// Nothing is ever answered.
    pub(crate) hang: bool,
    pub(crate) garbage: bool,
    pub(crate) html: Option<u16>,
    /// Bytes of text in the answer.
    pub(crate) huge: Option<usize>,
    pub(crate) no_usage: bool,
    /// The script holds for so many calls; later ones are answered well.
    pub(crate) times: Option<u64>,
    /// The script holds for so many calls of a hundred.
    pub(crate) fail: Option<u64>,
    /// The script holds for calls with this credential only.
    pub(crate) key: Option<String>,
    pub(crate) crlf: bool,
    /// Events come in small odd pieces.
    pub(crate) split: bool,
    /// How many words the answer has.
    pub(crate) words: Option<usize>,
    /// The text begins with what was thought, between tags.
    pub(crate) tagged: bool,
}

impl Script {
    /// Reads a list of words; an unknown one is an error that names it.
    pub(crate) fn parse(text: &str) -> Result<Script, String> {
        let mut script = Script { text: text.to_owned(), ..Script::default() };
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            script.word(name, value).ok_or_else(|| format!("\"{word}\" is no word of a fault script"))?;
        }
        Ok(script)
    }

    /// Whether it holds for a call, of which so many were made with it before.
    pub(crate) fn holds(&self, made: u64) -> bool {
        self.times.is_none_or(|times| made < times)
            && self.fail.is_none_or(|share| spread(made) % 100 < share)
    }

    /// Whether it says no more than for how many calls it holds.
    pub(crate) fn says_nothing_else(&self) -> bool {
        let Script { text, times, fail, key, .. } = self.clone();
        *self == Script { text, times, fail, key, ..Script::default() }
    }

    fn word(&mut self, name: &str, value: &str) -> Option<()> {
        match name {
            "latency" => self.latency = duration(value)?,
            "slow-head" => self.slow_head = duration(value)?,
            "pace" => self.pace = duration(value)?,
            "first-event" => self.first_event = duration(value)?,
            "status" => self.status = Some(value.parse().ok()?),
            "refuse" => self.refuse = Some(Refusal::named(value)?),
            "retry-after" => self.retry_after = Some(wait(value)?),
            "limit" => self.limit = Some(limit(value)?),
            "close" => self.broken = Some(Break::Close),
            "reset" => self.broken = Some(Break::Reset),
            "half" => self.half = Some(value.parse().ok()?),
            "truncate" => self.truncate = Some(value.parse().ok()?),
            "redirect" => self.redirect = Some(value.parse().ok()?),
            "type" => self.content_type = Some(value.parse().ok()?),
            "cut" => self.cut = Some(value.parse().ok()?),
            "end" => self.end = Some(value.parse().ok()?),
            "error" => self.error = Some(value.parse().ok()?),
            "stall" => self.stall = Some(value.parse().ok()?),
            "hang" => self.hang = true,
            "garbage" => self.garbage = true,
            "html" => self.html = Some(value.parse().ok()?),
            "huge" => self.huge = Some(value.parse().ok().filter(|&bytes| bytes <= HUGE_BYTES_MAX)?),
            "no-usage" => self.no_usage = true,
            "times" => self.times = Some(value.parse().ok()?),
            "fail" => self.fail = Some(value.strip_suffix('%')?.parse().ok()?),
            "key" => self.key = Some(value.to_owned()),
            "crlf" => self.crlf = true,
            "split" => self.split = true,
            "tagged" => self.tagged = true,
            "words" => self.words = Some(value.parse().ok()?),
            _ => return None,
        }
        Some(())
    }
}

/// Numbers that look like chance, and are the same in every run (the finaliser of splitmix64,
/// <https://prng.di.unimi.it/splitmix64.c>).
fn spread(number: u64) -> u64 {
    let number = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// `5/2s`: so many calls in a while.
fn limit(text: &str) -> Option<Limit> {
    let (calls, window) = text.split_once('/')?;
    Some(Limit { calls: calls.parse().ok()?, window: duration(window)? })
}

/// `300ms`, `2s`, or a bare number of seconds, as the header has it.
fn wait(text: &str) -> Option<Duration> {
    text.parse().ok().map(Duration::from_secs).or_else(|| duration(text))
}

/// `250ms`, `2s`, or a bare number of milliseconds.
fn duration(text: &str) -> Option<Duration> {
    if let Some(number) = text.strip_suffix("ms") {
        return number.parse().ok().map(Duration::from_millis);
    }
    match text.strip_suffix('s') {
        Some(number) => number.parse().ok().map(Duration::from_secs),
        None => text.parse().ok().map(Duration::from_millis),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_or_named() {
        let script = Script::parse("latency=50ms, pace=5ms,cut=3,no-usage").unwrap();
        assert_eq!((script.latency.as_millis(), script.cut, script.no_usage), (50, Some(3), true));
        assert!(Script::parse("cut=many").unwrap_err().contains("cut=many"));
        assert!(Script::parse("explode").is_err());
        let script = Script::parse("limit=5/2s,retry-after=1,refuse=quota,type=text/plain").unwrap();
        assert_eq!(script.limit, Some(Limit { calls: 5, window: Duration::from_secs(2) }));
        assert_eq!(script.retry_after, Some(Duration::from_secs(1)));
        assert!(Script::parse("refuse=nothing").is_err() && Script::parse("fail=half").is_err());
    }

    #[test]
    fn a_script_holds_for_its_share() {
        let script = Script::parse("fail=30%,key=sk-a").unwrap();
        let held = (0..10_000).filter(|&made| script.holds(made)).count();
        assert!((2_800..3_200).contains(&held), "{held}");
        assert!(script.says_nothing_else());
        assert!(!Script::parse("fail=30%,cut=1").unwrap().says_nothing_else());
        let twice = Script::parse("times=2,status=500").unwrap();
        assert_eq!([0, 1, 2].map(|made| twice.holds(made)), [true, true, false]);
    }
}

//! The words of a fault script.

use std::time::Duration;

/// The longest answer that can be asked for.
const HUGE_BYTES_MAX: usize = 256 << 20;

/// What shall go wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Script {
    /// As it was written: the key under which `times` counts.
    pub(crate) text: String,
    /// Before the head of the answer.
    pub(crate) latency: Duration,
    /// Between a few bytes of the answer's head and the next.
    pub(crate) slow_head: Duration,
    /// Between events.
    pub(crate) pace: Duration,
    pub(crate) status: Option<u16>,
    pub(crate) retry_after: Option<u64>,
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

    fn word(&mut self, name: &str, value: &str) -> Option<()> {
        match name {
            "latency" => self.latency = duration(value)?,
            "slow-head" => self.slow_head = duration(value)?,
            "pace" => self.pace = duration(value)?,
            "status" => self.status = Some(value.parse().ok()?),
            "retry-after" => self.retry_after = Some(value.parse().ok()?),
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
            "crlf" => self.crlf = true,
            "split" => self.split = true,
            "tagged" => self.tagged = true,
            "words" => self.words = Some(value.parse().ok()?),
            _ => return None,
        }
        Some(())
    }
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
    }
}

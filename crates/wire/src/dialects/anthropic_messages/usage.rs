//! Tokens by class, in the dialect's own way of counting
//! (<https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching>): cached tokens stand beside the input,
//! while in the representation they are part of it.

use serde_json::value::RawValue;

use super::kept;
use crate::{
    Fault, Losses,
    ir::{Ext, ExtRef, Usage},
    json::{Object, ObjectWriter, Raw, RawRef},
};

const WRITTEN: &str = "cache_creation_input_tokens";
const READ: &str = "cache_read_input_tokens";
const LIFETIMES: &str = "cache_creation";
const DETAILS: &str = "output_tokens_details";

/// The counts of one answer so far. A stream's later reports leave classes out that its first one told.
#[derive(Default)]
pub(super) struct Counts {
    plain: u64,
    read: u64,
    written: u64,
    hour: u64,
    output: u64,
    thinking: u64,
}

impl Counts {
    /// Reads a usage object. Which members stood there is kept in the ext, for writing the same again.
    pub(super) fn read<'a>(&mut self, raw: &'a RawValue) -> Result<(Usage, ExtRef<'a>), Fault> {
        let mut object = Object::from_raw(raw)?;
        let mut ext = ExtRef::default();
        let mut keep = |name: &'static str, raw| ext.0.push((name.into(), RawRef::Owned(raw)));
        update(&mut self.plain, object.unsigned("input_tokens")?);
        update(&mut self.output, object.unsigned("output_tokens")?);
        for (name, count) in [(READ, &mut self.read), (WRITTEN, &mut self.written)] {
            let found = object.unsigned(name)?;
            if found.is_some() {
                keep(name, kept::stood());
            }
            update(count, found);
        }
        if let Some(mut lifetimes) = object.object(LIFETIMES)? {
            update(&mut self.hour, lifetimes.unsigned("ephemeral_1h_input_tokens")?);
            let minutes = lifetimes.unsigned("ephemeral_5m_input_tokens")?.unwrap_or_default();
            self.written = self.written.max(self.hour.saturating_add(minutes));
            keep(LIFETIMES, kept::rest(lifetimes));
        }
        if let Some(mut details) = object.object(DETAILS)? {
            update(&mut self.thinking, details.unsigned("thinking_tokens")?);
            keep(DETAILS, kept::rest(details));
        }
        ext.0.append(&mut object.rest_ref().0);
        Ok((self.usage(), ext))
    }

    fn usage(&self) -> Usage {
        let hour = self.hour.min(self.written);
        Usage {
            input_tokens: self.plain.saturating_add(self.read).saturating_add(self.written),
            cache_read_tokens: self.read,
            cache_write_tokens: self.written - hour,
            cache_write_1h_tokens: hour,
            output_tokens: self.output,
            reasoning_tokens: self.thinking,
            ..Usage::default()
        }
    }
}

fn update(count: &mut u64, found: Option<u64>) {
    *count = found.unwrap_or(*count);
}

/// Writes a usage object; `ext` holds what the same dialect had beside.
pub(super) fn write(out: &mut Vec<u8>, usage: &Usage, ext: Option<&Ext>) {
    let written = usage.cache_write_tokens.saturating_add(usage.cache_write_1h_tokens);
    let cached = usage.cache_read_tokens.saturating_add(written);
    let mut object = ObjectWriter::open(out);
    object.value("input_tokens", &usage.input_tokens.saturating_sub(cached));
    for (name, count) in [(WRITTEN, written), (READ, usage.cache_read_tokens)] {
        match ext.map(|ext| ext.get(name)) {
            // The same dialect did without it, or said `null`.
            Some(None) if count == 0 => {}
            Some(Some(kept)) if kept.is_null() && count == 0 => object.raw(name, "null"),
            Some(_) | None => object.value(name, &count),
        }
    }
    object.value("output_tokens", &usage.output_tokens);
    let lifetimes = [
        ("ephemeral_1h_input_tokens", usage.cache_write_1h_tokens),
        ("ephemeral_5m_input_tokens", usage.cache_write_tokens),
    ];
    write_nested(&mut object, LIFETIMES, &lifetimes, ext);
    write_nested(&mut object, DETAILS, &[("thinking_tokens", usage.reasoning_tokens)], ext);
    let placed = [WRITTEN, READ, LIFETIMES, DETAILS];
    for (name, value) in ext.iter().flat_map(|ext| &ext.0) {
        if !placed.contains(&name.as_str()) {
            object.raw(name, value.text());
        }
    }
    object.close();
}

fn write_nested(object: &mut ObjectWriter<'_>, name: &str, classes: &[(&str, u64)], ext: Option<&Ext>) {
    let kept = ext.and_then(|ext| ext.get(name));
    let zero = classes.iter().all(|(_, count)| *count == 0);
    match kept {
        // The same dialect did without it.
        None if zero || ext.is_some() => {}
        Some(kept) if kept.is_null() && zero => object.raw(name, "null"),
        Some(_) | None => {
            let mut nested = ObjectWriter::open(object.key(name));
            for (class, count) in classes {
                nested.value(class, count);
            }
            kept::write(&mut nested, kept);
            nested.close();
        }
    }
}

/// What another dialect counts and this one does not. A count of zero and the sum of both sides say nothing.
pub(super) fn losses(usage: &Usage, ext: &Ext, losses: &mut Losses) {
    let says = |text: &str| !matches!(text, "0" | "0.0" | "null");
    let mut said = Ext::default();
    for (name, value) in ext.0.iter().filter(|(name, value)| name != "total_tokens" && says(value.text())) {
        let nested = Object::from_raw(value.value()).ok().filter(|_| crate::ir::is_remainder(name));
        let value = nested.map(|nested| {
            let members = nested.iter().filter(|(_, value)| says(value.get()));
            kept::object_of(&Ext(members.map(|(name, value)| (name.to_owned(), Raw::new(value))).collect()))
        });
        let value = value.unwrap_or_else(|| ext.get(name).cloned().unwrap_or_else(kept::stood));
        said.0.push((name.clone(), value));
    }
    losses.ext("response.usage", &said);
    let why = "messages do not count sound apart";
    if usage.input_audio_tokens > 0 {
        losses.dropped("response.usage.prompt_tokens_details.audio_tokens", why);
    }
    if usage.output_audio_tokens > 0 {
        losses.dropped("response.usage.completion_tokens_details.audio_tokens", why);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads the reports of one stream one after the other.
    fn check(reports: &[&str], expected: Usage) {
        let mut counts = Counts::default();
        let mut usage = Usage::default();
        for report in reports {
            let raw = Raw::parse(report).unwrap();
            usage.merge(&counts.read(raw.value()).unwrap().0);
        }
        assert_eq!(usage, expected, "{reports:?}");
    }

    #[test]
    fn cached_tokens_are_part_of_the_input() {
        let start = r#"{"input_tokens":10,"cache_read_input_tokens":200,"cache_creation_input_tokens":3000,
            "cache_creation":{"ephemeral_1h_input_tokens":1000,"ephemeral_5m_input_tokens":2000},"output_tokens":1}"#;
        let expected = Usage {
            input_tokens: 3210,
            cache_read_tokens: 200,
            cache_write_tokens: 2000,
            cache_write_1h_tokens: 1000,
            output_tokens: 1,
            ..Usage::default()
        };
        check(&[start], expected);
        let last = Usage { output_tokens: 90, ..expected };
        check(&[start, r#"{"output_tokens":90}"#], last);
        // A later report names the sum and not the lifetimes: they are those of the first.
        check(&[start, r#"{"cache_creation_input_tokens":3000,"output_tokens":90}"#], last);
    }
}

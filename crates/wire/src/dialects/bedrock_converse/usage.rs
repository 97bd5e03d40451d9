//! Tokens by class, in the dialect's own way of counting
//! (<https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html>): cached tokens stand beside
//! the input, while in the representation they are part of it.

use serde_json::value::RawValue;

use crate::{
    Fault,
    ir::{Ext, ExtRef, Usage},
    json::{self, Object, ObjectWriter, Raw, RawRef, write_array},
    kept,
};

const TOTAL: &str = "totalTokens";
const DETAILS: &str = "cacheDetails";
/// Two names for each count of cached tokens; servers write both.
const READ: [&str; 2] = ["cacheReadInputTokens", "cacheReadInputTokenCount"];
const WRITTEN: [&str; 2] = ["cacheWriteInputTokens", "cacheWriteInputTokenCount"];

/// Reads a usage object. Which members stood there is kept in the ext, for writing the same again.
pub(super) fn read(raw: &RawValue) -> Result<(Usage, ExtRef<'_>), Fault> {
    let mut object = Object::from_raw(raw)?;
    let mut ext = ExtRef::default();
    let plain = object.unsigned("inputTokens")?.unwrap_or_default();
    let output_tokens = object.unsigned("outputTokens")?.unwrap_or_default();
    let read = count(&mut object, READ, &mut ext)?;
    let written = count(&mut object, WRITTEN, &mut ext)?;
    let hour = match object.peek(DETAILS).and_then(lifetimes) {
        Some([hour, minutes]) if hour.checked_add(minutes) == Some(written) => {
            object.take(DETAILS);
            ext.0.push((DETAILS.into(), RawRef::Owned(kept::stood())));
            hour
        }
        Some(_) | None => 0,
    };
    let usage = Usage {
        input_tokens: plain.saturating_add(read).saturating_add(written),
        cache_read_tokens: read,
        cache_write_tokens: written - hour,
        cache_write_1h_tokens: hour,
        output_tokens,
        ..Usage::default()
    };
    if is_number(&object, TOTAL, usage.total_tokens()) {
        object.take(TOTAL);
        ext.0.push((TOTAL.into(), RawRef::Owned(kept::stood())));
    }
    ext.0.append(&mut object.rest_ref().0);
    Ok((usage, ext))
}

/// A count under its two names; the second stays where it is when it says something else.
fn count(object: &mut Object<'_>, names: [&'static str; 2], ext: &mut ExtRef<'_>) -> Result<u64, Fault> {
    let [name, older] = names;
    let found = object.unsigned(name)?;
    let count = found.unwrap_or_default();
    if found.is_some() {
        ext.0.push((name.into(), RawRef::Owned(kept::stood())));
    }
    if found.is_some() && is_number(object, older, count) {
        object.take(older);
        ext.0.push((older.into(), RawRef::Owned(kept::stood())));
    }
    Ok(count)
}

fn is_number(object: &Object<'_>, name: &str, number: u64) -> bool {
    object.peek(name).and_then(|raw| raw.get().parse().ok()) == Some(number)
}

/// Tokens written for an hour and for five minutes, where the list says that as it usually does: the longer
/// lifetime first, and none without tokens.
fn lifetimes(raw: &RawValue) -> Option<[u64; 2]> {
    let mut counts = [0; 2];
    let mut next = 0;
    for raw in json::array(raw).ok().filter(|list| !list.is_empty())? {
        let mut detail = Object::from_raw(raw).ok()?;
        let place = match detail.string("ttl").ok()??.as_ref() {
            "1h" => 0,
            "5m" => 1,
            _ => return None,
        };
        let tokens = detail.unsigned("inputTokens").ok()??;
        if place < next || tokens == 0 || !detail.is_empty() {
            return None;
        }
        *counts.get_mut(place)? = tokens;
        next = place + 1;
    }
    Some(counts)
}

/// Writes a usage object; `ext` holds what the same dialect had beside.
pub(super) fn write(out: &mut Vec<u8>, usage: &Usage, ext: Option<&Ext>) {
    let written = usage.cache_write_tokens.saturating_add(usage.cache_write_1h_tokens);
    let cached = usage.cache_read_tokens.saturating_add(written);
    let mut object = ObjectWriter::open(out);
    object.value("inputTokens", &usage.input_tokens.saturating_sub(cached));
    object.value("outputTokens", &usage.output_tokens);
    let counts = [(READ, usage.cache_read_tokens), (WRITTEN, written)];
    for ([name, older], count) in counts {
        if ext.map_or(count > 0, |ext| stood(ext, name)) {
            object.value(name, &count);
        }
        if ext.is_some_and(|ext| stood(ext, older)) {
            object.value(older, &count);
        }
    }
    if ext.is_none_or(|ext| stood(ext, TOTAL)) {
        object.value(TOTAL, &usage.total_tokens());
    }
    if ext.map_or(written > 0, |ext| stood(ext, DETAILS)) {
        let lifetimes = [("1h", usage.cache_write_1h_tokens), ("5m", usage.cache_write_tokens)];
        let lifetimes = lifetimes.into_iter().filter(|(_, tokens)| *tokens > 0);
        write_array(object.key(DETAILS), lifetimes, |out, (lifetime, tokens)| {
            let mut detail = ObjectWriter::open(out);
            detail.string("ttl", lifetime);
            detail.value("inputTokens", &tokens);
            detail.close();
        });
    }
    let placed =
        |name: &str| name == TOTAL || name == DETAILS || READ.contains(&name) || WRITTEN.contains(&name);
    for (name, value) in ext.iter().flat_map(|ext| &ext.0) {
        if !placed(name) || value.text() != "{}" {
            object.raw(name, value.text());
        }
    }
    object.close();
}

fn stood(ext: &Ext, name: &str) -> bool {
    ext.get(name).is_some_and(|kept: &Raw| kept.text() == "{}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a usage object and writes it again.
    fn check(text: &str, expected: Usage) {
        let raw = Raw::parse(text).unwrap();
        let (usage, ext) = read(raw.value()).unwrap();
        assert_eq!(usage, expected, "{text}");
        let mut again = Vec::new();
        write(&mut again, &usage, Some(&ext.to_owned()));
        let value = |text: &[u8]| serde_json::from_slice::<serde_json::Value>(text).unwrap();
        assert_eq!(value(&again), value(text.as_bytes()));
    }

    #[test]
    fn cached_tokens_are_part_of_the_input() {
        let expected = Usage {
            input_tokens: 3210,
            cache_read_tokens: 200,
            cache_write_tokens: 2000,
            cache_write_1h_tokens: 1000,
            output_tokens: 90,
            ..Usage::default()
        };
        check(
            r#"{"inputTokens":10,"outputTokens":90,"totalTokens":3300,"cacheReadInputTokens":200,
                "cacheReadInputTokenCount":200,"cacheWriteInputTokens":3000,"serverToolUsage":{},
                "cacheDetails":[{"ttl":"1h","inputTokens":1000},{"ttl":"5m","inputTokens":2000}]}"#,
            expected,
        );
        let plain = Usage { input_tokens: 3, output_tokens: 4, ..Usage::default() };
        check(r#"{"inputTokens":3,"outputTokens":4}"#, plain);
        // A sum that is none is kept.
        check(r#"{"inputTokens":3,"outputTokens":4,"totalTokens":9,"cacheDetails":[]}"#, plain);
    }
}

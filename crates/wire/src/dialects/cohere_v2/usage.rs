//! Tokens, as they are billed. Cohere tells two counts: `tokens` are those that the model read and wrote, with the
//! instructions that Cohere puts around a prompt; `billed_units` are those that are paid for
//! (<https://docs.cohere.com/docs/how-does-cohere-pricing-work>). The representation takes `billed_units`, and
//! `tokens` where there are none. `cached_tokens` are part of `tokens`, often more than what is billed at all, so they
//! are no class of the billed input.

use serde_json::value::RawValue;

use super::kept;
use crate::{
    Fault, Losses,
    ir::{Ext, ExtRef, Usage},
    json::{Object, ObjectWriter, RawRef},
};

const BILLED: &str = "billed_units";
const TOKENS: &str = "tokens";
const REASONING: &str = "reasoning_tokens";

/// Reads a usage object. What has no class stays in the ext, nested objects under their own names.
pub(super) fn read(raw: &RawValue) -> Result<(Usage, ExtRef<'_>), Fault> {
    let mut object = Object::from_raw(raw)?;
    let mut usage = Usage::default();
    let mut ext = ExtRef::default();
    let mut billed = object.object(BILLED)?;
    let mut tokens = object.object(TOKENS)?;
    let counted = billed.as_mut().map(|billed| (BILLED, billed));
    if let Some((name, counted)) = counted.or_else(|| tokens.as_mut().map(|tokens| (TOKENS, tokens))) {
        (usage.input_tokens, usage.output_tokens) = counts(counted).map_err(|fault| fault.under(name))?;
    }
    if let Some(tokens) = &mut tokens {
        usage.reasoning_tokens = reasoning(tokens, usage.output_tokens)?;
    }
    for (name, nested) in [(BILLED, billed), (TOKENS, tokens)] {
        if let Some(nested) = nested {
            ext.0.push((name.into(), RawRef::Owned(kept::rest(nested))));
        }
    }
    ext.0.append(&mut object.rest_ref().0);
    Ok((usage, ext))
}

/// Input and output. The API's counts are whole numbers, spelled as fractions at times.
fn counts(object: &mut Object<'_>) -> Result<(u64, u64), Fault> {
    let mut count = |name: &str| object.number(name).map(|count| count.unwrap_or_default() as u64);
    Ok((count("input_tokens")?, count("output_tokens")?))
}

/// How much of the output is reasoning. A count that does not fit the output stays where it is.
fn reasoning(tokens: &mut Object<'_>, output_tokens: u64) -> Result<u64, Fault> {
    let count = tokens.peek(REASONING).and_then(|raw| raw.get().parse::<u64>().ok());
    match count {
        Some(count) if count > 0 && count <= output_tokens => {
            tokens.take(REASONING);
            Ok(count)
        }
        Some(_) | None => Ok(0),
    }
}

/// Writes a usage object; `ext` holds what the same dialect had beside.
pub(super) fn write(out: &mut Vec<u8>, usage: &Usage, ext: Option<&Ext>) {
    let none = Ext::default();
    let (own, ext) = (ext.is_some(), ext.unwrap_or(&none));
    let mut object = ObjectWriter::open(out);
    let billed = ext.get(BILLED);
    if !own || billed.is_some_and(|billed| !billed.is_null()) {
        let mut units = ObjectWriter::open(object.key(BILLED));
        write_counts(&mut units, usage);
        kept::write(&mut units, billed);
        units.close();
    }
    let tokens = ext.get(TOKENS);
    if !own || tokens.is_some_and(|tokens| !tokens.is_null()) {
        let mut counts = ObjectWriter::open(object.key(TOKENS));
        if billed.is_none_or(crate::json::Raw::is_null) {
            write_counts(&mut counts, usage);
        }
        if usage.reasoning_tokens > 0 {
            counts.value(REASONING, &usage.reasoning_tokens);
        }
        kept::write(&mut counts, tokens);
        counts.close();
    }
    if !own && usage.cache_read_tokens > 0 {
        object.value("cached_tokens", &usage.cache_read_tokens);
    }
    for (name, value) in &ext.0 {
        if (name != BILLED && name != TOKENS) || value.is_null() {
            object.raw(name, value.text());
        }
    }
    object.close();
}

fn write_counts(object: &mut ObjectWriter<'_>, usage: &Usage) {
    object.value("input_tokens", &usage.input_tokens);
    object.value("output_tokens", &usage.output_tokens);
}

/// What another dialect counts and this one does not.
pub(super) fn losses(usage: &Usage, ext: &Ext, losses: &mut Losses) {
    let classes = [
        ("cache_write_tokens", usage.cache_write_tokens.saturating_add(usage.cache_write_1h_tokens)),
        ("input_audio_tokens", usage.input_audio_tokens),
        ("output_audio_tokens", usage.output_audio_tokens),
    ];
    for (class, _) in classes.into_iter().filter(|(_, count)| *count > 0) {
        losses.dropped(format!("response.usage.{class}"), "there is no such count there");
    }
    let kept = ext.0.iter().filter(|(name, _)| !name.starts_with("cache_creation")).cloned();
    losses.usage_ext(&Ext(kept.collect()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Raw;

    #[test]
    fn what_is_billed_counts() {
        let check = |text: &str, input_tokens, output_tokens, reasoning_tokens| {
            let raw = Raw::parse(text).unwrap();
            let (usage, _) = read(raw.value()).unwrap();
            let expected = Usage { input_tokens, output_tokens, reasoning_tokens, ..Usage::default() };
            assert_eq!(usage, expected, "{text}");
        };
        let tokens = r#""tokens":{"input_tokens":506,"output_tokens":90,"reasoning_tokens":40}"#;
        check(
            &format!(
                r#"{{"billed_units":{{"input_tokens":11.0,"output_tokens":80}},{tokens},"cached_tokens":448}}"#
            ),
            11,
            80,
            40,
        );
        check(&format!("{{{tokens}}}"), 506, 90, 40);
        check(&format!(r#"{{"billed_units":{{"input_tokens":1,"output_tokens":2}},{tokens}}}"#), 1, 2, 0);
        check(r#"{"billed_units":null,"tokens":{"input_tokens":3}}"#, 3, 0, 0);
        check("{}", 0, 0, 0);
    }
}

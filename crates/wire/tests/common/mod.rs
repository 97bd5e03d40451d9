//! What the law tests share.

use bytes::Bytes;
use serde_json::Value;
use tollgate_wire::{
    Dialect, Encoding, Fault, Frame, Framer, Losses, Mode, Pass, Quirks, Wanted,
    ir::{Event, Fold, Response},
};

/// JSON by meaning: keys sorted, numbers by value.
pub(crate) fn canonical(bytes: &[u8]) -> Value {
    sorted(serde_json::from_slice(bytes).unwrap_or(Value::Null))
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut members: Vec<(String, Value)> =
                members.into_iter().map(|(name, value)| (name, sorted(value))).collect();
            members.sort_by(|(one, _), (other, _)| one.cmp(other));
            Value::Object(members.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        Value::Number(number) => {
            number.as_f64().and_then(serde_json::Number::from_f64).map_or(Value::Null, Value::Number)
        }
        other => other,
    }
}

/// Decodes and encodes a request in one dialect.
pub(crate) fn round_trip_request(dialect: Dialect, body: &[u8]) -> Result<Vec<u8>, Fault> {
    let request = dialect.decode_request(body)?;
    let quirks = Quirks::default();
    let encoding = Encoding { model: &request.model, quirks: &quirks, output_tokens_max: None };
    let mut losses = Losses::default();
    let encoded = dialect.encode_request(&request, &encoding, &mut losses);
    assert!(losses.is_empty(), "nothing is lost in one dialect: {losses:?}");
    Ok(encoded)
}

/// A request in another dialect, with what it lost.
pub(crate) fn cross_request(from: Dialect, to: Dialect, body: &[u8]) -> Result<(Vec<u8>, Losses), Fault> {
    let request = from.decode_request(body)?;
    let quirks = Quirks::default();
    let encoding = Encoding { model: "model", quirks: &quirks, output_tokens_max: Some(4096) };
    let mut losses = Losses::default();
    let encoded = to.encode_request(&request, &encoding, &mut losses);
    Ok((encoded, losses))
}

/// What a reader makes of an answer that comes in these pieces.
pub(crate) struct Reading {
    pub(crate) response: Response,
    pub(crate) fault: Option<Fault>,
    /// The answer in the dialect that was asked for.
    pub(crate) written: Vec<u8>,
}

pub(crate) fn read(from: Dialect, to: Dialect, mode: Mode, pieces: &[&[u8]]) -> Reading {
    let mut framer = Framer::new(from.framing(mode));
    let mut reader = from.reader(mode);
    let mut writer = to.writer(Wanted { mode, include_usage: true, source: from, now_s: 1_790_000_000 });
    let mut fold = Fold::default();
    let mut written = Vec::new();
    let mut ended = false;
    let mut found = |frame: &Frame<'_>| {
        reader.frame(frame, &mut |event: Event<'_>| {
            ended |= matches!(event, Event::End | Event::Fault(_));
            fold.event(&event);
            writer.event(&event, &mut written);
        });
        Pass::On
    };
    for piece in pieces {
        framer.push(Bytes::copy_from_slice(piece), &mut found).expect("no frame is that large");
    }
    framer.finish(&mut found);
    let complete = reader.complete();
    if complete && !ended {
        // As the relay does for servers that leave the last line out.
        writer.event(&Event::End, &mut written);
    }
    let (mut response, fault) = fold.finish();
    // The order of unknown members says nothing.
    for ext in [&mut response.ext, &mut response.usage_ext] {
        ext.0.sort_by(|(one, _), (other, _)| one.cmp(other));
    }
    Reading { response, fault, written }
}

//! Bodies through readers and writers.

use bytes::Bytes;
use tollgate_wire::{
    Dialect, Encoding, Fault, Framer, Kind, Losses, Mode, Origin, Pass, Quirks, Sink, Wanted,
    ir::{Event, Fold, Request, Response},
};

/// What an answer came to.
pub(crate) struct Answer {
    pub(crate) response: Response,
    pub(crate) fault: Option<Fault>,
    pub(crate) complete: bool,
}

/// Reads a body that came in these pieces, event by event; true when it was complete.
pub(crate) fn read(dialect: Dialect, mode: Mode, pieces: &[&[u8]], sink: &mut Sink<'_>) -> bool {
    let mut reader = dialect.reader(mode);
    let mut framer = Framer::new(dialect.framing(mode));
    for piece in pieces {
        let pushed = framer.push(Bytes::copy_from_slice(piece), &mut |frame| {
            reader.frame(frame, sink);
            Pass::On
        });
        if let Err(error) = pushed {
            sink(Event::Fault(Fault::new(Origin::Upstream, Kind::Garbage, error.to_string())));
            return false;
        }
    }
    framer.finish(&mut |frame| {
        reader.frame(frame, sink);
        Pass::On
    });
    reader.complete()
}

/// Reads a whole body or a stream to the answer that it is.
pub(crate) fn fold(dialect: Dialect, mode: Mode, body: &[u8]) -> Answer {
    let mut fold = Fold::default();
    let complete = read(dialect, mode, &[body], &mut |event| fold.event(&event));
    let (response, fault) = fold.finish();
    Answer { response, fault, complete }
}

/// Reads an answer of one dialect and writes it in another, or again in its own. Where a server leaves the last
/// line of a complete stream out, the writer is told the end, as the gateway does.
pub(crate) fn rewrite(from: Dialect, to: Dialect, mode: Mode, body: &[u8]) -> (Vec<u8>, Losses) {
    let wanted = Wanted { mode, include_usage: true, source: from, now_s: 1_700_000_000, as_array: false };
    let mut writer = to.writer(wanted);
    let mut out = Vec::new();
    let mut ended = false;
    let complete = read(from, mode, &[body], &mut |event: Event<'_>| {
        ended |= matches!(event, Event::End | Event::Fault(_));
        writer.event(&event, &mut out);
    });
    if complete && !ended {
        writer.event(&Event::End, &mut out);
    }
    (out, writer.losses().clone())
}

/// Writes a request for a dialect, as for a model that nothing more is known of.
pub(crate) fn encode(to: Dialect, request: &Request) -> (Vec<u8>, Losses) {
    let quirks = Quirks::default();
    // Where the address names the model, the request has none.
    let model = if request.model.is_empty() { "model-of-the-address" } else { &request.model };
    let encoding = Encoding { model, quirks: &quirks, output_tokens_max: None };
    let mut losses = Losses::default();
    let body = to.encode_request(request, &encoding, &mut losses);
    (body, losses)
}

//! What the fuzz targets share: the ways of taking an input apart, and one answer through a reader, a watcher and the
//! other dialect's writer.

use bytes::Bytes;
use wire::{Dialect, Form, Frame, Framer, Mode, Pass, Wanted};

/// The dialect that the first byte chooses, and the rest.
pub fn choose(data: &[u8]) -> Option<(Dialect, &[u8])> {
    let (first, rest) = data.split_first()?;
    Some((Dialect::ALL[usize::from(*first) % Dialect::ALL.len()], rest))
}

/// What the addresses of forms may say.
const METHODS: [&str; 4] = ["", "embedContent", "batchEmbedContents", "dings"];

/// The form and the method that the first two bytes choose, and what follows: a request, a line feed of its own and an
/// answer. A single body stands for both.
pub fn exchange(data: &[u8]) -> Option<(Form, &'static str, &[u8], &[u8])> {
    let ([form, method], rest) = data.split_first_chunk()?;
    let form = Form::ALL[usize::from(*form) % Form::ALL.len()];
    let method = METHODS[usize::from(*method) % METHODS.len()];
    let at = rest.iter().position(|byte| *byte == b'\n');
    let (request, answer) = at.map_or((rest, rest), |at| rest.split_at(at));
    Some((form, method, request, answer))
}

/// The ends of the pieces in which a body comes, the last of which is the body's own; the first bytes choose how long
/// each is.
pub fn pieces(data: &[u8]) -> Option<(Vec<usize>, &[u8])> {
    let (lengths, body) = data.split_first_chunk::<4>()?;
    let mut ends = Vec::new();
    let mut end = 0;
    for length in lengths.iter().cycle() {
        end += usize::from(*length) + 1;
        if end >= body.len() {
            break;
        }
        ends.push(end);
    }
    ends.push(body.len());
    Some((ends, body))
}

/// Reads an answer in two pieces and writes it in every dialect.
pub fn answer(dialect: Dialect, mode: Mode, bytes: &[u8]) {
    for to in Dialect::ALL {
        let wanted = Wanted { mode, include_usage: true, source: dialect, now_s: 0, as_array: false };
        let (mut reader, mut watcher, mut writer) =
            (dialect.reader(mode), dialect.watcher(mode), to.writer(wanted));
        let mut written = Vec::new();
        let mut framer = Framer::new(dialect.framing(mode));
        let mut found = |frame: &Frame<'_>| {
            watcher.frame(frame, &mut |_| {});
            reader.frame(frame, &mut |event| writer.event(&event, &mut written));
            Pass::On
        };
        let (one, other) = bytes.split_at(bytes.len() / 2);
        for piece in [one, other] {
            if framer.push(Bytes::copy_from_slice(piece), &mut found).is_err() {
                return;
            }
        }
        framer.finish(&mut found);
    }
}

//! What the fuzz targets share: one answer through a reader, a watcher and the other dialect's writer.

use bytes::Bytes;
use wire::{Dialect, Frame, Framer, Mode, Pass, Wanted};

/// The dialect that the first byte chooses, and the rest.
pub fn choose(data: &[u8]) -> Option<(Dialect, &[u8])> {
    let (first, rest) = data.split_first()?;
    Some((Dialect::ALL[usize::from(*first) % Dialect::ALL.len()], rest))
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

//! The four laws: identity in one dialect, splits change nothing, whole and streamed fold alike, no panic.
//! The folder is the matrix: `fixtures/DIALECT/CASE/{request.json,response.json,stream.sse}`.

mod common;

use std::{fs, path::Path};

use bytes::Bytes;
use common::{canonical, cross_request, read, round_trip_request};
use proptest::prelude::*;
use tollgate_wire::{
    Dialect, Envelope, Frame, Framer, Framing, Mode, Pass, Reader,
    ir::{Event, Response},
};

struct Case {
    name: String,
    dialect: Dialect,
    request: Vec<u8>,
    response: Vec<u8>,
    stream: Vec<u8>,
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for dialect in Dialect::ALL {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(dialect.name());
        for entry in fs::read_dir(folder).expect("every dialect has a folder").flatten() {
            let file = |name: &str| fs::read(entry.path().join(name)).expect("every case has all files");
            cases.push(Case {
                name: entry.path().display().to_string(),
                dialect,
                request: file("request.json"),
                response: file("response.json"),
                stream: file("stream.sse"),
            });
        }
    }
    assert!(cases.len() >= 4);
    cases
}

fn other(dialect: Dialect) -> Dialect {
    match dialect {
        Dialect::OpenaiChat => Dialect::AnthropicMessages,
        Dialect::AnthropicMessages => Dialect::OpenaiChat,
    }
}

/// What a stream and a whole answer of one case may differ in: order and presence of unknown members, the words of
/// the envelope around them.
fn comparable(mut response: Response) -> String {
    response.ext.0.clear();
    response.usage_ext.0.clear();
    for choice in &mut response.choices {
        choice.ext.0.clear();
        choice.message_ext.0.clear();
        for part in &mut choice.parts {
            part.ext.0.clear();
        }
    }
    format!("{response:#?}")
}

#[test]
fn encoding_what_was_decoded_is_the_identity() {
    for case in cases() {
        let encoded = round_trip_request(case.dialect, &case.request).unwrap();
        assert_eq!(canonical(&encoded), canonical(&case.request), "{}", case.name);
        let reading = read(case.dialect, case.dialect, Mode::Whole, &[&case.response]);
        assert_eq!(canonical(&reading.written), canonical(&case.response), "{}", case.name);
    }
}

#[test]
fn whole_and_streamed_fold_alike() {
    for case in cases() {
        let whole = read(case.dialect, case.dialect, Mode::Whole, &[&case.response]);
        let streamed = read(case.dialect, case.dialect, Mode::Stream, &[&case.stream]);
        assert_eq!(comparable(whole.response), comparable(streamed.response), "{}", case.name);
        assert!(whole.fault.is_none() && streamed.fault.is_none());
    }
}

#[test]
fn what_crosses_is_good_there() {
    for case in cases() {
        let to = other(case.dialect);
        let (encoded, losses) = cross_request(case.dialect, to, &case.request).unwrap();
        to.decode_request(&encoded).unwrap_or_else(|fault| panic!("{}: {fault}", case.name));
        assert!(!losses.is_empty(), "{}: every case holds something that only its dialect has", case.name);
        for (mode, bytes) in [(Mode::Whole, &case.response), (Mode::Stream, &case.stream)] {
            let crossed = read(case.dialect, to, mode, &[bytes]);
            let again = read(to, to, mode, &[&crossed.written]);
            assert!(again.fault.is_none(), "{}: {:?}", case.name, again.fault);
            let tokens = |response: &Response| {
                response.usage.map(|usage| {
                    (usage.input_tokens, usage.cache_read_tokens, usage.output_tokens, usage.reasoning_tokens)
                })
            };
            assert_eq!(tokens(&again.response), tokens(&crossed.response), "{}", case.name);
            let stops = |response: &Response| response.choices[0].stop.as_ref().map(|stop| stop.reason);
            assert!(stops(&again.response).is_some(), "{}", case.name);
        }
    }
}

/// What a meter sees of an answer: usage, the stop of the first choice, faults, the end.
fn metered(mut reader: Box<dyn Reader>, framing: Framing, bytes: &[u8]) -> (Vec<String>, bool) {
    let mut seen = Vec::new();
    let mut framer = Framer::new(framing);
    let mut found = |frame: &Frame<'_>| {
        reader.frame(frame, &mut |event| match event {
            Event::Usage { usage, .. } => seen.push(format!("{usage:?}")),
            Event::ChoiceStop { choice: 0, stop } => seen.push(stop.raw),
            Event::Fault(fault) => seen.push(fault.kind.name().to_owned()),
            Event::End => seen.push("end".to_owned()),
            _ => {}
        });
        Pass::On
    };
    framer.push(Bytes::copy_from_slice(bytes), &mut found).expect("no frame is that large");
    framer.finish(&mut found);
    let complete = reader.complete();
    (seen, complete)
}

#[test]
fn a_watcher_sees_what_a_reader_sees() {
    for case in cases() {
        for (mode, bytes) in [(Mode::Whole, &case.response), (Mode::Stream, &case.stream)] {
            let framing = case.dialect.framing(mode);
            // Also of answers that were cut.
            for end in [bytes.len(), bytes.len() / 2, bytes.len() - 20] {
                let (part, _) = bytes.split_at(end);
                let watched = metered(case.dialect.watcher(mode), framing, part);
                assert_eq!(watched, metered(case.dialect.reader(mode), framing, part), "{} {end}", case.name);
            }
        }
    }
}

proptest! {
    #[test]
    fn where_bytes_are_split_changes_nothing(cuts in proptest::collection::vec(0_usize..6000, 0..12)) {
        for case in cases() {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % case.stream.len()).collect();
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut rest = case.stream.as_slice();
            let mut from = 0;
            for cut in cuts {
                let (piece, left) = rest.split_at(cut - from);
                pieces.push(piece);
                (rest, from) = (left, cut);
            }
            pieces.push(rest);
            let split = read(case.dialect, case.dialect, Mode::Stream, &pieces);
            let whole = read(case.dialect, case.dialect, Mode::Stream, &[&case.stream]);
            prop_assert_eq!(&split.written, &whole.written, "{}", case.name);
        }
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        try_everything(&bytes);
    }

    #[test]
    fn no_damage_panics(at in 0_usize..4000, length in 0_usize..40, with in proptest::collection::vec(any::<u8>(), 0..20)) {
        for case in cases() {
            for good in [&case.request, &case.response, &case.stream] {
                let at = at % good.len();
                let end = (at + length).min(good.len());
                let mut damaged = good.clone();
                damaged.splice(at..end, with.clone());
                try_everything(&damaged);
            }
        }
    }
}

/// Every way in, for bytes that may be anything.
fn try_everything(bytes: &[u8]) {
    let _ = Envelope::parse(bytes);
    for dialect in Dialect::ALL {
        let _ = dialect.decode_request(bytes);
        let _ = cross_request(dialect, other(dialect), bytes);
        let _ = dialect.decode_fault(500, None, bytes);
        for mode in [Mode::Whole, Mode::Stream] {
            let _ = read(dialect, other(dialect), mode, &[bytes]);
            let _ = metered(dialect.watcher(mode), dialect.framing(mode), bytes);
        }
    }
}

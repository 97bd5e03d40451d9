//! What a reader yields, piece by piece; whole bodies yield the same pieces.

use std::borrow::Cow;

use super::{ExtRef, Stop, Usage};
use crate::{Fault, json::RawRef};

/// One piece of an answer. Text borrows from the bytes it was read from.
///
/// Order: `Start`, then parts (each `PartStart`, deltas, `PartStop`; parts of different choices may
/// interleave, and a delta may still come for a part after its stop), `ChoiceStop` for each choice,
/// `Usage` whenever it is reported (cumulative), `End` last. `Fault` ends an answer that broke.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    Start {
        id: Cow<'a, str>,
        model: Cow<'a, str>,
        created_s: Option<i64>,
    },
    /// Part number `index` (counted from 0 in each choice) opens.
    PartStart {
        choice: u32,
        index: u32,
        part: PartStart<'a>,
        ext: ExtRef<'a>,
    },
    PartDelta {
        choice: u32,
        index: u32,
        delta: PartDelta<'a>,
    },
    PartStop {
        choice: u32,
        index: u32,
    },
    Logprobs {
        choice: u32,
        logprobs: RawRef<'a>,
    },
    ChoiceStop {
        choice: u32,
        stop: Stop,
    },
    Usage {
        usage: Usage,
        ext: ExtRef<'a>,
    },
    /// Members that only the source dialect knows; later ones replace earlier ones of the same name.
    Ext {
        place: Place,
        ext: ExtRef<'a>,
    },
    /// The provider reported an error in the middle of its answer.
    Fault(Fault),
    /// The provider said that the answer is complete.
    End,
}

/// Where ext members stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Response,
    /// Beside the answer itself: what repeats the request, or what is kept of the exchange.
    Echo,
    Choice(u32),
    Message(u32),
}

/// The kind of part that opens.
#[derive(Clone, Debug)]
pub enum PartStart<'a> {
    Text,
    Refusal,
    Reasoning,
    RedactedReasoning {
        bytes: Cow<'a, str>,
    },
    ToolCall {
        id: Cow<'a, str>,
        name: Cow<'a, str>,
    },
    /// A part that only its own dialect knows, as it stood when it opened.
    Opaque {
        name: Cow<'a, str>,
        value: RawRef<'a>,
    },
}

/// More of a part that is open.
#[derive(Clone, Debug)]
pub enum PartDelta<'a> {
    /// More text of a text, refusal or reasoning part.
    Text(Cow<'a, str>),
    /// More JSON text of a tool call's arguments.
    Arguments(Cow<'a, str>),
    /// The signature of a reasoning part (whole; a later one replaces it).
    Signature(Cow<'a, str>),
    /// A citation or annotation of a text part.
    Annotation(RawRef<'a>),
    /// A delta that only its own dialect knows.
    Opaque(RawRef<'a>),
}

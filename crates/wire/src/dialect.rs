//! The list of dialects and the contract that each one keeps.

use std::time::Duration;

use crate::{
    Fault, Frame, Framing, Losses, Quirks,
    dialects::{anthropic_messages, openai_chat},
    ir,
};

/// A wire format, in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dialect {
    OpenaiChat,
    AnthropicMessages,
}

/// Whether a body is one JSON value or a stream of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Whole,
    Stream,
}

/// What an encoder has to know about the target beside the request itself.
#[derive(Clone, Copy, Debug)]
pub struct Encoding<'a> {
    /// The model's name at the provider.
    pub model: &'a str,
    pub quirks: &'a Quirks,
    /// The model's output limit, where it is known.
    pub output_tokens_max: Option<u64>,
}

/// A fault as a dialect writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultBody {
    pub status: u16,
    pub json: Vec<u8>,
}

/// Takes the events that a reader finds.
pub type Sink<'s> = dyn FnMut(ir::Event<'_>) + 's;

/// Bytes of an answer to events.
pub trait Reader {
    /// Reads one frame: an event of a stream, or the whole body.
    /// A frame that is not in the dialect becomes an [`ir::Event::Fault`] of kind `Garbage`.
    fn frame(&mut self, frame: &Frame<'_>, sink: &mut Sink<'_>);

    /// Whether the answer was complete when the bytes ended. A stream that was cut is not.
    fn complete(&self) -> bool;
}

/// Events to bytes of an answer.
pub trait Writer {
    /// Appends what the event comes to; a whole body is appended on `Event::End`.
    /// An `Event::Fault` is written as the dialect's error event (on a stream), and ends it.
    fn event(&mut self, event: &ir::Event<'_>, out: &mut Vec<u8>);

    /// What the dialect could not carry so far.
    fn losses(&self) -> &Losses;
}

/// How a writer shapes its answer for the caller.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub mode: Mode,
    /// Whether the caller asked for usage on the stream.
    pub include_usage: bool,
    /// The dialect that the events come from: its ext members are kept when it is the writer's own.
    pub source: Dialect,
    /// Seconds since 1970, for dialects that date their answers when the source does not.
    pub now_s: i64,
}

impl Dialect {
    pub const ALL: [Dialect; 2] = [Dialect::OpenaiChat, Dialect::AnthropicMessages];

    pub fn name(self) -> &'static str {
        match self {
            Dialect::OpenaiChat => "openai_chat",
            Dialect::AnthropicMessages => "anthropic_messages",
        }
    }

    pub fn from_name(name: &str) -> Option<Dialect> {
        Dialect::ALL.into_iter().find(|dialect| dialect.name() == name)
    }

    /// The path that the dialect's own SDKs call below a provider's base URL.
    pub fn path(self) -> &'static str {
        match self {
            Dialect::OpenaiChat => "/chat/completions",
            Dialect::AnthropicMessages => "/messages",
        }
    }

    /// Reads a request; the fault names the first field that cannot be understood.
    pub fn decode_request(self, body: &[u8]) -> Result<ir::Request, Fault> {
        match self {
            Dialect::OpenaiChat => openai_chat::decode_request(body),
            Dialect::AnthropicMessages => anthropic_messages::decode_request(body),
        }
    }

    /// Writes a request for a target that speaks this dialect; what it cannot carry is added to `losses`.
    pub fn encode_request(
        self,
        request: &ir::Request,
        encoding: &Encoding<'_>,
        losses: &mut Losses,
    ) -> Vec<u8> {
        match self {
            Dialect::OpenaiChat => openai_chat::encode_request(request, encoding, losses),
            Dialect::AnthropicMessages => anthropic_messages::encode_request(request, encoding, losses),
        }
    }

    /// Reads a provider's error answer.
    pub fn decode_fault(self, status: u16, retry_after: Option<Duration>, body: &[u8]) -> Fault {
        match self {
            Dialect::OpenaiChat => openai_chat::decode_fault(status, retry_after, body),
            Dialect::AnthropicMessages => anthropic_messages::decode_fault(status, retry_after, body),
        }
    }

    /// Writes a fault as this dialect's providers would, with the request's id in it.
    pub fn encode_fault(self, fault: &Fault, request_id: &str) -> FaultBody {
        match self {
            Dialect::OpenaiChat => openai_chat::encode_fault(fault, request_id),
            Dialect::AnthropicMessages => anthropic_messages::encode_fault(fault, request_id),
        }
    }

    pub fn reader(self, mode: Mode) -> Box<dyn Reader> {
        match self {
            Dialect::OpenaiChat => openai_chat::reader(mode),
            Dialect::AnthropicMessages => anthropic_messages::reader(mode),
        }
    }

    /// A reader for answers that go on as they are: it yields usage, stop reasons, faults, the end and texts for
    /// counting, and costs a fraction of a full reading.
    pub fn watcher(self, mode: Mode) -> Box<dyn Reader> {
        match self {
            Dialect::OpenaiChat => openai_chat::watcher(mode),
            Dialect::AnthropicMessages => anthropic_messages::watcher(mode),
        }
    }

    pub fn writer(self, wanted: Wanted) -> Box<dyn Writer> {
        match self {
            Dialect::OpenaiChat => openai_chat::writer(wanted),
            Dialect::AnthropicMessages => anthropic_messages::writer(wanted),
        }
    }

    /// How the dialect frames a body of this mode.
    pub fn framing(self, mode: Mode) -> Framing {
        match (self, mode) {
            (_, Mode::Whole) => Framing::Whole,
            (Dialect::OpenaiChat | Dialect::AnthropicMessages, Mode::Stream) => Framing::Sse,
        }
    }
}

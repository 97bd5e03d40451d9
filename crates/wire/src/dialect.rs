//! The list of dialects and the contract that each one keeps.

use std::{borrow::Cow, time::Duration};

use crate::{
    Fault, Frame, Framing, Loss, Losses, Quirks, ThinkingPlace,
    dialects::{
        anthropic_messages, bedrock_converse, cohere_v2, gemini, ollama, openai_chat, openai_responses,
    },
    fit, ir,
    thinking::TaggedReader,
};

/// A wire format, in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dialect {
    OpenaiChat,
    OpenaiResponses,
    AnthropicMessages,
    BedrockConverse,
    CohereV2,
    Gemini,
    Ollama,
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
    /// Whether a stream is told as the elements of one JSON array (Gemini's without `alt=sse`).
    pub as_array: bool,
}

/// What the folder of a dialect provides: adding a dialect is a folder with one of these, and a line in each list
/// below.
pub(crate) struct Spoken {
    pub(crate) name: &'static str,
    /// The path that takes its requests below a provider's base URL. `{model}` stands for the model's name, where
    /// the dialect names it in the address, and `{method}` for one of `methods`.
    pub(crate) path: &'static str,
    /// What `{method}` is for whole answers and for streams.
    pub(crate) methods: [&'static str; 2],
    /// Where a gateway takes its requests.
    pub(crate) routes: &'static [Route],
    /// Whether a request that says nothing of it is answered with a stream.
    pub(crate) streams_unasked: bool,
    /// The header in which its own provider takes the credential; none for `authorization: Bearer`.
    pub(crate) key_header: Option<&'static str>,
    /// The header of an answer in which its SDKs look for the request's id.
    pub(crate) id_header: &'static str,
    /// How its streams are framed, and their content type.
    pub(crate) framing: Framing,
    pub(crate) stream_type: &'static str,
    /// Whether its SDKs pass over comments in a stream, as the standard wants.
    pub(crate) comments: bool,
    /// Whether its answers name their model.
    pub(crate) names_model: bool,
    pub(crate) decode_request: fn(&[u8]) -> Result<ir::Request, Fault>,
    pub(crate) encode_request: fn(&ir::Request, &Encoding<'_>, &mut Losses) -> Vec<u8>,
    /// One of its requests as other dialects can tell it, with what none of them can.
    pub(crate) joined: for<'r> fn(&'r ir::Request, &mut Losses) -> Cow<'r, ir::Request>,
    /// Tells a place in the representation of one of its requests as it stood in the body.
    pub(crate) own_path: fn(&ir::Request, &str) -> String,
    pub(crate) decode_fault: fn(u16, Option<Duration>, &[u8]) -> Fault,
    pub(crate) encode_fault: fn(&Fault, &str) -> FaultBody,
    pub(crate) reader: fn(Mode) -> Box<dyn Reader>,
    pub(crate) watcher: fn(Mode) -> Box<dyn Reader>,
    pub(crate) writer: fn(Wanted) -> Box<dyn Writer>,
}

/// A path on which a gateway takes a dialect's requests, as its SDKs call it.
pub(crate) struct Route {
    /// `{model}` stands for the model's name, in percent encoding; it may hold slashes.
    pub(crate) path: &'static str,
    /// Whether the answer is a stream, where the path says so and not the body.
    pub(crate) stream: Option<bool>,
}

impl Route {
    /// A path that says nothing: the body names the model and whether to stream.
    pub(crate) const fn plain(path: &'static str) -> Route {
        Route { path, stream: None }
    }

    /// The model's name, where the path has one; `None` where the path is another.
    fn matches<'p>(&self, path: &'p str) -> Option<Option<&'p str>> {
        let Some((before, after)) = around_model(self.path) else {
            return (self.path == path).then_some(None);
        };
        let model = path.strip_prefix(before)?.strip_suffix(after)?;
        (!model.is_empty()).then_some(Some(model))
    }
}

/// What stands before and behind `{model}` in a path. Every request looks through the paths, and one byte is found in
/// far less time than a text.
pub(crate) fn around_model(path: &str) -> Option<(&str, &str)> {
    let (before, rest) = path.split_once('{')?;
    Some((before, rest.strip_prefix("model}")?))
}

/// What the path of a request says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked<'a> {
    pub dialect: Dialect,
    /// The model's name as it stands in the path, in percent encoding.
    pub model: Option<&'a str>,
    pub stream: Option<bool>,
}

/// The content type of server-sent events.
pub(crate) const EVENT_STREAM: &str = "text/event-stream; charset=utf-8";

impl Dialect {
    pub const ALL: [Dialect; 7] = [
        Dialect::OpenaiChat,
        Dialect::OpenaiResponses,
        Dialect::AnthropicMessages,
        Dialect::BedrockConverse,
        Dialect::CohereV2,
        Dialect::Gemini,
        Dialect::Ollama,
    ];

    fn spoken(self) -> &'static Spoken {
        match self {
            Dialect::OpenaiChat => &openai_chat::SPOKEN,
            Dialect::OpenaiResponses => &openai_responses::SPOKEN,
            Dialect::AnthropicMessages => &anthropic_messages::SPOKEN,
            Dialect::BedrockConverse => &bedrock_converse::SPOKEN,
            Dialect::CohereV2 => &cohere_v2::SPOKEN,
            Dialect::Gemini => &gemini::SPOKEN,
            Dialect::Ollama => &ollama::SPOKEN,
        }
    }

    pub fn name(self) -> &'static str {
        self.spoken().name
    }

    pub fn from_name(name: &str) -> Option<Dialect> {
        Dialect::ALL.into_iter().find(|dialect| dialect.name() == name)
    }

    /// The dialect whose SDKs call this path to have a model answer, with what the path says.
    pub fn at(path: &str) -> Option<Asked<'_>> {
        Dialect::ALL.into_iter().find_map(|dialect| {
            dialect.spoken().routes.iter().find_map(|route| {
                let model = route.matches(path)?;
                Some(Asked { dialect, model, stream: route.stream })
            })
        })
    }

    /// The path that the dialect's own SDKs call below a provider's base URL; it may hold `{model}` and `{method}`.
    pub fn path(self) -> &'static str {
        self.spoken().path
    }

    /// What `{method}` in an address stands for.
    pub fn method(self, stream: bool) -> &'static str {
        let [whole, streamed] = self.spoken().methods;
        if stream { streamed } else { whole }
    }

    /// Whether requests name their model, and whether to stream, in the address and not in the body.
    pub fn names_model_in_path(self) -> bool {
        self.path().contains("{model}")
    }

    /// Whether a request that says nothing of it is answered with a stream.
    pub fn streams_unasked(self) -> bool {
        self.spoken().streams_unasked
    }

    /// The header in which the dialect's own provider takes the credential; none for `authorization: Bearer`.
    pub fn key_header(self) -> Option<&'static str> {
        self.spoken().key_header
    }

    /// The header of an answer in which the dialect's SDKs look for the request's id.
    pub fn id_header(self) -> &'static str {
        self.spoken().id_header
    }

    /// Reads a request; the fault names the first field that cannot be understood. Where the address names the model,
    /// the request has an empty one.
    pub fn decode_request(self, body: &[u8]) -> Result<ir::Request, Fault> {
        (self.spoken().decode_request)(body)
    }

    /// Writes a request for a target that speaks this dialect; what it cannot carry is added to `losses`.
    pub fn encode_request(
        self,
        request: &ir::Request,
        encoding: &Encoding<'_>,
        losses: &mut Losses,
    ) -> Vec<u8> {
        let encode = self.spoken().encode_request;
        if self == request.dialect {
            return encode(request, encoding, losses);
        }
        let joined = (request.dialect.spoken().joined)(request, losses);
        let own_path = request.dialect.spoken().own_path;
        let mut crossed = Losses::default();
        let fitted = fit::fitted(&joined, self, encoding.quirks, &mut crossed);
        let mut encoded = Losses::default();
        let body = encode(&fitted.request, encoding, &mut encoded);
        for loss in encoded.iter() {
            crossed.push(Loss { path: fitted.original(&loss.path).into_owned(), ..loss.clone() });
        }
        for loss in crossed.iter() {
            losses.push(Loss { path: own_path(request, &loss.path), ..loss.clone() });
        }
        body
    }

    /// Reads a provider's error answer.
    pub fn decode_fault(self, status: u16, retry_after: Option<Duration>, body: &[u8]) -> Fault {
        (self.spoken().decode_fault)(status, retry_after, body)
    }

    /// Writes a fault as this dialect's providers would, with the request's id in it.
    pub fn encode_fault(self, fault: &Fault, request_id: &str) -> FaultBody {
        (self.spoken().encode_fault)(fault, request_id)
    }

    pub fn reader(self, mode: Mode) -> Box<dyn Reader> {
        (self.spoken().reader)(mode)
    }

    /// A reader for answers of a model with these quirks.
    pub fn reader_of(self, mode: Mode, quirks: &Quirks) -> Box<dyn Reader> {
        let reader = self.reader(mode);
        match quirks.thinking {
            ThinkingPlace::Member => reader,
            ThinkingPlace::Tags => Box::new(TaggedReader::new(reader, quirks, false)),
            ThinkingPlace::TagsOpen => Box::new(TaggedReader::new(reader, quirks, true)),
        }
    }

    /// A reader for answers that go on as they are: it yields usage, stop reasons, faults, the end and texts for
    /// counting, and costs a fraction of a full reading.
    pub fn watcher(self, mode: Mode) -> Box<dyn Reader> {
        (self.spoken().watcher)(mode)
    }

    pub fn writer(self, wanted: Wanted) -> Box<dyn Writer> {
        (self.spoken().writer)(wanted)
    }

    /// How the dialect frames a body of this mode.
    pub fn framing(self, mode: Mode) -> Framing {
        match mode {
            Mode::Whole => Framing::Whole,
            Mode::Stream => self.spoken().framing,
        }
    }

    /// Whether a stream may hold comments: what only the end of a call tells, as its cost.
    pub fn takes_comments(self) -> bool {
        self.spoken().comments
    }

    /// Whether answers of this dialect name the model that made them.
    pub fn names_model(self) -> bool {
        self.spoken().names_model
    }

    /// The content type of the dialect's streams.
    pub fn stream_type(self) -> &'static str {
        self.spoken().stream_type
    }
}

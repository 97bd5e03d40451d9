//! Bytes to meaning and back.
//!
//! A *dialect* is one wire format of a language-model API. Each one decodes its requests and answers
//! into the intermediate representation ([`ir`]) and encodes them back, so that any pair of dialects
//! works without a translator of its own.
//!
//! Invariants
//! - Pure: no clock, no socket, no file, no configuration. The same bytes give the same values.
//! - Whole bodies are streams of one: nothing behind a [`Reader`] knows whether the body was streamed.
//! - No field is dropped without a [`Loss`].
//! - No input panics.
//! - Opaque JSON (tool schemas, tool arguments, members we do not know) stays text: the order of its keys
//!   and the spelling of its numbers are kept.
//!
//! What it refuses to know: providers, prices, keys, and who is asking.

mod base64;
pub mod count;
mod crossing;
mod dialect;
mod dialects;
mod envelope;
mod fault;
mod fit;
mod forms;
mod frame;
mod hosting;
pub mod ir;
pub mod json;
mod kept;
mod loss;
mod multipart;
mod paths;
mod quirks;
mod seal;
mod thinking;
mod whole;

pub use crossing::must_ask;
pub use dialect::{Asked, Dialect, Encoding, FaultBody, Mode, Reader, Sink, Wanted, Writer};
pub use dialects::gemini::model_of;
pub use envelope::{Edits, Envelope};
pub use fault::{Fault, Kind, Origin, Retry};
pub use fit::SchemaSubset;
pub use forms::{Answered, AskedForm, Counting, EndedWork, Form, Operation, Prompt, Upload, Work};
pub use frame::{FRAME_BYTES_MAX, Found, Frame, FrameError, Framer, Framing, Pass, write_aws_message};
pub use hosting::Hosting;
pub use loss::{Loss, LossKind, Losses};
pub use multipart::{Field, Multipart};
pub use quirks::{
    CallIds, Member, OutputLimit, Prompts, Quirks, ReasoningControl, Sampling, StreamUsage, SystemRole,
    ThinkingHistory, ThinkingPlace, TurnOrder,
};
pub use seal::is_marked;

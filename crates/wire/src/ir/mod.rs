//! The intermediate representation: what a request, an answer and its events mean, in no dialect.
//!
//! A concept is a member here when three dialects have it; until then it stays in an [`Ext`] under the name
//! that its dialect gives it. Where a dialect has two spellings of one meaning (a string, or a list of one
//! text part), a `form` member keeps which one was used, so that encoding to the same dialect gives the same
//! JSON; other dialects ignore it.

mod event;
mod ext;
mod fold;
mod message;
mod request;
mod response;
mod usage;

pub use event::{Event, PartDelta, PartStart, Place};
pub use ext::{Ext, ExtRef};
pub(crate) use ext::{is_hint, is_remainder};
pub use fold::Fold;
pub use message::{Content, Form, Media, Message, Part, PartKind, Role, Source};
pub use request::{Effort, OutputFormat, Reasoning, Request, Stops, Tool, ToolChoice, ToolKind};
pub use response::{Choice, Response, Stop, StopReason};
pub use usage::Usage;

//! The wire forms of the operations beside chat.

mod embed;
mod form;
mod forwarded;
mod operation;
mod pictures;
mod pictures_answer;
mod prompt;
mod rename;
mod rerank;
mod resource;
mod work;

pub use form::{AskedForm, Form, Upload};
pub use forwarded::EndedWork;
pub use operation::{Counting, Operation};
pub use prompt::Prompt;
pub(crate) use prompt::{Prompting, SpokenPrompt};
pub use work::{Answered, Work};

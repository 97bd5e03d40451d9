//! An answer on its way back: bytes to events, past the meter, to the caller's dialect.

mod body;
mod ended;
mod form;
mod heads;
mod refusal;
mod resume;
mod seam;
mod stream;
mod whole;

pub(crate) use body::Body;
pub(crate) use form::{Reading, relay_form};
pub(crate) use refusal::refusal;
pub(crate) use resume::Resumption;
pub(crate) use stream::{Broken, Told, relay};
pub(crate) use whole::collect;

//! Operations beside chat, in their providers' own wire form.

mod audio;
mod count;
mod embed;
mod files;
pub(crate) mod images;
mod multipart;
mod request;
mod rerank;
mod text;

pub(crate) use files::Stored;
pub(crate) use request::{Operation, Reply, Sent, find};

//! Documents by how well they answer a query.

mod cohere;
mod jina;
mod request;
mod voyage;

pub(super) use cohere::COHERE;
pub(super) use jina::JINA;
pub(super) use request::{Request, Reranking};
pub(super) use voyage::VOYAGE;

//! Texts to vectors.

mod cohere;
mod gemini;
mod ollama;
mod openai;
mod request;
mod vector;

pub(super) use cohere::COHERE;
pub(super) use gemini::GEMINI;
pub(super) use ollama::OLLAMA;
pub(super) use openai::{OPENAI, VOYAGE};
pub(super) use request::{Embedding, Request};

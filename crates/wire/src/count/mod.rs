//! Tokens: exactly where the encoding is known, and roughly where it is not.

mod estimator;
mod request;
mod tokenizer;

pub use estimator::{Estimator, estimate_request, estimate_tokens};
pub use request::count_request;
pub use tokenizer::Tokenizer;

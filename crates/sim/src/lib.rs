//! Providers on cue: a server that speaks OpenAI's chat completions and Responses, Anthropic's Messages, Gemini,
//! Ollama's, Cohere's and Bedrock's in the
//! providers' own wire form, well or badly.
//!
//! Invariants
//! - It shares no code with the gateway's own readers and writers: otherwise tests would only show that the
//!   gateway agrees with itself.
//! - Answers are functions of the request: the same request gets the same answer.
//!
//! What it refuses to know: keys and prices. Any credential is good but those that begin with `sk-invalid`.
//!
//! # Faults
//!
//! A model's name may carry a script behind `!`, as in `echo!latency=50ms,cut=3`; the header `x-sim-fault` does
//! the same. `docs/simulator.md` lists the words.

mod account;
mod answer;
mod anthropic;
mod api;
mod bedrock;
mod body;
mod calls;
mod cohere;
mod gemini;
mod line;
mod ollama;
mod openai;
mod operations;
mod play;
mod refusal;
mod responses;
mod schema;
mod script;
mod serve;

pub use serve::Sim;

//! One folder for each dialect.

pub(crate) mod anthropic_messages;
pub(crate) mod bedrock_converse;
pub(crate) mod cohere_v2;
pub(crate) mod gemini;
pub(crate) mod ollama;
pub(crate) mod openai_chat;
pub(crate) mod openai_responses;

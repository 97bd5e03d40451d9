//! One folder for each dialect.

pub mod anthropic_messages;
pub mod openai_chat;

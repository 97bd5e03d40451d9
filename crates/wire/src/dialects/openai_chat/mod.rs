//! OpenAI's chat completions, and the many servers that speak it
//! (<https://platform.openai.com/docs/api-reference/chat>).

pub(super) mod fault;
mod message_decode;
mod message_encode;
mod own_path;
mod prompt_decode;
mod prompt_logprobs;
mod prompt_writer;
mod request_decode;
mod request_encode;
mod stream_reader;
mod stream_writer;
mod thoughts;
mod watch;
mod whole_reader;
mod whole_writer;
mod words;

pub(super) use own_path::of_parts;
pub(super) use request_decode::rest_object;
pub(super) use whole_writer::not_understood;
pub(super) use words::{effort, effort_name};

use crate::{
    Framing, Mode, Reader, Wanted, Writer, crossing,
    dialect::{EVENT_STREAM, Route, Spoken},
    forms::Prompting,
    whole::{WholeReader, WholeWriter},
};

pub(crate) const SPOKEN: Spoken = Spoken {
    name: "openai_chat",
    path: "/chat/completions",
    methods: ["", ""],
    routes: &[
        Route::plain("/v1/chat/completions"),
        // Azure's SDK names the deployment in the path
        // (<https://learn.microsoft.com/azure/ai-foundry/openai/reference>).
        Route::plain("/openai/deployments/{model}/chat/completions"),
        Route::plain("/openai/v1/chat/completions"),
        // Google's own endpoint for OpenAI's SDK (<https://ai.google.dev/gemini-api/docs/openai>).
        Route::plain("/v1beta/openai/chat/completions"),
    ],
    streams_unasked: false,
    key_header: None,
    id_header: "x-request-id",
    framing: Framing::Sse,
    stream_type: EVENT_STREAM,
    comments: true,
    names_model: true,
    decode_request: request_decode::decode_request,
    encode_request: request_encode::encode_request,
    joined: crossing::as_it_is,
    own_path: own_path::own_path,
    decode_fault: fault::decode_fault,
    encode_fault: fault::encode_fault,
    reader,
    watcher,
    writer,
};

/// Text completions, by OpenAI's older API.
pub(crate) const PROMPTING: Prompting = Prompting {
    decode_request: prompt_decode::decode_request,
    watcher,
    writer: |wanted, echo| Box::new(prompt_writer::TextWriter::new(wanted, echo)),
};

fn reader(mode: Mode) -> Box<dyn Reader> {
    match mode {
        Mode::Whole => Box::new(WholeReader::new(whole_reader::read)),
        Mode::Stream => Box::new(stream_reader::StreamReader::default()),
    }
}

/// Reads only what a meter wants to know of an answer that goes on as it is.
fn watcher(mode: Mode) -> Box<dyn Reader> {
    Box::new(watch::Watcher::new(mode))
}

fn writer(wanted: Wanted) -> Box<dyn Writer> {
    match wanted.mode {
        Mode::Whole => Box::new(WholeWriter::new(wanted, whole_writer::write, fault::encode_fault)),
        Mode::Stream => Box::new(stream_writer::StreamWriter::new(wanted)),
    }
}

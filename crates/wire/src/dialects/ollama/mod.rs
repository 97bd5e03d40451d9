//! Ollama's own chat API (<https://docs.ollama.com/api/chat>).

mod calls;
mod fault;
mod kept;
mod message_decode;
mod message_encode;
mod own_path;
mod pictures;
mod prompt_decode;
mod reader;
mod request_decode;
mod request_encode;
mod stream_writer;
mod tell;
mod whole_writer;
mod words;

use tell::Told;

use crate::{
    Framing, Mode, Reader, Wanted, Writer, crossing,
    dialect::{Route, Spoken},
    forms::Prompting,
    whole::WholeWriter,
};

pub(crate) const SPOKEN: Spoken = Spoken {
    name: "ollama",
    path: "/chat",
    methods: ["", ""],
    routes: &[Route::plain("/api/chat")],
    streams_unasked: true,
    key_header: None,
    id_header: "x-request-id",
    framing: Framing::Lines,
    stream_type: "application/x-ndjson",
    comments: false,
    names_model: true,
    decode_request: request_decode::decode_request,
    encode_request: request_encode::encode_request,
    joined: crossing::as_it_is,
    own_path: own_path::own_path,
    decode_fault: fault::decode_fault,
    encode_fault: fault::encode_fault,
    reader,
    watcher: reader,
    writer,
};

fn reader(mode: Mode) -> Box<dyn Reader> {
    Box::new(reader::AnswerReader::new(mode, Told::Message))
}

fn writer(wanted: Wanted) -> Box<dyn Writer> {
    match wanted.mode {
        Mode::Whole => Box::new(WholeWriter::new(wanted, whole_writer::write, fault::encode_fault)),
        Mode::Stream => Box::new(stream_writer::StreamWriter::new(wanted, Told::Message)),
    }
}

/// Ollama's API that goes on from a prompt (<https://docs.ollama.com/api/generate>).
pub(crate) const PROMPTING: Prompting = Prompting {
    decode_request: prompt_decode::decode_request,
    watcher: |mode| Box::new(reader::AnswerReader::new(mode, Told::Response)),
    writer: prompt_writer,
};

fn prompt_writer(wanted: Wanted, _echo: String) -> Box<dyn Writer> {
    match wanted.mode {
        Mode::Whole => Box::new(WholeWriter::new(wanted, whole_writer::write_response, fault::encode_fault)),
        Mode::Stream => Box::new(stream_writer::StreamWriter::new(wanted, Told::Response)),
    }
}

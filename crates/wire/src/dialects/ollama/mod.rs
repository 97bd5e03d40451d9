//! Ollama's own chat API (<https://docs.ollama.com/api/chat>).

mod calls;
mod fault;
mod kept;
mod message_decode;
mod message_encode;
mod own_path;
mod pictures;
mod reader;
mod request_decode;
mod request_encode;
mod stream_writer;
mod tell;
mod whole_writer;
mod words;

use crate::{
    Framing, Mode, Reader, Wanted, Writer,
    dialect::{Route, Spoken},
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
    own_path: own_path::own_path,
    decode_fault: fault::decode_fault,
    encode_fault: fault::encode_fault,
    reader,
    watcher: reader,
    writer,
};

fn reader(mode: Mode) -> Box<dyn Reader> {
    Box::new(reader::AnswerReader::new(mode))
}

fn writer(wanted: Wanted) -> Box<dyn Writer> {
    match wanted.mode {
        Mode::Whole => Box::new(WholeWriter::new(wanted, whole_writer::write, fault::encode_fault)),
        Mode::Stream => Box::new(stream_writer::StreamWriter::new(wanted)),
    }
}

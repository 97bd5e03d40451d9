//! Anthropic's Messages API (<https://docs.anthropic.com/en/api/messages>).

mod block_decode;
mod block_encode;
mod block_writer;
mod config_encode;
mod event;
mod fault;
mod own_path;
mod paths;
mod request_decode;
mod request_encode;
mod stream_reader;
mod stream_writer;
mod turns;
mod usage;
mod watch;
mod whole_reader;
mod whole_writer;
mod words;

use crate::{
    Framing, Mode, Reader, Wanted, Writer, crossing,
    dialect::{EVENT_STREAM, Route, Spoken},
    kept,
    whole::{WholeReader, WholeWriter},
};

pub(crate) const SPOKEN: Spoken = Spoken {
    name: "anthropic_messages",
    path: "/messages",
    methods: ["", ""],
    routes: &[Route::plain("/v1/messages")],
    streams_unasked: false,
    key_header: Some("x-api-key"),
    id_header: "request-id",
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
        Mode::Stream => Box::new(stream_writer::StreamWriter::new(&wanted)),
    }
}

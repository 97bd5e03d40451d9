//! Cohere's Chat API, version 2 (<https://docs.cohere.com/reference/chat>).

mod citations;
mod event;
mod fault;
mod kept;
mod message_decode;
mod message_encode;
mod own_path;
mod part_encode;
mod request_decode;
mod request_encode;
mod stream_reader;
mod stream_writer;
mod usage;
mod whole_reader;
mod whole_writer;
mod words;

use crate::{
    Framing, Mode, Reader, Wanted, Writer, crossing,
    dialect::{EVENT_STREAM, Route, Spoken},
    whole::{WholeReader, WholeWriter},
};

pub(crate) const SPOKEN: Spoken = Spoken {
    name: "cohere_v2",
    path: "/chat",
    methods: ["", ""],
    routes: &[Route::plain("/v2/chat")],
    streams_unasked: false,
    key_header: None,
    id_header: "x-request-id",
    framing: Framing::Sse,
    stream_type: EVENT_STREAM,
    comments: true,
    names_model: false,
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
    match mode {
        Mode::Whole => Box::new(WholeReader::new(whole_reader::read)),
        Mode::Stream => Box::new(stream_reader::StreamReader::default()),
    }
}

fn writer(wanted: Wanted) -> Box<dyn Writer> {
    match wanted.mode {
        Mode::Whole => Box::new(WholeWriter::new(wanted, whole_writer::write, fault::encode_fault)),
        Mode::Stream => Box::new(stream_writer::StreamWriter::new(&wanted)),
    }
}

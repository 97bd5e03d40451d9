//! OpenAI's Responses API (<https://platform.openai.com/docs/api-reference/responses>).

mod answer;
mod item_decode;
mod item_encode;
mod joined;
mod request_decode;
mod request_encode;
mod stream_reader;
mod stream_writer;
mod whole_reader;
mod words;

use super::openai_chat;
use crate::{
    Framing, Mode, Reader, Wanted, Writer,
    dialect::{EVENT_STREAM, Route, Spoken},
    whole::{WholeReader, WholeWriter},
};

pub(crate) const SPOKEN: Spoken = Spoken {
    name: "openai_responses",
    path: "/responses",
    methods: ["", ""],
    routes: &[
        Route::plain("/v1/responses"),
        Route::plain("/openai/v1/responses"),
        Route::plain("/openai/responses"),
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
    joined: joined::joined,
    own_path: joined::own_path,
    decode_fault: openai_chat::fault::decode_fault,
    encode_fault: openai_chat::fault::encode_fault,
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
        Mode::Whole => Box::new(WholeWriter::new(wanted, answer::write, openai_chat::fault::encode_fault)),
        Mode::Stream => Box::new(stream_writer::StreamWriter::new(wanted)),
    }
}

//! Amazon Bedrock's Converse and ConverseStream
//! (<https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>).

mod block_decode;
mod block_encode;
mod cache_point;
mod config_decode;
mod config_encode;
mod fault;
mod media;
mod own_path;
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
    dialect::{Route, Spoken},
    whole::{WholeReader, WholeWriter},
};

pub(crate) const SPOKEN: Spoken = Spoken {
    name: "bedrock_converse",
    path: "/model/{model}/{method}",
    methods: ["converse", "converse-stream"],
    routes: &[
        Route { path: "/model/{model}/converse", stream: Some(false) },
        Route { path: "/model/{model}/converse-stream", stream: Some(true) },
    ],
    streams_unasked: false,
    key_header: None,
    id_header: "x-amzn-requestid",
    framing: Framing::AwsEvents,
    stream_type: "application/vnd.amazon.eventstream",
    comments: false,
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

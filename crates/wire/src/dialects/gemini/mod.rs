//! Google's Gemini API, as AI Studio and Vertex speak it
//! (<https://ai.google.dev/api/generate-content>).

mod answer;
mod config_decode;
mod config_encode;
mod content_encode;
mod fault;
mod notes;
mod own_path;
mod part;
mod part_decode;
mod part_encode;
mod partial;
mod reader;
mod request_decode;
mod request_encode;
mod schema;
mod signature;
mod stream_writer;
mod streamed;
mod tell;
mod usage;
mod whole_writer;
mod words;

use crate::{
    Framing, Mode, Reader, Wanted, Writer,
    dialect::{EVENT_STREAM, Route, Spoken},
    whole::WholeWriter,
};

pub(crate) const SPOKEN: Spoken = Spoken {
    name: "gemini",
    path: "/models/{model}:{method}",
    methods: ["generateContent", "streamGenerateContent?alt=sse"],
    routes: &[
        Route { path: "/v1beta/models/{model}:generateContent", stream: Some(false) },
        Route { path: "/v1beta/models/{model}:streamGenerateContent", stream: Some(true) },
        Route { path: "/v1/models/{model}:generateContent", stream: Some(false) },
        Route { path: "/v1/models/{model}:streamGenerateContent", stream: Some(true) },
        // Clients that take a name with a slash for a resource's put no `models/` before it.
        Route { path: "/v1beta/{model}:generateContent", stream: Some(false) },
        Route { path: "/v1beta/{model}:streamGenerateContent", stream: Some(true) },
        // Vertex's own addresses, as its SDKs write them.
        Route { path: "/v1beta1/{model}:generateContent", stream: Some(false) },
        Route { path: "/v1beta1/{model}:streamGenerateContent", stream: Some(true) },
        Route { path: "/v1/{model}:generateContent", stream: Some(false) },
        Route { path: "/v1/{model}:streamGenerateContent", stream: Some(true) },
    ],
    streams_unasked: false,
    key_header: Some("x-goog-api-key"),
    id_header: "x-request-id",
    framing: Framing::Sse,
    stream_type: EVENT_STREAM,
    // Google's SDK takes each block of lines for JSON.
    comments: false,
    names_model: true,
    decode_request: request_decode::decode_request,
    encode_request: request_encode::encode_request,
    joined: streamed::joined,
    own_path: own_path::own_path,
    decode_fault: fault::decode_fault,
    encode_fault: fault::encode_fault,
    reader,
    watcher: reader,
    writer,
};

/// The model that Vertex's name of a resource means, `projects/…/locations/…/publishers/PUBLISHER/models/MODEL`: the
/// publisher is the provider, and Google's own SDKs write `google` where nobody is named
/// (<https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference>).
pub fn model_of(resource: &str) -> Option<String> {
    let below = match resource.strip_prefix("projects/") {
        Some(rest) => rest.split_once("/publishers/")?.1,
        None => resource.strip_prefix("publishers/")?,
    };
    let (publisher, model) = below.split_once("/models/")?;
    Some(if publisher == "google" { model.to_owned() } else { format!("{publisher}/{model}") })
}

fn reader(mode: Mode) -> Box<dyn Reader> {
    Box::new(reader::AnswerReader::new(mode))
}

fn writer(wanted: Wanted) -> Box<dyn Writer> {
    match wanted.mode {
        Mode::Whole => Box::new(WholeWriter::new(wanted, whole_writer::write, fault::encode_fault)),
        Mode::Stream => Box::new(stream_writer::StreamWriter::new(wanted)),
    }
}

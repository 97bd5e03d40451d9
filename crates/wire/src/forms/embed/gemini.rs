//! Gemini's form: one content, or a batch of them (<https://ai.google.dev/api/embeddings>).

use super::{
    request::{Answer, Embedding, Input, Purpose, Request},
    vector::{Kind, Vector},
};
use crate::{
    Dialect, Fault, Losses,
    forms::{
        form::{self, Formed, Upload},
        operation::Operation,
    },
    json::{Object, ObjectWriter, Raw, write_array},
};

const SINGLE: &str = "embedContent";
const BATCH: &str = "batchEmbedContents";

pub(in crate::forms) static GEMINI: Formed = Formed {
    name: "gemini_embed",
    operation: Operation::Embeddings,
    dialect: Dialect::Gemini,
    path: "/models/{model}:{method}",
    routes: &[
        ("/v1beta/models/{model}:embedContent", SINGLE),
        ("/v1beta/models/{model}:batchEmbedContents", BATCH),
        ("/v1/models/{model}:embedContent", SINGLE),
        ("/v1/models/{model}:batchEmbedContents", BATCH),
        ("/v1beta/{model}:embedContent", SINGLE),
        ("/v1beta1/{model}:embedContent", SINGLE),
        ("/v1beta/{model}:batchEmbedContents", BATCH),
        ("/v1/{model}:embedContent", SINGLE),
        ("/v1/{model}:batchEmbedContents", BATCH),
    ],
    upload: Upload::Json,
    kind: form::Kind::Embed(&Embedding {
        decode_request,
        encode_request,
        method: BATCH,
        decode_answer,
        encode_answer,
    }),
};

/// The purposes by their names.
const PURPOSES: [(&str, Purpose); 5] = [
    ("RETRIEVAL_QUERY", Purpose::Query),
    ("RETRIEVAL_DOCUMENT", Purpose::Document),
    ("CLASSIFICATION", Purpose::Classification),
    ("CLUSTERING", Purpose::Clustering),
    ("SEMANTIC_SIMILARITY", Purpose::Similarity),
];

fn decode_request(body: &[u8], method: &str) -> Result<Request, Fault> {
    if method == SINGLE {
        return content(Object::parse(body)?, true);
    }
    let mut object = Object::parse(body)?;
    let list = object.array("requests")?.ok_or_else(|| Fault::invalid("requests", "is missing"))?;
    let mut whole: Option<Request> = None;
    for (at, item) in list.into_iter().enumerate() {
        let under = |fault: Fault| fault.under(&format!("requests[{at}]"));
        let one = content(Object::from_raw(item).map_err(under)?, false).map_err(under)?;
        match &mut whole {
            None => whole = Some(one),
            Some(whole) if whole.dimensions == one.dimensions && whole.purpose == one.purpose => {
                whole.inputs.extend(one.inputs);
                whole.ext.0.extend(one.ext.0);
            }
            Some(_) => {
                let message = "must have the taskType and outputDimensionality of the first; send it apart";
                return Err(Fault::invalid(format!("requests[{at}]"), message));
            }
        }
    }
    whole.ok_or_else(|| Fault::invalid("requests", "must hold at least one"))
}

fn content(mut object: Object<'_>, single: bool) -> Result<Request, Fault> {
    object.take("model");
    let raw = object.take_some("content").ok_or_else(|| Fault::invalid("content", "is missing"))?;
    let input = text(raw)?.map_or_else(|| Input::Opaque(Raw::new(raw)), Input::Text);
    // Google's SDKs send either spelling.
    let purpose = match object.string("taskType")? {
        Some(name) => Some(name),
        None => object.string("task_type")?,
    };
    let dimensions = match object.unsigned("outputDimensionality")? {
        Some(dimensions) => Some(dimensions),
        None => object.unsigned("output_dimensionality")?,
    };
    let purpose = purpose.filter(|name| name != "TASK_TYPE_UNSPECIFIED").map(|name| {
        let known = PURPOSES.into_iter().find(|(known, _)| *known == name);
        known.map_or_else(|| Purpose::Other(name.into_owned()), |(_, purpose)| purpose)
    });
    Ok(Request { inputs: vec![input], single, dimensions, purpose, ext: object.rest(), ..Request::default() })
}

/// The text of a content that is nothing else.
fn text(raw: &serde_json::value::RawValue) -> Result<Option<String>, Fault> {
    let mut content = Object::from_raw(raw).map_err(|fault| fault.under("content"))?;
    let parts = content.array("parts").map_err(|fault| fault.under("content"))?.unwrap_or_default();
    let mut whole = String::new();
    for part in parts {
        let mut part = Object::from_raw(part).map_err(|fault| fault.under("content.parts"))?;
        let Some(text) = part.string("text").map_err(|fault| fault.under("content.parts"))? else {
            return Ok(None);
        };
        whole.push_str(&text);
    }
    Ok(Some(whole))
}

fn encode_request(request: &Request, model: &str, losses: &mut Losses) -> Vec<u8> {
    request.report_kinds(&[Kind::Float, Kind::Base64], losses);
    request.report_truncate(losses);
    request.report_user(losses);
    losses.ext("", &request.ext);
    let purpose = request.purpose.as_ref().and_then(|purpose| {
        let known = PURPOSES.iter().find(|(_, known)| known == purpose);
        if known.is_none() {
            losses.dropped("input_type", "the target knows no such purpose");
        }
        known.map(|(name, _)| *name)
    });
    let mut out = Vec::with_capacity(256);
    let mut object = ObjectWriter::open(&mut out);
    write_array(object.key("requests"), &request.inputs, |out, input| {
        let mut item = ObjectWriter::open(out);
        item.string("model", &format!("models/{model}"));
        match input {
            Input::Text(text) => {
                let text = Raw::string(text);
                item.raw("content", &format!("{{\"parts\":[{{\"text\":{}}}]}}", text.text()));
            }
            Input::Image(_) | Input::Tokens(_) | Input::Opaque(_) => {
                losses.vital("input", "the target takes texts only");
            }
        }
        if let Some(purpose) = purpose {
            item.string("taskType", purpose);
        }
        if let Some(dimensions) = request.dimensions {
            item.value("outputDimensionality", &dimensions);
        }
        item.close();
    });
    object.close();
    out
}

fn decode_answer(body: &[u8]) -> Result<Answer, Fault> {
    let mut object = Object::parse(body)?;
    let list = match object.take_some("embedding") {
        Some(one) => vec![one],
        None => object.array("embeddings")?.ok_or_else(|| Fault::invalid("embeddings", "is missing"))?,
    };
    let values = list.into_iter().map(|item| {
        let mut item = Object::from_raw(item)?;
        item.take_some("values").map(Vector::new).ok_or_else(|| Fault::invalid("values", "is missing"))
    });
    let vectors = values.collect::<Result<Vec<Vector>, Fault>>()?;
    // AI Studio does not say what was used; Vertex does.
    let usage = object.object("usageMetadata")?.map(|mut usage| usage.unsigned("promptTokenCount"));
    let usage = usage.transpose()?.flatten();
    let usage = usage.map(|input_tokens| crate::ir::Usage { input_tokens, ..crate::ir::Usage::default() });
    Ok(Answer { vectors: vec![(Kind::Float, vectors)], usage, ..Answer::default() })
}

fn encode_answer(answer: &Answer, request: &Request, out: &mut Vec<u8>) -> Result<(), Fault> {
    let vectors = answer.of(Kind::Float)?;
    let write = |out: &mut Vec<u8>, vector: Vector| {
        let mut item = ObjectWriter::open(out);
        item.raw("values", vector.0.text());
        item.close();
    };
    let mut object = ObjectWriter::open(out);
    match (request.single, vectors) {
        (true, vectors) => {
            let first = vectors.into_iter().next();
            let first = first.ok_or_else(|| Fault::invalid("", "there is no vector").into_garbage())?;
            write(object.key("embedding"), first);
        }
        (false, vectors) => write_array(object.key("embeddings"), vectors, write),
    }
    if let Some(usage) = &answer.usage {
        object.raw("usageMetadata", &format!("{{\"promptTokenCount\":{}}}", usage.input_tokens));
    }
    object.close();
    Ok(())
}

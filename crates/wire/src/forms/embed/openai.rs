//! OpenAI's form (<https://platform.openai.com/docs/api-reference/embeddings/create>), which most providers speak, and
//! Voyage's (<https://docs.voyageai.com/reference/embeddings-api>), which has other names for some members.

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
    ir::Usage,
    json::{self, Object, ObjectWriter, Raw, write_array, write_string},
};

pub(in crate::forms) static OPENAI: Formed = Formed {
    name: "openai_embeddings",
    operation: Operation::Embeddings,
    dialect: Dialect::OpenaiChat,
    path: "/embeddings",
    routes: &[
        ("/v1/embeddings", ""),
        ("/openai/v1/embeddings", ""),
        ("/openai/deployments/{model}/embeddings", ""),
    ],
    upload: Upload::Json,
    kind: form::Kind::Embed(&Embedding {
        decode_request,
        encode_request,
        method: "",
        decode_answer,
        encode_answer,
    }),
};

/// Callers use OpenAI's form: their address is the same.
pub(in crate::forms) static VOYAGE: Formed = Formed {
    name: "voyage_embeddings",
    operation: Operation::Embeddings,
    dialect: Dialect::OpenaiChat,
    path: "/embeddings",
    routes: &[],
    upload: Upload::Json,
    kind: form::Kind::Embed(&Embedding {
        decode_request,
        encode_request: encode_voyage,
        method: "",
        decode_answer,
        encode_answer,
    }),
};

/// Members beside OpenAI's own are taken by the names that most providers have for them.
fn decode_request(body: &[u8], _: &str) -> Result<Request, Fault> {
    let mut object = Object::parse(body)?;
    object.take("model");
    let input = object.take_some("input").ok_or_else(|| Fault::invalid("input", "is missing"))?;
    let (inputs, single) = inputs(input).map_err(|fault| fault.under("input"))?;
    let mut kinds = Vec::new();
    for member in ["encoding_format", "output_dtype"] {
        let name = object.string(member)?;
        let kind = name.map(|name| Kind::named(&name).map_err(|fault| fault.under(member)));
        kinds.extend(kind.transpose()?);
    }
    let purpose = object.string("input_type")?;
    let dimensions = match object.unsigned("dimensions")? {
        Some(dimensions) => Some(dimensions),
        None => object.unsigned("output_dimension")?,
    };
    Ok(Request {
        inputs,
        single,
        dimensions,
        kinds,
        purpose: purpose.map(|name| purpose_of(&name)),
        truncate: object.boolean("truncation")?,
        user: object.string("user")?.map(Into::into),
        ext: object.rest(),
    })
}

/// A text, a list of texts, a list of token numbers, or a list of such lists.
fn inputs(raw: &serde_json::value::RawValue) -> Result<(Vec<Input>, bool), Fault> {
    if raw.get().starts_with('"') {
        return Ok((vec![Input::Text(json::string(raw)?.into_owned())], true));
    }
    let items = json::array(raw)?;
    if items.is_empty() {
        return Err(Fault::invalid("", "must hold at least one text"));
    }
    if items.first().is_some_and(|item| item.get().starts_with(|first: char| first.is_ascii_digit())) {
        return Ok((vec![Input::Tokens(Raw::new(raw))], true));
    }
    let inputs = items.into_iter().map(|item| match item.get().as_bytes().first() {
        Some(b'"') => Ok(Input::Text(json::string(item)?.into_owned())),
        Some(b'[') => Ok(Input::Tokens(Raw::new(item))),
        Some(b'{') => Ok(Input::Opaque(Raw::new(item))),
        Some(_) | None => Err(Fault::invalid("", "must be a text, or a list of texts or of token numbers")),
    });
    Ok((inputs.collect::<Result<Vec<Input>, Fault>>()?, false))
}

fn purpose_of(name: &str) -> Purpose {
    match name {
        "query" | "search_query" => Purpose::Query,
        "document" | "search_document" | "passage" => Purpose::Document,
        "classification" => Purpose::Classification,
        "clustering" => Purpose::Clustering,
        "similarity" => Purpose::Similarity,
        other => Purpose::Other(other.to_owned()),
    }
}

fn encode_request(request: &Request, model: &str, losses: &mut Losses) -> Vec<u8> {
    request.report_kinds(&[Kind::Float, Kind::Base64], losses);
    request.report_truncate(losses);
    if request.purpose.is_some() {
        losses.dropped("input_type", "the target makes the same vectors for every purpose");
    }
    losses.ext("", &request.ext);
    let mut out = Vec::with_capacity(256);
    let mut object = ObjectWriter::open(&mut out);
    object.string("model", model);
    write_inputs(&mut object, request, losses);
    if let Some(dimensions) = request.dimensions {
        object.value("dimensions", &dimensions);
    }
    if let Some(kind) = request.kinds.first() {
        object.string("encoding_format", kind.name());
    }
    if let Some(user) = &request.user {
        object.string("user", user);
    }
    object.close();
    out
}

fn encode_voyage(request: &Request, model: &str, losses: &mut Losses) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    let mut object = ObjectWriter::open(&mut out);
    object.string("model", model);
    write_inputs(&mut object, request, losses);
    match &request.purpose {
        Some(Purpose::Query) => object.string("input_type", "query"),
        Some(Purpose::Document) => object.string("input_type", "document"),
        Some(_) => losses.dropped("input_type", "the target knows queries and documents"),
        None => {}
    }
    if let Some(truncate) = request.truncate {
        object.boolean("truncation", truncate);
    }
    if let Some(dimensions) = request.dimensions {
        object.value("output_dimension", &dimensions);
    }
    if request.kinds.len() > 1 && request.kinds.iter().any(|kind| !kind.is_float()) {
        losses.vital("embedding_types", "the target answers in one kind of numbers at a time");
    }
    match request.kinds.first() {
        Some(Kind::Base64) => object.string("encoding_format", "base64"),
        Some(kind) => object.string("output_dtype", kind.name()),
        None => {}
    }
    request.report_user(losses);
    losses.ext("", &request.ext);
    object.close();
    out
}

fn write_inputs(object: &mut ObjectWriter<'_>, request: &Request, losses: &mut Losses) {
    let out = object.key("input");
    if let ([Input::Text(text)], true) = (request.inputs.as_slice(), request.single) {
        return write_string(out, text);
    }
    if let ([Input::Tokens(raw)], true) = (request.inputs.as_slice(), request.single) {
        return out.extend_from_slice(raw.text().as_bytes());
    }
    write_array(out, &request.inputs, |out, input| match input {
        Input::Text(text) => write_string(out, text),
        Input::Tokens(raw) | Input::Opaque(raw) => out.extend_from_slice(raw.text().as_bytes()),
        Input::Image(_) => {
            losses.vital("images", "the target takes texts only");
            write_string(out, "");
        }
    });
}

fn decode_answer(body: &[u8]) -> Result<Answer, Fault> {
    let mut object = Object::parse(body)?;
    let mut vectors = Vec::new();
    let data = object.array("data")?.ok_or_else(|| Fault::invalid("data", "is missing"))?;
    for (at, item) in data.into_iter().enumerate() {
        let under = |fault: Fault| fault.under(&format!("data[{at}]"));
        let mut item = Object::from_raw(item).map_err(under)?;
        let index = item.unsigned("index").map_err(under)?.unwrap_or(at as u64);
        let vector = item.take_some("embedding");
        let vector = vector.ok_or_else(|| under(Fault::invalid("embedding", "is missing")))?;
        vectors.push((index, Vector::new(vector)));
    }
    vectors.sort_by_key(|(index, _)| *index);
    let vectors: Vec<Vector> = vectors.into_iter().map(|(_, vector)| vector).collect();
    let kind = vectors.first().map_or(Kind::Float, Vector::kind);
    Ok(Answer {
        id: object.string("id")?.map(Into::into),
        model: object.string("model")?.map(Into::into),
        vectors: vec![(kind, vectors)],
        kind_untold: true,
        usage: object.object("usage")?.map(read_usage).transpose()?,
    })
}

/// Voyage and Jina tell the total only; all of it is input.
fn read_usage(mut usage: Object<'_>) -> Result<Usage, Fault> {
    let input = match usage.unsigned("prompt_tokens")? {
        Some(input) => input,
        None => usage.unsigned("total_tokens")?.unwrap_or_default(),
    };
    Ok(Usage { input_tokens: input, ..Usage::default() })
}

fn encode_answer(answer: &Answer, request: &Request, out: &mut Vec<u8>) -> Result<(), Fault> {
    let kind = request.kinds.first().copied().unwrap_or(Kind::Float);
    let vectors = answer.of(kind)?;
    let mut object = ObjectWriter::open(out);
    object.string("object", "list");
    write_array(object.key("data"), vectors.iter().enumerate(), |out, (index, vector)| {
        let mut item = ObjectWriter::open(out);
        item.string("object", "embedding");
        item.value("index", &index);
        item.raw("embedding", vector.0.text());
        item.close();
    });
    object.string("model", answer.model.as_deref().unwrap_or_default());
    let tokens = answer.usage.map_or(0, |usage| usage.input_tokens);
    object.raw("usage", &format!("{{\"prompt_tokens\":{tokens},\"total_tokens\":{tokens}}}"));
    object.close();
    Ok(())
}

//! Ollama's form (<https://docs.ollama.com/api/embed>), and the older one for one text that it still takes.

use super::{
    request::{Answer, Embedding, Input, Request},
    vector::{Kind, Vector},
};
use crate::{
    Dialect, Fault, Losses,
    forms::{
        form::{self, Formed, Upload},
        operation::Operation,
    },
    ir::Usage,
    json::{self, Object, ObjectWriter, write_array, write_string},
};

/// What marks a request of the older form, whose answer holds one vector.
const OLDER: &str = "embeddings";

pub(in crate::forms) static OLLAMA: Formed = Formed {
    name: "ollama_embed",
    operation: Operation::Embeddings,
    dialect: Dialect::Ollama,
    path: "/embed{method}",
    routes: &[("/api/embed", ""), ("/api/embeddings", "dings")],
    upload: Upload::Json,
    kind: form::Kind::Embed(&Embedding {
        decode_request,
        encode_request,
        method: "",
        decode_answer,
        encode_answer,
    }),
};

fn decode_request(body: &[u8], method: &str) -> Result<Request, Fault> {
    let mut object = Object::parse(body)?;
    object.take("model");
    let older = OLDER.ends_with(method) && !method.is_empty();
    let name = if older { "prompt" } else { "input" };
    let raw = object.take_some(name).ok_or_else(|| Fault::invalid(name, "is missing"))?;
    let inputs = if raw.get().starts_with('[') && !older {
        let items = json::array(raw)?;
        if items.is_empty() {
            return Err(Fault::invalid(name, "must hold at least one text"));
        }
        let texts = items.into_iter().map(|item| json::string(item).map(Into::into).map(Input::Text));
        texts.collect::<Result<Vec<Input>, Fault>>().map_err(|fault| fault.under(name))?
    } else {
        vec![Input::Text(json::string(raw).map_err(|fault| fault.under(name))?.into_owned())]
    };
    Ok(Request {
        inputs,
        single: older,
        dimensions: object.unsigned("dimensions")?,
        truncate: object.boolean("truncate")?,
        ext: object.rest(),
        ..Request::default()
    })
}

fn encode_request(request: &Request, model: &str, losses: &mut Losses) -> Vec<u8> {
    request.report_kinds(&[Kind::Float, Kind::Base64], losses);
    request.report_user(losses);
    if request.purpose.is_some() {
        losses.dropped("input_type", "the target makes the same vectors for every purpose");
    }
    losses.ext("", &request.ext);
    let mut out = Vec::with_capacity(256);
    let mut object = ObjectWriter::open(&mut out);
    object.string("model", model);
    write_array(object.key("input"), &request.inputs, |out, input| match input {
        Input::Text(text) => write_string(out, text),
        Input::Image(_) | Input::Tokens(_) | Input::Opaque(_) => {
            losses.vital("input", "the target takes texts only");
            write_string(out, "");
        }
    });
    if let Some(dimensions) = request.dimensions {
        object.value("dimensions", &dimensions);
    }
    if let Some(truncate) = request.truncate {
        object.boolean("truncate", truncate);
    }
    object.close();
    out
}

fn decode_answer(body: &[u8]) -> Result<Answer, Fault> {
    let mut object = Object::parse(body)?;
    let list = match object.take_some("embedding") {
        Some(one) => vec![one],
        None => object.array("embeddings")?.ok_or_else(|| Fault::invalid("embeddings", "is missing"))?,
    };
    let vectors = list.into_iter().map(Vector::new).collect();
    let usage = object.unsigned("prompt_eval_count")?;
    Ok(Answer {
        id: None,
        model: object.string("model")?.map(Into::into),
        vectors: vec![(Kind::Float, vectors)],
        kind_untold: false,
        usage: usage.map(|input_tokens| Usage { input_tokens, ..Usage::default() }),
    })
}

fn encode_answer(answer: &Answer, request: &Request, out: &mut Vec<u8>) -> Result<(), Fault> {
    let vectors = answer.of(Kind::Float)?;
    let mut object = ObjectWriter::open(out);
    if request.single {
        let first = vectors.first().ok_or_else(|| Fault::invalid("", "there is no vector").into_garbage())?;
        object.raw("embedding", first.0.text());
        object.close();
        return Ok(());
    }
    object.string("model", answer.model.as_deref().unwrap_or_default());
    write_array(object.key("embeddings"), vectors, |out, vector| {
        out.extend_from_slice(vector.0.text().as_bytes());
    });
    if let Some(usage) = &answer.usage {
        object.value("prompt_eval_count", &usage.input_tokens);
    }
    object.close();
    Ok(())
}

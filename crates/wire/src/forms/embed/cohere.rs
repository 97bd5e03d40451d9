//! Cohere's form (<https://docs.cohere.com/reference/embed>).

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

pub(in crate::forms) static COHERE: Formed = Formed {
    name: "cohere_embed",
    operation: Operation::Embeddings,
    dialect: Dialect::CohereV2,
    path: "/embed",
    routes: &[("/v2/embed", "")],
    upload: Upload::Json,
    kind: form::Kind::Embed(&Embedding {
        decode_request,
        encode_request,
        method: "",
        decode_answer,
        encode_answer,
    }),
};

fn decode_request(body: &[u8], _: &str) -> Result<Request, Fault> {
    let mut object = Object::parse(body)?;
    object.take("model");
    let texts = |name: &str, object: &mut Object<'_>| -> Result<Vec<String>, Fault> {
        let items = object.array(name)?.unwrap_or_default();
        let texts = items.into_iter().map(|item| json::string(item).map(Into::into));
        texts.collect::<Result<_, _>>().map_err(|fault: Fault| fault.under(name))
    };
    let mut inputs: Vec<Input> = texts("texts", &mut object)?.into_iter().map(Input::Text).collect();
    inputs.extend(texts("images", &mut object)?.into_iter().map(Input::Image));
    let mixed = object.array("inputs")?.unwrap_or_default();
    inputs.extend(mixed.into_iter().map(|item| plain(item).unwrap_or_else(|| Input::Opaque(Raw::new(item)))));
    if inputs.is_empty() {
        return Err(Fault::invalid("texts", "is missing; write texts, images or inputs"));
    }
    let kinds = texts("embedding_types", &mut object)?;
    let kinds: Result<Vec<Kind>, Fault> = kinds.iter().map(|name| Kind::named(name)).collect();
    let purpose = object.string("input_type")?.map(|name| match &*name {
        "search_query" => Purpose::Query,
        "search_document" => Purpose::Document,
        "classification" => Purpose::Classification,
        "clustering" => Purpose::Clustering,
        other => Purpose::Other(other.to_owned()),
    });
    let truncate = object.string("truncate")?;
    let dimensions = object.unsigned("output_dimension")?;
    let mut ext = object.rest();
    if let Some(from) = truncate.as_ref().filter(|how| *how == "START") {
        // Others cut the end.
        ext.0.push(("truncate".to_owned(), Raw::string(from)));
    }
    Ok(Request {
        inputs,
        single: false,
        dimensions,
        kinds: kinds.map_err(|fault| fault.under("embedding_types"))?,
        purpose,
        truncate: truncate.map(|how| how != "NONE"),
        user: None,
        ext,
    })
}

/// An input that is one text, as any target takes it.
fn plain(item: &serde_json::value::RawValue) -> Option<Input> {
    let mut object = Object::from_raw(item).ok()?;
    let content = object.array("content").ok()??;
    let [part] = content.as_slice() else { return None };
    let mut part = Object::from_raw(part).ok()?;
    let text = part.string("text").ok()??;
    Some(Input::Text(text.into_owned()))
}

fn encode_request(request: &Request, model: &str, losses: &mut Losses) -> Vec<u8> {
    request.report_user(losses);
    losses.ext("", &request.ext);
    let mut out = Vec::with_capacity(256);
    let mut object = ObjectWriter::open(&mut out);
    object.string("model", model);
    let images = request.inputs.iter().any(|input| matches!(input, Input::Image(_)));
    write_array(
        object.key(if images { "images" } else { "texts" }),
        &request.inputs,
        |out, input| match input {
            Input::Text(text) => write_string(out, text),
            Input::Image(url) => write_string(out, url),
            Input::Tokens(_) | Input::Opaque(_) => {
                losses.vital("input", "the target takes texts, not token numbers");
                write_string(out, "");
            }
        },
    );
    // Its newer models must be told what their vectors are for.
    let purpose = match &request.purpose {
        Some(Purpose::Query) => "search_query",
        _ if images => "image",
        Some(Purpose::Document) | None => "search_document",
        Some(Purpose::Classification) => "classification",
        Some(Purpose::Clustering) => "clustering",
        Some(Purpose::Similarity | Purpose::Other(_)) => {
            losses.approximated("input_type", "the target knows no such purpose");
            "clustering"
        }
    };
    object.string("input_type", purpose);
    // Floats are turned into base64 here, as every SDK reads them.
    let kinds = request.kinds.iter().map(|kind| if kind.is_float() { Kind::Float } else { *kind });
    let mut kinds: Vec<&str> = kinds.map(Kind::name).collect();
    if kinds.is_empty() {
        kinds.push(Kind::Float.name());
    }
    object.value("embedding_types", &kinds);
    if let Some(dimensions) = request.dimensions {
        object.value("output_dimension", &dimensions);
    }
    if let Some(truncate) = request.truncate {
        object.string("truncate", if truncate { "END" } else { "NONE" });
    }
    object.close();
    out
}

fn decode_answer(body: &[u8]) -> Result<Answer, Fault> {
    let mut object = Object::parse(body)?;
    let raw = object.take_some("embeddings").ok_or_else(|| Fault::invalid("embeddings", "is missing"))?;
    let listed =
        |raw| -> Result<Vec<Vector>, Fault> { Ok(json::array(raw)?.into_iter().map(Vector::new).collect()) };
    let mut vectors = Vec::new();
    // Without types it answers as its first version did.
    if raw.get().starts_with('[') {
        vectors.push((Kind::Float, listed(raw)?));
    } else {
        for (name, list) in Object::from_raw(raw)?.iter().filter(|(_, list)| list.get() != "null") {
            vectors.push((Kind::named(name)?, listed(list)?));
        }
    }
    Ok(Answer {
        id: object.string("id")?.map(Into::into),
        model: None,
        vectors,
        kind_untold: false,
        usage: object.object("meta")?.map(read_usage).transpose()?.flatten(),
    })
}

fn read_usage(mut meta: Object<'_>) -> Result<Option<Usage>, Fault> {
    let Some(mut units) = meta.object("billed_units")? else { return Ok(None) };
    let input_tokens = units.number("input_tokens")?.unwrap_or_default().max(0.0) as u64;
    let image_tokens = units.number("image_tokens")?.unwrap_or_default().max(0.0) as u64;
    let images = units.number("images")?.unwrap_or_default().max(0.0) as u64;
    let input_tokens = input_tokens.saturating_add(image_tokens);
    Ok(Some(Usage { input_tokens, input_image_tokens: image_tokens, images, ..Usage::default() }))
}

fn encode_answer(answer: &Answer, request: &Request, out: &mut Vec<u8>) -> Result<(), Fault> {
    let mut object = ObjectWriter::open(out);
    object.string("id", answer.id.as_deref().unwrap_or_default());
    let kinds = if request.kinds.is_empty() { &[Kind::Float][..] } else { &request.kinds };
    let mut embeddings = ObjectWriter::open(object.key("embeddings"));
    for kind in kinds {
        let vectors = answer.of(*kind)?;
        let name = embeddings.key(kind.name());
        write_array(name, vectors, |out, vector| out.extend_from_slice(vector.0.text().as_bytes()));
    }
    embeddings.close();
    write_array(object.key("texts"), &request.inputs, |out, input| match input {
        Input::Text(text) => write_string(out, text),
        Input::Tokens(_) | Input::Image(_) | Input::Opaque(_) => write_string(out, ""),
    });
    object.string("response_type", "embeddings_by_type");
    if let Some(usage) = &answer.usage {
        let mut meta = ObjectWriter::open(object.key("meta"));
        meta.raw("api_version", r#"{"version":"2"}"#);
        let mut billed = ObjectWriter::open(meta.key("billed_units"));
        let of_pictures = [("image_tokens", usage.input_image_tokens), ("images", usage.images)];
        let texts = usage.input_tokens.saturating_sub(usage.input_image_tokens);
        // Pictures are billed by number or by tokens, and texts by tokens.
        if texts > 0 || of_pictures.iter().all(|(_, count)| *count == 0) {
            billed.value("input_tokens", &texts);
        }
        for (name, count) in of_pictures.into_iter().filter(|(_, count)| *count > 0) {
            billed.value(name, &count);
        }
        billed.close();
        meta.close();
    }
    object.close();
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::{Form, LossKind, Losses};

    /// What a caller of this form loses at Voyage, and what it is told of Voyage's answer.
    fn at_voyage(request: &str, answer: &str) -> (Vec<(String, LossKind)>, Option<String>) {
        let work = Form::CohereEmbed.read(request.as_bytes(), "").unwrap().unwrap();
        let mut losses = Losses::default();
        Form::VoyageEmbeddings.write(&work, "m", &mut losses).unwrap();
        let told = Form::CohereEmbed.turn(Form::VoyageEmbeddings, &work, answer.as_bytes(), "id").ok();
        let told = told.map(|answered| String::from_utf8(answered.body).unwrap());
        (losses.iter().map(|loss| (loss.path.clone(), loss.kind)).collect(), told)
    }

    #[test]
    fn whole_numbers_come_from_a_form_that_does_not_name_them() {
        let answer = r#"{"data":[{"index":0,"embedding":[-21,18]}],"usage":{"total_tokens":1}}"#;
        let (losses, told) = at_voyage(r#"{"texts":["a"],"embedding_types":["int8"]}"#, answer);
        assert!(losses.is_empty(), "{losses:?}");
        assert!(told.unwrap().contains(r#""embeddings":{"int8":[[-21,18]]}"#));
        let (losses, _) = at_voyage(r#"{"texts":["a"],"embedding_types":["float","int8"]}"#, answer);
        assert_eq!(losses, [("embedding_types".to_owned(), LossKind::Vital)]);
    }

    #[test]
    fn what_is_cut_elsewhere_is_told() {
        let (losses, _) = at_voyage(r#"{"texts":["a"],"truncate":"START"}"#, "{}");
        assert_eq!(losses, [("truncate".to_owned(), LossKind::Dropped)]);
        let (losses, _) = at_voyage(r#"{"texts":["a"],"truncate":"END"}"#, "{}");
        assert!(losses.is_empty(), "{losses:?}");
    }
}

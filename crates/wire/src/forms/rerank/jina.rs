//! Jina's form (<https://api.jina.ai/redoc#tag/rerank>), which OpenRouter, Together, vLLM and others speak too.

use super::request::{Answer, Document, Request, Reranking, Scored};
use crate::{
    Dialect, Fault, Losses,
    forms::{
        form::{Formed, Kind, Upload},
        operation::Operation,
    },
    ir::Usage,
    json::{Object, ObjectWriter, write_array},
};

pub(in crate::forms) static JINA: Formed = Formed {
    name: "jina_rerank",
    operation: Operation::Rerank,
    dialect: Dialect::OpenaiChat,
    path: "/rerank",
    routes: &[("/v1/rerank", "")],
    upload: Upload::Json,
    kind: Kind::Rerank(&Reranking { decode_request, encode_request, decode_answer, encode_answer }),
};

/// Voyage's names are taken as well: their clients call the same address.
fn decode_request(body: &[u8]) -> Result<Request, Fault> {
    let mut object = Object::parse(body)?;
    let mut request = Request::shared(&mut object)?;
    request.top = match object.unsigned("top_n")? {
        Some(top) => Some(top),
        None => object.unsigned("top_k")?,
    };
    request.truncate = object.boolean("truncation")?;
    request.document_tokens_max = object.unsigned("max_tokens_per_doc")?;
    request.ext = object.rest();
    Ok(request)
}

fn encode_request(request: &Request, model: &str, losses: &mut Losses) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    let mut object = ObjectWriter::open(&mut out);
    request.write_shared(&mut object, model, losses);
    request.report_document_limit(losses);
    request.report_truncate(losses);
    if let Some(top) = request.top {
        object.value("top_n", &top);
    }
    // The documents are known here: they need not come back.
    object.boolean("return_documents", false);
    object.close();
    out
}

fn decode_answer(body: &[u8]) -> Result<Answer, Fault> {
    let mut object = Object::parse(body)?;
    let results = object.array("results")?.ok_or_else(|| Fault::invalid("results", "is missing"))?;
    Ok(Answer {
        id: object.string("id")?.map(Into::into),
        model: object.string("model")?.map(Into::into),
        results: Scored::list(results).map_err(|fault| fault.under("results"))?,
        usage: object.object("usage")?.map(total_tokens).transpose()?,
    })
}

/// All that a ranking uses is input.
pub(super) fn total_tokens(mut usage: Object<'_>) -> Result<Usage, Fault> {
    let input_tokens = usage.unsigned("total_tokens")?.unwrap_or_default();
    let searches = usage.unsigned("search_units")?.unwrap_or_default();
    Ok(Usage { input_tokens, searches, ..Usage::default() })
}

fn encode_answer(answer: &Answer, request: &Request, out: &mut Vec<u8>) {
    let mut object = ObjectWriter::open(out);
    object.string("model", answer.model.as_deref().unwrap_or_default());
    object.string("object", "list");
    write_array(object.key("results"), &answer.results, |out, scored| {
        let mut item = ObjectWriter::open(out);
        item.value("index", &scored.index);
        item.raw("relevance_score", scored.score.text());
        // Jina's own answers bring documents along unless they are told not to.
        match request.document(scored).filter(|_| request.return_documents != Some(false)) {
            Some(Document::Text(text)) => {
                let mut document = ObjectWriter::open(item.key("document"));
                document.string("text", text);
                document.close();
            }
            Some(Document::Object(raw)) => item.raw("document", raw.text()),
            None => {}
        }
        item.close();
    });
    let tokens = answer.usage.map_or(0, |usage| usage.input_tokens);
    object.raw("usage", &format!("{{\"total_tokens\":{tokens}}}"));
    object.close();
}

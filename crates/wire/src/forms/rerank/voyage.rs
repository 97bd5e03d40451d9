//! Voyage's form (<https://docs.voyageai.com/reference/reranker-api>). Callers use Jina's: the address is the same, and
//! its names are taken there.

use super::{
    jina::total_tokens,
    request::{Answer, Document, Request, Reranking, Scored},
};
use crate::{
    Dialect, Fault, Losses,
    forms::{
        form::{Formed, Kind, Upload},
        operation::Operation,
    },
    json::{Object, ObjectWriter, write_array},
};

pub(in crate::forms) static VOYAGE: Formed = Formed {
    name: "voyage_rerank",
    operation: Operation::Rerank,
    dialect: Dialect::OpenaiChat,
    path: "/rerank",
    routes: &[],
    upload: Upload::Json,
    kind: Kind::Rerank(&Reranking { decode_request, encode_request, decode_answer, encode_answer }),
};

fn decode_request(body: &[u8]) -> Result<Request, Fault> {
    let mut object = Object::parse(body)?;
    let mut request = Request::shared(&mut object)?;
    request.top = object.unsigned("top_k")?;
    request.truncate = object.boolean("truncation")?;
    request.ext = object.rest();
    Ok(request)
}

fn encode_request(request: &Request, model: &str, losses: &mut Losses) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    let mut object = ObjectWriter::open(&mut out);
    request.write_shared(&mut object, model, losses);
    request.report_document_limit(losses);
    if let Some(top) = request.top {
        object.value("top_k", &top);
    }
    if let Some(truncate) = request.truncate {
        object.boolean("truncation", truncate);
    }
    object.close();
    out
}

fn decode_answer(body: &[u8]) -> Result<Answer, Fault> {
    let mut object = Object::parse(body)?;
    let results = object.array("data")?.ok_or_else(|| Fault::invalid("data", "is missing"))?;
    Ok(Answer {
        id: None,
        model: object.string("model")?.map(Into::into),
        results: Scored::list(results).map_err(|fault| fault.under("data"))?,
        usage: object.object("usage")?.map(total_tokens).transpose()?,
    })
}

fn encode_answer(answer: &Answer, request: &Request, out: &mut Vec<u8>) {
    let mut object = ObjectWriter::open(out);
    object.string("object", "list");
    write_array(object.key("data"), &answer.results, |out, scored| {
        let mut item = ObjectWriter::open(out);
        item.value("index", &scored.index);
        item.raw("relevance_score", scored.score.text());
        let wanted = request.return_documents == Some(true);
        if let Some(Document::Text(text)) = request.document(scored).filter(|_| wanted) {
            item.string("document", text);
        }
        item.close();
    });
    object.string("model", answer.model.as_deref().unwrap_or_default());
    let tokens = answer.usage.map_or(0, |usage| usage.input_tokens);
    object.raw("usage", &format!("{{\"total_tokens\":{tokens}}}"));
    object.close();
}

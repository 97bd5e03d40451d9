//! Cohere's form (<https://docs.cohere.com/reference/rerank>).

use super::request::{Answer, Request, Reranking, Scored};
use crate::{
    Dialect, Fault, Losses,
    forms::{
        form::{Formed, Kind, Upload},
        operation::Operation,
    },
    ir::Usage,
    json::{Object, ObjectWriter, write_array},
};

pub(in crate::forms) static COHERE: Formed = Formed {
    name: "cohere_rerank",
    operation: Operation::Rerank,
    dialect: Dialect::CohereV2,
    path: "/rerank",
    routes: &[("/v2/rerank", "")],
    upload: Upload::Json,
    kind: Kind::Rerank(&Reranking { decode_request, encode_request, decode_answer, encode_answer }),
};

fn decode_request(body: &[u8]) -> Result<Request, Fault> {
    let mut object = Object::parse(body)?;
    let mut request = Request::shared(&mut object)?;
    request.top = object.unsigned("top_n")?;
    request.document_tokens_max = object.unsigned("max_tokens_per_doc")?;
    request.ext = object.rest();
    Ok(request)
}

fn encode_request(request: &Request, model: &str, losses: &mut Losses) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    let mut object = ObjectWriter::open(&mut out);
    request.write_shared(&mut object, model, losses);
    request.report_truncate(losses);
    if let Some(top) = request.top {
        object.value("top_n", &top);
    }
    if let Some(limit) = request.document_tokens_max {
        object.value("max_tokens_per_doc", &limit);
    }
    object.close();
    out
}

fn decode_answer(body: &[u8]) -> Result<Answer, Fault> {
    let mut object = Object::parse(body)?;
    let results = object.array("results")?.ok_or_else(|| Fault::invalid("results", "is missing"))?;
    let units = object.object("meta")?.map(|mut meta| meta.object("billed_units")).transpose()?.flatten();
    let searches = units.map(|mut units| units.number("search_units")).transpose()?.flatten();
    let searches = searches.map(|units| units.max(0.0) as u64);
    Ok(Answer {
        id: object.string("id")?.map(Into::into),
        model: None,
        results: Scored::list(results).map_err(|fault| fault.under("results"))?,
        usage: searches.map(|searches| Usage { searches, ..Usage::default() }),
    })
}

fn encode_answer(answer: &Answer, _: &Request, out: &mut Vec<u8>) {
    let mut object = ObjectWriter::open(out);
    object.string("id", answer.id.as_deref().unwrap_or_default());
    write_array(object.key("results"), &answer.results, |out, scored| {
        let mut item = ObjectWriter::open(out);
        item.value("index", &scored.index);
        item.raw("relevance_score", scored.score.text());
        item.close();
    });
    // Others sell tokens and not searches: what is billed is told as it is.
    let billed = match &answer.usage {
        Some(usage) if usage.searches > 0 => format!("{{\"search_units\":{}}}", usage.searches),
        Some(usage) => format!("{{\"input_tokens\":{}}}", usage.input_tokens),
        None => "{}".to_owned(),
    };
    object.raw("meta", &format!("{{\"api_version\":{{\"version\":\"2\"}},\"billed_units\":{billed}}}"));
    object.close();
}

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
    Ok(Answer {
        id: object.string("id")?.map(Into::into),
        model: None,
        results: Scored::list(results).map_err(|fault| fault.under("results"))?,
        usage: units.map(read_usage).transpose()?.flatten(),
    })
}

/// What is billed. Cohere sells searches; others that speak its form sell tokens. `None` where nothing that is known
/// stands in it.
fn read_usage(mut units: Object<'_>) -> Result<Option<Usage>, Fault> {
    let mut count = |name: &str| -> Result<Option<u64>, Fault> {
        Ok(units.number(name)?.map(|count| count.max(0.0) as u64))
    };
    let searches = count("search_units")?;
    let (input, output, total) = (count("input_tokens")?, count("output_tokens")?, count("total_tokens")?);
    if searches.is_none() && input.is_none() && output.is_none() && total.is_none() {
        return Ok(None);
    }
    Ok(Some(Usage {
        searches: searches.unwrap_or_default(),
        input_tokens: input.or(total).unwrap_or_default(),
        output_tokens: output.unwrap_or_default(),
        ..Usage::default()
    }))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_billed_is_read() {
        let check = |units: &str, expected: Option<Usage>| {
            let body = format!(r#"{{"id":"r","results":[],"meta":{{"billed_units":{units}}}}}"#);
            assert_eq!(decode_answer(body.as_bytes()).unwrap().usage, expected, "{units}");
        };
        check(r#"{"search_units":2}"#, Some(Usage { searches: 2, ..Usage::default() }));
        let tokens = Usage { input_tokens: 55, output_tokens: 1, ..Usage::default() };
        check(r#"{"input_tokens":55.0,"output_tokens":1}"#, Some(tokens));
        check(r#"{"total_tokens":7}"#, Some(Usage { input_tokens: 7, ..Usage::default() }));
        let both = Usage { searches: 1, input_tokens: 9, ..Usage::default() };
        check(r#"{"search_units":1,"input_tokens":9}"#, Some(both));
        check("{}", None);
        check("null", None);
    }
}

//! Rankings: a document is as good as the share of the query's words that it holds.

use serde_json::{Value, json};

use super::{Reply, Sent};
use crate::{api::Refused, cohere, openai};

/// Places and scores, the best first.
fn ranked(sent: &Sent<'_>, top: &str) -> Option<Vec<(usize, f64, Value)>> {
    let query: Vec<String> = sent.text("query").to_lowercase().split_whitespace().map(Into::into).collect();
    let score = |document: &Value| {
        let text = document.as_str().map_or_else(|| document.to_string(), ToOwned::to_owned).to_lowercase();
        let held = query.iter().filter(|word| text.contains(word.as_str())).count();
        held as f64 / query.len().max(1) as f64
    };
    let documents = sent.json["documents"].as_array()?;
    let mut scored: Vec<(usize, f64, Value)> = documents
        .iter()
        .enumerate()
        .map(|(index, document)| (index, score(document), document.clone()))
        .collect();
    scored.sort_by(|a, b| b.1.total_cmp(&a.1));
    let most = sent.json[top].as_u64().and_then(|top| usize::try_from(top).ok());
    scored.truncate(most.unwrap_or(usize::MAX));
    Some(scored)
}

fn words(sent: &Sent<'_>) -> usize {
    sent.json.to_string().split_whitespace().count()
}

pub(super) fn cohere(sent: &Sent<'_>) -> Result<Reply, Refused> {
    for name in ["top_k", "return_documents", "truncation"] {
        if !sent.json[name].is_null() {
            return Err((cohere::API.invalid)(&format!(
                "unknown field: parameter '{name}' is not a valid field"
            )));
        }
    }
    let scored = ranked(sent, "top_n").ok_or_else(|| (cohere::API.invalid)("documents must be provided"))?;
    let one = |(index, score, _): (usize, f64, Value)| json!({"index": index, "relevance_score": score});
    Ok(Reply::Json(json!({
        "id": format!("rerank-sim{}", sent.number), "results": scored.into_iter().map(one).collect::<Vec<_>>(),
        "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}},
    })))
}

pub(super) fn jina(sent: &Sent<'_>) -> Result<Reply, Refused> {
    let scored = ranked(sent, "top_n").ok_or_else(|| (openai::API.invalid)("documents: Field required"))?;
    let bare = sent.json["return_documents"] == json!(false);
    let one = |(index, score, document): (usize, f64, Value)| {
        let mut one = json!({"index": index, "relevance_score": score});
        if !bare {
            one["document"] = json!({"text": document});
        }
        one
    };
    Ok(Reply::Json(json!({
        "model": sent.model, "object": "list", "results": scored.into_iter().map(one).collect::<Vec<_>>(),
        "usage": {"total_tokens": words(sent)},
    })))
}

pub(super) fn voyage(sent: &Sent<'_>) -> Result<Reply, Refused> {
    if !sent.json["top_n"].is_null() {
        return Err((400, json!({"detail": "Argument 'top_n' is not supported by our API"})));
    }
    let scored = ranked(sent, "top_k").ok_or_else(|| (400, json!({"detail": "documents is required"})))?;
    let one = |(index, score, _): (usize, f64, Value)| json!({"index": index, "relevance_score": score});
    Ok(Reply::Json(json!({
        "object": "list", "data": scored.into_iter().map(one).collect::<Vec<_>>(), "model": sent.model,
        "usage": {"total_tokens": words(sent)},
    })))
}

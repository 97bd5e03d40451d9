//! Numbers of answers, wherever their form has them.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::Value;
use tollgate_wire::Form;

/// Documents by place and score, the best first.
pub(crate) type Scores = Vec<(String, String)>;

/// The vectors of an answer, in the order of their inputs.
pub(crate) fn vectors(form: Form, answer: &Value) -> Vec<Value> {
    let listed = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let found = match form {
        Form::CohereEmbed => match &answer["embeddings"] {
            Value::Object(kinds) => kinds.values().next().map(listed).unwrap_or_default(),
            list => listed(list),
        },
        Form::GeminiEmbed => {
            let one = answer.get("embedding").map(|one| vec![one.clone()]);
            let list = one.unwrap_or_else(|| listed(&answer["embeddings"]));
            list.iter().map(|item| item["values"].clone()).collect()
        }
        Form::OllamaEmbed => match answer.get("embedding") {
            Some(one) => vec![one.clone()],
            None => listed(&answer["embeddings"]),
        },
        _ => {
            let mut items = listed(&answer["data"]);
            items.sort_by_key(|item| item["index"].as_u64());
            items.iter().map(|item| item["embedding"].clone()).collect()
        }
    };
    found.into_iter().filter(|vector| !vector.is_null()).collect()
}

/// What a ranking came to.
pub(crate) fn scores(form: Form, answer: &Value) -> Scores {
    let list = if form == Form::VoyageRerank { &answer["data"] } else { &answer["results"] };
    let list = list.as_array().map_or(&[][..], Vec::as_slice);
    list.iter().map(|item| (item["index"].to_string(), item["relevance_score"].to_string())).collect()
}

/// Whether vectors are the same: number by number where both are listed, and as floats of four bytes where one is
/// base64 of such.
pub(crate) fn same_numbers(ones: &[Value], others: &[Value]) -> Result<(), String> {
    if ones.len() != others.len() || ones.is_empty() {
        return Err(format!("{} vectors became {}", ones.len(), others.len()));
    }
    for (one, other) in ones.iter().zip(others) {
        let same = if one.is_string() || other.is_string() {
            let (one, other) = (floats(one), floats(other));
            one.is_some() && one == other
        } else {
            one == other
        };
        if !same {
            let cut = |value: &Value| value.to_string().chars().take(80).collect::<String>();
            return Err(format!("{} became {}", cut(one), cut(other)));
        }
    }
    Ok(())
}

/// The bits of each number as a float of four bytes.
fn floats(vector: &Value) -> Option<Vec<u32>> {
    match vector {
        Value::String(text) => {
            let bytes = BASE64_STANDARD.decode(text).ok()?;
            let (numbers, rest) = bytes.as_chunks::<4>();
            rest.is_empty().then(|| numbers.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect())
        }
        Value::Array(numbers) => {
            numbers.iter().map(|number| Some(number.to_string().parse::<f32>().ok()?.to_bits())).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

//! Pictures: one small PNG.

use serde_json::{Value, json};

use super::{Reply, Sent};
use crate::{
    api::{Refused, typed_events},
    openai,
};

/// One transparent pixel.
pub(crate) const PIXEL: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";

pub(super) fn generations(sent: &Sent<'_>) -> Result<Reply, Refused> {
    if sent.text("prompt").is_empty() {
        return Err((openai::API.invalid)("Missing required parameter: 'prompt'."));
    }
    let count = sent.json["n"].as_u64().unwrap_or(1);
    if sent.json["stream"] == json!(true) {
        let partial =
            json!({"type": "image_generation.partial_image", "b64_json": PIXEL, "partial_image_index": 0});
        let last = json!({"type": "image_generation.completed", "b64_json": PIXEL, "usage": usage(count, 0)});
        return Ok(Reply::Events(typed_events(&[partial, last])));
    }
    Ok(made(sent, count, 0))
}

pub(super) fn edits(sent: &Sent<'_>) -> Result<Reply, Refused> {
    let shown =
        sent.fields.iter().filter(|(name, field)| name.starts_with("image") && field.file_name.is_some());
    let shown = shown.count() as u64;
    if shown == 0 {
        return Err((openai::API.invalid)("Missing required parameter: 'image'."));
    }
    let count = sent.field("n").and_then(|count| count.parse().ok()).unwrap_or(1);
    Ok(made(sent, count, shown))
}

fn made(sent: &Sent<'_>, count: u64, shown: u64) -> Reply {
    let by_address = sent.text("response_format") == "url";
    let one = |number: u64| match by_address {
        true => json!({"url": format!("https://images.example/{number}.png")}),
        false => json!({"b64_json": PIXEL}),
    };
    let data: Vec<Value> = (0..count).map(one).collect();
    let mut answer = json!({"created": 1_790_000_000, "data": data});
    // Only its newer models are sold by tokens.
    if sent.model.starts_with("gpt-image") {
        answer["usage"] = usage(count, shown);
    }
    Reply::Json(answer)
}

fn usage(count: u64, shown: u64) -> Value {
    let (input, output) = (10 + 100 * shown, 200 * count);
    json!({
        "input_tokens": input, "output_tokens": output, "total_tokens": input + output,
        "input_tokens_details": {"text_tokens": 10, "image_tokens": 100 * shown},
    })
}

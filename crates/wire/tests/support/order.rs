//! The order that streams keep to.

use serde_json::Value;
use tollgate_wire::Dialect;

/// Whether a stream keeps to the order that the dialect's own clients rely on.
pub(crate) fn well_formed(dialect: Dialect, stream: &[u8], name: &str) {
    if dialect == Dialect::BedrockConverse {
        return;
    }
    let text = std::str::from_utf8(stream).expect("streams are text");
    let data: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    match dialect {
        Dialect::AnthropicMessages => {
            let mut state = (0, false, false);
            for data in &data {
                let event: Value = serde_json::from_str(data).expect("every event is JSON");
                let next = anthropic_order(state, &event);
                assert!(next.is_ok(), "{name}: {next:?}: {data}");
                state = next.unwrap_or(state);
            }
        }
        Dialect::OpenaiResponses => {
            let events: Vec<Value> =
                data.iter().map(|data| serde_json::from_str(data).expect("every event is JSON")).collect();
            let kinds: Vec<&str> = events.iter().filter_map(|event| event["type"].as_str()).collect();
            let last = kinds.last().copied().unwrap_or_default();
            let ends = ["response.completed", "response.incomplete", "response.failed", "error"];
            assert!(ends.contains(&last), "{name}: ends with {last}");
            let of = |kind: &str| kinds.iter().filter(|known| **known == kind).count();
            let (added, done) = (of("response.output_item.added"), of("response.output_item.done"));
            assert!(added == done || last == "error", "{name}: {added} items begin and {done} end");
        }
        Dialect::Gemini => {
            let last = data.last().copied().unwrap_or_default();
            let ended =
                ["finishReason", "promptFeedback", "\"error\""].iter().any(|word| last.contains(word));
            assert!(ended, "{name}: ends with {last}");
        }
        Dialect::Ollama => {
            let last: Value =
                serde_json::from_str(text.lines().last().unwrap_or_default()).expect("lines are JSON");
            assert!(last["done"] == true || last["error"].is_string(), "{name}: ends with {last}");
        }
        Dialect::CohereV2 => {
            let events: Vec<Value> = data.iter().filter_map(|data| serde_json::from_str(data).ok()).collect();
            let last = events.last().map(|event| &event["type"]);
            assert_eq!(last, Some(&Value::from("message-end")), "{name}");
        }
        // Binary, and so looked at by its own reader alone.
        Dialect::BedrockConverse => {}
        Dialect::OpenaiChat => {
            let last = data.last().copied().unwrap_or_default();
            assert!(last == "[DONE]" || last.contains("\"error\""), "{name}: ends with {last}");
            assert!(data.iter().filter(|data| **data == "[DONE]").count() <= 1, "{name}: ends twice");
        }
    }
}

/// The number of the next block, whether one is open, and whether the message has begun.
type Order = (u64, bool, bool);

fn anthropic_order((next, open, begun): Order, event: &Value) -> Result<Order, &'static str> {
    let index = event["index"].as_u64();
    match event["type"].as_str().unwrap_or_default() {
        "message_start" if !begun => Ok((0, false, true)),
        "error" => Ok((next, open, begun)),
        _ if !begun => Err("comes before the message starts"),
        "content_block_start" if open => Err("opens while another block is open"),
        "content_block_start" if index == Some(next) => Ok((next, true, true)),
        "content_block_delta" if open && index == Some(next) => Ok((next, true, true)),
        "content_block_stop" if open && index == Some(next) => Ok((next + 1, false, true)),
        "message_delta" if !open && event["usage"]["output_tokens"].is_u64() => Ok((next, false, true)),
        "message_stop" if !open => Ok((next, false, false)),
        _ => Err("is out of order"),
    }
}

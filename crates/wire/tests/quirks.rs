//! What a model's quirks make of a request that is translated for it.

use serde_json::{Value, json};
use tollgate_wire::{
    Dialect, Encoding, Losses, Quirks, ReasoningControl, Sampling,
    ir::{Reasoning, Request},
};

#[expect(clippy::unwrap_used, reason = "what is translated here is good")]
fn decoded(from: Dialect, members: &Value) -> Request {
    let mut body =
        json!({"model": "a", "max_tokens": 8000, "messages": [{"role": "user", "content": "hello"}]});
    for (name, value) in members.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    from.decode_request(body.to_string().as_bytes()).unwrap()
}

/// The request as the target gets it, and the paths of its losses.
fn translated(request: &Request, to: Dialect, quirks: &Quirks) -> (Value, Vec<String>) {
    let mut losses = Losses::default();
    let encoding = Encoding { model: "m", quirks, output_tokens_max: None };
    let bytes = to.encode_request(request, &encoding, &mut losses);
    let paths = losses.iter().map(|loss| loss.path.clone()).collect();
    (serde_json::from_slice(&bytes).unwrap_or_default(), paths)
}

#[test]
fn an_effort_becomes_what_the_model_takes() {
    let check = |reasoning, members: Value, thinking: Value, effort: Value, lost: &[&str]| {
        let quirks = Quirks { reasoning, ..Quirks::default() };
        let (request, losses) =
            translated(&decoded(Dialect::OpenaiChat, &members), Dialect::AnthropicMessages, &quirks);
        assert_eq!(request["thinking"], thinking, "{members}");
        assert_eq!(request["output_config"]["effort"], effort, "{members}");
        assert_eq!(losses, lost, "{members}");
    };
    let low = json!({"reasoning_effort": "low", "temperature": 0.5});
    check(ReasoningControl::Any, low.clone(), Value::Null, json!("low"), &[]);
    let budget = |tokens: u64| json!({"type": "enabled", "budget_tokens": tokens});
    check(ReasoningControl::Budget, low, budget(1600), Value::Null, &["reasoning_effort", "temperature"]);
    let none = json!({"reasoning_effort": "none", "temperature": 0.5});
    check(ReasoningControl::Budget, none, Value::Null, Value::Null, &[]);
    let small = json!({"reasoning_effort": "high", "max_tokens": 100});
    check(ReasoningControl::Budget, small, Value::Null, Value::Null, &["reasoning_effort", "reasoning"]);
    let forced = json!({"reasoning_effort": "high", "tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "required"});
    check(ReasoningControl::Budget, forced, Value::Null, Value::Null, &["reasoning_effort"]);
}

#[test]
fn a_budget_becomes_what_the_model_takes() {
    let mut request = decoded(Dialect::OpenaiChat, &json!({}));
    request.reasoning = Some(Reasoning { budget_tokens: Some(2000), ..Reasoning::default() });
    let check = |reasoning, thinking: Value, lost: &[&str]| {
        let quirks = Quirks { reasoning, ..Quirks::default() };
        let (request, losses) = translated(&request, Dialect::AnthropicMessages, &quirks);
        assert_eq!(
            (&request["thinking"], losses.as_slice()),
            (&thinking, &lost.iter().map(ToString::to_string).collect::<Vec<_>>()[..])
        );
    };
    let budget = json!({"type": "enabled", "budget_tokens": 2000});
    check(ReasoningControl::Any, budget.clone(), &[]);
    check(ReasoningControl::Budget, budget, &[]);
    check(ReasoningControl::Effort, json!({"type": "adaptive"}), &["reasoning"]);
}

#[test]
fn sampling_that_is_refused_is_left_out() {
    let members = json!({"temperature": 0.5, "top_p": 1, "top_k": 3});
    let check = |to, sampling, kept: &[&str], lost: &[&str]| {
        let quirks = Quirks { sampling, ..Quirks::default() };
        let from = if to == Dialect::OpenaiChat { Dialect::AnthropicMessages } else { Dialect::OpenaiChat };
        let (request, losses) = translated(&decoded(from, &members), to, &quirks);
        let found: Vec<&str> =
            ["temperature", "top_p", "top_k"].into_iter().filter(|name| !request[name].is_null()).collect();
        assert_eq!(
            (found.as_slice(), losses.as_slice()),
            (kept, &lost.iter().map(ToString::to_string).collect::<Vec<_>>()[..])
        );
    };
    let all = ["temperature", "top_p", "top_k"];
    check(Dialect::AnthropicMessages, Sampling::All, &all, &[]);
    check(Dialect::AnthropicMessages, Sampling::None, &[], &["temperature", "top_k"]);
    check(Dialect::OpenaiChat, Sampling::All, &all, &[]);
    check(Dialect::OpenaiChat, Sampling::NoTopK, &["temperature", "top_p"], &["top_k"]);
    check(Dialect::OpenaiChat, Sampling::None, &[], &["temperature", "top_k"]);
}

/// A request in the target's own dialect is the caller's affair.
#[test]
fn own_requests_keep_what_they_ask() {
    let quirks =
        Quirks { sampling: Sampling::None, reasoning: ReasoningControl::Effort, ..Quirks::default() };
    let members = json!({"temperature": 1.0, "thinking": {"type": "enabled", "budget_tokens": 2000}});
    let (request, losses) =
        translated(&decoded(Dialect::AnthropicMessages, &members), Dialect::AnthropicMessages, &quirks);
    assert_eq!(
        (&request["temperature"], &request["thinking"]),
        (&members["temperature"], &members["thinking"])
    );
    assert!(losses.is_empty());
}

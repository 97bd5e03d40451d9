//! What a model's quirks make of a request that is translated for it.

use serde_json::{Value, json};
use tollgate_wire::{
    CallIds, Dialect, Encoding, LossKind, Losses, Member, Quirks, ReasoningControl, Sampling, SchemaSubset,
    SystemRole, ThinkingHistory, TurnOrder,
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

/// The messages that become of an Anthropic conversation, and the paths of their losses.
fn conversed(messages: Value, quirks: &Quirks, to: Dialect) -> (Value, Vec<String>) {
    let members = json!({"messages": messages, "system": "Be brief."});
    let (mut request, losses) = translated(&decoded(Dialect::AnthropicMessages, &members), to, quirks);
    (request["messages"].take(), losses)
}

#[test]
fn earlier_thinking_goes_back_where_the_model_wants_it() {
    let messages = json!([
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": ""}, {"type": "text", "text": "I look."}, {"type": "tool_use", "id": "a", "name": "look", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": "x"}]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "b", "name": "look", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "b", "content": "y"}]},
    ]);
    let check = |thinking_history, first: Value, second: Value, lost: &[&str]| {
        let quirks = Quirks { thinking_history, ..Quirks::default() };
        let (messages, losses) = conversed(messages.clone(), &quirks, Dialect::OpenaiChat);
        let told = |at: usize| {
            let mut message = messages[at].clone();
            message
                .as_object_mut()
                .unwrap()
                .retain(|name, _| !matches!(name.as_str(), "role" | "tool_calls"));
            message
        };
        assert_eq!((told(2), told(4)), (first, second), "{thinking_history:?}");
        assert_eq!(losses, lost, "{thinking_history:?}");
    };
    let plain = json!({"content": "I look."});
    let silent = json!({"content": null});
    check(ThinkingHistory::LeftOut, plain.clone(), silent.clone(), &["messages[1].content[0]"]);
    check(
        ThinkingHistory::ReasoningContent,
        json!({"content": "I look.", "reasoning_content": "hm"}),
        json!({"content": null, "reasoning_content": " "}),
        &[],
    );
    check(ThinkingHistory::Reasoning, json!({"content": "I look.", "reasoning": "hm"}), silent.clone(), &[]);
    check(ThinkingHistory::Tags, json!({"content": "<think>\nhm\n</think>\n\nI look."}), silent, &[]);
}

#[test]
fn members_that_are_refused_are_left_out() {
    let refused =
        vec![Member::Stop, Member::Seed, Member::N, Member::ParallelToolCalls, Member::ReasoningEffort];
    let quirks = Quirks { refused, ..Quirks::default() };
    let members = json!({"stop": ["x"], "seed": 3, "n": 1, "parallel_tool_calls": false, "reasoning_effort": "low", "user": "u"});
    let (request, losses) =
        translated(&decoded(Dialect::OpenaiChat, &members), Dialect::OpenaiResponses, &quirks);
    let kept = |name: &str| !request[name].is_null();
    assert_eq!(["parallel_tool_calls", "reasoning", "user"].map(kept), [false, false, true]);
    assert_eq!(losses, ["stop", "seed", "parallel_tool_calls", "reasoning"]);

    let quirks = Quirks { refused: vec![Member::Stop, Member::Strict], ..Quirks::default() };
    let tools = json!([{"name": "f", "strict": true, "input_schema": {"type": "object"}}]);
    let members = json!({"stop_sequences": ["x"], "tools": tools});
    let (request, losses) =
        translated(&decoded(Dialect::AnthropicMessages, &members), Dialect::OpenaiChat, &quirks);
    assert_eq!((&request["stop"], &request["tools"][0]["function"]["strict"]), (&Value::Null, &Value::Null));
    assert_eq!(losses, ["stop_sequences", "tools[0].strict"]);
}

#[test]
fn ids_of_calls_are_replaced_alike_in_calls_and_results() {
    let calls = |ids: &[&str]| {
        let call = |id: &&str| json!({"type": "tool_use", "id": id, "name": "f", "input": {}});
        let result = |id: &&str| json!({"type": "tool_result", "tool_use_id": id, "content": "x"});
        json!([
            {"role": "user", "content": "hello"},
            {"role": "assistant", "content": ids.iter().map(call).collect::<Vec<_>>()},
            {"role": "user", "content": ids.iter().map(result).collect::<Vec<_>>()},
        ])
    };
    let replaced = |rule, ids: &[&str]| -> Vec<String> {
        let quirks = Quirks { call_ids: Some(rule), ..Quirks::default() };
        let (messages, losses) = conversed(calls(ids), &quirks, Dialect::OpenaiChat);
        assert!(losses.is_empty(), "{losses:?}");
        let called = messages[2]["tool_calls"].as_array().unwrap().iter().map(|call| &call["id"]);
        let answered = messages.as_array().unwrap()[3..].iter().map(|result| &result["tool_call_id"]);
        let (called, answered): (Vec<_>, Vec<_>) = (called.collect(), answered.collect());
        assert_eq!(called, answered);
        called.into_iter().map(|id| id.as_str().unwrap().to_owned()).collect()
    };
    let ids = ["toolu_01", "aB3xK9mP2", "toolu_02"];
    assert_eq!(replaced(CallIds::Any, &ids), ids);
    let new = replaced(CallIds::Alphanumeric9, &ids);
    assert_eq!(new[1], "aB3xK9mP2");
    assert!(
        new.iter().all(|id| id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric())),
        "{new:?}"
    );
    assert_ne!(new[0], new[2]);
    assert_eq!(new, replaced(CallIds::Alphanumeric9, &ids), "always the same");
    assert_eq!(new[..1], replaced(CallIds::Alphanumeric9, &ids[..1]), "whatever comes later");
    // An id that is replaced does not become another call's.
    let taken = [ids[0], new[0].as_str()];
    let apart = replaced(CallIds::Alphanumeric9, &taken);
    assert_eq!(apart[1], new[0]);
    assert_ne!(apart[0], apart[1]);
}

/// The roles of a conversation as they are written, with the first letters of each text.
fn shape(messages: &Value) -> Vec<String> {
    let told = |message: &Value| {
        let texts = match &message["content"] {
            Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
            content => vec![content.as_str().unwrap_or_default()],
        };
        format!("{}: {}", message["role"].as_str().unwrap_or_default(), texts.join("|"))
    };
    messages.as_array().into_iter().flatten().map(told).collect()
}

#[test]
fn turns_come_in_the_order_that_is_taken() {
    let check = |turns, messages: Value, expected: &[&str], lost: &[&str]| {
        let quirks = Quirks { turns, ..Quirks::default() };
        let (told, losses) = conversed(messages.clone(), &quirks, Dialect::OpenaiChat);
        assert_eq!(shape(&told)[1..], *expected, "{turns:?} {messages}");
        assert_eq!(losses, lost, "{turns:?} {messages}");
    };
    let twice = json!([{"role": "user", "content": "a"}, {"role": "user", "content": "b"}, {"role": "assistant", "content": "c"}]);
    check(TurnOrder::Any, twice.clone(), &["user: a", "user: b", "assistant: c"], &[]);
    check(TurnOrder::Alternate, twice.clone(), &["user: a|b", "assistant: c"], &[]);
    check(
        TurnOrder::AlternateUserLast,
        twice,
        &["user: a|b", "assistant: c", "user: Continue."],
        &["messages"],
    );
    let greeted = json!([{"role": "assistant", "content": "c"}, {"role": "user", "content": "a"}]);
    check(TurnOrder::UserFirst, greeted, &["user: Hello.", "assistant: c", "user: a"], &["messages[0]"]);
    let tools = json!([
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "i", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "i", "content": "x"}, {"type": "text", "text": "b", "citations": [{"x": 1}]}]},
    ]);
    let after = ["user: a", "assistant: ", "tool: x", "assistant: Understood.", "user: b"];
    // What is lost of a part is told at its own place, though its turn was moved.
    let lost = ["messages[2]", "messages[2].content[1].citations"];
    check(TurnOrder::AssistantAfterTools, tools.clone(), &after, &lost);
    check(TurnOrder::Alternate, tools, &after, &lost);
}

/// Pictures that tools give back follow the last result of a round, as the user's.
#[test]
fn pictures_in_results_come_behind_all_results() {
    let call = |id: &str| json!({"type": "function_call", "call_id": id, "name": "f", "arguments": "{}"});
    let picture = json!([{"type": "input_image", "image_url": "https://example.com/a.png"}]);
    let result =
        |id: &str, output: Value| json!({"type": "function_call_output", "call_id": id, "output": output});
    let input = json!([call("a"), call("b"), result("a", picture), result("b", json!("x")), {"role": "assistant", "content": "c"}]);
    let check = |turns, expected: &[&str]| {
        let body = json!({"model": "a", "input": input}).to_string();
        let request = Dialect::OpenaiResponses.decode_request(body.as_bytes()).unwrap();
        let quirks = Quirks { turns, ..Quirks::default() };
        let (told, losses) = translated(&request, Dialect::OpenaiChat, &quirks);
        let roles: Vec<&str> = told["messages"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|told| told["role"].as_str())
            .collect();
        assert_eq!(roles, expected);
        let shown = told["messages"].as_array().into_iter().flatten().find(|told| told["role"] == "user");
        let last = shown.and_then(|shown| shown["content"].as_array()).and_then(|parts| parts.last());
        assert!(last.is_some_and(|part| part["type"] == "image_url"), "{told}");
        assert!(losses.contains(&"input[2].content".to_owned()), "{losses:?}");
    };
    check(TurnOrder::Any, &["assistant", "tool", "tool", "user", "assistant"]);
    check(TurnOrder::AssistantAfterTools, &["assistant", "tool", "tool", "assistant", "user", "assistant"]);
}

#[test]
fn a_conversation_at_bedrock_begins_with_the_user() {
    let messages = json!([{"role": "assistant", "content": "c"}, {"role": "user", "content": "a"}]);
    let (told, losses) = conversed(messages, &Quirks::default(), Dialect::BedrockConverse);
    assert_eq!(shape(&told), ["user: Hello.", "assistant: c", "user: a"]);
    assert_eq!(losses, ["messages[0]"]);
}

#[test]
fn instructions_stand_where_they_are_taken() {
    let messages = json!([
        {"role": "system", "content": "one"},
        {"role": "user", "content": "a"},
        {"role": "developer", "content": "two"},
        {"role": "assistant", "content": "b", "name": "x"},
    ]);
    let check = |system_role, to, expected: &[&str], lost: &[&str]| {
        let quirks = Quirks { system_role, ..Quirks::default() };
        let body = json!({"model": "a", "input": messages}).to_string();
        let request = Dialect::OpenaiResponses.decode_request(body.as_bytes()).unwrap();
        let (told, losses) = translated(&request, to, &quirks);
        assert_eq!(
            (shape(&told["messages"]), losses),
            (
                expected.iter().map(ToString::to_string).collect(),
                lost.iter().map(ToString::to_string).collect()
            )
        );
    };
    let chat = Dialect::OpenaiChat;
    check(
        SystemRole::System,
        chat,
        &["system: one", "user: a", "system: two", "assistant: b"],
        &["input[3].name"],
    );
    check(
        SystemRole::First,
        chat,
        &["system: one|two", "user: a", "assistant: b"],
        &["input[2]", "input[3].name"],
    );
    check(
        SystemRole::User,
        chat,
        &["user: one|two|a", "assistant: b"],
        &["input[2]", "input[0]", "input[3].name"],
    );
    let bedrock = Dialect::BedrockConverse;
    check(
        SystemRole::User,
        bedrock,
        &["user: one|two|a", "assistant: b"],
        &["input[2]", "input[0]", "input[3].name"],
    );
}

#[test]
fn schemas_are_cut_to_what_is_taken() {
    let schema = json!({"type": "object", "properties": {
        "age": {"type": "integer", "minimum": 0},
        "id": {"type": "string", "format": "uint64", "pattern": "^a"},
        "of": {"oneOf": [{"type": "string", "maxLength": 3}, {"type": "null"}]},
        "minimum": {"type": "array", "items": {"type": "string"}, "minItems": 2},
        "map": {"type": "object", "additionalProperties": {"type": "string"}},
    }, "required": ["age"], "additionalProperties": false});
    let format = |strict: bool| json!({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "strict": strict, "schema": schema}}});
    let request = decoded(Dialect::OpenaiChat, &format(true));
    let (told, losses) = translated(&request, Dialect::AnthropicMessages, &Quirks::default());
    let cut = json!({"type": "object", "properties": {
        "age": {"type": "integer"},
        "id": {"type": "string", "pattern": "^a"},
        "of": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "minimum": {"type": "array", "items": {"type": "string"}},
        "map": {"type": "object", "additionalProperties": false},
    }, "required": ["age"], "additionalProperties": false});
    assert_eq!(told["output_config"]["format"]["schema"], cut);
    let place = "response_format.json_schema.schema.properties";
    let lost = [
        "age.minimum",
        "id.format",
        "of.oneOf",
        "of.oneOf[0].maxLength",
        "minimum.minItems",
        "map.additionalProperties",
    ];
    let mut lost: Vec<String> = lost.iter().map(|path| format!("{place}.{path}")).collect();
    lost.push("response_format.json_schema.name".to_owned());
    assert_eq!(losses, lost);

    // What is not held to may say what it likes; what cannot be held to is shown whole.
    let check = |strict: bool, quirks: &Quirks, held: Value, lost: &[&str]| {
        let request = decoded(Dialect::OpenaiChat, &format(strict));
        let (told, losses) = translated(&request, Dialect::OpenaiResponses, quirks);
        assert_eq!((&told["text"]["format"]["schema"], &told["text"]["format"]["strict"]), (&schema, &held));
        assert_eq!(losses, lost);
    };
    check(false, &Quirks::default(), json!(false), &[]);
    check(true, &Quirks::default(), json!(false), &["response_format.json_schema.strict"]);
    let everything = Quirks { schema: Some(SchemaSubset::default()), ..Quirks::default() };
    check(true, &everything, json!(true), &[]);
}

#[test]
fn schemas_of_strict_tools_are_cut_and_others_are_not() {
    let schema =
        json!({"type": "object", "properties": {"a": {"type": "string", "minLength": 1}}, "required": ["a"]});
    let tool = |strict: bool| json!({"type": "function", "function": {"name": "f", "strict": strict, "parameters": schema}});
    let request = decoded(Dialect::OpenaiChat, &json!({"tools": [tool(false), tool(true)]}));
    let (told, losses) = translated(&request, Dialect::AnthropicMessages, &Quirks::default());
    assert_eq!(told["tools"][0]["input_schema"], schema);
    let cut = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": false});
    assert_eq!(told["tools"][1]["input_schema"], cut);
    let place = "tools[1].function.parameters";
    assert_eq!(losses, [format!("{place}.properties.a.minLength"), format!("{place}.additionalProperties")]);
}

#[test]
fn a_schema_that_holds_itself_is_refused_where_it_must_be_kept_to() {
    let schema = json!({"type": "object", "properties": {"next": {"$ref": "#"}}});
    let members =
        json!({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}});
    let request = decoded(Dialect::OpenaiChat, &members);
    let mut losses = Losses::default();
    let encoding = Encoding { model: "m", quirks: &Quirks::default(), output_tokens_max: None };
    Dialect::AnthropicMessages.encode_request(&request, &encoding, &mut losses);
    let vital: Vec<_> = losses.iter().filter(|loss| loss.kind == LossKind::Vital).collect();
    assert_eq!(vital[0].path, "response_format.json_schema.schema");
}

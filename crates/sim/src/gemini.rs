//! Google's Gemini API in its own form.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use crate::{
    account,
    answer::{Answer, Asked, Choice, Ended, Said, Scene, Tool, words},
    api::{Api, EVENT_STREAM, Refused, data_events},
    calls::Calls,
    operations::images::PIXEL,
    refusal::Refusal,
};

pub(crate) const API: Api = Api {
    read,
    whole,
    stream,
    stream_type: EVENT_STREAM,
    streams_unasked: false,
    broken,
    invalid,
    scripted,
    refuse,
    limits: account::silent,
};

/// The tokens of a picture.
const PICTURE_TOKENS: u64 = 1_290;

/// What a call may have in place of a signature that was never made.
const STAND_IN: &str = "skip_thought_signature_validator";

fn error(status: u16, word: &str, message: &str) -> Refused {
    (status, json!({"error": {"code": status, "message": message, "status": word}}))
}

fn invalid(message: &str) -> Refused {
    error(400, "INVALID_ARGUMENT", message)
}

fn broken() -> Vec<u8> {
    let (_, body) = error(503, "UNAVAILABLE", "The model is overloaded. Please try again later.");
    format!("data: {body}\r\n\r\n").into_bytes()
}

fn scripted(status: u16, model: &str) -> Refused {
    match status {
        401 => {
            let mut refused = invalid("API key not valid. Please pass a valid API key.");
            refused.1["error"]["details"] = json!([{
                "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID",
                "domain": "googleapis.com",
            }]);
            refused
        }
        403 => error(403, "PERMISSION_DENIED", "The caller does not have permission"),
        404 => error(404, "NOT_FOUND", &format!("models/{model} is not found for API version v1beta")),
        429 => error(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota"),
        503 => error(503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
        500.. => error(status, "INTERNAL", "An internal error has occurred."),
        _ => error(status, "INVALID_ARGUMENT", &format!("simulated status {status}")),
    }
}

/// The error of a reason. How long to wait stands in the error's details
/// (<https://google.aip.dev/193#error_model>).
fn refuse(refusal: Refusal, model: &str) -> Refused {
    match refusal {
        Refusal::Overloaded => scripted(503, model),
        Refusal::RateLimit => {
            let mut refused = scripted(429, model);
            let wait = json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1s"});
            refused.1["error"]["details"] = json!([wait]);
            refused
        }
        Refusal::Quota => error(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota, limit: 0"),
        Refusal::Context => {
            invalid("The input token count (210000) exceeds the maximum number of tokens allowed (200000).")
        }
        // No error but an answer without candidates (<https://ai.google.dev/api/generate-content#PromptFeedback>).
        Refusal::Policy => {
            let usage = json!({"promptTokenCount": 2, "totalTokenCount": 2});
            let feedback = json!({"blockReason": "PROHIBITED_CONTENT"});
            (200, json!({"promptFeedback": feedback, "usageMetadata": usage, "modelVersion": model}))
        }
        Refusal::Key => scripted(401, model),
        Refusal::Model => scripted(404, model),
        Refusal::Invalid => invalid("* GenerateContentRequest.contents: simulated\n"),
    }
}

/// Reads a request, as strictly as the provider does: members that it does not have are refused.
fn read(body: &Value, model: &str, _: &Calls) -> Result<Asked, Refused> {
    let body = &camel(body);
    let known = [
        "contents",
        "systemInstruction",
        "tools",
        "toolConfig",
        "generationConfig",
        "safetySettings",
        "cachedContent",
        "model",
        "labels",
    ];
    if let Some(name) = body
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| name)
        .find(|name| !known.contains(&name.as_str()))
    {
        let message = format!("Invalid JSON payload received. Unknown name \"{name}\": Cannot find field.");
        return Err(invalid(&message));
    }
    check_pictures(&body["generationConfig"], model)?;
    let Some(contents) = body["contents"].as_array().filter(|list| !list.is_empty()) else {
        return Err(invalid("* GenerateContentRequest.contents: contents is not specified\n"));
    };
    let mut asked = Asked { parallel: true, ..Asked::default() };
    asked.prompt_tokens += words(&plain(&body["systemInstruction"])).len();
    let mut open: Vec<&str> = Vec::new();
    for (at, content) in contents.iter().enumerate() {
        asked.tool_result = None;
        let role = content["role"].as_str().unwrap_or("user");
        if !matches!(role, "user" | "model" | "function") {
            return Err(invalid("Please use a valid role: user, model."));
        }
        let mut results = Vec::new();
        let mut signed = false;
        for part in content["parts"].as_array().into_iter().flatten() {
            read_part(part, &mut asked)?;
            if let Some(name) = part["functionCall"]["name"].as_str() {
                check_signature(part, model, at, &mut signed)?;
                open.push(name);
            }
            results.extend(part["functionResponse"]["name"].as_str());
        }
        if !results.is_empty() && results.len() != open.len() {
            return Err(invalid(
                "Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn.",
            ));
        }
        if results.iter().any(|name| !open.contains(name)) {
            return Err(invalid("a function response names no function that was called"));
        }
        if role != "model" {
            open.clear();
        }
        let text = plain(content);
        asked.prompt_tokens += words(&text).len();
        if role == "user" && !text.is_empty() {
            asked.last_text = text;
        }
    }
    read_settings(body, model, &mut asked);
    Ok(asked)
}

/// The API takes its members in camel case and in snake case; what is the caller's own stays as it is.
fn camel(value: &Value) -> Value {
    let apart =
        ["args", "response", "parameters", "parametersJsonSchema", "responseSchema", "responseJsonSchema"];
    match value {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| {
                let mut upper = false;
                let mut camel_name = String::with_capacity(name.len());
                for letter in name.chars() {
                    match letter {
                        '_' => upper = true,
                        letter if upper => {
                            camel_name.push(letter.to_ascii_uppercase());
                            upper = false;
                        }
                        letter => camel_name.push(letter),
                    }
                }
                let kept = apart.contains(&camel_name.as_str());
                (camel_name, if kept { value.clone() } else { camel(value) })
            })
            .collect(),
        Value::Array(items) => items.iter().map(camel).collect(),
        other => other.clone(),
    }
}

/// Models that think by level want a signature on the first call of each turn
/// (<https://ai.google.dev/gemini-api/docs/thought-signatures>).
fn check_signature(part: &Value, model: &str, at: usize, signed: &mut bool) -> Result<(), Refused> {
    let signature = part["thoughtSignature"].as_str();
    // The member is bytes, which are base64 in JSON: clients write the stand-in's letters, or their base64.
    let good = |text: &str| {
        [STAND_IN.to_owned(), BASE64_STANDARD.encode(STAND_IN), seal()].contains(&text.to_owned())
    };
    if signature.is_some_and(|text| !good(text)) {
        return Err(invalid("Thought signature is not valid."));
    }
    if model.contains("third") && !*signed && signature.is_none() {
        let message =
            format!("Function call is missing a thought_signature in functionCall parts, position {at}.");
        return Err(invalid(&message));
    }
    *signed = true;
    Ok(())
}

fn seal() -> String {
    BASE64_STANDARD.encode("sealed by the simulator")
}

fn read_part(part: &Value, asked: &mut Asked) -> Result<(), Refused> {
    for name in ["inlineData", "fileData"] {
        if let Some(media_type) = part[name]["mimeType"].as_str() {
            let address = part[name]["fileUri"].as_str();
            asked.attachments.push(address.unwrap_or(media_type).to_owned());
        }
    }
    if let Some(result) = part.get("functionResponse") {
        let response = &result["response"];
        if !response.is_object() {
            return Err(invalid("functionResponse.response must be an object"));
        }
        let text = ["output", "error"].iter().find_map(|name| response[name].as_str());
        asked.tool_result = Some(text.map_or_else(|| response.to_string(), str::to_owned));
    }
    Ok(())
}

/// The text of a content, its thoughts apart.
fn plain(content: &Value) -> String {
    let parts = content["parts"].as_array().into_iter().flatten();
    parts.filter(|part| part["thought"] != json!(true)).filter_map(|part| part["text"].as_str()).collect()
}

/// What models that make pictures refuse, and what is refused of those that make none
/// (<https://ai.google.dev/gemini-api/docs/image-generation>).
fn check_pictures(config: &Value, model: &str) -> Result<(), Refused> {
    let modalities = config["responseModalities"].as_array();
    if !modalities.is_some_and(|names| names.contains(&json!("IMAGE"))) {
        return Ok(());
    }
    if !model.contains("image") {
        return Err(invalid("Model does not support the requested response modalities: image,text"));
    }
    if config["candidateCount"].as_u64().is_some_and(|count| count > 1) {
        return Err(invalid("Multiple candidates is not enabled for this model"));
    }
    let ratios = ["1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9"];
    let ratio = config["imageConfig"]["aspectRatio"].as_str();
    if ratio.is_some_and(|ratio| !ratios.contains(&ratio)) {
        return Err(invalid("aspect_ratio must be one of the supported aspect ratios"));
    }
    Ok(())
}

fn read_settings(body: &Value, model: &str, asked: &mut Asked) {
    for tool in body["tools"].as_array().into_iter().flatten() {
        for function in tool["functionDeclarations"].as_array().into_iter().flatten() {
            let name = function["name"].as_str().unwrap_or_default().to_owned();
            let schema = function.get("parametersJsonSchema").or(function.get("parameters"));
            asked.tools.push(Tool { name, schema: lower(schema.cloned().unwrap_or_default()) });
        }
    }
    let calling = &body["toolConfig"]["functionCallingConfig"];
    let only = calling["allowedFunctionNames"][0].as_str();
    asked.choice = match (calling["mode"].as_str(), only) {
        (Some("NONE"), _) => Choice::None,
        (Some("ANY"), Some(name)) => Choice::Named(name.to_owned()),
        (Some("ANY"), None) => Choice::Required,
        _ => Choice::Auto,
    };
    let config = &body["generationConfig"];
    asked.json_object = config["responseMimeType"] == "application/json";
    let schema = config.get("responseJsonSchema").or(config.get("responseSchema"));
    asked.schema = schema.cloned().map(lower);
    asked.output_max = config["maxOutputTokens"].as_u64().and_then(|limit| usize::try_from(limit).ok());
    let stops = config["stopSequences"].as_array().into_iter().flatten();
    asked.stops = stops.filter_map(|stop| stop.as_str().map(str::to_owned)).collect();
    let thinking = &config["thinkingConfig"];
    asked.think = model.contains("third")
        || thinking["thinkingLevel"].is_string()
        || thinking["thinkingBudget"].as_i64().is_some_and(|budget| budget != 0);
}

/// A schema with its types in the letters of JSON Schema.
fn lower(schema: Value) -> Value {
    match schema {
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| match value {
                Value::String(text) if name == "type" => (name, json!(text.to_lowercase())),
                value => (name, lower(value)),
            })
            .collect(),
        Value::Array(items) => items.into_iter().map(lower).collect(),
        other => other,
    }
}

fn finish_reason(answer: &Answer) -> &'static str {
    match (&answer.said, &answer.ended) {
        (Said::Refusal(_), _) => "SAFETY",
        (_, Ended::AtLimit) => "MAX_TOKENS",
        (_, Ended::Naturally | Ended::AtStop(_)) => "STOP",
    }
}

/// The parts of an answer: thoughts, and each call or piece of text.
fn parts(answer: &Answer, shown: bool, whole: bool) -> Vec<Value> {
    let split = |text: &str| -> Vec<String> {
        if whole { vec![text.to_owned()] } else { words(text).into_iter().map(str::to_owned).collect() }
    };
    let mut parts = Vec::new();
    if let Some(thought) = answer.thought.as_ref().filter(|_| shown) {
        parts.extend(split(thought).into_iter().map(|text| json!({"text": text, "thought": true})));
    }
    match &answer.said {
        Said::Text(text) | Said::Refusal(text) => {
            parts.extend(split(text).into_iter().map(|text| json!({"text": text})));
        }
        Said::Calls(calls) => parts.extend(calls.iter().enumerate().map(|(at, (name, arguments))| {
            let args: Value = serde_json::from_str(arguments).unwrap_or_default();
            let mut part = json!({"functionCall": {"name": name, "args": args}});
            if at == 0 && answer.thought.is_some() {
                part["thoughtSignature"] = json!(seal());
            }
            part
        })),
    }
    parts
}

fn usage(asked: &Asked, answer: &Answer) -> Value {
    let (output, thoughts) = (answer.tokens(), answer.thought_tokens());
    let mut usage = json!({
        "promptTokenCount": asked.prompt_tokens, "candidatesTokenCount": output,
        "totalTokenCount": asked.prompt_tokens + output + thoughts,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": asked.prompt_tokens}],
    });
    if thoughts > 0 {
        usage["thoughtsTokenCount"] = json!(thoughts);
    }
    usage
}

fn named(scene: &Scene<'_>, mut chunk: Value) -> Value {
    chunk["modelVersion"] = json!(scene.model);
    chunk["responseId"] = json!(format!("sim{}", scene.number));
    chunk
}

fn shown(body: &Value) -> bool {
    camel(body)["generationConfig"]["thinkingConfig"]["includeThoughts"] == json!(true)
}

fn last(scene: &Scene<'_>, parts: Vec<Value>) -> Value {
    let Scene { asked, answer, script, .. } = *scene;
    let content = json!({"parts": parts, "role": "model"});
    let candidate = json!({"content": content, "finishReason": finish_reason(answer), "index": 0});
    let mut chunk = json!({"candidates": [candidate]});
    if !script.no_usage {
        chunk["usageMetadata"] = usage(asked, answer);
    }
    named(scene, chunk)
}

/// Whether the answer holds a picture: one is asked for, and not refused.
fn draws(scene: &Scene<'_>) -> bool {
    let modalities = &camel(scene.body)["generationConfig"]["responseModalities"];
    let wanted = modalities.as_array().is_some_and(|names| names.contains(&json!("IMAGE")));
    wanted && matches!(scene.answer.said, Said::Text(_))
}

/// Counts a picture's tokens (<https://ai.google.dev/gemini-api/docs/pricing>).
fn add_picture(usage: &mut Value) {
    for name in ["candidatesTokenCount", "totalTokenCount"] {
        usage[name] = json!(usage[name].as_u64().unwrap_or_default() + PICTURE_TOKENS);
    }
    usage["candidatesTokensDetails"] = json!([{"modality": "IMAGE", "tokenCount": PICTURE_TOKENS}]);
}

/// A whole answer.
fn whole(scene: &Scene<'_>) -> Value {
    let mut parts = parts(scene.answer, shown(scene.body), true);
    let drawn = draws(scene);
    if drawn {
        parts.push(json!({"inlineData": {"mimeType": "image/png", "data": PIXEL}}));
    }
    let mut answer = last(scene, parts);
    if drawn && let Some(usage) = answer.get_mut("usageMetadata") {
        add_picture(usage);
    }
    answer
}

/// The chunks of a streamed answer; the last says why it ended.
fn stream(scene: &Scene<'_>) -> Vec<Vec<u8>> {
    let mut parts = parts(scene.answer, shown(scene.body), false);
    let end = parts.pop();
    let told = parts.into_iter().map(|part| {
        let content = json!({"parts": [part], "role": "model"});
        named(scene, json!({"candidates": [{"content": content, "index": 0}]}))
    });
    let mut chunks: Vec<Value> = told.collect();
    chunks.push(last(scene, end.into_iter().collect()));
    data_events(chunks.iter().map(Value::to_string))
}

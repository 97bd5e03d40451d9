//! What a request and an answer say, feature by feature, in a form that is the same however a dialect spells it.

use serde_json::Value;
use tollgate_wire::ir::{
    Content, Effort, OutputFormat, Part, PartKind, Request, Response, Role, Source, StopReason, ToolChoice,
    ToolKind,
};

/// A feature: its name, what a request or an answer says of it (nothing where it says nothing), and the words by which
/// losses of it are known. Without words every loss may be one.
pub(crate) struct Feature<T> {
    pub(crate) name: &'static str,
    pub(crate) told: fn(&T) -> String,
    pub(crate) words: &'static [&'static str],
}

const fn feature<T>(
    name: &'static str,
    told: fn(&T) -> String,
    words: &'static [&'static str],
) -> Feature<T> {
    Feature { name, told, words }
}

/// How a part of a message is named.
const PARTS: &[&str] = &["content", "parts", "images", "input"];
const CALLS: &[&str] = &["arguments", ".input", "args", "tool_calls", "toolUse"];
const CHOICE: &[&str] = &["choice", "toolConfig", "Calling"];
const SAMPLING: &[&str] = &["temperature", "top_p", "topP", "stop", ".p"];
const THINKING: &[&str] = &["reason", "think", "effort"];
const SEALS: &[&str] = &["signature", "content", "reasoning"];

pub(crate) const REQUEST: [Feature<Request>; 16] = [
    feature("text", text, PARTS),
    feature("instructions", instructions, PARTS),
    feature("tools", tools, &["tool"]),
    feature("tool choice", tool_choice, CHOICE),
    feature("tool calls sent back", calls, CALLS),
    feature("tool results", results, PARTS),
    feature("images as bytes", image_bytes, PARTS),
    feature("images by address", image_urls, PARTS),
    feature("documents in place", documents, PARTS),
    feature("documents elsewhere", files, PARTS),
    feature("audio", audio, PARTS),
    feature("reasoning asked for", reasoning, THINKING),
    feature("structured output", schema, &["format", "output", "schema"]),
    feature("prompt caching", caching, &["cache"]),
    feature("sampling and stops", sampling, SAMPLING),
    feature("output limit", limit, &["max", "limit", "Tokens"]),
];

pub(crate) const ANSWER: [Feature<Response>; 7] = [
    feature("answer: text", answer_text, &["content"]),
    feature("answer: tool calls", answer_calls, CALLS),
    feature("answer: reasoning", answer_thoughts, THINKING),
    feature("answer: seals on reasoning", answer_seals, SEALS),
    feature("answer: citations", answer_citations, &["citation", "annotation", "content"]),
    feature("answer: why it ended", answer_stop, &["stop", "finish"]),
    feature("answer: tokens", answer_usage, &["usage"]),
];

fn parts(request: &Request) -> impl Iterator<Item = &Part> {
    request.messages.iter().flat_map(|message| &message.content.parts)
}

fn said(content: &Content) -> String {
    let text = |part: &Part| match &part.kind {
        PartKind::Text { text, .. } | PartKind::Refusal { text } => Some(text.clone()),
        _ => None,
    };
    content.parts.iter().filter_map(text).collect::<Vec<_>>().join("")
}

/// Texts without the space at their ends and between them: parts of one message may become one text.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join("")
}

fn of_roles(request: &Request, wanted: &[Role]) -> String {
    let messages = request.messages.iter().filter(|message| wanted.contains(&message.role));
    squeezed(&messages.map(|message| said(&message.content)).collect::<Vec<_>>().join(" "))
}

fn text(request: &Request) -> String {
    of_roles(request, &[Role::User, Role::Assistant])
}

fn instructions(request: &Request) -> String {
    of_roles(request, &[Role::System, Role::Developer])
}

fn json(text: &str) -> String {
    serde_json::from_str::<Value>(text).map_or_else(|_| text.to_owned(), |value| sorted(&value))
}

fn sorted(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let mut names: Vec<&String> = members.keys().collect();
            names.sort();
            let member = |name: &String| format!("{name}:{}", sorted(&members[name]));
            format!("{{{}}}", names.into_iter().map(member).collect::<Vec<_>>().join(","))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(sorted).collect::<Vec<_>>().join(","))
        }
        other => other.to_string(),
    }
}

/// Names, descriptions and schemas. A tool without parameters may get an empty schema.
fn tools(request: &Request) -> String {
    let tool = |tool: &tollgate_wire::ir::Tool| match &tool.kind {
        ToolKind::Function { name, description, schema, .. } => {
            let schema = schema.as_ref().map(|schema| json(schema.text())).unwrap_or_default();
            let empty = !schema.contains("properties:{") || schema.contains("properties:{}");
            let schema = if empty { String::new() } else { schema };
            Some(format!("{name} {} {schema}", description.clone().unwrap_or_default()))
        }
        ToolKind::Opaque { .. } => None,
    };
    request.tools.iter().filter_map(tool).collect::<Vec<_>>().join("; ")
}

/// Without tools there is nothing to choose, and to leave the choice to the model is the usual.
fn tool_choice(request: &Request) -> String {
    if tools(request).is_empty() {
        return String::new();
    }
    match &request.tool_choice {
        Some(ToolChoice::Named(name)) => format!("named {name}"),
        Some(ToolChoice::Required) => "required".to_owned(),
        Some(ToolChoice::None) => "none".to_owned(),
        Some(ToolChoice::Auto | ToolChoice::Opaque(_)) | None => String::new(),
    }
}

fn call(part: &Part) -> Option<String> {
    match &part.kind {
        PartKind::ToolCall { name, arguments, .. } => {
            let arguments = json(arguments);
            Some(format!("{name}({})", if arguments == "{}" { "" } else { &arguments }))
        }
        _ => None,
    }
}

fn calls(request: &Request) -> String {
    parts(request).filter_map(call).collect::<Vec<_>>().join("; ")
}

fn results(request: &Request) -> String {
    let result = |part: &Part| match &part.kind {
        PartKind::ToolResult { content, .. } => Some(squeezed(&json(&said(content)))),
        _ => None,
    };
    parts(request).filter_map(result).collect::<Vec<_>>().join("; ")
}

fn media(request: &Request, wanted: fn(&PartKind) -> Option<&Source>) -> String {
    let source = |part: &Part| {
        wanted(&part.kind).map(|source| match source {
            Source::Url(text) | Source::Base64(text) | Source::FileId(text) | Source::Text(text) => {
                text.clone()
            }
        })
    };
    let mut found: Vec<String> = parts(request).filter_map(source).collect();
    found.sort();
    found.join(" ")
}

fn image_bytes(request: &Request) -> String {
    media(request, |kind| match kind {
        PartKind::Image(media) => Some(&media.source).filter(|source| matches!(source, Source::Base64(_))),
        _ => None,
    })
}

fn image_urls(request: &Request) -> String {
    media(request, |kind| match kind {
        PartKind::Image(media) => Some(&media.source).filter(|source| matches!(source, Source::Url(_))),
        _ => None,
    })
}

fn documents(request: &Request) -> String {
    media(request, |kind| match kind {
        PartKind::File(media) => Some(&media.source).filter(|source| is_in_place(source)),
        _ => None,
    })
}

fn files(request: &Request) -> String {
    media(request, |kind| match kind {
        PartKind::File(media) => Some(&media.source).filter(|source| !is_in_place(source)),
        _ => None,
    })
}

fn is_in_place(source: &Source) -> bool {
    matches!(source, Source::Base64(_) | Source::Text(_))
}

fn audio(request: &Request) -> String {
    media(request, |kind| match kind {
        PartKind::Audio(media) => Some(&media.source),
        _ => None,
    })
}

/// Whether to think; how much is told in too many ways to compare.
fn reasoning(request: &Request) -> String {
    let Some(reasoning) = &request.reasoning else { return String::new() };
    let off = reasoning.enabled == Some(false) || reasoning.effort == Some(Effort::None);
    let asked =
        reasoning.enabled == Some(true) || reasoning.effort.is_some() || reasoning.budget_tokens.is_some();
    if asked && !off { "thinks".to_owned() } else { String::new() }
}

fn schema(request: &Request) -> String {
    match &request.output {
        Some(OutputFormat::JsonSchema { schema: Some(schema), .. }) => json(schema.text()),
        _ => String::new(),
    }
}

fn caching(request: &Request) -> String {
    let marks = parts(request).filter(|part| part.cache.is_some()).count();
    let marks = marks + request.tools.iter().filter(|tool| tool.cache.is_some()).count();
    if marks > 0 { format!("{marks} marks") } else { String::new() }
}

fn sampling(request: &Request) -> String {
    let mut told = Vec::new();
    told.extend(request.temperature.map(|value| format!("temperature {value}")));
    told.extend(request.top_p.map(|value| format!("top_p {value}")));
    told.extend(request.stop.as_ref().map(|stop| format!("stop {:?}", stop.texts)));
    told.join(", ")
}

fn limit(request: &Request) -> String {
    request.output_tokens_max.map(|limit| limit.to_string()).unwrap_or_default()
}

fn first(response: &Response) -> &[Part] {
    response.choices.iter().find(|choice| choice.index == 0).map_or(&[], |choice| &choice.parts)
}

fn answer_text(response: &Response) -> String {
    let text = |part: &Part| match &part.kind {
        PartKind::Text { text, .. } | PartKind::Refusal { text } => text.clone(),
        _ => String::new(),
    };
    squeezed(&first(response).iter().map(text).collect::<String>())
}

fn answer_calls(response: &Response) -> String {
    first(response).iter().filter_map(call).collect::<Vec<_>>().join("; ")
}

fn answer_thoughts(response: &Response) -> String {
    let text = |part: &Part| match &part.kind {
        PartKind::Reasoning { text, .. } => text.clone(),
        _ => String::new(),
    };
    squeezed(&first(response).iter().map(text).collect::<String>())
}

/// How many seals there are: how they are wrapped differs.
fn answer_seals(response: &Response) -> String {
    let sealed = |part: &&Part| match &part.kind {
        PartKind::Reasoning { signature, .. } => signature.as_ref().is_some_and(|seal| !seal.is_empty()),
        PartKind::RedactedReasoning { .. } => true,
        _ => false,
    };
    let count = first(response).iter().filter(sealed).count();
    // Chat completions keep them in a member of the message, in their server's own spelling.
    let details = response.choices.first().and_then(|choice| choice.message_ext.get("reasoning_details"));
    let detailed = details.map_or(0, |raw| raw.text().matches("tollgate-seal-").count());
    let count = count.max(detailed);
    if count > 0 { count.to_string() } else { String::new() }
}

fn answer_citations(response: &Response) -> String {
    let count = |part: &Part| match &part.kind {
        PartKind::Text { annotations, .. } => annotations.len(),
        _ => 0,
    };
    let count: usize = first(response).iter().map(count).sum();
    if count > 0 { count.to_string() } else { String::new() }
}

/// Ends that most dialects call by one word are one here. A refusal is an end of its own for some.
fn answer_stop(response: &Response) -> String {
    if first(response).iter().any(|part| matches!(part.kind, PartKind::Refusal { .. })) {
        return String::new();
    }
    let stop = response.choices.first().and_then(|choice| choice.stop.as_ref());
    match stop.map(|stop| stop.reason) {
        Some(StopReason::End | StopReason::StopText | StopReason::ToolCalls) => "done".to_owned(),
        Some(StopReason::Length) => "limit".to_owned(),
        _ => String::new(),
    }
}

fn answer_usage(response: &Response) -> String {
    response.usage.map(|usage| format!("{} {}", usage.input_tokens, usage.output_tokens)).unwrap_or_default()
}

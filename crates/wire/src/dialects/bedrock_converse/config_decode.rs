//! Limits, sampling, thinking and the form of the answer: bytes to meaning.
//!
//! `additionalModelRequestFields` holds what the model's own maker defines
//! (<https://docs.aws.amazon.com/bedrock/latest/userguide/conversation-inference-call.html>); only what is spelled as
//! expected is read there.

use serde_json::value::RawValue;

use super::words::thinking_type;
use crate::{
    Fault,
    dialects::openai_chat::effort,
    ir::{Ext, OutputFormat, Reasoning, Request, Stops},
    json::{self, Object, Raw},
    kept,
};

pub(super) fn read(object: &mut Object<'_>, request: &mut Request, rest: &mut Ext) -> Result<(), Fault> {
    if let Some(config) = object.object("inferenceConfig")? {
        read_inference(config, request, rest).map_err(|fault| fault.under("inferenceConfig"))?;
    }
    if let Some(config) = object.object("outputConfig")? {
        read_output(config, request, rest).map_err(|fault| fault.under("outputConfig"))?;
    }
    let fields = object.peek("additionalModelRequestFields");
    if fields.is_some_and(|raw| raw.get().starts_with('{'))
        && let Some(fields) = object.object("additionalModelRequestFields")?
    {
        read_additional(fields, request, rest);
    }
    request.metadata = object.object("requestMetadata")?.map(kept::rest);
    Ok(())
}

fn read_inference(mut config: Object<'_>, request: &mut Request, rest: &mut Ext) -> Result<(), Fault> {
    request.output_tokens_max = config.unsigned("maxTokens")?;
    request.temperature = config.number("temperature")?;
    request.top_p = config.number("topP")?;
    if let Some(list) = config.array("stopSequences")? {
        let text =
            |(at, raw)| json::string(raw).map_err(|fault| fault.under(&format!("stopSequences[{at}]")));
        let texts: Result<Vec<_>, Fault> = list.into_iter().enumerate().map(text).collect();
        request.stop = Some(Stops { texts: texts?.into_iter().map(Into::into).collect(), bare: false });
    }
    let said = request.output_tokens_max.is_some()
        || request.temperature.is_some()
        || request.top_p.is_some()
        || request.stop.is_some();
    keep(config, said, "inferenceConfig", rest);
    Ok(())
}

/// What is left of an object, or that it stood there though it said nothing.
fn keep(object: Object<'_>, said: bool, name: &str, rest: &mut Ext) {
    if !said || !object.is_empty() {
        rest.0.push((name.to_owned(), kept::rest(object)));
    }
}

fn read_output(mut config: Object<'_>, request: &mut Request, rest: &mut Ext) -> Result<(), Fault> {
    if let Some(word) = config.string("effort")? {
        request.reasoning.get_or_insert_default().effort = Some(effort(&word));
    }
    request.output = config.take_some("textFormat").map(output_format);
    let said = request.output.is_some() || request.reasoning.is_some();
    keep(config, said, "outputConfig", rest);
    Ok(())
}

fn output_format(raw: &RawValue) -> OutputFormat {
    json_schema(raw).unwrap_or_else(|| OutputFormat::Opaque(Raw::new(raw)))
}

/// The schema is JSON text in a string.
fn json_schema(raw: &RawValue) -> Option<OutputFormat> {
    let mut format = Object::from_raw(raw).ok()?;
    let kind = format.string("type").ok()??;
    let mut structure = format.object("structure").ok()??;
    let mut schema = structure.object("jsonSchema").ok()??;
    if kind != "json_schema" || !format.is_empty() || !structure.is_empty() {
        return None;
    }
    let text = schema.string("schema").ok()??;
    let parsed = Raw::parse(&text).filter(|parsed| parsed.text() == text)?;
    Some(OutputFormat::JsonSchema {
        name: schema.string("name").ok()?.map(Into::into),
        description: schema.string("description").ok()?.map(Into::into),
        schema: Some(parsed),
        strict: None,
        ext: schema.rest(),
    })
}

fn read_additional(mut fields: Object<'_>, request: &mut Request, rest: &mut Ext) {
    let mut said = false;
    let top_k = fields.peek("top_k").and_then(|raw| raw.get().parse().ok());
    if top_k.is_some() {
        request.top_k = top_k;
        fields.take("top_k");
        said = true;
    }
    said |= read_thinking(&mut fields, request, rest);
    said |= read_effort(&mut fields, request, rest);
    keep(fields, said, "additionalModelRequestFields", rest);
}

/// `thinking` as Anthropic's models take it, which also goes by the name of `reasoning_config`
/// (<https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-extended-thinking.html>).
fn read_thinking(fields: &mut Object<'_>, request: &mut Request, rest: &mut Ext) -> bool {
    for name in ["thinking", "reasoning_config"] {
        let Some(thinking) = fields.peek(name).and_then(thinking) else { continue };
        fields.take(name);
        let known = request.reasoning.get_or_insert_default();
        *known = Reasoning { effort: known.effort.take(), ..thinking };
        if name != "thinking" {
            rest.0.push((name.to_owned(), kept::stood()));
        }
        return true;
    }
    false
}

fn thinking(raw: &RawValue) -> Option<Reasoning> {
    let mut object = Object::from_raw(raw).ok()?;
    let kind = object.string("type").ok()??;
    let budget_tokens = object.unsigned("budget_tokens").ok()?;
    let enabled = match kind.as_ref() {
        "enabled" | "adaptive" => true,
        "disabled" => false,
        _ => return None,
    };
    let usual = thinking_type(enabled, budget_tokens) == kind;
    usual.then(|| Reasoning { enabled: Some(enabled), effort: None, budget_tokens, ext: object.rest() })
}

/// An effort by the name that the model's maker gives it. Under which name it stood is kept.
fn read_effort(fields: &mut Object<'_>, request: &mut Request, rest: &mut Ext) -> bool {
    if request.reasoning.as_ref().is_some_and(|reasoning| reasoning.effort.is_some()) {
        return false;
    }
    for name in ["output_config", "reasoning_effort", "reasoning_config"] {
        let Some(raw) = fields.peek(name) else { continue };
        let nested = Object::from_raw(raw).ok().and_then(|mut inner| {
            let word = inner.string("effort").ok()??;
            (name == "output_config" && inner.is_empty()).then_some(word)
        });
        let bare = || json::string(raw).ok().filter(|_| name != "output_config");
        let Some(word) = nested.or_else(bare) else { continue };
        request.reasoning.get_or_insert_default().effort = Some(effort(&word));
        fields.take(name);
        rest.0.push((name.to_owned(), kept::stood()));
        return true;
    }
    false
}

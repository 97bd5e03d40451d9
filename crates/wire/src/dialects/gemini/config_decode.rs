//! `generationConfig`: bytes to meaning (<https://ai.google.dev/api/generate-content#v1beta.GenerationConfig>).

use super::{
    notes::{Members, nest, note},
    schema::as_json_schema,
    words,
};
use crate::{
    Fault,
    ir::{Ext, OutputFormat, Reasoning, Request, Stops},
    json::{self, Raw},
};

/// Reads the settings into the request; what is left stands among its ext members under `generationConfig`.
pub(super) fn read(mut config: Members<'_>, request: &mut Request) -> Result<(), Fault> {
    request.temperature = config.number("temperature")?;
    request.top_p = config.number("topP")?;
    request.top_k = config.unsigned("topK")?;
    request.choices = config.unsigned("candidateCount")?;
    request.output_tokens_max = config.unsigned("maxOutputTokens")?;
    request.seed = config.whole("seed")?;
    request.presence_penalty = config.number("presencePenalty")?;
    request.frequency_penalty = config.number("frequencyPenalty")?;
    request.logprobs = config.boolean("responseLogprobs")?;
    request.top_logprobs = config.unsigned("logprobs")?;
    if let Some(list) = config.list("stopSequences")? {
        let texts = list.into_iter().map(|raw| json::string(raw).map(Into::into)).collect::<Result<_, _>>();
        let texts = texts.map_err(|fault: Fault| fault.under("stopSequences"))?;
        request.stop = Some(Stops { texts, bare: false });
    }
    request.output = output(&mut config)?;
    let mut inner = Ext::default();
    if let Some(thinking) = config.object("thinkingConfig")? {
        let (reasoning, rest) = thinking_config(thinking).map_err(|fault| fault.under("thinkingConfig"))?;
        request.reasoning = Some(reasoning);
        nest(&mut inner, "thinkingConfig", rest);
    }
    let mut rest = config.rest();
    rest.0.append(&mut inner.0);
    note(&mut rest, "there", "");
    nest(&mut request.ext, "generationConfig", rest);
    Ok(())
}

/// The form of the answer. A schema needs its media type.
fn output(config: &mut Members<'_>) -> Result<Option<OutputFormat>, Fault> {
    let Some(media_type) = config.peek("responseMimeType").map(json::string).transpose()? else {
        return Ok(None);
    };
    let schemas = ["responseSchema", "responseJsonSchema"];
    let given: Vec<&str> = schemas.into_iter().filter(|name| config.peek(name).is_some()).collect();
    let format = match (media_type.as_ref(), given.as_slice()) {
        ("text/plain", []) => OutputFormat::Text,
        ("application/json", []) => OutputFormat::JsonObject,
        ("application/json", [name]) => {
            let Some(raw) = config.take(name) else { return Ok(None) };
            let converted = if *name == "responseSchema" { as_json_schema(raw) } else { None };
            config.note("schema", if *name == "responseSchema" { "own" } else { "json" });
            if converted.is_some() {
                config.note("responseSchema", raw.get());
            }
            OutputFormat::JsonSchema {
                name: None,
                description: None,
                schema: Some(converted.unwrap_or_else(|| Raw::new(raw))),
                strict: None,
                ext: Ext::default(),
            }
        }
        _ => return Ok(None),
    };
    config.take("responseMimeType");
    Ok(Some(format))
}

/// How much to think (<https://ai.google.dev/gemini-api/docs/thinking>): a level, or a budget, of which 0 is none and
/// -1 as much as the model finds right.
fn thinking_config(mut object: Members<'_>) -> Result<(Reasoning, Ext), Fault> {
    let mut reasoning = Reasoning::default();
    if let Some(level) = object.string("thinkingLevel")? {
        object.note("level", &level);
        reasoning.effort = Some(words::effort(&level));
    }
    match object.whole("thinkingBudget")? {
        Some(budget @ 1..) => reasoning.budget_tokens = u64::try_from(budget).ok(),
        Some(budget) => {
            object.note("budget", &budget.to_string());
            reasoning.enabled = Some(budget != 0);
        }
        None => {}
    }
    // Whether thoughts are shown is the caller's affair: what comes is told.
    if let Some(shown) = object.boolean("includeThoughts")? {
        object.note("shown", if shown { "true" } else { "false" });
        if shown && reasoning == Reasoning::default() {
            reasoning.enabled = Some(true);
            object.note("enabled", "by showing");
        }
    }
    Ok((reasoning, object.rest()))
}

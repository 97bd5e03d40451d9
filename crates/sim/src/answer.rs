//! What to say: a function of what was asked, in neither API's form.

use serde_json::Value;

use crate::{schema, script::Script};

/// What a request asks, whichever API it came by.
#[derive(Default)]
pub(crate) struct Asked {
    pub(crate) last_text: String,
    /// The text of the last tool result, when the request ends with one.
    pub(crate) tool_result: Option<String>,
    /// Media types or addresses of pictures and documents.
    pub(crate) attachments: Vec<String>,
    pub(crate) tools: Vec<Tool>,
    pub(crate) choice: Choice,
    pub(crate) parallel: bool,
    /// The schema of a structured answer.
    pub(crate) schema: Option<Value>,
    pub(crate) json_object: bool,
    pub(crate) think: bool,
    pub(crate) output_max: Option<usize>,
    pub(crate) stops: Vec<String>,
    /// Words in the prompt, roughly its tokens.
    pub(crate) prompt_tokens: usize,
    pub(crate) cached_tokens: usize,
    pub(crate) cache_written_tokens: usize,
}

pub(crate) struct Tool {
    pub(crate) name: String,
    pub(crate) schema: Value,
}

#[derive(Default, PartialEq, Eq)]
pub(crate) enum Choice {
    #[default]
    Auto,
    None,
    Required,
    Named(String),
}

/// What is said.
pub(crate) struct Answer {
    pub(crate) thought: Option<String>,
    pub(crate) said: Said,
    pub(crate) ended: Ended,
}

pub(crate) enum Said {
    Text(String),
    /// Names and arguments.
    Calls(Vec<(String, String)>),
    Refusal(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Naturally,
    AtLimit,
    AtStop(String),
}

/// One call and its answer, as the APIs tell it.
pub(crate) struct Scene<'a> {
    pub(crate) body: &'a Value,
    /// The model's name without its script.
    pub(crate) model: &'a str,
    /// The call's number.
    pub(crate) number: u64,
    pub(crate) asked: &'a Asked,
    pub(crate) answer: &'a Answer,
    pub(crate) script: &'a Script,
}

/// The length of a word in a huge answer, and so of an event of its stream.
const HUGE_WORD: usize = 4_000;

/// Answers.
pub(crate) fn answer(asked: &Asked, script: &Script) -> Answer {
    let thought = asked
        .think
        .then(|| format!("The user wrote {} words; I shall echo them.", words(&asked.last_text).len()));
    if asked.last_text.contains("please refuse") {
        let said = Said::Refusal("I can not help with that.".to_owned());
        return Answer { thought, said, ended: Ended::Naturally };
    }
    let calls = calls(asked);
    if !calls.is_empty() {
        return Answer { thought, said: Said::Calls(calls), ended: Ended::Naturally };
    }
    let (text, ended) = shortened(text(asked, script), asked);
    Answer { thought, said: Said::Text(text), ended }
}

impl Answer {
    /// Words of the answer, its thought apart.
    pub(crate) fn tokens(&self) -> usize {
        match &self.said {
            Said::Text(text) | Said::Refusal(text) => words(text).len(),
            Said::Calls(calls) => calls.iter().map(|(_, arguments)| 1 + arguments.len().div_ceil(4)).sum(),
        }
    }

    pub(crate) fn thought_tokens(&self) -> usize {
        self.thought.as_deref().map_or(0, |thought| words(thought).len())
    }
}

/// Words with the space before them, which put together are the text again.
pub(crate) fn words(text: &str) -> Vec<&str> {
    let mut list = Vec::new();
    let mut start = 0;
    for (at, letter) in text.char_indices() {
        if letter == ' ' && at > start {
            list.push(text.get(start..at).unwrap_or_default());
            start = at;
        }
    }
    list.extend(text.get(start..).filter(|rest| !rest.is_empty()));
    list
}

/// Calls the tools whose names are in the text, or those that must be called.
fn calls(asked: &Asked) -> Vec<(String, String)> {
    if asked.tool_result.is_some() || asked.choice == Choice::None {
        return Vec::new();
    }
    let mut chosen: Vec<&Tool> = match &asked.choice {
        Choice::Named(name) => asked.tools.iter().filter(|tool| tool.name == *name).collect(),
        _ => asked.tools.iter().filter(|tool| asked.last_text.contains(&tool.name)).collect(),
    };
    if chosen.is_empty() && asked.choice == Choice::Required {
        chosen.extend(asked.tools.first());
    }
    if !asked.parallel {
        chosen.truncate(1);
    }
    let call = |tool: &Tool| {
        let last = asked.last_text.split_whitespace().last().unwrap_or("nothing");
        (tool.name.clone(), schema::example(&tool.schema, last).to_string())
    };
    chosen.into_iter().map(call).collect()
}

fn text(asked: &Asked, script: &Script) -> String {
    if let Some(bytes) = script.huge {
        return format!("{} ", "lorem".repeat(HUGE_WORD / 5)).repeat(bytes.div_ceil(HUGE_WORD));
    }
    if let Some(count) = script.words {
        return (0..count).map(|number| format!("word{number}")).collect::<Vec<_>>().join(" ");
    }
    if let Some(schema) = &asked.schema {
        let last = asked.last_text.split_whitespace().last().unwrap_or("nothing");
        return schema::example(schema, last).to_string();
    }
    if asked.json_object {
        return serde_json::json!({"echo": asked.last_text}).to_string();
    }
    if let Some(result) = &asked.tool_result {
        return format!("The tool answered: {result}");
    }
    let seen = match asked.attachments.as_slice() {
        [] => String::new(),
        list => format!(" I was shown {}: {}.", list.len(), list.join(", ")),
    };
    let thought = if script.tagged { "<think>\nThey speak.\n</think>\n\n" } else { "" };
    format!("{thought}You said: {}{seen} This is the simulator speaking, word by word.", asked.last_text)
}

fn shortened(text: String, asked: &Asked) -> (String, Ended) {
    for stop in &asked.stops {
        if let Some((before, _)) = text.split_once(stop.as_str()) {
            return (before.to_owned(), Ended::AtStop(stop.clone()));
        }
    }
    let list = words(&text);
    match asked.output_max {
        Some(limit) if list.len() > limit => (list.into_iter().take(limit).collect(), Ended::AtLimit),
        _ => (text, Ended::Naturally),
    }
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn words_put_together_are_the_text() {
        for text in ["", "one", " two  words ", "ü ß"] {
            assert_eq!(words(text).concat(), text);
        }
    }
}

//! What an assistant thought earlier, as a model wants it back.

use crate::{
    Quirks, ThinkingHistory,
    ir::{Message, Part, PartKind, Role},
    json::ObjectWriter,
};

/// What becomes of earlier thinking.
#[derive(Clone, Copy)]
pub(super) struct Thoughts<'q> {
    quirks: &'q Quirks,
}

/// What stands for the thinking that a tool call came without. It must say something: servers take an empty text for
/// none (<https://platform.moonshot.ai/docs/guide/use-kimi-k2-thinking-model>).
const UNTOLD: &str = " ";

impl<'q> Thoughts<'q> {
    pub(super) fn new(quirks: &'q Quirks) -> Thoughts<'q> {
        Thoughts { quirks }
    }

    /// Whether the model is told of them at all.
    pub(super) fn are_told(self) -> bool {
        self.quirks.thinking_history != ThinkingHistory::LeftOut
    }

    /// The text of an assistant's message with the thinking before it between tags, and the place of the part that it
    /// stands for; none where thinking has another place.
    pub(super) fn in_text(self, message: &Message) -> Option<(usize, Part)> {
        let tagged = self.quirks.thinking_history == ThinkingHistory::Tags && message.role == Role::Assistant;
        let thought = thought(message).filter(|_| tagged)?;
        let [open, close] = self.quirks.thinking_tags();
        let parts = message.content.parts.iter().enumerate();
        let said = parts.clone().find_map(|(at, part)| match &part.kind {
            PartKind::Text { text, .. } => Some((at, text.as_str(), part)),
            _ => None,
        });
        let text = format!("{open}\n{thought}\n{close}\n\n{}", said.map_or("", |(_, text, _)| text));
        let mut part = Part::text(text);
        if let Some((_, _, known)) = said {
            (part.cache, part.ext) = (known.cache.clone(), known.ext.clone());
        }
        Some((said.map_or(message.content.parts.len(), |(at, ..)| at), part))
    }

    /// Writes the member that holds the thinking, where the model has one.
    pub(super) fn in_member(self, object: &mut ObjectWriter<'_>, message: &Message) {
        let name = match self.quirks.thinking_history {
            ThinkingHistory::ReasoningContent => "reasoning_content",
            ThinkingHistory::Reasoning => "reasoning",
            ThinkingHistory::LeftOut | ThinkingHistory::Tags => return,
        };
        let calls = |part: &Part| matches!(part.kind, PartKind::ToolCall { .. });
        match thought(message) {
            Some(thought) => object.string(name, &thought),
            None if name == "reasoning_content" && message.content.parts.iter().any(calls) => {
                object.string(name, UNTOLD);
            }
            None => {}
        }
    }
}

/// Everything that a message says was thought.
fn thought(message: &Message) -> Option<String> {
    let texts: Vec<&str> = message.content.parts.iter().filter_map(text).collect();
    (!texts.is_empty()).then(|| texts.join("\n\n"))
}

fn text(part: &Part) -> Option<&str> {
    match &part.kind {
        PartKind::Reasoning { text, .. } if !text.is_empty() => Some(text),
        _ => None,
    }
}

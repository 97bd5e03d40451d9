//! Members that only their own dialect knows, kept as they were written.

use std::borrow::Cow;

use crate::json::{Raw, RawRef};

/// Members of one JSON object that the representation has no place for, in the order they came.
///
/// Encoding to the dialect they came from writes them back; encoding to another reports each as a loss,
/// except those that are `null`, which say nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ext(pub Vec<(String, Raw)>);

/// The same, borrowed from the bytes of an event.
#[derive(Clone, Debug, Default)]
pub struct ExtRef<'a>(pub Vec<(Cow<'a, str>, RawRef<'a>)>);

/// Whether an ext member of this name is what was left of a value that was understood otherwise: the members of
/// an object that nobody took, or `{}` for the mere fact that the member stood there.
pub(crate) fn is_remainder(name: &str) -> bool {
    let requests = ["function", "image_url", "file", "input_audio", "stream_options", "source"];
    let spellings = [
        "output_config",
        "output_format",
        "metadata",
        "type",
        "role",
        "text",
        "tool_plan",
        "strict_tools",
        "schema",
        "document",
        "image",
        "audio",
        "toolUse",
        "toolResult",
        "toolSpec",
        "toolConfig",
        "inferenceConfig",
        "outputConfig",
        "additionalModelRequestFields",
        "reasoningContent",
        "reasoning_config",
        "reasoning_effort",
        "citationsContent",
        "guardContent",
        "json",
    ];
    let usage = [
        "prompt_tokens_details",
        "completion_tokens_details",
        "cache_creation",
        "input_tokens_details",
        "output_tokens_details",
        "billed_units",
        "tokens",
        "totalTokens",
        "cacheDetails",
        "cacheReadInputTokens",
        "cacheReadInputTokenCount",
        "cacheWriteInputTokens",
        "cacheWriteInputTokenCount",
    ];
    let counts = ["cache_creation_input_tokens", "cache_read_input_tokens"];
    requests.contains(&name) || spellings.contains(&name) || usage.contains(&name) || counts.contains(&name)
}

/// Whether an ext member is no member at all but a note of how its dialect spelled something.
pub(crate) fn is_hint(name: &str) -> bool {
    name.starts_with("tollgate:")
}

impl Ext {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn get(&self, name: &str) -> Option<&Raw> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// Adds the members of a later event: a known name takes the later value.
    pub fn merge(&mut self, later: &ExtRef<'_>) {
        for (name, value) in &later.0 {
            match self.0.iter_mut().find(|(known, _)| known == name) {
                Some((_, old)) => *old = value.to_owned(),
                None => self.0.push((name.clone().into_owned(), value.to_owned())),
            }
        }
    }
}

impl ExtRef<'_> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn to_owned(&self) -> Ext {
        Ext(self.0.iter().map(|(name, value)| (name.clone().into_owned(), value.to_owned())).collect())
    }
}

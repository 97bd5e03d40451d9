//! Messages and their parts.

use super::Ext;
use crate::json::Raw;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    System,
    /// Instructions of the application's developer (OpenAI); other dialects take them as `System`.
    Developer,
    User,
    Assistant,
    /// The results of tools, where the dialect gives them a message of their own (OpenAI).
    /// In Anthropic's they stand among the parts of a `User` message.
    Tool,
}

/// One turn.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    pub role: Role,
    pub content: Content,
    pub ext: Ext,
}

/// An ordered list of parts, and how it was spelled.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Content {
    pub parts: Vec<Part>,
    pub form: Form,
}

/// How a content was spelled; a hint for encoding to the same dialect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// A list of parts.
    #[default]
    List,
    /// A bare string: the content is one text part (or none, when the string is empty).
    Bare,
    /// The member was absent.
    Absent,
    /// The member was `null`.
    Null,
}

/// One part of a message or of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    pub kind: PartKind,
    /// A prompt-cache marker on this part (`cache_control`), as written.
    pub cache: Option<Raw>,
    pub ext: Ext,
}

/// What a part is.
#[derive(Clone, Debug, PartialEq)]
pub enum PartKind {
    Text {
        text: String,
        /// Citations or annotations of the text, one JSON value each, in the source dialect's form.
        annotations: Vec<Raw>,
    },
    /// What the model said instead of an answer that it would not give.
    Refusal {
        text: String,
    },
    Reasoning {
        text: String,
        /// The provider's seal on the text, to be sent back unchanged.
        signature: Option<String>,
    },
    /// Reasoning that only the provider can read, to be sent back unchanged.
    RedactedReasoning {
        bytes: String,
    },
    /// A picture.
    Image(Media),
    /// A document: a PDF, a text, or a file known to the provider by an id.
    File(Media),
    Audio(Media),
    ToolCall {
        id: String,
        name: String,
        /// JSON text as the model wrote it; it may be no valid JSON, since models err.
        arguments: String,
    },
    ToolResult {
        call_id: String,
        content: Content,
        /// Whether the tool failed; `None` where the dialect says nothing about it.
        is_error: Option<bool>,
    },
    /// A part that only its own dialect knows: the whole JSON object, with the dialect's name for it.
    Opaque {
        name: String,
        value: Raw,
    },
}

/// A picture, document or sound.
#[derive(Clone, Debug, PartialEq)]
pub struct Media {
    pub source: Source,
    /// `image/png`, `application/pdf` …, where it is known.
    pub media_type: Option<String>,
    /// The file's name or title.
    pub name: Option<String>,
}

/// Where the bytes are.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    Url(String),
    /// Standard base64 as written.
    Base64(String),
    /// A file that was uploaded to the provider.
    FileId(String),
    /// Plain text in place (a text document).
    Text(String),
}

impl Part {
    pub fn new(kind: PartKind) -> Part {
        Part { kind, cache: None, ext: Ext::default() }
    }

    pub fn text(text: impl Into<String>) -> Part {
        Part::new(PartKind::Text { text: text.into(), annotations: Vec::new() })
    }

    /// Its text, where it is one.
    pub fn as_text(&self) -> Option<&str> {
        match &self.kind {
            PartKind::Text { text, .. } => Some(text),
            PartKind::Refusal { .. }
            | PartKind::Reasoning { .. }
            | PartKind::RedactedReasoning { .. }
            | PartKind::Image(_)
            | PartKind::File(_)
            | PartKind::Audio(_)
            | PartKind::ToolCall { .. }
            | PartKind::ToolResult { .. }
            | PartKind::Opaque { .. } => None,
        }
    }
}

impl Content {
    /// A bare string.
    pub fn bare(text: impl Into<String>) -> Content {
        Content { parts: vec![Part::text(text)], form: Form::Bare }
    }
}

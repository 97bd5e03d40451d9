//! What a caller asks a provider to do.

/// An operation, by the names that OpenTelemetry and the providers use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    Chat,
    /// Text that goes on where a prompt ends.
    Completions,
    Embeddings,
    Rerank,
    Images,
    /// Text to sound.
    Speech,
    /// Sound to text.
    Transcription,
    Moderations,
    CountTokens,
    Files,
    Batches,
    /// Responses that their provider keeps.
    StoredResponses,
    /// Any request to a provider, as it is.
    PassThrough,
}

/// How what was used is known where a provider does not report it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counting {
    /// By its texts.
    Text,
    /// Not at all.
    Unknown,
    /// Nothing is sold.
    Free,
}

impl Operation {
    pub const ALL: [Operation; 13] = [
        Operation::Chat,
        Operation::Completions,
        Operation::Embeddings,
        Operation::Rerank,
        Operation::Images,
        Operation::Speech,
        Operation::Transcription,
        Operation::Moderations,
        Operation::CountTokens,
        Operation::Files,
        Operation::Batches,
        Operation::StoredResponses,
        Operation::PassThrough,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Operation::Chat => "chat",
            Operation::Completions => "completions",
            Operation::Embeddings => "embeddings",
            Operation::Rerank => "rerank",
            Operation::Images => "images",
            Operation::Speech => "speech",
            Operation::Transcription => "transcription",
            Operation::Moderations => "moderations",
            Operation::CountTokens => "count_tokens",
            Operation::Files => "files",
            Operation::Batches => "batches",
            Operation::StoredResponses => "stored_responses",
            Operation::PassThrough => "pass_through",
        }
    }

    pub fn counting(self) -> Counting {
        match self {
            Operation::Chat | Operation::Completions | Operation::Embeddings | Operation::Rerank => {
                Counting::Text
            }
            Operation::Images | Operation::Speech | Operation::Transcription | Operation::PassThrough => {
                Counting::Unknown
            }
            Operation::Moderations
            | Operation::CountTokens
            | Operation::Files
            | Operation::Batches
            | Operation::StoredResponses => Counting::Free,
        }
    }
}

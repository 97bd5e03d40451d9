//! What the journal keeps of a call.

use std::{borrow::Cow, collections::BTreeMap};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::{Money, principal::Stand};

/// Written before a call's first request leaves for an upstream, so that the call is known to have happened
/// whatever becomes of this process. Enough for a record of a call whose end is unknown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note<'a> {
    pub id: Uuid,
    /// Microseconds since 1970.
    pub started_us: i64,
    pub key_id: Uuid,
    #[serde(borrow)]
    pub key_name: Cow<'a, str>,
    #[serde(borrow)]
    pub operation: Cow<'a, str>,
    #[serde(borrow)]
    pub dialect: Cow<'a, str>,
    #[serde(borrow)]
    pub model_asked: Cow<'a, str>,
    #[serde(borrow)]
    pub provider: Cow<'a, str>,
    #[serde(borrow)]
    pub model: Cow<'a, str>,
    pub stream: bool,
    /// Where the caller stood.
    pub stand: Stand,
    #[serde(borrow)]
    pub end_user: Option<Cow<'a, str>>,
    /// What the call is part of, as in a [`Record`].
    #[serde(borrow)]
    pub experiment: Option<Cow<'a, str>>,
}

/// One record for every call that reached an upstream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record<'a> {
    /// The request's id (UUID version 7), as in `x-tollgate-request-id`.
    pub id: Uuid,
    /// Microseconds since 1970.
    pub started_us: i64,
    pub key_id: Uuid,
    #[serde(borrow)]
    pub key_name: Cow<'a, str>,
    /// What was asked for: `chat`, `embeddings`, …
    #[serde(borrow)]
    pub operation: Cow<'a, str>,
    /// The dialect, or the form of another operation, that the caller spoke.
    #[serde(borrow)]
    pub dialect: Cow<'a, str>,
    /// The model's name as the caller wrote it.
    #[serde(borrow)]
    pub model_asked: Cow<'a, str>,
    /// Who answered, or was tried last.
    #[serde(borrow)]
    pub provider: Cow<'a, str>,
    #[serde(borrow)]
    pub model: Cow<'a, str>,
    pub stream: bool,
    pub outcome: Outcome,
    /// The status that the caller got; 0 when it went away before one was sent or nobody knows.
    pub status: u16,
    /// The kind of fault that ended the call.
    #[serde(borrow)]
    pub fault: Option<Cow<'a, str>>,
    /// The provider's own word for why the answer ended.
    #[serde(borrow)]
    pub stop: Option<Cow<'a, str>>,
    pub tokens: Tokens,
    /// What was used beside.
    pub units: Units,
    /// Where the counts come from.
    pub counted: Counted,
    /// What the call costs. `None` is "unpriced": the price of this model is not known. Never a guess of 0.
    pub cost: Option<Money>,
    /// The price that was applied, so that a later change of prices rewrites nothing.
    #[serde(borrow)]
    pub price: Option<AppliedPrice<'a>>,
    /// From the request's arrival to the first byte of the answer's body, in microseconds.
    pub first_byte_us: Option<u64>,
    /// From the request's arrival to the end, in microseconds.
    pub total_us: u64,
    /// Paths of the fields that the target could not carry.
    pub losses: Vec<String>,
    /// In the order in which they began.
    #[serde(borrow)]
    pub attempts: Vec<Tried<'a>>,
    /// How the target was chosen; nothing where there was nothing to choose.
    #[serde(borrow)]
    pub routed: Option<Routed<'a>>,
    /// What the call is part of: the side of a rollout, or the shadow of another call.
    #[serde(borrow)]
    pub experiment: Option<Cow<'a, str>>,
    /// Where the caller stood in its organization.
    #[serde(rename = "belongs_to")]
    pub stand: Stand,
    /// For whom the caller asked, in its own words.
    #[serde(borrow)]
    pub end_user: Option<Cow<'a, str>>,
    /// What the caller and its request were marked with.
    pub tags: BTreeMap<String, String>,
    /// What it adds to the ledger when it reaches the journal; kept in the spool only.
    #[serde(skip)]
    pub postings: Vec<Posting>,
}

/// An amount to be added to one slot of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posting {
    pub bucket: Uuid,
    /// When the slot begins, in microseconds since 1970.
    pub slot_us: i64,
    pub amount: i64,
    /// Until when the slot counts, in microseconds since 1970.
    pub until_us: i64,
}

/// A price as it stands in a record: JSON, as [`catalog::Price`] is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppliedPrice<'a>(pub Cow<'a, str>);

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The answer was complete.
    Complete,
    /// The provider, or the way to it, failed before an answer began.
    Failed,
    /// The answer broke off, or broke, after it had begun.
    Cut,
    /// The caller went away.
    Cancelled,
    /// This process ended before the call did: nobody knows.
    Unknown,
}

/// Tokens by class; totals include their parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    pub input: u64,
    pub cache_read: u64,
    pub cache_write: u64,
    pub cache_write_1h: u64,
    pub output: u64,
    pub reasoning: u64,
}

/// What is sold beside tokens of text: parts of the token totals that have prices of their own, and other units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Units {
    pub audio_input_tokens: u64,
    pub audio_output_tokens: u64,
    pub image_input_tokens: u64,
    pub image_output_tokens: u64,
    pub images: u64,
    pub audio_ms: u64,
    pub characters: u64,
    pub searches: u64,
}

/// Where counts come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counted {
    /// The provider reported them.
    Reported,
    /// The provider did not report all of them: they were counted here, roughly.
    Estimated,
    /// There is nothing to count.
    Nothing,
    /// Something was used, and nobody can say how much.
    Unknown,
}

/// One attempt of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried<'a> {
    #[serde(borrow)]
    pub provider: Cow<'a, str>,
    #[serde(borrow)]
    pub model: Cow<'a, str>,
    /// Which of the provider's credentials opened it, where there are several: its name, or its number.
    #[serde(borrow, default)]
    pub credential: Option<Cow<'a, str>>,
    /// The upstream's status, where it answered.
    pub status: Option<u16>,
    /// The kind of fault, where it failed.
    #[serde(borrow)]
    pub fault: Option<Cow<'a, str>>,
    /// From the request's arrival to the beginning of the attempt, in microseconds.
    #[serde(default)]
    pub began_us: u64,
    pub total_us: u64,
    /// Whether the request may have reached the upstream.
    pub sent: bool,
    /// What it cost, where it is not the one whose answer the caller got: part of the call's cost.
    #[serde(default)]
    pub cost: Option<Money>,
    /// How many characters of its answer the caller was told before another target went on with it.
    #[serde(default)]
    pub told_chars: Option<u64>,
}

/// How a target was chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Routed<'a> {
    /// The strategy's name, as in the configuration.
    #[serde(borrow)]
    pub strategy: Cow<'a, str>,
    /// The rule that led from the name that was asked for to another.
    #[serde(borrow, default)]
    pub rule: Option<Cow<'a, str>>,
    /// All targets of the name, those that did not come into question last.
    #[serde(borrow)]
    pub candidates: Vec<Candidate<'a>>,
}

/// A target that might have been asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate<'a> {
    #[serde(borrow)]
    pub provider: Cow<'a, str>,
    #[serde(borrow)]
    pub model: Cow<'a, str>,
    /// Why it did not come into question, or what was known of it.
    #[serde(borrow)]
    pub why: Cow<'a, str>,
}

impl Note<'_> {
    pub fn into_owned(self) -> Note<'static> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        Note {
            id: self.id,
            started_us: self.started_us,
            key_id: self.key_id,
            key_name: owned(self.key_name),
            operation: owned(self.operation),
            dialect: owned(self.dialect),
            model_asked: owned(self.model_asked),
            provider: owned(self.provider),
            model: owned(self.model),
            stream: self.stream,
            stand: self.stand,
            end_user: self.end_user.map(owned),
            experiment: self.experiment.map(owned),
        }
    }
}

impl Outcome {
    pub const ALL: [Outcome; 5] =
        [Outcome::Complete, Outcome::Failed, Outcome::Cut, Outcome::Cancelled, Outcome::Unknown];

    pub fn name(self) -> &'static str {
        match self {
            Outcome::Complete => "complete",
            Outcome::Failed => "failed",
            Outcome::Cut => "cut",
            Outcome::Cancelled => "cancelled",
            Outcome::Unknown => "unknown",
        }
    }
}

impl From<&wire::ir::Usage> for Tokens {
    fn from(usage: &wire::ir::Usage) -> Tokens {
        Tokens {
            input: usage.input_tokens,
            cache_read: usage.cache_read_tokens,
            cache_write: usage.cache_write_tokens,
            cache_write_1h: usage.cache_write_1h_tokens,
            output: usage.output_tokens,
            reasoning: usage.reasoning_tokens,
        }
    }
}

impl From<&wire::ir::Usage> for Units {
    fn from(usage: &wire::ir::Usage) -> Units {
        Units {
            audio_input_tokens: usage.input_audio_tokens,
            audio_output_tokens: usage.output_audio_tokens,
            image_input_tokens: usage.input_image_tokens,
            image_output_tokens: usage.output_image_tokens,
            images: usage.images,
            audio_ms: usage.audio_ms,
            characters: usage.characters,
            searches: usage.searches,
        }
    }
}

impl Tried<'_> {
    pub fn into_owned(self) -> Tried<'static> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        Tried {
            provider: owned(self.provider),
            model: owned(self.model),
            credential: self.credential.map(owned),
            status: self.status,
            fault: self.fault.map(owned),
            began_us: self.began_us,
            total_us: self.total_us,
            sent: self.sent,
            cost: self.cost,
            told_chars: self.told_chars,
        }
    }
}

impl Routed<'_> {
    pub fn into_owned(self) -> Routed<'static> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        let candidates = self.candidates.into_iter().map(|candidate| Candidate {
            provider: owned(candidate.provider),
            model: owned(candidate.model),
            why: owned(candidate.why),
        });
        Routed {
            candidates: candidates.collect(),
            strategy: owned(self.strategy),
            rule: self.rule.map(owned),
        }
    }
}

/// In JSON the price is an object; elsewhere it is the text of one.
impl Serialize for AppliedPrice<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            return self.0.serialize(serializer);
        }
        let raw: &RawValue = serde_json::from_str(&self.0).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for AppliedPrice<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<AppliedPrice<'a>, D::Error> {
        if !deserializer.is_human_readable() {
            return <&'de str>::deserialize(deserializer).map(|text| AppliedPrice(Cow::Borrowed(text)));
        }
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Ok(AppliedPrice(Cow::Owned(Box::<str>::from(raw).into_string())))
    }
}

impl<'a> From<Note<'a>> for Record<'a> {
    /// The record of a call that was noted and never completed.
    fn from(note: Note<'a>) -> Record<'a> {
        Record {
            id: note.id,
            started_us: note.started_us,
            key_id: note.key_id,
            key_name: note.key_name,
            operation: note.operation,
            dialect: note.dialect,
            model_asked: note.model_asked,
            stream: note.stream,
            outcome: Outcome::Unknown,
            status: 0,
            fault: None,
            stop: None,
            tokens: Tokens::default(),
            units: Units::default(),
            counted: Counted::Nothing,
            cost: None,
            price: None,
            first_byte_us: None,
            total_us: 0,
            losses: Vec::new(),
            attempts: vec![Tried {
                provider: note.provider.clone(),
                model: note.model.clone(),
                credential: None,
                status: None,
                fault: None,
                began_us: 0,
                total_us: 0,
                sent: true,
                cost: None,
                told_chars: None,
            }],
            routed: None,
            experiment: note.experiment,
            stand: note.stand,
            end_user: note.end_user,
            tags: BTreeMap::new(),
            postings: Vec::new(),
            provider: note.provider,
            model: note.model,
        }
    }
}

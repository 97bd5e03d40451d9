//! The journal, as a person writes of it.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Span;
use crate::snapshot::Journal;

/// What is kept of calls, and for how long.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct JournalDraft {
    /// For how long calls are kept, as `90d`; an organization may say otherwise (`keep_calls`). What they cost stays in
    /// budgets. Default: for ever.
    keep: Option<Span>,
}

impl JournalDraft {
    pub(super) fn compile(self) -> Journal {
        Journal { keep: self.keep.map(Span::duration) }
    }
}

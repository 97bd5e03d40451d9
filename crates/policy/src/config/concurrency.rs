//! What a person types of how many calls a provider takes at a time and of how it is asked whether it is well, and what it
//! means.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::units::Span;
use crate::{
    concurrency::{Adapt, ConcurrencyPolicy},
    health_check::{Asks, HealthCheck},
    queue::Priority,
};

/// How many calls at a time a provider takes: a number, or a map.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum ConcurrencyEntry {
    /// Always so many.
    Fixed(u32),
    /// With settings.
    Full(ConcurrencyDraft),
}

/// How many calls at a time a provider takes.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConcurrencyDraft {
    /// The most.
    pub(super) max: u32,
    /// The least that a learned limit falls to, and where it begins. Default: 4.
    #[serde(default)]
    pub(super) min: Option<u32>,
    /// How the limit between the two is learned. Default: it is always the most.
    #[serde(default)]
    pub(super) adapt: Option<AdaptDraft>,
}

/// How a limit is learned.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum AdaptDraft {
    /// From the time to answers next to what is usual, and from overload and timeouts.
    Gradient,
    /// From overload and timeouts.
    Aimd,
}

/// Calls that wait for one of a provider's places.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct QueueDraft {
    /// The most that wait; further ones go to another target or are answered with 503 (`queue_full`). 0 lets nobody wait.
    /// Default: 100.
    pub(super) max: Option<u32>,
    /// How long one waits at most; then it goes to another target or is answered with 503 (`queue_timeout`). Default: `5s`.
    pub(super) wait: Option<Span>,
}

/// A class of service, for calls that wait for a place.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum PriorityDraft {
    /// Somebody waits for the answer: eight places for one of `batch`.
    Interactive,
    /// Four places for one of `batch`.
    Default,
    /// Nobody is in a hurry.
    Batch,
}

/// Asks a provider from time to time whether it is well.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct CheckDraft {
    /// A path of the provider, as `/health`, below where its API begins (its address without `/v1`). It is asked with `GET`
    /// and the provider's credential, and is well where it answers with a status of 200 to 299, or 429.
    pub(super) path: Option<String>,
    /// A model that is asked for a few tokens, instead of a path.
    pub(super) model: Option<String>,
    /// From one question to the next. Default: `10s`.
    pub(super) every: Option<Span>,
    /// For the whole answer. Default: `2s`.
    pub(super) timeout: Option<Span>,
    /// So many bad answers in a row, and the provider's targets rest; one good answer, and they are back. Default: 3.
    pub(super) failures: Option<u32>,
}

/// A field and what is wrong with it.
pub(super) type Astray = (&'static str, &'static str);

/// The limit of a provider, and what is wrong with what was written.
pub(super) fn concurrency(
    entry: Option<ConcurrencyEntry>,
    queue: Option<QueueDraft>,
) -> Result<Option<ConcurrencyPolicy>, Astray> {
    let draft = match entry {
        None if queue.is_some() => {
            return Err((
                "queue",
                "is for calls that wait for a place; say how many there are with concurrency",
            ));
        }
        None => return Ok(None),
        Some(ConcurrencyEntry::Fixed(max)) => ConcurrencyDraft { max, min: None, adapt: None },
        Some(ConcurrencyEntry::Full(draft)) => draft,
    };
    let usual = ConcurrencyPolicy::fixed(draft.max);
    let min = draft.min.unwrap_or(usual.min);
    if draft.max == 0 {
        return Err(("concurrency", "must be at least 1; leave it out for no limit"));
    }
    if draft.min.is_some() && draft.adapt.is_none() {
        return Err(("concurrency.min", "is for a learned limit; write adapt: gradient or aimd as well"));
    }
    if min == 0 || min > draft.max {
        return Err(("concurrency.min", "must be between 1 and max"));
    }
    let queue = queue.unwrap_or_default();
    Ok(Some(ConcurrencyPolicy {
        max: draft.max,
        min,
        adapt: draft.adapt.map(|adapt| match adapt {
            AdaptDraft::Gradient => Adapt::Gradient,
            AdaptDraft::Aimd => Adapt::Aimd,
        }),
        queue_max: queue.max.map_or(usual.queue_max, |max| max as usize),
        queue_wait: queue.wait.map_or(usual.queue_wait, |span| span.0),
    }))
}

pub(super) fn priority(draft: Option<PriorityDraft>) -> Priority {
    match draft {
        Some(PriorityDraft::Interactive) => Priority::Interactive,
        None | Some(PriorityDraft::Default) => Priority::Default,
        Some(PriorityDraft::Batch) => Priority::Batch,
    }
}

/// How a provider is asked whether it is well, and what is wrong with what was written.
pub(super) fn check(draft: CheckDraft) -> Result<HealthCheck, Astray> {
    let asks = match (draft.path, draft.model) {
        (Some(_), Some(_)) => return Err(("model", "and path are two ways to ask; write one")),
        (None, None) => {
            return Err(("path", "is missing; write path: /health, or model with the name of one"));
        }
        (Some(path), None) if !path.starts_with('/') => {
            return Err(("path", "must begin with a slash, as /health"));
        }
        (Some(path), None) if path.contains(|letter: char| !letter.is_ascii_graphic() || letter == '#') => {
            return Err(("path", "must be written as in an address: escape spaces and other signs"));
        }
        (Some(path), None) => Asks::Path(path),
        (None, Some(model)) => Asks::Model(model),
    };
    let span = |draft: Option<Span>, usual: u64| draft.map_or(Duration::from_secs(usual), |span| span.0);
    let (every, timeout) = (span(draft.every, 10), span(draft.timeout, 2));
    if every.is_zero() {
        return Err(("every", "must be longer than nothing; write 10s"));
    }
    if timeout.is_zero() {
        return Err(("timeout", "must be longer than nothing; write 2s"));
    }
    let failures = draft.failures.unwrap_or(3);
    if failures == 0 {
        return Err(("failures", "must be at least 1"));
    }
    Ok(HealthCheck { asks, every, timeout, failures })
}

//! What the simulator saw, for tests that compare it with a journal.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    account::{Account, Limit},
    operations::Stored,
};

/// The most calls that are listed.
const LISTED_MAX: usize = 10_000;

#[derive(Default)]
pub(crate) struct Calls(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    total: u64,
    in_flight: u64,
    /// The most that were in flight at a time.
    peak: u64,
    /// What `/health` answers; 0 stands for 200.
    health: u16,
    finished: u64,
    gone: u64,
    /// The tokens of input and output that all answers report, listed or not.
    reported: (u64, u64),
    by_path: BTreeMap<String, u64>,
    by_status: BTreeMap<u16, u64>,
    listed: VecDeque<Call>,
    last: Value,
    scripts: HashMap<String, u64>,
    /// Calls of a window, and when it began, by script and credential.
    accounts: HashMap<(String, String), (u64, Instant)>,
    /// Prompts that were marked to be cached.
    cached: HashMap<u64, usize>,
    stored: Stored,
}

/// A call for as long as it is in flight.
pub(crate) struct Flight(Arc<Calls>);

impl Drop for Flight {
    fn drop(&mut self) {
        let mut seen = self.0.seen();
        seen.in_flight = seen.in_flight.saturating_sub(1);
    }
}

struct Call {
    number: u64,
    path: String,
    model: String,
    /// The credential that it showed.
    key: String,
    request_id: String,
    /// The tokens of input and output that its answer reports.
    reported: Option<(usize, usize)>,
    finished: bool,
    gone: bool,
}

impl Calls {
    /// Counts a call and returns its number.
    pub(crate) fn begin(&self, (path, model): (&str, &str), key: &str, request_id: &str, last: Value) -> u64 {
        let mut seen = self.seen();
        seen.total += 1;
        let number = seen.total;
        *seen.by_path.entry(path.to_owned()).or_default() += 1;
        seen.last = last;
        if seen.listed.len() >= LISTED_MAX {
            seen.listed.pop_front();
        }
        seen.listed.push_back(Call {
            number,
            path: path.to_owned(),
            model: model.to_owned(),
            key: key.to_owned(),
            request_id: request_id.to_owned(),
            reported: None,
            finished: false,
            gone: false,
        });
        number
    }

    /// The answer of a call is to report so many tokens of input and output.
    pub(crate) fn reports(&self, number: u64, input: usize, output: usize) {
        let mut seen = self.seen();
        seen.reported.0 += input as u64;
        seen.reported.1 += output as u64;
        if let Some(call) = seen.listed.iter_mut().rev().find(|call| call.number == number) {
            call.reported = Some((input, output));
        }
    }

    /// Counts a call among those in flight, until what is given back is dropped.
    pub(crate) fn fly(self: &Arc<Calls>) -> Flight {
        let mut seen = self.seen();
        seen.in_flight += 1;
        seen.peak = seen.peak.max(seen.in_flight);
        Flight(Arc::clone(self))
    }

    /// The status that `/health` answers with.
    pub(crate) fn health(&self) -> u16 {
        match self.seen().health {
            0 => 200,
            status => status,
        }
    }

    pub(crate) fn set_health(&self, status: u16) {
        self.seen().health = status;
    }

    /// The answer of a call went out whole.
    pub(crate) fn finish(&self, number: u64) {
        let mut seen = self.seen();
        seen.finished += 1;
        if let Some(call) = seen.listed.iter_mut().rev().find(|call| call.number == number) {
            call.finished = true;
        }
    }

    /// The caller of a call went away before its answer had gone out.
    pub(crate) fn gone(&self, number: u64) {
        let mut seen = self.seen();
        seen.gone += 1;
        if let Some(call) = seen.listed.iter_mut().rev().find(|call| call.number == number) {
            call.gone = true;
        }
    }

    pub(crate) fn answered(&self, status: u16) {
        *self.seen().by_status.entry(status).or_default() += 1;
    }

    /// How often a script was played before this time.
    pub(crate) fn played(&self, script: &str) -> u64 {
        let mut seen = self.seen();
        let count = seen.scripts.entry(script.to_owned()).or_default();
        *count += 1;
        *count - 1
    }

    /// Counts a call against the limit of a credential.
    pub(crate) fn account(&self, script: &str, key: &str, limit: Limit) -> Account {
        let mut seen = self.seen();
        let (used, since) =
            seen.accounts.entry((script.to_owned(), key.to_owned())).or_insert_with(|| (0, Instant::now()));
        if since.elapsed() >= limit.window {
            (*used, *since) = (0, Instant::now());
        }
        *used += 1;
        let resets_in = limit.window.checked_sub(since.elapsed()).unwrap_or(Duration::ZERO);
        Account { limit: limit.calls, used: *used, resets_in }
    }

    /// Whether a prompt of so many tokens was marked before; it is now.
    pub(crate) fn was_cached(&self, prompt: u64, tokens: usize) -> bool {
        self.seen().cached.insert(prompt, tokens).is_some()
    }

    /// Whether a response with this id was made.
    pub(crate) fn is_stored(&self, id: &str) -> bool {
        let number = id.strip_prefix("resp_sim").and_then(|number| number.parse::<u64>().ok());
        number.is_some_and(|number| number <= self.seen().total)
    }

    /// Files and batches that were stored.
    pub(crate) fn stored<T>(&self, look: impl FnOnce(&mut Stored) -> T) -> T {
        look(&mut self.seen().stored)
    }

    pub(crate) fn report(&self) -> Value {
        let seen = self.seen();
        let listed = seen.listed.iter().map(|call| {
            let reported =
                call.reported.map(|(input, output)| json!({"input_tokens": input, "output_tokens": output}));
            json!({"seq": call.number, "path": call.path, "model": call.model, "key": call.key,
                   "request_id": call.request_id, "reported": reported, "finished": call.finished,
                   "gone": call.gone})
        });
        json!({"total": seen.total, "in_flight": seen.in_flight, "peak": seen.peak, "finished": seen.finished, "gone": seen.gone,
               "reported": {"input_tokens": seen.reported.0, "output_tokens": seen.reported.1}, "by_path": seen.by_path,
               "by_status": seen.by_status, "calls": listed.collect::<Vec<_>>()})
    }

    pub(crate) fn last(&self) -> Value {
        self.seen().last.clone()
    }

    pub(crate) fn reset(&self) {
        let mut seen = self.seen();
        let in_flight = seen.in_flight;
        *seen = Seen { in_flight, peak: in_flight, ..Seen::default() };
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

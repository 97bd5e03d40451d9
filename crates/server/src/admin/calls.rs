//! The journal, and what callers thought of their calls.

use policy::{
    principal::Principal,
    vitals::{News, RouteId, TargetId},
};
use serde_json::json;
use store::{Database, Feedback, Filter};
use wire::Fault;

use super::{Admin, Reply, find::Finder, list::wanted_organization, query::Parameters, refusal::Refusal};
use crate::{
    feedback::{self, Opinion},
    tasks,
    world::now_us,
};

/// The most records that one answer lists.
const CALLS_MAX: u32 = 1_000;
/// Who writes on the board and reads nothing of it.
const NOT_A_CORE: usize = usize::MAX;

/// Some of the journal, of what the caller may see.
pub(super) fn list(
    finder: &Finder,
    parameters: &Parameters,
    database: &mut Database,
) -> Result<Reply, Refusal> {
    let limit = parameters.number("limit")?.unwrap_or(100);
    let Some(tenancy) = wanted_organization(finder, parameters, database)? else {
        return Ok(Reply::ok(&json!({"data": []})));
    };
    let filter = Filter {
        key_name: parameters.text("key").map(str::to_owned),
        of: parameters.id("of")?,
        end_user: parameters.text("end_user").map(str::to_owned),
        since_us: parameters.number("since_us")?,
        before_us: parameters.number("before_us")?,
        limit: u32::try_from(limit).unwrap_or(CALLS_MAX).min(CALLS_MAX),
    };
    let mut shown = Vec::new();
    for call in database.calls(tenancy, &filter)? {
        let mut call_shown = json!(call);
        if let Some(said) = database.feedback(call.id)? {
            call_shown["feedback"] = json!({"score": said.score, "comment": said.comment});
        }
        shown.push(call_shown);
    }
    Ok(Reply::ok(&json!({"data": shown})))
}

impl Admin {
    /// Keeps what a caller thought of one of its own calls, and tells those who learn from it.
    pub(super) async fn feedback(&self, principal: &Principal, body: &[u8]) -> Result<Reply, Fault> {
        let opinion = Opinion::read(body)?;
        let (call_id, score, comment) = (opinion.call_id, opinion.score, opinion.comment.clone());
        let feedback = Feedback { call_id, score, comment, given_us: now_us() };
        let key_id = principal.id;
        let kept = self.database.ask(move |database| {
            let found = database.call(call_id)?.filter(|record| record.key_id == key_id);
            let Some(record) = found else { return Ok(None) };
            let first = database.keep_feedback(&feedback)?;
            Ok(Some((record, first)))
        });
        let (record, first) = kept.await?.ok_or_else(|| feedback::unknown(call_id))?;
        // Who changes an opinion has been counted.
        if first {
            let target = TargetId::of(&record.provider, &record.model);
            let news = News::Feedback(RouteId::of(&record.model_asked), target, score);
            self.shared.board.post(NOT_A_CORE, [news]);
            let rollouts = self.rollouts.clone();
            tasks::aside(move || rollouts.score(&record, score)).await;
        }
        Ok(Reply { body: feedback::kept(&opinion), ..Reply::ok(&()) })
    }
}

//! Has another target go on with an answer that broke off, from what was said so far.

use std::rc::Rc;

use bytes::Bytes;
use http::request;
use policy::{
    attempt::{Attempts, Failed, Step},
    route::{Plan, Target},
};
use tokio::time::Instant;
use wire::{
    Dialect, Encoding, Envelope, Fault, Kind, Losses, Origin, Quirks,
    count::estimate_tokens,
    ir::{Content, Ext, Message, Role},
};

use super::heads::is_stream;
use crate::{
    attempt::{self, Missed},
    call::Call,
    gate,
    inbound::{Asks, Inbound},
    metrics::Counter,
    outbound::{encode, endpoint},
    upstream::Answer,
};

/// What a target is told that goes on with another's answer.
const GO_ON: &str =
    "Your answer was cut off. Go on exactly where it ends: repeat nothing of it, and say nothing about this.";

/// What is needed to ask another target for the rest of an answer.
pub(crate) struct Resumption {
    pub(crate) parts: request::Parts,
    pub(crate) dialect: Dialect,
    /// The request as it came, and the model that it asked for.
    pub(crate) body: Bytes,
    pub(crate) model: String,
    pub(crate) plan: Rc<Plan>,
    pub(crate) attempts: Attempts,
    /// The number of the target whose answer this is, and of its attempt.
    pub(crate) number: usize,
    pub(crate) attempt: usize,
    pub(crate) deadline: Instant,
}

/// What came of it.
pub(super) enum Resumed {
    /// The rest begins.
    On { resumption: Box<Resumption>, call: Call, answer: Answer, target: Target },
    /// Nobody goes on.
    Given(Call, Fault),
}

impl Resumption {
    /// Whether another target may do better.
    pub(super) fn helps(fault: &Fault) -> bool {
        fault.origin == Origin::Upstream
            && matches!(
                fault.kind,
                Kind::Cut
                    | Kind::Timeout
                    | Kind::Overloaded
                    | Kind::Internal
                    | Kind::Garbage
                    | Kind::RateLimited
            )
    }

    /// A dialect of the targets that is not the caller's.
    pub(super) fn foreign(&self) -> Option<Dialect> {
        self.plan.targets.iter().map(|target| target.dialect).find(|dialect| *dialect != self.dialect)
    }

    /// Asks others for the rest, until one begins.
    pub(super) async fn resume(
        mut self: Box<Self>,
        mut call: Call,
        mut fault: Fault,
        said: String,
    ) -> Resumed {
        let core = Rc::clone(call.core());
        let world = Rc::clone(&call.open().world);
        let status = call.open().status;
        attempt::close_broken(&mut call, self.attempt, status, &fault);
        if let Some(broken) = call.open().attempts.get_mut(self.attempt) {
            broken.told_chars = Some(said.chars().count() as u64);
        }
        let asks = match self.rest_of(&said) {
            Ok(asks) => asks,
            Err(_) => return Resumed::Given(call, fault),
        };
        let parts = self.parts.clone();
        let inbound = Inbound { parts: &parts, asks };
        let plan = Rc::clone(&self.plan);
        loop {
            let failed = Failed { fault: &fault, target: self.number, sent: true };
            let step = self.attempts.after(&plan, &failed, &mut core.vitals(), core.now());
            self.number = match step {
                Step::Try(number) => number,
                Step::Wait(span, number) => {
                    tokio::time::sleep(span).await;
                    number
                }
                Step::GiveUp => return Resumed::Given(call, fault),
            };
            let Some(target) = plan.targets.get(self.number) else { return Resumed::Given(call, fault) };
            let way = endpoint(&world, &inbound, target).and_then(|endpoint| {
                Ok((endpoint, encode(call.open(), &inbound, target, endpoint, plan.fidelity)?))
            });
            let Ok(way) = way else { return Resumed::Given(call, fault) };
            let first_byte = call.open().meter.first_byte;
            let permit = match gate::enter(&mut call, way.0, target, self.deadline).await {
                Ok(permit) => permit,
                Err(missed) => {
                    fault = missed.fault;
                    continue;
                }
            };
            let sending = match attempt::start(&mut call, (self.number, target), way, permit) {
                Ok(sending) => sending,
                Err(Missed { fault, .. }) => return Resumed::Given(call, fault),
            };
            call.open().meter.first_byte = first_byte;
            self.attempt = sending.attempt;
            match sending.send(&core, &inbound, &plan, self.deadline).await {
                Ok(answer) if answer.status >= 300 => {
                    let refusal =
                        attempt::refusal(&mut call, sending.attempt, answer, target, self.deadline).await;
                    fault = refusal.fault;
                }
                Ok(answer) if is_stream(&answer.headers, target.dialect) => {
                    core.count(Counter::StreamsContinued);
                    let target = target.clone();
                    return Resumed::On { resumption: self, call, answer, target };
                }
                Ok(_) => {
                    fault =
                        Fault::new(Origin::Upstream, Kind::Garbage, "the rest of the answer is no stream");
                    attempt::close(&mut call, sending.attempt, None, &fault, true);
                }
                Err(missed) => {
                    attempt::close(&mut call, sending.attempt, None, &missed.fault, missed.sent);
                    fault = missed.fault;
                }
            }
        }
    }

    /// The request for the rest: the one that came, what was said so far, and the wish to go on.
    fn rest_of(&self, said: &str) -> Result<Asks<'static>, Fault> {
        let mut request = self.dialect.decode_request(&self.body)?;
        request.model.clone_from(&self.model);
        request.stream = Some(true);
        let told = estimate_tokens(said);
        request.output_tokens_max = request.output_tokens_max.map(|most| most.saturating_sub(told).max(1));
        for (role, text) in [(Role::Assistant, said), (Role::User, GO_ON)] {
            request.messages.push(Message { role, content: Content::bare(text), ext: Ext::default() });
        }
        let quirks = Quirks::default();
        let encoding = Encoding { model: &self.model, quirks: &quirks, output_tokens_max: None };
        let body = Bytes::from(self.dialect.encode_request(&request, &encoding, &mut Losses::default()));
        let envelope = if self.dialect.names_model_in_path() {
            Envelope::addressed(&body, self.model.clone(), true)?
        } else {
            Envelope::parse(&body, self.dialect.streams_unasked())?
        };
        Ok(Asks::Chat { body, envelope })
    }
}

//! Where a request would go, and why: a dry run that sends nothing.

use bytes::Bytes;
use serde::Serialize;
use wire::{AskedForm, Dialect, Encoding, Envelope, Fault, Form, Kind, Losses, Origin, ir};

use crate::{
    Money, Snapshot,
    attempt::Attempts,
    facts::RequestFacts,
    hedge::HedgeAfter,
    judge::Reader,
    moment::Moment,
    preference::{Aside, Preferences},
    principal::Principal,
    route::{self, Asked, Asking, Plan, Said, Skipped, Target, Wants},
    rule::{Headers, Judge as _, RuleFacts},
    vitals::Vitals,
};

/// A request that is not sent.
#[derive(Clone, Copy)]
pub struct Rehearsed<'a> {
    /// The path it would be sent to, as `/v1/chat/completions`.
    pub path: &'a str,
    pub body: &'a [u8],
    /// By their names in lower case.
    pub headers: &'a [(String, String)],
    /// Microseconds since 1970.
    pub now_us: i64,
}

/// Where it would go.
#[derive(Debug, Serialize)]
pub struct Explanation {
    /// The model's name as asked for.
    pub model: String,
    pub key: String,
    pub request: Read,
    /// The rule that led to another name.
    pub rule: Option<String>,
    pub strategy: &'static str,
    /// In the order in which they would be asked, where each before failed.
    pub targets: Vec<Explained>,
    /// Those that do not come into question.
    pub skipped: Vec<Passed>,
    pub attempts: Manner,
}

/// What was read of the request.
#[derive(Debug, Serialize)]
pub struct Read {
    pub operation: &'static str,
    pub dialect: &'static str,
    /// About how many tokens it has.
    pub tokens: u64,
    pub output_tokens_max: Option<u64>,
    pub messages: usize,
    pub needs: Vec<&'static str>,
    /// The least context window that it takes.
    pub context_tokens: u64,
    pub language: &'static str,
    /// How likely a small model answers worse than a strong one, as a rank from 0 to 1.
    pub difficulty: Option<f64>,
    /// Which of the configured intents it has; empty where it is none of them.
    pub intent: Option<String>,
}

/// A target that would be asked.
#[derive(Debug, Serialize)]
pub struct Explained {
    pub target: String,
    /// The dialect, or the form, in which it would be asked.
    pub asked_in: &'static str,
    /// Whether it may be asked now, or until when it rests.
    pub standing: String,
    pub in_flight: u32,
    /// How long its answers take to begin; nothing where nothing is known.
    pub wait_ms: Option<u64>,
    /// Of a stream, in tokens a second.
    pub tokens_per_second: Option<u64>,
    /// What the request may cost, in USD, with an answer of the usual length.
    pub cost_usd: Option<String>,
    /// What of the request it cannot carry.
    pub losses: Vec<String>,
}

/// A target that does not come into question.
#[derive(Debug, Serialize)]
pub struct Passed {
    pub target: String,
    pub why: String,
}

/// How it would be asked.
#[derive(Debug, Serialize)]
pub struct Manner {
    /// The most further attempts at one target.
    pub retries_max: u32,
    /// After which a second target would be asked beside the first.
    pub hedge_after: Option<String>,
    pub connect_ms: u128,
    pub first_byte_ms: u128,
    pub total_ms: u128,
}

fn passed(skipped: &Skipped) -> Passed {
    Passed { target: format!("{}/{}", skipped.provider, skipped.model), why: skipped.why.clone() }
}

/// Plans a request and tells what came of it. What was learned so far is looked at and not changed.
pub fn explain(
    snapshot: &Snapshot,
    principal: &Principal,
    rehearsed: &Rehearsed<'_>,
    vitals: &Vitals,
    now: Moment,
) -> Result<Explanation, Fault> {
    let mut vitals = vitals.clone();
    let header = |name: &str| Texts(rehearsed.headers).text(name).map(str::to_owned);
    // The name that stands here is none that is looked at: all this reads is what is said to the gateway.
    let envelope = Envelope::addressed(rehearsed.body, "any".to_owned(), false)?;
    let (body, envelope) = envelope.without_gateway(Bytes::copy_from_slice(rehearsed.body))?;
    let mut aside = envelope.gateway.as_deref().map(Aside::parse).transpose()?.unwrap_or_default();
    if let Some(text) = header("x-tollgate-route") {
        aside.route = Some(Preferences::parse(&text, "x-tollgate-route")?);
    }
    let session = header("x-tollgate-session").or(aside.session);
    let (chat, form) = (Dialect::at(rehearsed.path), Form::at(rehearsed.path));
    let Some(asking) =
        chat.map(|chat| Asking::Chat(chat.dialect)).or(form.map(|form| Asking::Form(form.form)))
    else {
        let message = format!("{} is no path of a model's API; see /v1/chat/completions", rehearsed.path);
        return Err(Fault::new(Origin::Client, Kind::NotFound, message).code("path_not_found"));
    };
    let addressed = chat.and_then(|chat| chat.model).or(form.and_then(|form| form.model)).map(str::to_owned);
    let request = chat.map(|chat| chat.dialect.decode_request(&body)).transpose()?;
    let model = match (addressed, &request) {
        (Some(model), _) => model,
        (None, Some(request)) => request.model.clone(),
        (None, None) => Envelope::parse(&body, false)?.model,
    };
    let facts = facts(request.as_ref(), form, &model, &body);
    let texts = Texts(rehearsed.headers);
    let (judge, now_us) = (Reader::new(facts.last_user_text, snapshot.intents.as_deref()), rehearsed.now_us);
    let said = Said {
        facts: RuleFacts {
            request: &facts,
            headers: &texts,
            principal,
            judge: &judge,
            address: None,
            target: None,
            now_us,
        },
        chat: request.as_ref(),
        session: session.as_deref(),
    };
    let asked = Asked {
        model: &model,
        asking,
        wishes: aside.route.as_ref(),
        said: Some(&said),
        rules: Some(&said.facts),
        wants: None,
    };
    principal.may_call(&said.facts)?;
    let plan = route::plan(snapshot, principal, &asked, &vitals)?;
    let standing = plan.standing(&vitals, now);
    let order = Attempts::order(&plan, &mut vitals, now);
    let usual = route::usual_output(plan.targets.iter(), &vitals);
    let explained = |number: usize| {
        let target = plan.targets.get(number)?;
        let standing = standing.get(number).map_or_else(|| "ready".to_owned(), ToString::to_string);
        Some(explained(target, standing, (&vitals, now), (&Wants::of(&said), usual), request.as_ref()))
    };
    Ok(Explanation {
        key: principal.name.clone(),
        request: read(&facts, &judge),
        rule: plan.rule.as_deref().map(str::to_owned),
        strategy: plan.strategy.name(),
        targets: order.into_iter().filter_map(explained).collect(),
        skipped: plan.skipped.iter().map(passed).collect(),
        attempts: manner(&plan),
        model,
    })
}

fn facts<'r>(
    request: Option<&'r ir::Request>,
    form: Option<AskedForm<'_>>,
    model: &'r str,
    body: &'r [u8],
) -> RequestFacts<'r> {
    match (request, form) {
        (Some(request), _) => {
            let mut facts = RequestFacts::of_chat(request, body);
            facts.model = model;
            facts
        }
        (None, Some(form)) => RequestFacts::of_form(form.form, model, body),
        (None, None) => RequestFacts::of_envelope(wire::Operation::Chat, Dialect::OpenaiChat, model, body),
    }
}

fn read(facts: &RequestFacts<'_>, judge: &Reader<'_>) -> Read {
    let needs = facts.needs();
    Read {
        operation: facts.operation.name(),
        dialect: facts.dialect.name(),
        tokens: facts.tokens(),
        output_tokens_max: facts.output_tokens_max,
        messages: facts.messages,
        needs: needs.capabilities.iter().map(|capability| capability.name()).collect(),
        context_tokens: needs.context_tokens,
        language: facts.language(),
        difficulty: judge.difficulty(),
        intent: judge.intent().map(str::to_owned),
    }
}

fn explained(
    target: &Target,
    standing: String,
    (vitals, now): (&Vitals, Moment),
    (wants, usual): (&Wants, u64),
    request: Option<&ir::Request>,
) -> Explained {
    let health = vitals.health(target.id);
    let known = |amount: f64| (amount > 0.0).then_some(amount as u64);
    let losses = request.filter(|request| target.form.is_none() && request.dialect != target.dialect);
    let losses = losses.map(|request| losses_of(request, target)).unwrap_or_default();
    let (cost, _) = route::costs(target, wants, usual, vitals);
    let cost = cost.and_then(|cost| i64::try_from(cost).ok());
    Explained {
        target: format!("{}/{}", target.provider.facts.id, target.model),
        asked_in: target.form.map_or(target.dialect.name(), Form::name),
        standing,
        in_flight: vitals.in_flight(target.id),
        wait_ms: health.and_then(|health| known(health.wait_us(now) / 1_000.0)),
        tokens_per_second: health.and_then(|health| known(health.tokens_per_second())),
        cost_usd: cost.map(|cost| Money(cost).to_string()),
        losses,
    }
}

fn losses_of(request: &ir::Request, target: &Target) -> Vec<String> {
    let mut losses = Losses::default();
    let output_tokens_max = target.facts().and_then(|facts| facts.output_tokens);
    let encoding = Encoding { model: &target.model, quirks: target.quirks(), output_tokens_max };
    target.dialect.encode_request(request, &encoding, &mut losses);
    losses.iter().map(ToString::to_string).collect()
}

fn manner(plan: &Plan) -> Manner {
    let hedge = plan.hedging.filter(|_| plan.can_hedge()).map(|hedging| match hedging.after {
        HedgeAfter::Span(span) => format!("{span:?}"),
        HedgeAfter::Quantile(permille) => format!("p{}", f64::from(permille) / 10.0),
    });
    Manner {
        retries_max: plan.retries.max,
        hedge_after: hedge,
        connect_ms: plan.deadlines.connect.as_millis(),
        first_byte_ms: plan.deadlines.first_byte.as_millis(),
        total_ms: plan.deadlines.total.as_millis(),
    }
}

/// Headers as rules see them.
struct Texts<'h>(&'h [(String, String)]);

impl Headers for Texts<'_> {
    fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

//! Where a call goes: a model name to targets, and how one of them is chosen.

use std::{borrow::Cow, sync::Arc};

use wire::{Fault, Kind, Operation, Origin, ir};

use crate::{
    Snapshot,
    affinity::affinity,
    attempt::Retries,
    facts::Needs,
    filter::{Unfit, unfit},
    hedge::Hedging,
    label::Demands,
    moment::Moment,
    preference::Preferences,
    price,
    principal::Principal,
    queue::Priority,
    record::{Tokens, Units},
    rollout::{Experiment, Shadow, with_candidate},
    rule::RuleFacts,
    snapshot::{Alias, AliasTarget, Deadlines, Fidelity, Hold},
    strategy::{Contender, Strategy},
    vitals::{RouteId, TargetId, Vitals},
};

pub use crate::{
    resource::plan_resource,
    target::{Asking, Target},
};

/// How long an answer is taken to be where nothing is known, in tokens.
const OUTPUT_TOKENS_GUESS: u64 = 500;

/// The targets of one call, and how the next of them is chosen.
pub struct Plan {
    pub targets: Vec<Target>,
    /// As strategies see them; empty where there is nothing to choose.
    pub(crate) contenders: Vec<Contender>,
    /// What each is for; empty where all are for anything.
    pub(crate) purposes: Vec<Purpose>,
    pub strategy: Strategy,
    pub route: RouteId,
    pub(crate) affinity: u64,
    pub deadlines: Deadlines,
    pub fidelity: Fidelity,
    pub retries: Retries,
    pub hedging: Option<Hedging>,
    pub hold: Hold,
    /// Whether another target goes on with a stream that broke off.
    pub continues: bool,
    /// The class of service, where the caller names none.
    pub priority: Priority,
    /// Whether another target may be asked where one fails.
    pub(crate) falls_back: bool,
    /// Whether doing it twice does no more than doing it once.
    pub repeatable: bool,
    /// Whether the request goes on with a conversation that had an answer before.
    pub goes_on: bool,
    /// The rule that led here.
    pub rule: Option<Arc<str>>,
    /// Those that did not come into question, and why.
    pub skipped: Vec<Skipped>,
    /// How many of the targets, the first ones, come before the others whatever the strategy; 0 where none does.
    pub(crate) own: usize,
    /// The rollout that the call is part of.
    pub experiment: Option<Experiment>,
    /// Where the call may be mirrored to.
    pub shadow: Option<Arc<Shadow>>,
}

/// What a target of a plan is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Any,
    /// Requests that others find too long.
    LongerContext,
    /// Requests that others refuse for their content.
    ContentPolicy,
}

/// A target that did not come into question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    pub provider: String,
    pub model: Arc<str>,
    pub why: String,
}

/// What is asked, as far as routing goes.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// The model's name.
    pub model: &'a str,
    pub asking: Asking,
    pub wishes: Option<&'a Preferences>,
    /// What the request says, where its way depends on that ([`reads_request`]).
    pub said: Option<&'a Said<'a>>,
    /// What the caller's access rules over targets are asked of, where it has rules.
    pub rules: Option<&'a RuleFacts<'a>>,
    /// What it wants, where that is known without reading it.
    pub wants: Option<&'a Wants>,
}

/// What a request says.
#[derive(Clone, Copy)]
pub struct Said<'a> {
    pub facts: RuleFacts<'a>,
    /// The request itself, where it is a chat.
    pub chat: Option<&'a ir::Request>,
    /// The session that the caller names.
    pub session: Option<&'a str>,
}

/// What a request wants of a target.
#[derive(Clone, Debug, Default)]
pub struct Wants {
    pub needs: Needs,
    /// About how many tokens it has.
    pub tokens: u64,
    pub output_tokens_max: Option<u64>,
    /// Whether the conversation had an answer before.
    pub goes_on: bool,
    /// What stays the same for what is to stay together; nothing where that is to be read of the request.
    pub affinity: Option<u64>,
}

impl Wants {
    pub(crate) fn of(said: &Said<'_>) -> Wants {
        let facts = said.facts.request;
        let answered = |request: &ir::Request| {
            request.messages.iter().any(|message| message.role == ir::Role::Assistant)
        };
        Wants {
            needs: facts.needs(),
            tokens: facts.tokens(),
            output_tokens_max: facts.output_tokens_max,
            goes_on: said.chat.is_some_and(answered),
            affinity: None,
        }
    }
}

/// Whether the way of a call for this name depends on what its request says.
pub fn reads_request(snapshot: &Snapshot, model: &str, wishes: Option<&Preferences>) -> bool {
    let Some(alias) = snapshot.models.get(model) else { return false };
    alias.reads_request || wishes.is_some_and(|wishes| wishes.sort.is_some())
}

/// Plans a call for a model name: one of the configured names, or `provider/model`.
pub fn plan(
    snapshot: &Snapshot,
    principal: &Principal,
    asked: &Asked<'_>,
    vitals: &Vitals,
) -> Result<Plan, Fault> {
    principal.may_use(asked.model)?;
    let (name, rule) = redirected(snapshot, asked);
    if let Some(alias) = snapshot.models.get(name) {
        return Ok(Plan { rule, ..of_alias(alias, principal, asked, vitals)? });
    }
    let named = name.split_once('/').and_then(|(name, model)| Some((snapshot.providers.get(name)?, model)));
    let Some((provider, model)) = named.filter(|(_, model)| !model.is_empty()) else {
        return Err(unknown(snapshot, name));
    };
    let named = [AliasTarget::new(Arc::clone(provider), model)];
    let targets = able(&named, asked.asking);
    let Some((named, target)) = targets.into_iter().next() else {
        return Err(incapable(&provider.facts.id, asked.asking));
    };
    match unfit(named, &target, &Demands::default(), asked, None) {
        Some(Unfit::Barred(why)) => return Err(none_fits(name, &[Skipped::new(&target, why)])),
        Some(Unfit::Denied(fault)) => return Err(fault),
        Some(Unfit::Unable(_)) | None => {}
    }
    Ok(Plan { rule, repeatable: is_repeatable(asked.asking), ..Plan::direct(target, snapshot) })
}

/// The name that the rules of a name lead to, and the rule that led there last. The configuration has no circles.
fn redirected<'n>(snapshot: &'n Snapshot, asked: &Asked<'n>) -> (&'n str, Option<Arc<str>>) {
    let (mut name, mut rule) = (asked.model, None);
    let Some(said) = asked.said else { return (name, rule) };
    while let Some(way) = snapshot.models.get(name).and_then(|alias| {
        // A rule whose question has no answer does not hold.
        alias.ways.iter().find(|way| way.when.holds(&said.facts).unwrap_or(false))
    }) {
        name = &way.to;
        rule = Some(Arc::clone(&way.text));
    }
    (name, rule)
}

fn of_alias(alias: &Alias, principal: &Principal, asked: &Asked<'_>, vitals: &Vitals) -> Result<Plan, Fault> {
    let all = able(&alias.targets, asked.asking);
    if all.is_empty() {
        let providers = alias.targets.iter().map(|target| target.provider.facts.id.as_str());
        return Err(incapable(&providers.collect::<Vec<&str>>().join(", "), asked.asking));
    }
    let wants = asked.wants.cloned().or_else(|| asked.said.map(Wants::of));
    let (mut fit, skipped) = fitting(all, alias, asked, wants.as_ref())?;
    let experiment = with_candidate(&mut fit, alias, principal, asked, wants.as_ref(), vitals);
    let mut strategy = alias.strategy;
    if let Some(wishes) = asked.wishes {
        strategy = wishes.strategy().unwrap_or(strategy);
        if !wishes.order.is_empty() {
            fit.sort_by_key(|(_, target)| wishes.place(target));
        }
    }
    let single = fit.len() == 1;
    let contenders = if single {
        Vec::new()
    } else {
        let usual = usual_output(fit.iter().map(|(_, target)| target), vitals);
        let wants = wants.as_ref().filter(|_| strategy.wants_cost());
        fit.iter().map(|(named, target)| contender(named, target, wants, usual, vitals)).collect()
    };
    let (chat, session) = asked.said.map_or((None, None), |said| (said.chat, said.session));
    let known = wants.as_ref().and_then(|wants| wants.affinity);
    let mut plan = Plan {
        deadlines: alias
            .deadlines
            .or(fit.first().map(|(_, first)| first.provider.deadlines))
            .unwrap_or_default(),
        targets: fit.into_iter().map(|(_, target)| target).collect(),
        contenders,
        purposes: Vec::new(),
        strategy,
        route: alias.route,
        affinity: match known {
            None if strategy.keeps_together() => affinity(alias.affinity, session, chat, principal),
            known => known.unwrap_or_default(),
        },
        fidelity: alias.fidelity,
        retries: alias.retries,
        hedging: alias.hedging,
        hold: alias.hold,
        continues: alias.continues,
        priority: alias.priority,
        falls_back: asked.wishes.and_then(|wishes| wishes.allow_fallbacks).unwrap_or(true),
        repeatable: is_repeatable(asked.asking),
        goes_on: wants.is_some_and(|wants| wants.goes_on),
        rule: None,
        skipped,
        own: experiment.as_ref().map_or(0, |experiment| experiment.own),
        experiment,
        shadow: alias.shadow.as_ref().filter(|shadow| all_permitted(shadow, alias, asked)).cloned(),
    };
    plan.add(&alias.longer_context, Purpose::LongerContext, alias, asked);
    plan.add(&alias.permitted, Purpose::ContentPolicy, alias, asked);
    Ok(plan)
}

/// Whether demands, wishes and rules let a target be asked. They hold for whatever is asked in a name's stead, too.
fn is_permitted((named, target): &Meant<'_>, alias: &Alias, asked: &Asked<'_>) -> bool {
    match unfit(named, target, &alias.only, asked, None) {
        Some(Unfit::Barred(_) | Unfit::Denied(_)) => false,
        Some(Unfit::Unable(_)) | None => true,
    }
}

fn all_permitted(shadow: &Shadow, alias: &Alias, asked: &Asked<'_>) -> bool {
    able(&shadow.targets, asked.asking).iter().all(|meant| is_permitted(meant, alias, asked))
}

/// What the configuration says of a target, and the target.
pub(crate) type Meant<'n> = (&'n AliasTarget, Target);

/// Those that come into question, and why the others do not.
fn fitting<'n>(
    all: Vec<Meant<'n>>,
    alias: &Alias,
    asked: &Asked<'_>,
    wants: Option<&Wants>,
) -> Result<(Vec<Meant<'n>>, Vec<Skipped>), Fault> {
    let (mut fit, mut unable, mut barred) = (Vec::with_capacity(all.len()), Vec::new(), Vec::new());
    let mut denied = None;
    for (named, target) in all {
        match unfit(named, &target, &alias.only, asked, wants) {
            None => fit.push((named, target)),
            Some(Unfit::Unable(why)) => unable.push((named, target, why)),
            Some(Unfit::Barred(why)) => barred.push(Skipped::new(&target, why)),
            Some(Unfit::Denied(fault)) => {
                barred.push(Skipped::new(&target, fault.message.to_string()));
                denied.get_or_insert(fault);
            }
        }
    }
    if fit.is_empty() {
        fit.extend(unable.drain(..).map(|(named, target, _)| (named, target)));
    }
    if fit.is_empty() {
        return Err(denied.unwrap_or_else(|| none_fits(asked.model, &barred)));
    }
    barred.extend(unable.iter().map(|(_, target, why)| Skipped::new(target, why.clone())));
    Ok((fit, barred))
}

fn none_fits(model: &str, barred: &[Skipped]) -> Fault {
    let whys =
        barred.iter().map(|skipped| format!("{}/{}: {}", skipped.provider, skipped.model, skipped.why));
    let whys = whys.collect::<Vec<String>>().join("; ");
    let message = format!("no target of \"{model}\" may take this request ({whys})");
    let mut fault = Fault::new(Origin::Client, Kind::Unsupported, message).code("no_target_fits");
    fault.param = Some("model".to_owned());
    fault
}

/// Those that can be asked so. A prompt, or a request for pictures, that none of them takes in its own form becomes a chat.
pub(crate) fn able(named: &[AliasTarget], asking: Asking) -> Vec<Meant<'_>> {
    let able = |asking: Asking| -> Vec<Meant<'_>> {
        named.iter().filter_map(|named| Some((named, Target::new(named, asking)?))).collect()
    };
    let targets = able(asking);
    match asking {
        Asking::Form(form) if targets.is_empty() && form.becomes_chat() => {
            let mut chats = able(Asking::Chat(form.dialect()));
            chats.retain(|(_, target)| form.operation() != Operation::Images || target.may_draw());
            chats
        }
        Asking::Form(_) | Asking::Chat(_) => targets,
    }
}

/// How long answers for a name are, in tokens. All its targets are taken to say as much: who was asked before would
/// otherwise seem cheaper, or dearer, than who was not.
pub(crate) fn usual_output<'t>(targets: impl Iterator<Item = &'t Target>, vitals: &Vitals) -> u64 {
    let known = targets.filter_map(|target| vitals.health(target.id)?.output_tokens());
    let (sum, count) = known.fold((0_u64, 0), |(sum, count), tokens| (sum.saturating_add(tokens), count + 1));
    sum.checked_div(count).unwrap_or(OUTPUT_TOKENS_GUESS)
}

/// A target as strategies see it. `wants` is given where somebody wants to know what the request costs.
fn contender(
    named: &AliasTarget,
    target: &Target,
    wants: Option<&Wants>,
    usual: u64,
    vitals: &Vitals,
) -> Contender {
    let (cost, cost_cached) = match wants {
        Some(wants) => costs(target, wants, usual, vitals),
        None => (None, None),
    };
    Contender { weight: named.weight, cost, cost_cached, ..Contender::plain(target.id) }
}

/// What a request may cost there, in picodollars, with an answer of the usual length; and what it may cost where the
/// provider's cache holds the conversation so far.
pub(crate) fn costs(
    target: &Target,
    wants: &Wants,
    usual: u64,
    vitals: &Vitals,
) -> (Option<u64>, Option<u64>) {
    let Some(price) = target.facts().and_then(|facts| facts.price.as_ref()) else { return (None, None) };
    let output = wants.output_tokens_max.map_or(usual, |most| most.min(usual));
    let cost = |cached: f64| {
        let cache_read = (wants.tokens as f64 * cached) as u64;
        let tokens = Tokens { input: wants.tokens, cache_read, output, ..Tokens::default() };
        let cost = price::cost(price, &tokens, &Units::default())?;
        u64::try_from(cost.picodollars()).ok()
    };
    (cost(0.0), cost(vitals.cached_share(target.id)))
}

impl Plan {
    /// What was known of each target when the call began; nothing where there was nothing to choose.
    pub fn standing(&self, vitals: &Vitals, now: Moment) -> Vec<Cow<'static, str>> {
        if self.is_single() && self.skipped.is_empty() {
            return Vec::new();
        }
        let standing =
            |(number, target): (usize, &Target)| match (self.purpose(number), target.resting(vitals, now)) {
                (Purpose::LongerContext, _) => "for requests that others find too long".into(),
                (Purpose::ContentPolicy, _) => "for requests that others refuse for their content".into(),
                (Purpose::Any, None) => "ready".into(),
                (Purpose::Any, Some(until)) => format!("rests for {:.1?}", until.since(now)).into(),
            };
        self.targets.iter().enumerate().map(standing).collect()
    }

    /// To one target that was named, or is the only one.
    pub fn direct(target: Target, snapshot: &Snapshot) -> Plan {
        Plan {
            contenders: Vec::new(),
            purposes: Vec::new(),
            strategy: Strategy::Ordered,
            route: RouteId(target.id.0),
            affinity: 0,
            deadlines: target.provider.deadlines,
            fidelity: snapshot.fidelity,
            retries: snapshot.retries,
            hedging: None,
            hold: snapshot.hold,
            continues: false,
            priority: Priority::Default,
            falls_back: false,
            repeatable: true,
            goes_on: false,
            rule: None,
            skipped: Vec::new(),
            own: 0,
            experiment: None,
            shadow: None,
            targets: vec![target],
        }
    }

    /// Whether a second target may be asked beside one that is late.
    pub fn can_hedge(&self) -> bool {
        self.falls_back && self.repeatable && !self.is_single()
    }

    pub(crate) fn is_single(&self) -> bool {
        self.targets.len() == 1
    }

    pub(crate) fn purpose(&self, number: usize) -> Purpose {
        self.purposes.get(number).copied().unwrap_or(Purpose::Any)
    }

    /// Targets for what the others refuse.
    fn add(&mut self, named: &[AliasTarget], purpose: Purpose, alias: &Alias, asked: &Asked<'_>) {
        let mut further = able(named, asked.asking);
        further.retain(|meant| is_permitted(meant, alias, asked));
        if further.is_empty() {
            return;
        }
        if self.contenders.is_empty() {
            self.contenders.extend(self.targets.iter().map(|target| Contender::plain(target.id)));
        }
        self.purposes.resize(self.targets.len(), Purpose::Any);
        for (named, target) in further {
            self.contenders.push(Contender { weight: named.weight, ..Contender::plain(target.id) });
            self.targets.push(target);
            self.purposes.push(purpose);
        }
    }
}

impl Contender {
    pub(crate) fn plain(id: TargetId) -> Contender {
        Contender { id, weight: 1, cost: None, cost_cached: None }
    }
}

impl Skipped {
    fn new(target: &Target, why: String) -> Skipped {
        Skipped { provider: target.provider.facts.id.clone(), model: Arc::clone(&target.model), why }
    }
}

/// Whether asking twice does no more than asking once, but for what it costs.
fn is_repeatable(asking: Asking) -> bool {
    match asking {
        Asking::Chat(_) => true,
        Asking::Form(form) => form.upload() != wire::Upload::Any,
    }
}
pub(crate) fn incapable(providers: &str, asking: Asking) -> Fault {
    let name = match asking {
        Asking::Chat(_) => Operation::Chat.name(),
        // Who chats need not take what else is sold as chat is.
        Asking::Form(form) if form.operation() == Operation::Chat => form.name(),
        Asking::Form(form) => form.operation().name(),
    };
    let message = format!("{providers} takes no {name} requests here; name a model of a provider that does");
    let mut fault = Fault::new(Origin::Client, Kind::Unsupported, message).code("operation_not_supported");
    fault.param = Some("model".to_owned());
    fault
}

fn unknown(snapshot: &Snapshot, asked: &str) -> Fault {
    let known: Vec<&str> = snapshot.models.keys().map(String::as_str).collect();
    let near = known
        .iter()
        .copied()
        .filter(|name| strsim::jaro_winkler(name, asked) > 0.85)
        .max_by(|a, b| strsim::jaro_winkler(a, asked).total_cmp(&strsim::jaro_winkler(b, asked)));
    let providers: Vec<&str> = snapshot.providers.keys().map(String::as_str).collect();
    let hint = match near {
        Some(near) => format!("did you mean \"{near}\"?"),
        None if providers.is_empty() => "no provider is switched on".to_owned(),
        None => format!("name it as provider/model with one of: {}", providers.join(", ")),
    };
    let shown: String = asked.chars().take(100).collect();
    let message = format!("there is no model \"{shown}\"; {hint}");
    let mut fault = Fault::new(Origin::Client, Kind::NotFound, message).code("model_not_found");
    fault.param = Some("model".to_owned());
    fault
}

//! The names that applications use, and their targets.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    compile::{Compiler, fidelity, merge},
    concurrency,
    draft::{FullModel, ModelEntry},
    problem::nearest,
    routing::{
        self, DemandsDraft, FallbacksDraft, HoldDraft, OnBreakDraft, RetriesDraft, StrategyEntry,
        StrategyName, TargetEntry, Targets,
    },
};
use crate::{
    attempt::{Retries, TARGETS_MAX},
    rule::Rule,
    snapshot::{Alias, AliasTarget, Fidelity, Hold, Provider, Way},
    vitals::RouteId,
};

/// What holds for names that say nothing else.
#[derive(Clone, Copy)]
pub(super) struct Defaults {
    pub(super) fidelity: Fidelity,
    pub(super) retries: Retries,
    pub(super) hold: Hold,
}

type Providers = BTreeMap<String, Arc<Provider>>;

impl Compiler<'_> {
    pub(super) fn models(
        &mut self,
        entries: BTreeMap<String, ModelEntry>,
        providers: &Providers,
        defaults: Defaults,
    ) -> BTreeMap<String, Alias> {
        let mut models = BTreeMap::new();
        let mut experiments = Vec::new();
        for (name, entry) in entries {
            let path = format!("models.{name}");
            let shadows = name.split_once('/').is_some_and(|(provider, _)| providers.contains_key(provider));
            if shadows {
                self.fault(&path, "hides a provider's own model; choose a name that begins with no provider");
            }
            let (mut full, below) = match entry {
                ModelEntry::One(one) => (FullModel::of(Targets::One(one)), path.clone()),
                ModelEntry::Many(many) => (FullModel::of(Targets::Many(many)), path.clone()),
                ModelEntry::Full(full) => (*full, format!("{path}.targets")),
            };
            experiments.push((name.clone(), full.rollout.take(), full.shadow.take()));
            let alias = self.alias(&name, full, (&path, &below), providers, defaults);
            models.insert(name, alias);
        }
        self.experiments(experiments, &mut models, providers);
        self.ways_lead_somewhere(&models, providers);
        models
    }

    /// Every way leads to a name that there is, and none back to where it began.
    fn ways_lead_somewhere(&mut self, models: &BTreeMap<String, Alias>, providers: &Providers) {
        for (name, alias) in models {
            for (at, way) in alias.ways.iter().enumerate() {
                let path = format!("models.{name}.route[{at}].to");
                let direct = way
                    .to
                    .split_once('/')
                    .is_some_and(|(provider, model)| providers.contains_key(provider) && !model.is_empty());
                if !models.contains_key(&way.to) && !direct {
                    let message = match nearest(&way.to, models.keys().map(String::as_str)) {
                        Some(near) => format!("there is no model \"{}\"; did you mean \"{near}\"?", way.to),
                        None => {
                            format!("there is no model \"{}\"; name one of models, or provider/model", way.to)
                        }
                    };
                    self.fault(&path, message);
                } else if leads_to(models, &way.to, name, models.len()) {
                    self.fault(&path, format!("leads back to \"{name}\": requests would go in a circle"));
                }
            }
        }
    }

    fn rule(&mut self, text: &str, path: &str) -> Option<Arc<Rule>> {
        match Rule::compile(text) {
            Ok(rule) if rule.asks_of_target() => {
                self.fault(path, "asks of a target, which is chosen later; only access rules may");
                None
            }
            Ok(rule) => Some(Arc::new(rule)),
            Err(problem) => {
                self.fault(path, problem.to_string());
                None
            }
        }
    }

    fn alias(
        &mut self,
        name: &str,
        full: FullModel,
        (path, below): (&str, &str),
        providers: &Providers,
        defaults: Defaults,
    ) -> Alias {
        let targets = self.targets(full.targets, below, providers);
        let mut fallbacks = |draft: Option<Targets>, field: &str| {
            let path = format!("{path}.fallbacks.{field}");
            draft.map(|draft| self.targets(draft, &path, providers)).unwrap_or_default()
        };
        let longer_context = fallbacks(full.fallbacks.context_too_long, "context_too_long");
        let permitted = fallbacks(full.fallbacks.content_policy, "content_policy");
        if targets.len() + longer_context.len() + permitted.len() > TARGETS_MAX {
            self.fault(path, format!("has more than {TARGETS_MAX} targets, which is the most"));
        }
        let strategy = full.strategy.unwrap_or(StrategyEntry::Name(StrategyName::Ordered));
        let (strategy, affinity, astray) = routing::strategy(&strategy);
        for (field, message) in astray {
            self.fault(&format!("{path}.strategy.{field}"), message);
        }
        let hedging = full.hedge.as_ref().map(routing::hedging).transpose();
        let hedging = hedging.unwrap_or_else(|message| {
            self.fault(&format!("{path}.hedge.after"), message);
            None
        });
        let mut ways = Vec::with_capacity(full.route.len());
        for (at, way) in full.route.into_iter().enumerate() {
            let when = self.rule(&way.when, &format!("{path}.route[{at}].when"));
            ways.extend(when.map(|when| Way { when, text: way.when.into(), to: way.to }));
        }
        let ruled = !ways.is_empty() || targets.iter().any(|target| target.when.is_some());
        let first = targets.first().map(|target| target.provider.deadlines);
        let deadlines = full.deadlines.map(|draft| merge(&draft, first.unwrap_or_default()));
        Alias {
            route: RouteId::of(name),
            reads_request: strategy.wants_cost() || strategy.keeps_together() || ruled || differ(&targets),
            ways,
            targets,
            strategy,
            affinity,
            only: routing::demands(&full.only),
            longer_context,
            permitted,
            deadlines,
            fidelity: full.fidelity.map_or(defaults.fidelity, fidelity),
            retries: routing::retries(&full.retries, defaults.retries),
            hedging,
            hold: routing::hold(&full.hold, defaults.hold),
            continues: matches!(full.on_break, Some(OnBreakDraft::Continue)),
            priority: concurrency::priority(full.priority),
            rollout: None,
            shadow: None,
        }
    }

    pub(super) fn targets(&mut self, drafts: Targets, path: &str, providers: &Providers) -> Vec<AliasTarget> {
        let entries = match drafts {
            Targets::One(one) => return self.target(&one, providers, path).into_iter().collect(),
            Targets::Many(entries) => entries,
        };
        if entries.is_empty() {
            self.fault(path, "has no targets; write at least one provider/model");
        }
        let mut found: Vec<AliasTarget> = Vec::with_capacity(entries.len());
        for (at, entry) in entries.into_iter().enumerate() {
            let path = format!("{path}[{at}]");
            let target = match entry {
                TargetEntry::Name(name) => self.target(&name, providers, &path),
                TargetEntry::Full(full) => {
                    let target = self.target(&full.model, providers, &format!("{path}.model"));
                    let when = full.when.as_deref().and_then(|text| self.rule(text, &format!("{path}.when")));
                    target.map(|mut target| {
                        target.weight = full.weight.unwrap_or(1);
                        target.when = when;
                        target.labels = target.labels.joined(&routing::labels(&full.labels));
                        target
                    })
                }
            };
            let Some(target) = target else { continue };
            if found.iter().any(|known| known.id == target.id) {
                self.fault(&path, "is named twice; give it a weight instead");
            }
            found.push(target);
        }
        found
    }

    /// A model that the catalogue does not list is allowed, since providers add models every week; one that
    /// is a typing error away from a listed one is not.
    pub(super) fn target(
        &mut self,
        text: &str,
        providers: &BTreeMap<String, Arc<Provider>>,
        path: &str,
    ) -> Option<AliasTarget> {
        let Some((name, model)) = text.split_once('/').filter(|(_, model)| !model.is_empty()) else {
            self.fault(path, format!("\"{text}\" is no target; write it as provider/model"));
            return None;
        };
        let Some(provider) = providers.get(name) else {
            let message = match nearest(name, providers.keys().map(String::as_str)) {
                Some(near) => format!("no provider \"{name}\" is switched on; did you mean \"{near}\"?"),
                None => format!("no provider \"{name}\" is switched on; add it under providers"),
            };
            self.fault(path, message);
            return None;
        };
        let listed = provider.facts.models();
        if !listed.is_empty() && provider.facts.model(model).is_none() {
            match nearest_model(model, listed.iter().map(|known| known.id.as_str())) {
                Some(near) => {
                    self.fault(
                        path,
                        format!("no model \"{model}\" at provider \"{name}\"; did you mean \"{near}\"?"),
                    );
                }
                None => self.warnings.push((
                    path.to_owned(),
                    format!("the catalogue does not list \"{model}\" at \"{name}\": its calls are unpriced"),
                )),
            }
        }
        Some(AliasTarget::new(Arc::clone(provider), model))
    }
}

impl FullModel {
    /// Targets without settings of their own.
    fn of(targets: Targets) -> FullModel {
        FullModel {
            targets,
            route: Vec::new(),
            strategy: None,
            only: DemandsDraft::default(),
            fallbacks: FallbacksDraft::default(),
            retries: RetriesDraft::default(),
            hedge: None,
            hold: HoldDraft::default(),
            on_break: None,
            priority: None,
            deadlines: None,
            fidelity: None,
            rollout: None,
            shadow: None,
        }
    }
}

/// Whether ways lead from one name to another, in no more steps than there are names.
fn leads_to(models: &BTreeMap<String, Alias>, from: &str, to: &str, steps: usize) -> bool {
    from == to
        || steps > 0
            && models
                .get(from)
                .is_some_and(|alias| alias.ways.iter().any(|way| leads_to(models, &way.to, to, steps - 1)))
}

/// Whether targets differ in what they can take, so that a request must be read to know which come into question.
fn differ(targets: &[AliasTarget]) -> bool {
    let facts = |target: &AliasTarget| {
        let facts = target.provider.facts.model(&target.model)?;
        Some((facts.can.clone(), facts.context_tokens, facts.output_tokens))
    };
    let mut targets = targets.iter().map(facts);
    let first = targets.next();
    targets.any(|target| Some(target) != first)
}

/// A listed model that a typing error turns into this one. Names that differ in a digit are other versions,
/// unless nothing else differs but a separator.
fn nearest_model<'k>(model: &str, listed: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let plain =
        |name: &str| name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
    let digits = |name: &str| name.chars().filter(char::is_ascii_digit).collect::<String>();
    let wanted = plain(model);
    listed
        .filter(|known| digits(known) == digits(model))
        .map(|known| (strsim::damerau_levenshtein(&wanted, &plain(known)), known))
        .filter(|(distance, _)| *distance <= 2)
        .min()
        .map(|(_, known)| known)
}

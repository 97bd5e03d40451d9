//! Where a call goes: a model name to targets, in order.

use std::sync::Arc;

use catalog::Capability;
use wire::{Dialect, Fault, Form, Kind, Operation, Origin, Prompts, Quirks};

use crate::{
    Snapshot,
    key::Key,
    snapshot::{AliasTarget, Deadlines, Fidelity, Provider},
};

/// The targets of one call, in the order in which they are tried.
pub struct Plan {
    pub targets: Vec<Target>,
    pub deadlines: Deadlines,
    pub fidelity: Fidelity,
}

/// A model at a provider, and how it will be asked.
#[derive(Clone)]
pub struct Target {
    pub provider: Arc<Provider>,
    /// The model's name at the provider; empty where a request names none.
    pub model: Arc<str>,
    /// The dialect in which it is asked, or whose headers and errors its form has.
    pub dialect: Dialect,
    /// The form in which it is asked, for operations beside chat.
    pub form: Option<Form>,
}

/// How a caller asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asking {
    Chat(Dialect),
    Form(Form),
}

/// Plans a call for a model name: one of the configured names, or `provider/model`.
pub fn plan(snapshot: &Snapshot, key: &Key, asked: &str, asking: Asking) -> Result<Plan, Fault> {
    key.may_use(asked)?;
    if let Some(alias) = snapshot.models.get(asked) {
        let targets = targets(&alias.targets, asking);
        let Some(first) = targets.first() else {
            let providers = alias.targets.iter().map(|target| target.provider.facts.id.as_str());
            return Err(incapable(&providers.collect::<Vec<&str>>().join(", "), asking));
        };
        let deadlines = alias.deadlines.unwrap_or(first.provider.deadlines);
        return Ok(Plan { targets, deadlines, fidelity: alias.fidelity });
    }
    let named = asked.split_once('/').and_then(|(name, model)| Some((snapshot.providers.get(name)?, model)));
    let Some((provider, model)) = named.filter(|(_, model)| !model.is_empty()) else {
        return Err(unknown(snapshot, asked));
    };
    let named = [AliasTarget { provider: Arc::clone(provider), model: model.into() }];
    let targets = targets(&named, asking);
    if targets.is_empty() {
        return Err(incapable(&provider.facts.id, asking));
    }
    Ok(Plan { targets, deadlines: provider.deadlines, fidelity: snapshot.fidelity })
}

/// Those that can be asked so. A prompt, or a request for pictures, that none of them takes in its own form becomes a chat.
fn targets(named: &[AliasTarget], asking: Asking) -> Vec<Target> {
    let able = |asking: Asking| -> Vec<Target> {
        let target =
            |named: &AliasTarget| Target::new(Arc::clone(&named.provider), Arc::clone(&named.model), asking);
        named.iter().filter_map(target).collect()
    };
    let targets = able(asking);
    match asking {
        Asking::Form(form) if targets.is_empty() && form.becomes_chat() => {
            let mut chats = able(Asking::Chat(form.dialect()));
            chats.retain(|target| form.operation() != Operation::Images || target.may_draw());
            chats
        }
        Asking::Form(_) | Asking::Chat(_) => targets,
    }
}

/// Plans a call that names no model: to the provider that is named, or to the only one that takes the form.
pub fn plan_resource(snapshot: &Snapshot, key: &Key, named: Option<&str>, form: Form) -> Result<Plan, Fault> {
    let takes = |provider: &&Arc<Provider>| Target::form(provider, form).is_some_and(|found| found == form);
    let able: Vec<&Arc<Provider>> = snapshot.providers.values().filter(takes).collect();
    let provider = match (named, able.as_slice()) {
        (None, [only]) => *only,
        (Some(name), _) => match snapshot.providers.get(name).filter(|provider| takes(provider)) {
            Some(provider) => provider,
            None => return Err(incapable(name, Asking::Form(form))),
        },
        (None, _) => {
            let names: Vec<&str> = able.iter().map(|provider| provider.facts.id.as_str()).collect();
            let message = format!(
                "say whose {} are meant, with a header \"x-tollgate-provider: NAME\" of: {}",
                form.operation().name(),
                names.join(", ")
            );
            return Err(Fault::invalid("", message).code("provider_missing"));
        }
    };
    key.may_reach(&provider.facts.id)?;
    let (provider, model) = (Arc::clone(provider), "".into());
    let deadlines = provider.deadlines;
    let target = Target { provider, model, dialect: form.dialect(), form: Some(form) };
    Ok(Plan { targets: vec![target], deadlines, fidelity: snapshot.fidelity })
}

impl Target {
    /// Asks in the caller's own dialect or form where the provider speaks it, so that nothing needs translation.
    /// `None` where the provider cannot be asked so.
    fn new(provider: Arc<Provider>, model: Arc<str>, asking: Asking) -> Option<Target> {
        let caller = match asking {
            Asking::Chat(dialect) => dialect,
            Asking::Form(form) => {
                let form = Target::form(&provider, form)?;
                let target = Target { provider, model, dialect: form.dialect(), form: Some(form) };
                let chats = form.is_prompt() && target.quirks().prompts == Prompts::Chat;
                return (!chats).then_some(target);
            }
        };
        let spoken = &provider.facts.dialects;
        let own = spoken.iter().find(|(dialect, _)| *dialect == caller).or(spoken.first());
        let dialect = own.map(|(dialect, _)| *dialect)?;
        Some(Target { provider, model, dialect, form: None })
    }

    /// The form in which a provider takes requests of this one.
    fn form(provider: &Provider, asked: Form) -> Option<Form> {
        let forms = &provider.forms;
        forms
            .iter()
            .find(|form| **form == asked)
            .or_else(|| forms.iter().find(|form| asked.reaches(**form)))
            .copied()
    }

    pub fn facts(&self) -> Option<&catalog::Model> {
        self.provider.facts.model(&self.model).map(Arc::as_ref)
    }

    /// Whether it may make pictures in a chat: nothing that is known of it says otherwise.
    fn may_draw(&self) -> bool {
        let can = self.facts().map(|model| model.can.as_slice()).unwrap_or_default();
        can.is_empty() || can.contains(&Capability::Images)
    }

    pub fn quirks(&self) -> &Quirks {
        self.facts().map_or(&self.provider.facts.quirks, |model| &model.quirks)
    }
}

fn incapable(providers: &str, asking: Asking) -> Fault {
    let operation = match asking {
        Asking::Chat(_) => Operation::Chat,
        Asking::Form(form) => form.operation(),
    };
    let name = operation.name();
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

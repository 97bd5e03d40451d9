//! Where a call goes: a model name to targets, in order.

use std::sync::Arc;

use wire::{Dialect, Fault, Kind, Origin, Quirks};

use crate::{
    Snapshot,
    key::Key,
    snapshot::{Deadlines, Fidelity, Provider},
};

/// The targets of one call, in the order in which they are tried.
pub struct Plan {
    pub targets: Vec<Target>,
    pub deadlines: Deadlines,
    pub fidelity: Fidelity,
}

/// A model at a provider, and the dialect in which it will be asked.
#[derive(Clone)]
pub struct Target {
    pub provider: Arc<Provider>,
    /// The model's name at the provider.
    pub model: Arc<str>,
    pub dialect: Dialect,
}

/// Plans a call for a model name: one of the configured names, or `provider/model`.
pub fn plan(snapshot: &Snapshot, key: &Key, asked: &str, dialect: Dialect) -> Result<Plan, Fault> {
    key.may_use(asked)?;
    if let Some(alias) = snapshot.models.get(asked) {
        let target = |target: &crate::snapshot::AliasTarget| {
            Target::new(Arc::clone(&target.provider), Arc::clone(&target.model), dialect)
        };
        let targets: Vec<Target> = alias.targets.iter().map(target).collect();
        let deadlines = alias.deadlines.or_else(|| targets.first().map(|first| first.provider.deadlines));
        return Ok(Plan {
            targets,
            deadlines: deadlines.unwrap_or(snapshot.deadlines),
            fidelity: alias.fidelity,
        });
    }
    let named = asked.split_once('/').and_then(|(name, model)| Some((snapshot.providers.get(name)?, model)));
    let Some((provider, model)) = named.filter(|(_, model)| !model.is_empty()) else {
        return Err(unknown(snapshot, asked));
    };
    let target = Target::new(Arc::clone(provider), model.into(), dialect);
    Ok(Plan { targets: vec![target], deadlines: provider.deadlines, fidelity: snapshot.fidelity })
}

impl Target {
    /// Asks in the caller's own dialect where the provider speaks it, so that nothing needs translation.
    fn new(provider: Arc<Provider>, model: Arc<str>, caller: Dialect) -> Target {
        let spoken = &provider.facts.dialects;
        let dialect = match spoken.iter().find(|(dialect, _)| *dialect == caller).or(spoken.first()) {
            Some((dialect, _)) => *dialect,
            None => caller,
        };
        Target { provider, model, dialect }
    }

    pub fn facts(&self) -> Option<&catalog::Model> {
        self.provider.facts.model(&self.model).map(Arc::as_ref)
    }

    pub fn quirks(&self) -> &Quirks {
        self.facts().map_or(&self.provider.facts.quirks, |model| &model.quirks)
    }
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

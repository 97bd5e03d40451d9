//! The configuration of somebody who has written none.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Sources,
    compile::{CONNECTIONS, DEADLINES, defaults},
};
use crate::{
    Secret, Snapshot,
    snapshot::{Deadlines, Provider},
};

/// Every default, and every provider whose usual environment variable is set.
pub fn zero(sources: &dyn Sources) -> Snapshot {
    defaults(from_environment(sources, DEADLINES))
}

pub(super) fn from_environment(
    sources: &dyn Sources,
    deadlines: Deadlines,
) -> BTreeMap<String, Arc<Provider>> {
    let mut providers = BTreeMap::new();
    for facts in catalog::known().iter().filter(|facts| !facts.local) {
        if let Some(api_key) = usual_key(facts, sources) {
            let provider = Provider::new(facts.clone(), Some(api_key), deadlines, CONNECTIONS);
            providers.insert(facts.id.clone(), Arc::new(provider));
        }
    }
    providers
}

/// The credential in the provider's usual environment variable.
pub(super) fn usual_key(facts: &catalog::Provider, sources: &dyn Sources) -> Option<Secret> {
    let values = facts.env.iter().filter_map(|name| sources.variable(name));
    values.map(|value| value.trim().to_owned()).find(|value| !value.is_empty()).map(Secret::new)
}

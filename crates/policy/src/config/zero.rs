//! The configuration of somebody who has written none.

use std::{collections::BTreeMap, sync::Arc};

use catalog::{Auth, Cloud};

use super::{Sources, compile::defaults};
use crate::{
    Secret, Snapshot,
    pool::{Credential, Opens},
    snapshot::{Deadlines, Provider},
};

/// Every default, and every provider whose usual environment variable is set.
pub fn zero(sources: &dyn Sources) -> Snapshot {
    defaults(from_environment(sources, Deadlines::default()))
}

pub(super) fn from_environment(
    sources: &dyn Sources,
    deadlines: Deadlines,
) -> BTreeMap<String, Arc<Provider>> {
    let mut providers = BTreeMap::new();
    for facts in catalog::known().iter().filter(|facts| !facts.local) {
        let Some(api_key) = usual_key(facts, sources) else { continue };
        let mut facts = facts.clone();
        let usual = usual_places(&facts, sources);
        facts.region = usual.region.or(facts.region);
        facts.project = usual.project.or(facts.project);
        facts.resource = usual.resource.or(facts.resource);
        // What stands at an address of one's own has to be written down.
        if facts.fill().is_empty() {
            let id = facts.id.clone();
            let provider = Provider::new(facts, vec![Credential::new(Opens::Key(api_key))], deadlines);
            providers.insert(id, Arc::new(provider));
        }
    }
    providers
}

/// The credential in the provider's usual environment variable.
pub(super) fn usual_key(facts: &catalog::Provider, sources: &dyn Sources) -> Option<Secret> {
    let values = facts.env.iter().filter_map(|name| sources.variable(name));
    values.map(|value| value.trim().to_owned()).find(|value| !value.is_empty()).map(Secret::new)
}

/// What stands for the parts of an address that are a customer's own.
pub(super) struct Places {
    pub(super) region: Option<String>,
    pub(super) project: Option<String>,
    pub(super) resource: Option<String>,
}

/// The variables in which each cloud's own tools look for them.
pub(super) fn usual_places(facts: &catalog::Provider, sources: &dyn Sources) -> Places {
    let first = |names: &[&str]| {
        let mut values = names.iter().filter_map(|name| sources.variable(name));
        values.find(|value| !value.is_empty())
    };
    let mut places = Places { region: None, project: None, resource: None };
    match facts.auth {
        Auth::Cloud(Cloud::Aws) => places.region = first(&["AWS_REGION", "AWS_DEFAULT_REGION"]),
        Auth::Cloud(Cloud::Google) => {
            places.region = first(&["GOOGLE_CLOUD_LOCATION"]);
            places.project = first(&["GOOGLE_CLOUD_PROJECT"]);
        }
        Auth::Cloud(Cloud::Azure) => places.resource = first(&["AZURE_RESOURCE_NAME"]),
        Auth::Bearer | Auth::Header(_) | Auth::Query(_) | Auth::None => {}
    }
    places
}

//! Where a call goes that names no model: files, batches, stored responses.

use std::sync::Arc;

use wire::{Fault, Form};

use crate::{
    Snapshot,
    principal::Principal,
    route::{Asking, Plan, Target, incapable},
    snapshot::Provider,
};

/// Plans a call that names no model: to the provider that is named, or to the only one that takes the form.
pub fn plan_resource(
    snapshot: &Snapshot,
    principal: &Principal,
    named: Option<&str>,
    form: Form,
) -> Result<Plan, Fault> {
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
    principal.may_reach(&provider.facts.id)?;
    let target = Target { form: Some(form), ..Target::passed(Arc::clone(provider), "", form.dialect()) };
    let mut plan = Plan::direct(target, snapshot);
    plan.repeatable = false;
    Ok(plan)
}

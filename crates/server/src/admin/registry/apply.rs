//! Carries plans out, each in one transaction.

use std::collections::HashSet;

use http::StatusCode;
use policy::Secret;
use serde_json::Value as Json;
use store::{Change, Transaction};
use uuid::Uuid;

use super::super::{
    change::{body, hint, secret},
    examine::{Sound, schema},
    find::Is,
    refusal::Refusal,
    resource::Resource,
};
use super::{
    desk::{Desk, Wanted},
    plan::{Doing, Done, NewSecret, Plan, Planned, Work},
    state::Name,
};

/// What a key's body has beside its settings.
const OF_KEYS: [&str; 4] = ["scope", "hint", "expires_us", "role"];

/// What was done, and the secrets of the keys that were made, in their order.
pub(super) struct Executed {
    pub(super) done: Done,
    pub(super) secrets: Vec<Secret>,
}

impl Executed {
    /// With the secrets in their places.
    pub(super) fn revealed(mut self) -> Done {
        for (key, secret) in self.done.keys.iter_mut().zip(&self.secrets) {
            key.key = Some(secret.expose().to_owned());
        }
        self.done
    }
}

impl Desk {
    /// Plans anew while nobody else writes, and does it, unless something of it has changed since the clock stood as
    /// expected.
    pub(super) fn execute(
        &self,
        transaction: &mut Transaction<'_>,
        wanted: &Wanted,
        expected: Option<u64>,
    ) -> Result<Executed, Refusal> {
        let planned = self.planned(&mut transaction.look(self.tenancy()), wanted)?;
        if let Some(expected) = expected {
            self.check_clock(transaction, &planned, expected)?;
        }
        let Planned { plan, works, names } = planned;
        let (mut keys, mut secrets) = (Vec::new(), Vec::new());
        let mut ids = Vec::with_capacity(works.len());
        for work in &works {
            if let Some(secret) = carry_out(transaction, work)? {
                let name = work.sound.as_ref().map(|sound| sound.name.clone()).unwrap_or_default();
                let organization = work.sound.as_ref().and_then(|sound| sound.organization);
                let organization = organization.map(|id| names.written(id));
                keys.push(NewSecret { id: work.id, name, organization, key: None });
                secrets.push(secret);
            }
            ids.push(work.id);
        }
        let mut plan = Plan { clock: plan.clock, ..plan };
        for (step, id) in plan.changes.iter_mut().zip(ids) {
            step.id = Some(id);
        }
        Ok(Executed { done: Done { plan, keys }, secrets })
    }

    fn check_clock(
        &self,
        transaction: &mut Transaction<'_>,
        planned: &Planned,
        expected: u64,
    ) -> Result<(), Refusal> {
        let mut ids: HashSet<Uuid> = HashSet::new();
        let mut names: HashSet<Name> = HashSet::new();
        for work in &planned.works {
            let place = work.sound.as_ref().map(|sound| (sound.organization, sound.parent, &sound.name));
            let (organization, parent, name) = match (place, &work.before) {
                (Some((organization, parent, name)), _) => (organization, parent, name),
                (None, Some(known)) => (known.thing.organization, known.thing.parent, &known.thing.name),
                (None, None) => continue,
            };
            ids.extend([Some(work.id), organization, parent].into_iter().flatten());
            names.insert((work.resource.kind(), organization, name.clone()));
        }
        let changed = transaction.look(self.tenancy()).changed_since(expected)?;
        let touched = changed.iter().filter_map(|object| {
            let resource = Resource::ALL.into_iter().find(|resource| resource.kind() == object.kind)?;
            let name: Name = (resource.kind(), object.organization, object.name.clone());
            let is_touched = ids.contains(&object.id) || names.contains(&name);
            is_touched.then(|| format!("{} \"{}\"", resource.shown(), object.name))
        });
        let touched: Vec<String> = touched.take(5).collect();
        if touched.is_empty() {
            return Ok(());
        }
        let message = format!(
            "what this touches was changed since the clock stood at {expected}: {}; plan again",
            touched.join(", ")
        );
        Err(Refusal::new(StatusCode::PRECONDITION_FAILED, "registry_changed", message))
    }
}

/// Does one work; the secret of a key that it makes is returned.
fn carry_out(transaction: &mut Transaction<'_>, work: &Work) -> Result<Option<Secret>, Refusal> {
    let (id, version) = (work.id, work.before.as_ref().map(|known| known.object.version));
    let Some(sound) = &work.sound else {
        transaction.apply(&Change::Delete { id, expected: version })?;
        return Ok(None);
    };
    let (name, parent) = (sound.name.clone(), sound.parent);
    let change = match work.doing {
        Doing::Create if work.resource.is_key() => {
            let secret = secret(sound)?;
            transaction.apply(&created(work, sound, &hint(&secret)))?;
            transaction.add_secret(id, &secret)?;
            return Ok(Some(secret));
        }
        Doing::Create | Doing::End => created(work, sound, ""),
        Doing::Change => Change::Update { id, expected: version, name, parent, body: replaced(work, sound) },
        Doing::Revive => Change::Revive { id, expected: version, name, parent, body: replaced(work, sound) },
    };
    transaction.apply(&change)?;
    Ok(None)
}

fn created(work: &Work, sound: &Sound, hint: &str) -> Change {
    Change::Create {
        id: work.id,
        kind: work.resource.kind().to_owned(),
        organization: sound.organization,
        parent: sound.parent,
        name: sound.name.clone(),
        body: body(work.resource, sound, hint),
    }
}

/// The body with other settings. What is no setting stays.
fn replaced(work: &Work, sound: &Sound) -> Json {
    let Some(before) = &work.before else { return body(work.resource, sound, "") };
    let hint = match &before.thing.is {
        Is::Part { .. } => "",
        Is::Key(key) => &key.hint,
    };
    let mut body = body(work.resource, sound, hint);
    let settings = schema(work.resource).get("properties");
    let is_known = |name: &String| {
        settings.is_some_and(|settings| settings.get(name).is_some()) || OF_KEYS.contains(&name.as_str())
    };
    let before = before.object.body.as_object().into_iter().flatten();
    let kept: Vec<(String, Json)> = before
        .filter(|(name, _)| !is_known(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    if let Some(members) = body.as_object_mut() {
        members.extend(kept);
    }
    body
}

//! Whether a change keeps administrators out whom its author may not touch. A part of an organization that is disabled, or takes
//! requests from some addresses only, does that to the admin keys below it, and a user to the people of its name.

use std::collections::{HashMap, HashSet};

use policy::{
    principal::{Entity, EntityKind, Settings},
    role::{self, RoleName},
};
use store::{Look, Object, Way};
use uuid::Uuid;

use super::{people::micros, refusal::Refusal, resource::Resource, who::Who};
use crate::world::{World, now_us};

/// A part of an organization before a change and behind it; nothing where it is not there.
pub(super) struct Changed {
    pub(super) id: Uuid,
    pub(super) before: Option<Entity>,
    pub(super) after: Option<Entity>,
}

/// All parts of organizations, before some changes or behind them.
struct Parts {
    by_id: HashMap<Uuid, Entity>,
    /// By their names in lower case.
    users: HashMap<String, Vec<Uuid>>,
}

/// What opens the admin API.
struct Opener {
    /// As `key "app"`.
    shown: String,
    role: RoleName,
    organization: Option<Uuid>,
    parent: Option<Uuid>,
    /// Where it is a person, the name in lower case.
    person: Option<String>,
}

/// Refuses changes that keep out whom their author may not touch. Looks at the registry before the changes or behind them.
pub(super) fn check(
    who: &Who,
    world: &World,
    look: &mut Look<'_>,
    changed: &[Changed],
) -> Result<(), Refusal> {
    if !changed.iter().any(Changed::may_keep_out) {
        return Ok(());
    }
    let entities: Vec<Entity> = world.snapshot.entities.iter().cloned().chain(look.entities()?).collect();
    // Of several changes of one part, the first tells what was, and the last what is.
    let before = changed.iter().rev().map(|change| (change.id, change.before.as_ref()));
    let before = Parts::new(entities.clone(), before);
    let after = Parts::new(entities, changed.iter().map(|change| (change.id, change.after.as_ref())));
    for opener in openers(world, look)? {
        let Err(mut fault) = who.may_give(Some(&opener.role)) else { continue };
        let known = before.above(&opener);
        let is_closed = after.above(&opener).into_iter().any(|id| {
            let was = before.by_id.get(&id).filter(|_| known.contains(&id));
            after.by_id.get(&id).is_some_and(|is| closes(was.map(|was| &was.settings), &is.settings))
        });
        if is_closed {
            fault.message = format!("this would keep the {} out: {}", opener.shown, fault.message);
            return Err(fault.into());
        }
    }
    Ok(())
}

/// Whether settings keep out whom those of before let in.
fn closes(before: Option<&Settings>, after: &Settings) -> bool {
    let was_disabled = before.is_some_and(|before| before.disabled);
    let allowed = before.map_or(&[][..], |before| &before.addresses);
    let is_narrower = !after.addresses.is_empty()
        && (allowed.is_empty() || allowed.iter().any(|range| !after.addresses.contains(range)));
    (after.disabled && !was_disabled) || is_narrower
}

impl Changed {
    /// Nothing where it is no part of an organization.
    pub(super) fn of_objects((before, after): &(Option<Object>, Object)) -> Option<Changed> {
        let before = before.as_ref().and_then(store::entity_of);
        let is = store::entity_of(after)?;
        Some(Changed { id: is.id, before, after: (after.deleted_us.is_none()).then_some(is) })
    }

    /// Whether it may keep anybody out. What was just made has nothing below it, but a user has a name.
    fn may_keep_out(&self) -> bool {
        match (&self.before, &self.after) {
            (_, None) => false,
            (None, Some(is)) => {
                is.kind == EntityKind::User && (is.parent.is_some() || closes(None, &is.settings))
            }
            (Some(was), Some(is)) => {
                was.name != is.name
                    || (was.parent != is.parent && is.parent.is_some())
                    || closes(Some(&was.settings), &is.settings)
            }
        }
    }
}

impl Parts {
    fn new<'c>(entities: Vec<Entity>, changed: impl Iterator<Item = (Uuid, Option<&'c Entity>)>) -> Parts {
        let mut by_id: HashMap<Uuid, Entity> = HashMap::with_capacity(entities.len());
        for entity in entities {
            by_id.entry(entity.id).or_insert(entity);
        }
        for (id, entity) in changed {
            match entity {
                Some(entity) => drop(by_id.insert(id, entity.clone())),
                None => drop(by_id.remove(&id)),
            }
        }
        let mut users: HashMap<String, Vec<Uuid>> = HashMap::new();
        for user in by_id.values().filter(|entity| entity.kind == EntityKind::User) {
            users.entry(user.name.to_lowercase()).or_default().push(user.id);
        }
        Parts { by_id, users }
    }

    /// All parts that may keep somebody out.
    fn above(&self, opener: &Opener) -> HashSet<Uuid> {
        let mut next: Vec<Uuid> = opener.parent.or(opener.organization).into_iter().collect();
        // Whose users count for whom is told at people/session.rs.
        let users = opener.person.as_ref().and_then(|name| self.users.get(name)).into_iter().flatten();
        next.extend(users.filter(|id| {
            let organization = self.by_id.get(*id).and_then(|user| user.organization);
            organization.is_none() || organization == opener.organization
        }));
        let mut above = HashSet::new();
        while let Some(id) = next.pop() {
            if above.insert(id)
                && let Some(entity) = self.by_id.get(&id)
            {
                next.extend(entity.parent.or(entity.organization));
            }
        }
        above
    }
}

/// Everybody who can administer now: keys that are good, accounts that are not disabled, and people of identity providers who
/// have signed in.
fn openers(world: &World, look: &mut Look<'_>) -> Result<Vec<Opener>, Refusal> {
    let now_us = now_us();
    let idle_us = micros(world.snapshot.sign_in.idle);
    let (mut keys, mut openers) = (Vec::new(), Vec::new());
    keys.extend(world.snapshot.keys.iter().map(|file| file.key.clone()));
    for object in look.administrators()? {
        if object.kind == Resource::Key.kind() {
            keys.push(store::key_of(&object));
            continue;
        }
        let account = store::account_of(&object);
        if !account.disabled {
            let shown = format!("account \"{}\"", account.name);
            openers.push(Opener::of_person(shown, (&account.name, &account.role), account.organization));
        }
    }
    for key in keys.iter().filter(|key| key.expires_us.is_none_or(|until_us| until_us > now_us)) {
        let Some(role) = role::of_key(key) else { continue };
        let shown = format!("key \"{}\"", key.name);
        let (organization, parent) = (key.organization, key.parent);
        openers.push(Opener { shown, role, organization, parent, person: None });
    }
    let sessions = look.sessions(now_us.saturating_sub(idle_us), now_us)?;
    for session in sessions.iter().filter(|session| session.way == Way::Provider) {
        let shown = format!("person \"{}\"", session.name);
        openers.push(Opener::of_person(shown, (&session.name, &session.role), session.organization));
    }
    Ok(openers)
}

impl Opener {
    fn of_person(shown: String, (name, role): (&str, &str), organization: Option<Uuid>) -> Opener {
        let (role, person) = (RoleName::new(role), Some(name.to_lowercase()));
        Opener { shown, role, organization, parent: None, person }
    }
}

//! Who is in which group, and what follows: the team that a group stands for.

use std::collections::{BTreeSet, HashMap, HashSet};

use policy::{principal::EntityKind, provisioning};
use store::{Change, Object, Provisioned, Roster, Transaction};
use uuid::Uuid;

use super::{
    refused::{ErrorType, invalid_value, owned_by_file},
    schema::ResourceType,
    tenant::Tenant,
};
use crate::admin::refusal::Refusal;

/// The most members that one request adds and takes out.
const CHANGED_MAX: usize = 5_000;

/// The groups of one organization while they are changed.
pub(super) struct Membership<'m> {
    tenant: &'m Tenant,
    roster: Roster,
    /// The teams that groups stand for, by name.
    teams: HashMap<String, Uuid>,
}

impl<'m> Membership<'m> {
    pub(super) fn new(
        tenant: &'m Tenant,
        transaction: &mut Transaction<'_>,
    ) -> Result<Membership<'m>, Refusal> {
        let roster = Roster::new(&transaction.groups(tenant.organization())?);
        let snapshot = &tenant.finder.world.snapshot;
        let mut teams = HashMap::new();
        if !snapshot.scim.is_empty() {
            let known = snapshot.entities.iter().cloned().chain(transaction.entities()?);
            let fits = known.filter(|entity| {
                entity.kind == EntityKind::Team
                    && entity.organization == tenant.organization()
                    && snapshot.scim.iter().any(|entry| entry.team == entity.name)
            });
            for team in fits {
                teams.entry(team.name).or_insert(team.id);
            }
        }
        Ok(Membership { tenant, roster, teams })
    }

    /// Makes these the members of a group, or nobody where it ends.
    pub(super) fn set(
        &mut self,
        transaction: &mut Transaction<'_>,
        group: &Object,
        wanted: Option<&BTreeSet<Uuid>>,
        is_other: bool,
    ) -> Result<(), Refusal> {
        let nobody = BTreeSet::new();
        let wanted_ids = wanted.unwrap_or(&nobody);
        let present = transaction.members(self.tenant.organization(), group.id)?;
        let present_ids: HashSet<Uuid> = present.iter().map(|object| object.id).collect();
        let added: Vec<Uuid> = wanted_ids.iter().copied().filter(|id| !present_ids.contains(id)).collect();
        let removed: Vec<Object> =
            present.into_iter().filter(|object| !wanted_ids.contains(&object.id)).collect();
        if added.len() + removed.len() > CHANGED_MAX {
            let message = format!("members: {CHANGED_MAX} are changed at most; send several requests");
            return Err(ErrorType::TooMany.refusal(message));
        }
        let mut touched: Vec<(Object, Provisioned)> = Vec::with_capacity(added.len() + removed.len());
        for object in removed {
            let mut kept = Provisioned::of(&object);
            kept.groups.remove(&group.id);
            touched.push((object, kept));
        }
        for id in added {
            let object = self.member(transaction, group, id)?;
            let mut kept = Provisioned::of(&object);
            kept.groups.insert(group.id);
            touched.push((object, kept));
        }
        let affected = self.affected(transaction, group, &touched, is_other)?;
        if wanted.is_some() {
            self.roster.set(group.id, &group.name, Provisioned::of(group).groups);
        } else {
            self.roster.remove(group.id);
        }
        for (object, kept) in &touched {
            if object.kind == store::GROUP {
                self.roster.set(object.id, &object.name, kept.groups.clone());
            }
        }
        for (object, kept) in touched.iter().chain(&affected) {
            self.write(transaction, object, kept)?;
        }
        Ok(())
    }

    /// Somebody who is to be in a group. No group is in itself, however deep.
    fn member(&self, transaction: &mut Transaction<'_>, group: &Object, id: Uuid) -> Result<Object, Refusal> {
        if let Some(entity) = self.tenant.of_file().find(|entity| entity.id == id) {
            return Err(owned_by_file("user", &entity.name));
        }
        let mut found = None;
        for kind in ResourceType::ALL {
            if found.is_none() {
                found = transaction.object(kind.kind(), id)?;
            }
        }
        let found = found.filter(|object| object.organization == self.tenant.organization());
        let found =
            found.ok_or_else(|| invalid_value("members", &format!("there is no user or group {id} here")))?;
        if self.roster.closure(&[group.id].into()).contains(&id) {
            let message =
                format!("group \"{}\" has this one in it: groups cannot be in themselves", found.name);
            return Err(invalid_value("members", &message));
        }
        Ok(found)
    }

    /// The users, beside those who come and go, whose team may be another now: those in groups that come and go, and in
    /// this one where it has another name, or ends.
    fn affected(
        &self,
        transaction: &mut Transaction<'_>,
        group: &Object,
        touched: &[(Object, Provisioned)],
        is_other: bool,
    ) -> Result<Vec<(Object, Provisioned)>, Refusal> {
        if self.teams.is_empty() {
            return Ok(Vec::new());
        }
        let mut seen: HashSet<Uuid> = touched.iter().map(|(object, _)| object.id).collect();
        let groups = touched.iter().filter(|(object, _)| object.kind == store::GROUP);
        let mut next: Vec<Uuid> = groups.map(|(object, _)| object.id).collect();
        next.extend(is_other.then_some(group.id));
        let mut users = Vec::new();
        while let Some(id) = next.pop() {
            for object in transaction.members(self.tenant.organization(), id)? {
                if !seen.insert(object.id) {
                    continue;
                }
                if object.kind == store::GROUP {
                    next.push(object.id);
                } else {
                    let kept = Provisioned::of(&object);
                    users.push((object, kept));
                }
            }
        }
        Ok(users)
    }

    /// Writes a member down with its groups, and a user with the team that follows.
    fn write(
        &self,
        transaction: &mut Transaction<'_>,
        object: &Object,
        kept: &Provisioned,
    ) -> Result<(), Refusal> {
        // Groups that have ended are forgotten.
        let mut kept = kept.clone();
        kept.groups.retain(|group| self.roster.name(*group).is_some());
        let body = kept.within(&object.body);
        let parent = if object.kind == store::GROUP { None } else { self.team(object, &kept) };
        if body == object.body && parent == object.parent {
            return Ok(());
        }
        let change = Change::Update {
            id: object.id,
            expected: Some(object.version),
            name: object.name.clone(),
            parent,
            body,
        };
        transaction.apply(&change)?;
        Ok(())
    }

    /// The team that a user stands below. One that no group stands for was chosen by somebody, and stays.
    fn team(&self, user: &Object, kept: &Provisioned) -> Option<Uuid> {
        let names = self.roster.names(&kept.groups);
        let mapping = &self.tenant.finder.world.snapshot.scim;
        let meant = provisioning::team(mapping, &names).and_then(|team| self.teams.get(team));
        let is_meant = |team: &Uuid| self.teams.values().any(|known| known == team);
        meant.copied().or_else(|| user.parent.filter(|team| !is_meant(team)))
    }
}

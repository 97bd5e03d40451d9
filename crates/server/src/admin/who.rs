//! Who administers, and what follows from it.

use std::{net::IpAddr, sync::Arc};

use policy::{
    principal::Principal,
    role::{Permission, Role, RoleName, Roles},
};
use store::{ActorKind, Author, Tenancy};
use uuid::Uuid;
use wire::{Fault, Kind, Origin};

use super::people::Person;

/// A caller of the admin API.
#[derive(Clone, Debug)]
pub(super) struct Who {
    pub(super) id: Uuid,
    role: Role,
    /// Every role that there is.
    roles: Roles,
    /// The one it administers; all where there is none.
    pub(super) organization: Option<Uuid>,
    /// The person who has signed in, where it is not a key that asks.
    pub(super) person: Option<Arc<Person>>,
    address: IpAddr,
    request_id: Uuid,
}

impl Who {
    /// Nobody, where the caller is none of the admin API.
    pub(super) fn new(
        principal: &Principal,
        roles: &Roles,
        (address, request_id): (IpAddr, Uuid),
    ) -> Option<Who> {
        let (id, organization) = (principal.id, principal.organization);
        let role = roles.named(principal.role.as_ref()?);
        let roles = roles.clone();
        Some(Who { id, role, roles, organization, person: None, address, request_id })
    }

    pub(super) fn tenancy(&self) -> Tenancy {
        self.organization.map_or(Tenancy::All, Tenancy::Organization)
    }

    pub(super) fn role(&self) -> &Role {
        &self.role
    }

    /// Whether there is a role of this name.
    pub(super) fn knows(&self, role: &RoleName) -> bool {
        self.roles.find(role).is_some()
    }

    pub(super) fn may(&self, permission: Permission) -> Result<(), Fault> {
        self.roles.check(&self.role, permission, self.organization)
    }

    /// Whether it may make, change and end keys of this role; nothing for keys that open models.
    pub(super) fn may_give(&self, role: Option<&RoleName>) -> Result<(), Fault> {
        let Some(role) = role else { return Ok(()) };
        self.may(Permission::AdminsWrite)?;
        let other = self.roles.named(role);
        if self.role.covers(&other) {
            return Ok(());
        }
        let (own, other) = (&self.role.name, &other.name);
        let message = format!(
            "a key whose role is {own} cannot touch one whose role is {other}; use a key whose role is {other}"
        );
        Err(Fault::new(Origin::Client, Kind::Forbidden, message).code("permission_missing"))
    }

    /// For the audit.
    pub(super) fn author(&self) -> Author {
        let (actor, kind) = match self.person.as_ref().and_then(|person| person.name()) {
            Some(name) => (name.to_owned(), ActorKind::User),
            None => (self.id.to_string(), ActorKind::Key),
        };
        Author { actor, kind, address: Some(self.address.to_string()), request_id: Some(self.request_id) }
    }
}

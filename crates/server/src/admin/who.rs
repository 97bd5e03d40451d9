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

    pub(super) fn may(&self, permission: Permission) -> Result<(), Fault> {
        self.roles.check(&self.role, permission, self.organization)
    }

    /// Whether it may make, change and end keys and accounts of this role; nothing for keys that open models. What has a role
    /// that is gone is an owner's to mend: the role may come back, with whatever it permits.
    pub(super) fn may_give(&self, role: Option<&RoleName>) -> Result<(), Fault> {
        let Some(role) = role else { return Ok(()) };
        self.may(Permission::AdminsWrite)?;
        let known = self.roles.find(role);
        let needed = known.cloned().unwrap_or_else(|| self.roles.named(&RoleName::OWNER));
        if self.role.covers(&needed) {
            return Ok(());
        }
        let (own, needed) = (&self.role.name, &needed.name);
        let gone = if known.is_some() { "" } else { ", which is there no more" };
        let message = format!(
            "a key whose role is {own} cannot touch one whose role is {role}{gone}; use a key whose role is {needed}"
        );
        Err(Fault::new(Origin::Client, Kind::Forbidden, message).code("permission_missing"))
    }

    /// For the audit.
    pub(super) fn author(&self) -> Author {
        let (actor, kind) = match self.person.as_ref().and_then(|person| person.name()) {
            Some(name) => (name.to_owned(), ActorKind::Person(self.id)),
            None => (self.id.to_string(), ActorKind::Key),
        };
        Author { actor, kind, address: Some(self.address.to_string()), request_id: Some(self.request_id) }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use policy::{
        key::{Key, Scope},
        principal::Directory,
    };

    use super::*;

    #[test]
    fn what_has_a_role_that_is_gone_is_an_owners_to_touch() {
        let mut roles = Roles::default();
        roles.add("caretaker", vec![Permission::AdminsWrite, Permission::KeysRead]);
        let check = |own: &str, other: &str, allowed: bool| {
            let role = Some(RoleName::new(own));
            let key = Key { scope: Scope::Admin, role, ..Key::unbound() };
            let (principal, _) = Directory::default().principal(&key);
            let who = Who::new(&principal, &roles, (Ipv4Addr::LOCALHOST.into(), Uuid::nil()));
            let given = who.unwrap().may_give(Some(&RoleName::new(other)));
            assert_eq!(given.is_ok(), allowed, "{own} {other}");
            if let Err(fault) = given {
                assert_eq!(fault.code.as_deref(), Some("permission_missing"));
            }
        };
        check("owner", "owner", true);
        check("owner", "gone", true);
        check("admin", "viewer", true);
        check("admin", "owner", false);
        check("admin", "gone", false);
        check("caretaker", "gone", false);
        check("caretaker", "caretaker", true);
        check("viewer", "viewer", false);
    }
}

//! Who administers, and what follows from it.

use std::net::IpAddr;

use policy::{
    principal::Principal,
    role::{Permission, Role},
};
use store::{ActorKind, Author, Tenancy};
use uuid::Uuid;
use wire::{Fault, Kind, Origin};

/// A caller of the admin API.
#[derive(Clone, Debug)]
pub(super) struct Who {
    pub(super) id: Uuid,
    pub(super) role: Role,
    /// The one it administers; all where there is none.
    pub(super) organization: Option<Uuid>,
    address: IpAddr,
    request_id: Uuid,
}

impl Who {
    /// Nobody, where the caller is none of the admin API.
    pub(super) fn new(principal: &Principal, address: IpAddr, request_id: Uuid) -> Option<Who> {
        let organization = principal.organization;
        Some(Who { id: principal.id, role: principal.role?, organization, address, request_id })
    }

    pub(super) fn tenancy(&self) -> Tenancy {
        self.organization.map_or(Tenancy::All, Tenancy::Organization)
    }

    pub(super) fn may(&self, permission: Permission) -> Result<(), Fault> {
        permission.check(self.role, self.organization)
    }

    /// Whether it may make, change and end keys of this role; nothing for keys that open models.
    pub(super) fn may_give(&self, role: Option<Role>) -> Result<(), Fault> {
        let Some(role) = role else { return Ok(()) };
        self.may(Permission::AdminsWrite)?;
        if self.role.covers(role) {
            return Ok(());
        }
        let (own, other) = (self.role.name(), role.name());
        let message = format!(
            "a key whose role is {own} cannot touch one whose role is {other}; use a key whose role is {other}"
        );
        Err(Fault::new(Origin::Client, Kind::Forbidden, message).code("permission_missing"))
    }

    /// For the audit.
    pub(super) fn author(&self) -> Author {
        Author {
            actor: self.id.to_string(),
            kind: ActorKind::Key,
            address: Some(self.address.to_string()),
            request_id: Some(self.request_id),
        }
    }
}

//! What those who administer may do: roles, and what each permits.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use wire::{Fault, Kind, Origin};

use crate::key::{Key, Scope};

/// What a key of the admin API may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything.
    Owner,
    /// Everything but to make and end organizations.
    Admin,
    /// Sees everything but the audit, and makes and ends keys for calls.
    Developer,
    /// Sees everything.
    Analyst,
    /// Sees organizations, keys, rollouts and metrics.
    Viewer,
}

/// One thing that may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// To see organizations and their parts.
    PartsRead,
    /// To make, change and end teams, projects, users and service accounts.
    PartsWrite,
    /// To make, change and end organizations.
    OrganizationsWrite,
    KeysRead,
    /// To make, change, rotate and revoke keys for calls.
    KeysWrite,
    /// The same for keys of the admin API, up to one's own role.
    AdminsWrite,
    AuditRead,
    /// To have the chain of the audit looked at.
    AuditVerify,
    CallsRead,
    RolloutsRead,
    RolloutsWrite,
    /// To ask where a request would go.
    RoutesExplain,
    MetricsRead,
}

/// Who may do what: a permission, and the roles that have it.
const PERMITTED: [(Permission, &[Role]); 13] = {
    use Permission::*;
    use Role::*;
    [
        (PartsRead, &[Owner, Admin, Developer, Analyst, Viewer]),
        (PartsWrite, &[Owner, Admin]),
        (OrganizationsWrite, &[Owner]),
        (KeysRead, &[Owner, Admin, Developer, Analyst, Viewer]),
        (KeysWrite, &[Owner, Admin, Developer]),
        (AdminsWrite, &[Owner, Admin]),
        (AuditRead, &[Owner, Admin, Analyst]),
        (AuditVerify, &[Owner, Admin, Analyst]),
        (CallsRead, &[Owner, Admin, Developer, Analyst]),
        (RolloutsRead, &[Owner, Admin, Developer, Analyst, Viewer]),
        (RolloutsWrite, &[Owner, Admin]),
        (RoutesExplain, &[Owner, Admin, Developer, Analyst]),
        (MetricsRead, &[Owner, Admin, Developer, Analyst, Viewer]),
    ]
};

/// What a key may administer: whoever opens the admin API without a role is an owner.
pub fn of_key(key: &Key) -> Option<Role> {
    match key.scope {
        Scope::Calls => None,
        Scope::Admin => Some(key.role.unwrap_or(Role::Owner)),
    }
}

impl Role {
    pub const ALL: [Role; 5] = [Role::Owner, Role::Admin, Role::Developer, Role::Analyst, Role::Viewer];

    /// As in the configuration and the admin API.
    pub fn name(self) -> &'static str {
        match self {
            Role::Owner => "owner",
            Role::Admin => "admin",
            Role::Developer => "developer",
            Role::Analyst => "analyst",
            Role::Viewer => "viewer",
        }
    }

    pub fn may(self, permission: Permission) -> bool {
        PERMITTED.iter().any(|(known, roles)| *known == permission && roles.contains(&self))
    }

    /// Whether this role may give another, and end keys that have it.
    pub fn covers(self, other: Role) -> bool {
        self <= other
    }
}

impl Permission {
    /// As in refusals and the description of the admin API.
    pub fn name(self) -> &'static str {
        match self {
            Permission::PartsRead => "parts:read",
            Permission::PartsWrite => "parts:write",
            Permission::OrganizationsWrite => "organizations:write",
            Permission::KeysRead => "keys:read",
            Permission::KeysWrite => "keys:write",
            Permission::AdminsWrite => "admins:write",
            Permission::AuditRead => "audit:read",
            Permission::AuditVerify => "audit:verify",
            Permission::CallsRead => "calls:read",
            Permission::RolloutsRead => "rollouts:read",
            Permission::RolloutsWrite => "rollouts:write",
            Permission::RoutesExplain => "routes:explain",
            Permission::MetricsRead => "metrics:read",
        }
    }

    /// Whether it is about the gateway as a whole, so that a key of one organization never has it.
    pub fn is_global(self) -> bool {
        match self {
            Permission::PartsRead
            | Permission::PartsWrite
            | Permission::KeysRead
            | Permission::KeysWrite
            | Permission::AdminsWrite
            | Permission::AuditRead => false,
            Permission::OrganizationsWrite
            | Permission::AuditVerify
            | Permission::CallsRead
            | Permission::RolloutsRead
            | Permission::RolloutsWrite
            | Permission::RoutesExplain
            | Permission::MetricsRead => true,
        }
    }

    /// Whether a key of this role, of this organization or of none, may do it; the refusal names what is missing.
    pub fn check(self, role: Role, organization: Option<Uuid>) -> Result<(), Fault> {
        let refused = |message: String| {
            Err(Fault::new(Origin::Client, Kind::Forbidden, message).code("permission_missing"))
        };
        let name = self.name();
        if !role.may(self) {
            let roles = Role::ALL.into_iter().filter(|role| role.may(self)).map(Role::name);
            let roles = roles.collect::<Vec<_>>().join(", ");
            let own = role.name();
            return refused(format!(
                "this needs the permission {name}, which the role {own} does not have; use a key whose role is one of: {roles}"
            ));
        }
        if self.is_global() && organization.is_some() {
            return refused(format!(
                "this needs the permission {name} for the whole gateway, and this key is bound to one organization; use \
                 one that is bound to none"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_permit_what_their_table_says() {
        let check = |role: Role, permission: Permission, bound: bool, allowed: bool| {
            let found = permission.check(role, bound.then(Uuid::nil));
            assert_eq!(found.is_ok(), allowed, "{role:?} {permission:?} {bound}");
            if let Err(fault) = found {
                assert!(fault.message.contains(permission.name()), "{}", fault.message);
            }
        };
        check(Role::Owner, Permission::OrganizationsWrite, false, true);
        check(Role::Owner, Permission::OrganizationsWrite, true, false);
        check(Role::Admin, Permission::OrganizationsWrite, false, false);
        check(Role::Admin, Permission::AdminsWrite, true, true);
        check(Role::Developer, Permission::KeysWrite, true, true);
        check(Role::Developer, Permission::AdminsWrite, true, false);
        check(Role::Analyst, Permission::CallsRead, false, true);
        check(Role::Analyst, Permission::CallsRead, true, false);
        check(Role::Viewer, Permission::AuditRead, false, false);
        assert!(PERMITTED.iter().all(|(permission, _)| Role::Owner.may(*permission)));
        assert!(Role::Admin.covers(Role::Developer) && !Role::Admin.covers(Role::Owner));
    }
}

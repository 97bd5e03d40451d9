//! What those who administer may do: permissions, and roles by name, the gateway's own and those of the configuration.

use std::{borrow::Cow, collections::BTreeMap, fmt, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use wire::{Fault, Kind, Origin};

use crate::key::{Key, Scope};

/// One thing that may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Permission {
    /// To see organizations and their parts.
    #[serde(rename = "parts:read")]
    PartsRead,
    /// To make, change and end teams, projects, users and service accounts.
    #[serde(rename = "parts:write")]
    PartsWrite,
    /// To make, change and end organizations.
    #[serde(rename = "organizations:write")]
    OrganizationsWrite,
    /// To see keys; never the keys themselves.
    #[serde(rename = "keys:read")]
    KeysRead,
    /// To make, change, rotate and revoke keys for calls.
    #[serde(rename = "keys:write")]
    KeysWrite,
    /// The same for keys of the admin API whose role may do nothing that one's own may not.
    #[serde(rename = "admins:write")]
    AdminsWrite,
    /// To see budgets, and what was used of them.
    #[serde(rename = "budgets:read")]
    BudgetsRead,
    /// To top budgets up, and to start them anew.
    #[serde(rename = "budgets:write")]
    BudgetsWrite,
    /// To see who did what.
    #[serde(rename = "audit:read")]
    AuditRead,
    /// To have the chain of the audit looked at.
    #[serde(rename = "audit:verify")]
    AuditVerify,
    /// To see the journal.
    #[serde(rename = "calls:read")]
    CallsRead,
    /// To have everything about somebody forgotten.
    #[serde(rename = "data:erase")]
    DataErase,
    /// To see how far rollouts are.
    #[serde(rename = "rollouts:read")]
    RolloutsRead,
    /// To take rollouts on, hold them or take them back.
    #[serde(rename = "rollouts:write")]
    RolloutsWrite,
    /// To see which credentials of providers the registry keeps; never the credentials.
    #[serde(rename = "credentials:read")]
    CredentialsRead,
    /// To put them there, replace and delete them.
    #[serde(rename = "credentials:write")]
    CredentialsWrite,
    /// To ask where a request would go.
    #[serde(rename = "routes:explain")]
    RoutesExplain,
    /// To see metrics.
    #[serde(rename = "metrics:read")]
    MetricsRead,
    /// To approve and deny requests for access.
    #[serde(rename = "requests:decide")]
    RequestsDecide,
}

/// The roles that every gateway has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Usual {
    /// Everything.
    Owner,
    /// Everything but to make and end organizations.
    Admin,
    /// Sees everything but the audit, and makes and ends keys for calls.
    Developer,
    /// Sees everything.
    Analyst,
    /// Sees organizations, keys, budgets, rollouts and metrics.
    Viewer,
}

/// Who may do what: a permission, and the roles that have it.
const PERMITTED: [(Permission, &[Usual]); Permission::ALL.len()] = {
    use Permission::*;
    use Usual::*;
    [
        (PartsRead, &[Owner, Admin, Developer, Analyst, Viewer]),
        (PartsWrite, &[Owner, Admin]),
        (OrganizationsWrite, &[Owner]),
        (KeysRead, &[Owner, Admin, Developer, Analyst, Viewer]),
        (KeysWrite, &[Owner, Admin, Developer]),
        (AdminsWrite, &[Owner, Admin]),
        (BudgetsRead, &[Owner, Admin, Developer, Analyst, Viewer]),
        (BudgetsWrite, &[Owner, Admin]),
        (AuditRead, &[Owner, Admin, Analyst]),
        (AuditVerify, &[Owner, Admin, Analyst]),
        (CallsRead, &[Owner, Admin, Developer, Analyst]),
        (DataErase, &[Owner, Admin]),
        (RolloutsRead, &[Owner, Admin, Developer, Analyst, Viewer]),
        (RolloutsWrite, &[Owner, Admin]),
        (CredentialsRead, &[Owner, Admin, Developer]),
        (CredentialsWrite, &[Owner, Admin]),
        (RoutesExplain, &[Owner, Admin, Developer, Analyst]),
        (MetricsRead, &[Owner, Admin, Developer, Analyst, Viewer]),
        (RequestsDecide, &[Owner, Admin]),
    ]
};

/// The name of a role: `owner`, `admin`, `developer`, `analyst`, `viewer`, or one of `roles` in the configuration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct RoleName(Cow<'static, str>);

/// A role with what it may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    pub name: RoleName,
    may: Arc<[Permission]>,
}

/// Every role that there is, by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roles(Arc<BTreeMap<RoleName, Role>>);

/// What a key may administer: whoever opens the admin API without a role is an owner.
pub fn of_key(key: &Key) -> Option<RoleName> {
    match key.scope {
        Scope::Calls => None,
        Scope::Admin => Some(key.role.clone().unwrap_or(RoleName::OWNER)),
    }
}

impl RoleName {
    pub const OWNER: RoleName = RoleName(Cow::Borrowed("owner"));
    /// What there is no role of.
    pub const NONE: RoleName = RoleName(Cow::Borrowed(""));

    pub fn new(name: &str) -> RoleName {
        RoleName(Cow::Owned(name.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RoleName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Role {
    pub fn may(&self, permission: Permission) -> bool {
        self.may.contains(&permission)
    }

    /// Everything that it may do.
    pub fn permissions(&self) -> &[Permission] {
        &self.may
    }

    /// Whether this role may give another, and end keys that have it: the other may do nothing more.
    pub fn covers(&self, other: &Role) -> bool {
        other.may.iter().all(|permission| self.may(*permission))
    }
}

impl Usual {
    const ALL: [Usual; 5] = [Usual::Owner, Usual::Admin, Usual::Developer, Usual::Analyst, Usual::Viewer];

    fn name(self) -> &'static str {
        match self {
            Usual::Owner => "owner",
            Usual::Admin => "admin",
            Usual::Developer => "developer",
            Usual::Analyst => "analyst",
            Usual::Viewer => "viewer",
        }
    }
}

impl Default for Roles {
    fn default() -> Roles {
        let usual = Usual::ALL.map(|usual| {
            let name = RoleName(Cow::Borrowed(usual.name()));
            let own = PERMITTED.iter().filter(|(_, roles)| roles.contains(&usual));
            let may = own.map(|(permission, _)| *permission).collect();
            (name.clone(), Role { name, may })
        });
        Roles(Arc::new(usual.into()))
    }
}

impl Roles {
    /// Whether every gateway has a role of this name.
    pub fn is_usual(name: &str) -> bool {
        Usual::ALL.iter().any(|usual| usual.name() == name)
    }

    /// One more; it takes the place of one of the same name.
    pub fn add(&mut self, name: &str, mut may: Vec<Permission>) {
        may.sort_unstable();
        may.dedup();
        let name = RoleName::new(name);
        Arc::make_mut(&mut self.0).insert(name.clone(), Role { name, may: may.into() });
    }

    pub fn find(&self, name: &RoleName) -> Option<&Role> {
        self.0.get(name)
    }

    /// The role of this name; one that may do nothing where it is gone.
    pub fn named(&self, name: &RoleName) -> Role {
        let gone = || Role { name: name.clone(), may: Arc::default() };
        self.find(name).cloned().unwrap_or_else(gone)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(RoleName::as_str)
    }

    /// Whether a role, of one organization or of none, may do something; the refusal names what is missing.
    pub fn check(
        &self,
        role: &Role,
        permission: Permission,
        organization: Option<Uuid>,
    ) -> Result<(), Fault> {
        let refused = |message: String| {
            Err(Fault::new(Origin::Client, Kind::Forbidden, message).code("permission_missing"))
        };
        let name = permission.name();
        if !role.may(permission) {
            let able = self.0.values().filter(|role| role.may(permission)).map(|role| role.name.as_str());
            let able = able.collect::<Vec<_>>().join(", ");
            let own = &role.name;
            let lacks =
                if self.find(own).is_some() { "does not have" } else { "is not there to have any more" };
            return refused(format!(
                "this needs the permission {name}, which the role {own} {lacks}; use a key whose role is one of: {able}"
            ));
        }
        if permission.is_global() && organization.is_some() {
            return refused(format!(
                "this needs the permission {name} for the whole gateway, and this key is bound to one organization; use \
                 one that is bound to none"
            ));
        }
        Ok(())
    }
}

impl Permission {
    pub const ALL: [Permission; 19] = {
        use Permission::*;
        [
            PartsRead,
            PartsWrite,
            OrganizationsWrite,
            KeysRead,
            KeysWrite,
            AdminsWrite,
            BudgetsRead,
            BudgetsWrite,
            AuditRead,
            AuditVerify,
            CallsRead,
            DataErase,
            RolloutsRead,
            RolloutsWrite,
            CredentialsRead,
            CredentialsWrite,
            RoutesExplain,
            MetricsRead,
            RequestsDecide,
        ]
    };

    /// As in the configuration, in refusals and in the description of the admin API.
    pub fn name(self) -> &'static str {
        match self {
            Permission::PartsRead => "parts:read",
            Permission::PartsWrite => "parts:write",
            Permission::OrganizationsWrite => "organizations:write",
            Permission::KeysRead => "keys:read",
            Permission::KeysWrite => "keys:write",
            Permission::AdminsWrite => "admins:write",
            Permission::BudgetsRead => "budgets:read",
            Permission::BudgetsWrite => "budgets:write",
            Permission::AuditRead => "audit:read",
            Permission::AuditVerify => "audit:verify",
            Permission::CallsRead => "calls:read",
            Permission::DataErase => "data:erase",
            Permission::RolloutsRead => "rollouts:read",
            Permission::RolloutsWrite => "rollouts:write",
            Permission::CredentialsRead => "credentials:read",
            Permission::CredentialsWrite => "credentials:write",
            Permission::RoutesExplain => "routes:explain",
            Permission::MetricsRead => "metrics:read",
            Permission::RequestsDecide => "requests:decide",
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
            | Permission::BudgetsRead
            | Permission::BudgetsWrite
            | Permission::AuditRead
            | Permission::CallsRead
            | Permission::DataErase
            | Permission::RequestsDecide => false,
            Permission::OrganizationsWrite
            | Permission::AuditVerify
            | Permission::RolloutsRead
            | Permission::RolloutsWrite
            | Permission::CredentialsRead
            | Permission::CredentialsWrite
            | Permission::RoutesExplain
            | Permission::MetricsRead => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_permit_what_their_table_says() {
        let mut roles = Roles::default();
        roles.add("auditor", vec![Permission::AuditRead, Permission::KeysRead, Permission::AuditRead]);
        let check = |role: &str, permission: Permission, bound: bool, allowed: bool| {
            let role = roles.named(&RoleName::new(role));
            let found = roles.check(&role, permission, bound.then(Uuid::nil));
            assert_eq!(found.is_ok(), allowed, "{role:?} {permission:?} {bound}");
            if let Err(fault) = found {
                assert!(fault.message.contains(permission.name()), "{}", fault.message);
            }
        };
        check("owner", Permission::OrganizationsWrite, false, true);
        check("owner", Permission::OrganizationsWrite, true, false);
        check("admin", Permission::OrganizationsWrite, false, false);
        check("admin", Permission::AdminsWrite, true, true);
        check("developer", Permission::KeysWrite, true, true);
        check("developer", Permission::AdminsWrite, true, false);
        check("analyst", Permission::CallsRead, false, true);
        check("analyst", Permission::CallsRead, true, true);
        check("analyst", Permission::BudgetsWrite, true, false);
        check("analyst", Permission::RolloutsRead, true, false);
        check("viewer", Permission::AuditRead, false, false);
        check("auditor", Permission::AuditRead, true, true);
        check("auditor", Permission::CallsRead, false, false);
        check("gone", Permission::PartsRead, false, false);
    }

    #[test]
    fn a_role_gives_roles_that_may_do_no_more() {
        let mut roles = Roles::default();
        roles.add("auditor", vec![Permission::AuditRead, Permission::KeysRead]);
        roles.add("caretaker", vec![Permission::AdminsWrite, Permission::KeysRead]);
        let check = |own: &str, other: &str, covers: bool| {
            let named = |name: &str| roles.named(&RoleName::new(name));
            assert_eq!(named(own).covers(&named(other)), covers, "{own} {other}");
        };
        for other in roles.names() {
            check("owner", other, true);
        }
        check("admin", "owner", false);
        check("admin", "developer", true);
        check("admin", "auditor", true);
        check("developer", "viewer", true);
        check("viewer", "developer", false);
        check("caretaker", "viewer", false);
        check("caretaker", "auditor", false);
    }

    #[test]
    fn names_of_permissions_are_those_of_the_configuration() {
        for permission in Permission::ALL {
            let written = serde_json::to_value(permission).unwrap_or_default();
            assert_eq!(written, permission.name());
        }
    }
}

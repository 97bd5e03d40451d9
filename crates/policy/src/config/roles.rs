//! Roles for those who administer, beside those that every gateway has.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{compile::Compiler, problem::nearest};
use crate::role::{Permission, RoleName, Roles};

/// What those who have the role may do at the [admin API](admin-api.md).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RoleEntry {
    /// What it may do. Permissions for the gateway as a whole are of no use to keys of one organization.
    pub(super) permissions: Vec<Permission>,
}

impl Compiler<'_> {
    pub(super) fn roles(&mut self, drafts: BTreeMap<String, RoleEntry>) -> Roles {
        let mut roles = Roles::default();
        for (name, entry) in drafts {
            let path = format!("roles.{name}");
            if Roles::is_usual(&name) {
                self.fault(&path, "is a role that every gateway has; choose another name");
            } else if entry.permissions.is_empty() {
                self.fault(&format!("{path}.permissions"), "is empty; name what the role may do");
            } else {
                roles.add(&name, entry.permissions);
            }
        }
        roles
    }

    /// Tells of a role that is not there.
    pub(super) fn check_role(&mut self, role: Option<&RoleName>, roles: &Roles, path: &str) {
        if let Some(message) = role.and_then(|role| unknown(role, roles)) {
            self.fault(path, message);
        }
    }
}

/// What is wrong with the name of a role; nothing where there is one of this name.
pub fn unknown(role: &RoleName, roles: &Roles) -> Option<String> {
    if roles.find(role).is_some() {
        return None;
    }
    let known = || roles.names().collect::<Vec<_>>().join(", ");
    let remedy = nearest(role.as_str(), roles.names())
        .map_or_else(|| format!("there are: {}", known()), |near| format!("did you mean \"{near}\"?"));
    Some(format!("there is no role \"{role}\"; {remedy}"))
}

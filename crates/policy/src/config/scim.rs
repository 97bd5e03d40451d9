//! What a person types of people and groups that identity providers put in.

use std::collections::HashSet;

use schemars::JsonSchema;
use serde::Deserialize;

use super::compile::Compiler;
use crate::provisioning::GroupTeam;

/// What groups mean that identity providers put in by [SCIM](scim.md).
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ScimDraft {
    /// Which team the members of a group stand below, those of the groups in it included. Of several the first holds.
    pub(super) groups: Vec<GroupTeamDraft>,
}

/// A group, and the team of its members.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GroupTeamDraft {
    /// The group's `displayName`.
    pub(super) group: String,
    /// The team's name, in the organization of the group.
    pub(super) team: String,
}

impl Compiler<'_> {
    pub(super) fn scim(&mut self, draft: ScimDraft) -> Vec<GroupTeam> {
        let mut seen = HashSet::new();
        for (at, entry) in draft.groups.iter().enumerate() {
            for (name, text) in [("group", &entry.group), ("team", &entry.team)] {
                if text.trim().is_empty() {
                    self.fault(&format!("scim.groups[{at}].{name}"), "is empty; write its name");
                }
            }
            if !seen.insert(&entry.group) {
                let message =
                    format!("group \"{}\" has a team already: the first holds; take one out", entry.group);
                self.fault(&format!("scim.groups[{at}].group"), message);
            }
        }
        draft.groups.into_iter().map(|entry| GroupTeam { group: entry.group, team: entry.team }).collect()
    }
}

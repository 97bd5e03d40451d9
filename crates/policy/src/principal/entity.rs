//! The parts of an organization.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Settings;
use crate::key::Owner;

/// What a part of an organization is. Each stands below those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntityKind {
    Organization,
    /// May stand below another team.
    Team,
    Project,
    /// A person.
    User,
    /// A program that is nobody's own.
    ServiceAccount,
}

/// A part of an organization.
#[derive(Clone, Debug, PartialEq)]
pub struct Entity {
    pub id: Uuid,
    pub kind: EntityKind,
    /// Tells it from others of its kind in its organization.
    pub name: String,
    /// Nothing for what belongs to no organization, and for organizations.
    pub organization: Option<Uuid>,
    /// What it stands below, where that is not the organization.
    pub parent: Option<Uuid>,
    pub owner: Owner,
    pub settings: Settings,
}

impl EntityKind {
    pub const ALL: [EntityKind; 5] = [
        EntityKind::Organization,
        EntityKind::Team,
        EntityKind::Project,
        EntityKind::User,
        EntityKind::ServiceAccount,
    ];

    /// As in the configuration and the admin API.
    pub fn name(self) -> &'static str {
        match self {
            EntityKind::Organization => "organization",
            EntityKind::Team => "team",
            EntityKind::Project => "project",
            EntityKind::User => "user",
            EntityKind::ServiceAccount => "service_account",
        }
    }

    /// As in a sentence.
    pub fn shown(self) -> &'static str {
        match self {
            EntityKind::ServiceAccount => "service account",
            other => other.name(),
        }
    }

    /// What it may stand below.
    pub fn may_be_below(self, parent: EntityKind) -> bool {
        match self {
            EntityKind::Organization => false,
            EntityKind::Team => matches!(parent, EntityKind::Organization | EntityKind::Team),
            EntityKind::Project => matches!(parent, EntityKind::Organization | EntityKind::Team),
            EntityKind::User => matches!(parent, EntityKind::Organization | EntityKind::Team),
            EntityKind::ServiceAccount => {
                matches!(parent, EntityKind::Organization | EntityKind::Team | EntityKind::Project)
            }
        }
    }
}

impl Entity {
    /// The id of one that the configuration file owns: the same in every process that reads the file.
    pub fn file_id(kind: EntityKind, organization: Option<Uuid>, name: &str) -> Uuid {
        let space = organization.unwrap_or(Uuid::NAMESPACE_OID);
        Uuid::new_v5(&space, format!("{}\0{name}", kind.name()).as_bytes())
    }
}

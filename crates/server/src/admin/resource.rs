//! The kinds of things that the registry holds for callers.

use policy::{principal::EntityKind, role::Permission};

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resource {
    Part(EntityKind),
    Key,
}

impl Resource {
    pub(super) const ALL: [Resource; 6] = [
        Resource::Part(EntityKind::Organization),
        Resource::Part(EntityKind::Team),
        Resource::Part(EntityKind::Project),
        Resource::Part(EntityKind::User),
        Resource::Part(EntityKind::ServiceAccount),
        Resource::Key,
    ];

    /// As in the registry.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Resource::Part(kind) => kind.name(),
            Resource::Key => "key",
        }
    }

    /// As in a sentence.
    pub(super) fn shown(self) -> &'static str {
        match self {
            Resource::Part(kind) => kind.shown(),
            Resource::Key => "key",
        }
    }

    /// As in paths.
    pub(super) fn plural(self) -> &'static str {
        match self {
            Resource::Part(EntityKind::Organization) => "organizations",
            Resource::Part(EntityKind::Team) => "teams",
            Resource::Part(EntityKind::Project) => "projects",
            Resource::Part(EntityKind::User) => "users",
            Resource::Part(EntityKind::ServiceAccount) => "service-accounts",
            Resource::Key => "keys",
        }
    }

    /// As in the names of operations.
    pub(super) fn noun(self) -> &'static str {
        match self {
            Resource::Part(EntityKind::Organization) => "Organization",
            Resource::Part(EntityKind::Team) => "Team",
            Resource::Part(EntityKind::Project) => "Project",
            Resource::Part(EntityKind::User) => "User",
            Resource::Part(EntityKind::ServiceAccount) => "ServiceAccount",
            Resource::Key => "Key",
        }
    }

    pub(super) fn read(self) -> Permission {
        match self {
            Resource::Part(_) => Permission::PartsRead,
            Resource::Key => Permission::KeysRead,
        }
    }

    pub(super) fn write(self) -> Permission {
        match self {
            Resource::Part(EntityKind::Organization) => Permission::OrganizationsWrite,
            Resource::Part(
                EntityKind::Team | EntityKind::Project | EntityKind::User | EntityKind::ServiceAccount,
            ) => Permission::PartsWrite,
            Resource::Key => Permission::KeysWrite,
        }
    }
}

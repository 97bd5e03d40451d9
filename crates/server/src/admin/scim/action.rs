//! What requests of SCIM ask for.

use super::schema::ResourceType;

/// One operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::admin) enum ScimAction {
    Discover(Discovery),
    List(ResourceType),
    /// A list whose conditions stand in the body; of everything where no type is named.
    Search(Option<ResourceType>),
    Read(ResourceType),
    Write(ResourceType, Verb),
}

/// What of the standard there is, and what is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::admin) enum Discovery {
    Abilities,
    ResourceTypes,
    ResourceType,
    Schemas,
    Schema,
    /// Whoever has a key of the admin API is no user.
    Me,
    Bulk,
}

/// How a resource is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::admin) enum Verb {
    Create,
    Replace,
    Patch,
    Delete,
}

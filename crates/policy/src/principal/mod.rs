//! Who calls: the tree of organizations, teams, projects, users and service accounts, and what follows from it for a
//! caller.

mod access;
mod address;
mod caller;
mod directory;
mod entity;
mod lineage;
mod settings;
mod stand;
mod temporary;

pub use access::AccessSpec;
pub use address::AddressRange;
pub use caller::{Principal, Proof};
pub use directory::{Directory, Problem};
pub use entity::{Entity, EntityKind};
pub(crate) use lineage::names;
pub use lineage::{Ancestor, CostMax, Grant};
pub use settings::{PerRequest, Settings};
pub use stand::Stand;
pub use temporary::{TemporarySpec, Wanted, allow};

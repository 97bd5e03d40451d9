//! Where something stands in an organization.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer, ser::SerializeStruct};
use uuid::Uuid;

use super::{Ancestor, EntityKind};

/// Where something stands, by ids: its organization, and the nearest of each kind that it stands below.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Stand {
    pub organization: Option<Uuid>,
    pub team: Option<Uuid>,
    pub project: Option<Uuid>,
    pub user: Option<Uuid>,
    pub service_account: Option<Uuid>,
}

impl Stand {
    pub(super) fn of(organization: Option<Uuid>, ancestors: &[Ancestor]) -> Stand {
        let nearest = |kind| ancestors.iter().find(|above| above.kind == kind).map(|above| above.id);
        Stand {
            organization,
            team: nearest(EntityKind::Team),
            project: nearest(EntityKind::Project),
            user: nearest(EntityKind::User),
            service_account: nearest(EntityKind::ServiceAccount),
        }
    }
}

/// What there is nothing of is left out, where readers can do without.
impl Serialize for Stand {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let members = [
            ("organization", self.organization),
            ("team", self.team),
            ("project", self.project),
            ("user", self.user),
            ("service_account", self.service_account),
        ];
        let may_skip = serializer.is_human_readable();
        let mut shown = serializer.serialize_struct("Stand", members.len())?;
        for (name, id) in members {
            if may_skip && id.is_none() {
                shown.skip_field(name)?;
            } else {
                shown.serialize_field(name, &id)?;
            }
        }
        shown.end()
    }
}

//! A user or a group, and how it is shown.

use std::collections::BTreeSet;

use http::StatusCode;
use jiff::Timestamp;
use policy::principal::Entity;
use serde_json::{Map, Value as Json, json};
use store::{Object, Provisioned, Roster};
use uuid::Uuid;

use super::{projection::Projection, refused::MEDIA, schema::ResourceType, tenant::Tenant};
use crate::admin::Reply;

pub(super) struct Record {
    pub(super) kind: ResourceType,
    pub(super) id: Uuid,
    /// A user's `userName`, a group's `displayName`.
    pub(super) name: String,
    pub(super) is_active: bool,
    pub(super) kept: Provisioned,
    /// 0 for what the file owns.
    pub(super) version: u64,
    /// Microseconds since 1970.
    created_us: i64,
    updated_us: i64,
}

/// Somebody, or a group, in a group.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) id: Uuid,
    pub(super) kind: ResourceType,
    pub(super) name: String,
}

/// What showing needs beside the record.
pub(super) struct View<'v> {
    pub(super) tenant: &'v Tenant,
    pub(super) roster: &'v Roster,
    pub(super) projection: &'v Projection,
}

impl Record {
    pub(super) fn of_object(kind: ResourceType, object: &Object) -> Record {
        Record {
            kind,
            id: object.id,
            name: object.name.clone(),
            is_active: object.body.get("disabled") != Some(&Json::Bool(true)),
            kept: Provisioned::of(object),
            version: object.version,
            created_us: object.created_us,
            updated_us: object.updated_us,
        }
    }

    pub(super) fn of_entity(entity: &Entity) -> Record {
        Record {
            kind: ResourceType::User,
            id: entity.id,
            name: entity.name.clone(),
            is_active: !entity.settings.disabled,
            kept: Provisioned::default(),
            version: 0,
            created_us: 0,
            updated_us: 0,
        }
    }

    pub(super) fn etag(&self) -> String {
        format!("W/\"{}\"", self.version)
    }

    /// The attributes that its client sets, the name included.
    pub(super) fn attributes(&self) -> Map<String, Json> {
        let mut members = Map::from_iter([(self.kind.named_by().to_owned(), json!(self.name))]);
        members.extend(self.kept.attributes.clone());
        match self.kind {
            ResourceType::User => drop(members.insert("active".to_owned(), self.is_active.into())),
            ResourceType::Group => {}
        }
        members
    }
}

impl Member {
    pub(super) fn of_object(object: &Object) -> Member {
        let kind = if object.kind == store::GROUP { ResourceType::Group } else { ResourceType::User };
        Member { id: object.id, kind, name: object.name.clone() }
    }

    pub(super) fn shown(&self, tenant: &Tenant) -> Json {
        json!({
            "value": self.id, "$ref": tenant.location(self.kind, self.id), "display": self.name,
            "type": self.kind.name(),
        })
    }
}

impl View<'_> {
    /// A whole resource. Members are those of a group, where they are wanted.
    pub(super) fn whole(&self, record: &Record, members: &[Member]) -> Json {
        let mut shown = Map::new();
        let mut schemas = vec![record.kind.schema()];
        let kept = &record.kept.attributes;
        schemas.extend(record.kind.extensions().iter().filter(|extension| kept.contains_key(**extension)));
        shown.insert("schemas".to_owned(), json!(schemas));
        shown.insert("id".to_owned(), json!(record.id));
        shown.extend(record.attributes());
        match record.kind {
            ResourceType::User => {
                let groups = self.groups(&record.kept.groups);
                if !groups.is_empty() {
                    shown.insert("groups".to_owned(), Json::Array(groups));
                }
            }
            ResourceType::Group if members.is_empty() => {}
            ResourceType::Group => {
                let members = members.iter().map(|member| member.shown(self.tenant)).collect();
                shown.insert("members".to_owned(), Json::Array(members));
            }
        }
        shown.insert("meta".to_owned(), self.meta(record));
        Json::Object(shown)
    }

    /// The groups that somebody is in, and those that these are in.
    fn groups(&self, direct: &BTreeSet<Uuid>) -> Vec<Json> {
        let all = self.roster.closure(direct);
        let shown = all.iter().filter_map(|id| {
            let kind = if direct.contains(id) { "direct" } else { "indirect" };
            let location = self.tenant.location(ResourceType::Group, *id);
            Some(json!({"value": id, "$ref": location, "display": self.roster.name(*id)?, "type": kind}))
        });
        shown.collect()
    }

    fn meta(&self, record: &Record) -> Json {
        let location = self.tenant.location(record.kind, record.id);
        let mut meta = json!({"resourceType": record.kind.name(), "location": location});
        if record.version > 0 {
            meta["created"] = json!(moment(record.created_us));
            meta["lastModified"] = json!(moment(record.updated_us));
            meta["version"] = record.etag().into();
        }
        meta
    }

    /// The answer that shows a resource.
    pub(super) fn reply(&self, status: StatusCode, record: &Record, members: &[Member]) -> Reply {
        let shown = self.projection.apply(record.kind, self.whole(record, members));
        let reply = Reply { kind: MEDIA, ..Reply::json(status, &shown) };
        let reply = reply.with("location", self.tenant.location(record.kind, record.id));
        if record.version == 0 { reply } else { reply.with("etag", record.etag()) }
    }
}

/// An answer without a body.
pub(super) fn nothing() -> Reply {
    Reply { kind: MEDIA, body: String::new(), ..Reply::json(StatusCode::NO_CONTENT, &()) }
}

fn moment(at_us: i64) -> Option<String> {
    Timestamp::from_microsecond(at_us).ok().map(|at| at.to_string())
}

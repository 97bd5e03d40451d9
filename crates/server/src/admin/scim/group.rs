//! Makes, changes and ends groups.

use std::collections::BTreeSet;

use http::StatusCode;
use serde_json::{Map, Value as Json, json};
use store::{Change, Database, Object, Provisioned, Roster, Transaction};
use uuid::Uuid;

use super::{
    body::{check_schemas, resource},
    membership::Membership,
    record::{Member, Record, View, nothing},
    refused::invalid_value,
    schema::ResourceType,
    user::{Order, name},
};
use crate::admin::{Reply, refusal::Refusal};

const GROUP: ResourceType = ResourceType::Group;

/// What a body says of a group.
struct Wanted {
    name: String,
    members: BTreeSet<Uuid>,
    attributes: Map<String, Json>,
}

impl Order<'_> {
    pub(super) fn create_group(
        &self,
        given: &Map<String, Json>,
        database: &mut Database,
    ) -> Result<Reply, Refusal> {
        check_schemas(given, GROUP.schema())?;
        let wanted = Wanted::read(resource(GROUP, given)?)?;
        self.wish.once(database, |transaction| {
            let id = Uuid::now_v7();
            self.check_free(transaction, GROUP, &wanted.name, id)?;
            let kept = Provisioned { attributes: wanted.attributes.clone(), ..Provisioned::default() };
            let change = Change::Create {
                id,
                kind: GROUP.kind().to_owned(),
                organization: self.tenant.organization(),
                parent: None,
                name: wanted.name.clone(),
                body: kept.within(&json!({})),
            };
            let made = transaction.apply(&change)?;
            let mut membership = Membership::new(self.tenant, transaction)?;
            membership.set(transaction, &made, Some(&wanted.members), false)?;
            Ok((self.shown_group(transaction, &made, StatusCode::CREATED)?, None))
        })
    }

    /// Replaces a group by what a body says, or changes it by a patch, which is answered without a body unless some
    /// attributes are asked for.
    pub(super) fn change_group(
        &self,
        wanted: &str,
        (given, is_patch): (&Map<String, Json>, bool),
        database: &mut Database,
    ) -> Result<Reply, Refusal> {
        self.wish.once(database, |transaction| {
            let before = self.owned(transaction, GROUP, wanted)?;
            let record = Record::of_object(GROUP, &before);
            let present = transaction.members(self.tenant.organization(), before.id)?;
            let mut now = record.attributes();
            if is_patch && !present.is_empty() {
                let shown = present.iter().map(|object| Member::of_object(object).shown(self.tenant));
                now.insert("members".to_owned(), Json::Array(shown.collect()));
            }
            let wanted = Wanted::read(self.desired(&record, now, (given, is_patch))?)?;
            let is_renamed = wanted.name != before.name;
            if is_renamed {
                self.check_free(transaction, GROUP, &wanted.name, before.id)?;
            }
            let kept = Provisioned { attributes: wanted.attributes, groups: record.kept.groups.clone() };
            let body = kept.within(&before.body);
            let stays = present.iter().map(|object| object.id).collect::<BTreeSet<_>>() == wanted.members;
            let after = if stays && !is_renamed && body == before.body {
                before
            } else {
                let change = Change::Update {
                    id: before.id,
                    expected: Some(before.version),
                    name: wanted.name,
                    parent: before.parent,
                    body,
                };
                let after = transaction.apply(&change)?;
                let mut membership = Membership::new(self.tenant, transaction)?;
                membership.set(transaction, &after, Some(&wanted.members), is_renamed)?;
                after
            };
            if is_patch && self.projection.only.is_none() && self.projection.without.is_empty() {
                return Ok((nothing().with("etag", Record::of_object(GROUP, &after).etag()), None));
            }
            Ok((self.shown_group(transaction, &after, StatusCode::OK)?, None))
        })
    }

    pub(super) fn delete_group(&self, wanted: &str, database: &mut Database) -> Result<Reply, Refusal> {
        self.wish.once(database, |transaction| {
            let before = self.owned(transaction, GROUP, wanted)?;
            let mut membership = Membership::new(self.tenant, transaction)?;
            membership.set(transaction, &before, None, true)?;
            transaction.apply(&Change::Delete { id: before.id, expected: Some(before.version) })?;
            Ok((nothing(), None))
        })
    }

    fn shown_group(
        &self,
        transaction: &mut Transaction<'_>,
        object: &Object,
        status: StatusCode,
    ) -> Result<Reply, Refusal> {
        let members = transaction.members(self.tenant.organization(), object.id)?;
        let members: Vec<Member> = members.iter().map(Member::of_object).collect();
        let roster = Roster::default();
        let view = View { tenant: self.tenant, roster: &roster, projection: self.projection };
        Ok(view.reply(status, &Record::of_object(GROUP, object), &members))
    }
}

impl Wanted {
    fn read(mut attributes: Map<String, Json>) -> Result<Wanted, Refusal> {
        let name = name(GROUP, &mut attributes)?;
        let listed = attributes.shift_remove("members");
        let listed = listed.as_ref().and_then(Json::as_array);
        let members = listed.into_iter().flatten().enumerate().map(|(at, member)| {
            let id = member.get("value").and_then(Json::as_str).unwrap_or_default();
            Uuid::parse_str(id).map_err(|_| {
                invalid_value(&format!("members[{at}].value"), "must be the id of a user or a group")
            })
        });
        let members = members.collect::<Result<_, _>>()?;
        Ok(Wanted { name, members, attributes })
    }
}

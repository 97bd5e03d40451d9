//! People and groups as identity providers keep them. What one says of a user or a group stands in the object's body beside
//! its settings; memberships stand with the member, so that a large group costs no more to change than a small one.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use crate::{
    Database, Error, Object, Transaction,
    objects::{COLUMNS, object_of, pattern},
    sql::{Engine, Value},
};

/// The kind of groups.
pub const GROUP: &str = "group";
const USER: &str = "user";
/// Where a body holds what identity providers say.
const MEMBER: &str = "scim";
/// How many groups stand above each other at most.
const DEPTH_MAX: usize = 16;

/// What an identity provider says of a user or a group, beside its name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Provisioned {
    /// Attributes as they were given.
    pub attributes: Map<String, Json>,
    /// The groups that it is a member of itself.
    pub groups: BTreeSet<Uuid>,
}

/// All groups of one organization, or of none.
#[derive(Clone, Debug, Default)]
pub struct Roster(HashMap<Uuid, Group>);

#[derive(Clone, Debug)]
struct Group {
    name: String,
    /// The groups that it is a member of itself.
    above: BTreeSet<Uuid>,
}

impl Provisioned {
    /// What cannot be read says nothing.
    pub fn of(object: &Object) -> Provisioned {
        let kept = object.body.get(MEMBER);
        let attributes = kept.and_then(|kept| kept.get("attributes")).and_then(Json::as_object);
        let groups = kept.and_then(|kept| kept.get("groups")).and_then(Json::as_array);
        let id = |group: &Json| Uuid::parse_str(group.as_str()?).ok();
        Provisioned {
            attributes: attributes.cloned().unwrap_or_default(),
            groups: groups.into_iter().flatten().filter_map(id).collect(),
        }
    }

    /// The body of an object with this in it, and all else as it was.
    pub fn within(&self, body: &Json) -> Json {
        let mut members = body.as_object().cloned().unwrap_or_default();
        if *self == Provisioned::default() {
            members.shift_remove(MEMBER);
        } else {
            members.insert(MEMBER.to_owned(), json!({"attributes": self.attributes, "groups": self.groups}));
        }
        Json::Object(members)
    }
}

impl Roster {
    pub fn new(groups: &[Object]) -> Roster {
        let mut roster = Roster::default();
        for object in groups {
            roster.set(object.id, &object.name, Provisioned::of(object).groups);
        }
        roster
    }

    /// Puts a group in place, or in place of what it was.
    pub fn set(&mut self, id: Uuid, name: &str, above: BTreeSet<Uuid>) {
        self.0.insert(id, Group { name: name.to_owned(), above });
    }

    pub fn remove(&mut self, id: Uuid) {
        self.0.remove(&id);
    }

    /// A group's name; nothing where there is none.
    pub fn name(&self, id: Uuid) -> Option<&str> {
        self.0.get(&id).map(|group| group.name.as_str())
    }

    /// These groups and those that they are members of, each once: the nearest first.
    pub fn closure(&self, direct: &BTreeSet<Uuid>) -> Vec<Uuid> {
        let mut found = Vec::new();
        let mut seen = HashSet::new();
        let mut next: Vec<Uuid> = direct.iter().copied().collect();
        for _ in 0..DEPTH_MAX {
            let mut above = Vec::new();
            for id in next {
                let Some(group) = self.0.get(&id).filter(|_| seen.insert(id)) else { continue };
                found.push(id);
                above.extend(group.above.iter().copied());
            }
            next = above;
        }
        found
    }

    /// The names of the same.
    pub fn names(&self, direct: &BTreeSet<Uuid>) -> Vec<String> {
        self.closure(direct).into_iter().filter_map(|id| self.name(id)).map(str::to_owned).collect()
    }
}

impl Database {
    /// The names of the groups of a user, those that the user's groups are members of included. For rules that go by
    /// groups when a person signs in.
    pub fn groups_of(&mut self, user: Uuid) -> Result<Vec<String>, Error> {
        let select =
            format!("SELECT {COLUMNS} FROM objects WHERE id = ?1 AND kind = ?2 AND deleted_us IS NULL");
        let row = self.engine.query_first(&select, &[user.into(), USER.into()])?;
        let Some(object) = row.as_ref().map(object_of).transpose()? else { return Ok(Vec::new()) };
        let roster = Roster::new(&groups(&mut *self.engine, object.organization)?);
        Ok(roster.names(&Provisioned::of(&object).groups))
    }

    /// All groups of an organization, or of none.
    pub fn groups(&mut self, organization: Option<Uuid>) -> Result<Vec<Object>, Error> {
        groups(&mut *self.engine, organization)
    }

    /// The users and groups that are members of this group themselves.
    pub fn members(&mut self, organization: Option<Uuid>, group: Uuid) -> Result<Vec<Object>, Error> {
        members(&mut *self.engine, organization, group)
    }

    /// Some of the objects of one kind of an organization, or of none, behind an id; where letters are given, those whose
    /// names have them.
    pub fn people(
        &mut self,
        organization: Option<Uuid>,
        kind: &str,
        search: Option<&str>,
        (after, limit): (Uuid, u32),
    ) -> Result<Vec<Object>, Error> {
        let select = format!(
            "SELECT {COLUMNS} FROM objects WHERE organization IS NOT DISTINCT FROM ?1 AND kind = ?2 AND id > ?3 \
             AND deleted_us IS NULL AND (lower(name) LIKE ?4 ESCAPE '!' OR ?4 IS NULL) ORDER BY id LIMIT ?5"
        );
        let values =
            [organization.into(), kind.into(), after.into(), search.map(pattern).into(), limit.into()];
        self.engine.query(&select, &values)?.iter().map(object_of).collect()
    }
}

impl Transaction<'_> {
    pub fn groups(&mut self, organization: Option<Uuid>) -> Result<Vec<Object>, Error> {
        groups(self.writer.engine, organization)
    }

    pub fn members(&mut self, organization: Option<Uuid>, group: Uuid) -> Result<Vec<Object>, Error> {
        members(self.writer.engine, organization, group)
    }

    /// Objects of one kind whose names are this one but for the case of letters.
    pub fn alike(
        &mut self,
        organization: Option<Uuid>,
        kind: &str,
        name: &str,
    ) -> Result<Vec<Object>, Error> {
        let select = format!(
            "SELECT {COLUMNS} FROM objects WHERE organization IS NOT DISTINCT FROM ?1 AND kind = ?2 \
             AND lower(name) = lower(?3) AND deleted_us IS NULL ORDER BY id LIMIT 10"
        );
        let values = [organization.into(), kind.into(), name.into()];
        self.writer.engine.query(&select, &values)?.iter().map(object_of).collect()
    }
}

fn groups(engine: &mut dyn Engine, organization: Option<Uuid>) -> Result<Vec<Object>, Error> {
    let select = format!(
        "SELECT {COLUMNS} FROM objects WHERE organization IS NOT DISTINCT FROM ?1 AND kind = ?2 \
         AND deleted_us IS NULL ORDER BY id"
    );
    engine.query(&select, &[organization.into(), GROUP.into()])?.iter().map(object_of).collect()
}

fn members(engine: &mut dyn Engine, organization: Option<Uuid>, group: Uuid) -> Result<Vec<Object>, Error> {
    let select = format!(
        "SELECT {COLUMNS} FROM objects WHERE organization IS NOT DISTINCT FROM ?1 AND kind IN (?2, ?3) \
         AND body LIKE ?4 AND deleted_us IS NULL ORDER BY id"
    );
    let mentioned: Value<'_> = format!("%\"{group}\"%").into();
    let values = [organization.into(), USER.into(), GROUP.into(), mentioned];
    let found: Vec<Object> =
        engine.query(&select, &values)?.iter().map(object_of).collect::<Result<_, _>>()?;
    // An id may be mentioned for another reason.
    Ok(found.into_iter().filter(|object| Provisioned::of(object).groups.contains(&group)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_followed_upwards_and_circles_end() {
        let ids: Vec<Uuid> = (0..4).map(Uuid::from_u128).collect();
        let set = |wanted: &[usize]| wanted.iter().filter_map(|at| ids.get(*at).copied()).collect();
        let mut roster = Roster::default();
        for (at, above) in [(0, &[1][..]), (1, &[2]), (2, &[0])] {
            roster.set(ids[at], &format!("g{at}"), set(above));
        }
        let check = |direct: &[usize], expected: &[&str]| {
            assert_eq!(roster.names(&set(direct)), expected, "{direct:?}");
        };
        check(&[0], &["g0", "g1", "g2"]);
        check(&[1, 2], &["g1", "g2", "g0"]);
        check(&[3], &[]);
    }

    #[test]
    fn what_is_kept_stands_beside_settings() {
        let id = Uuid::from_u128(7);
        let attributes = json!({"title": "Guide"}).as_object().cloned().unwrap_or_default();
        let kept = Provisioned { attributes, groups: [id].into() };
        let body = kept.within(&json!({"models": ["fast"]}));
        assert_eq!(body["models"], json!(["fast"]));
        assert_eq!(Provisioned::default().within(&body), json!({"models": ["fast"]}));
    }
}

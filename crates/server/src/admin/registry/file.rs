//! Entries of a registry file, whose sections are those of the configuration.

use std::collections::{HashMap, HashSet};

use policy::{config::nearest, principal::EntityKind};
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use super::super::{refusal::Wrong, resource::Resource};

/// What somebody wants of one thing.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Where it stands, as `teams.search` or `keys[0]`; nothing for what stands in no file.
    pub(super) path: String,
    pub(super) resource: Resource,
    /// The thing that is meant, where its name is not to tell.
    pub(super) id: Option<Uuid>,
    /// A body as the admin API takes it.
    pub(super) members: Map<String, Json>,
}

/// The section that a kind stands in.
pub(super) fn section(resource: Resource) -> String {
    resource.plural().replace('-', "_")
}

/// What of a body belongs to an entry: its path is that of the file.
pub(super) fn joined(path: &str, member: &str) -> String {
    match (path.is_empty(), member.is_empty()) {
        (true, _) => member.to_owned(),
        (false, true) => path.to_owned(),
        (false, false) => format!("{path}.{member}"),
    }
}

/// All entries, the upper parts first.
pub(super) fn entries(file: &Json, wrong: &mut Vec<Wrong>) -> Vec<Entry> {
    let empty = Map::new();
    let sections = match file {
        Json::Object(sections) => sections,
        Json::Null => &empty,
        Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => {
            wrong.push(Wrong::new("", "a registry file is a map of sections, as teams and keys"));
            return Vec::new();
        }
    };
    let known: Vec<String> = Resource::ALL.into_iter().map(section).collect();
    for name in sections.keys().filter(|name| !known.contains(name)) {
        let remedy = match nearest(name, known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("a registry file has {}", known.join(", ")),
        };
        wrong.push(Wrong::new(name, format!("unknown section \"{name}\"; {remedy}")));
    }
    let mut entries = Vec::new();
    for (resource, name) in Resource::ALL.into_iter().zip(&known) {
        let found = match (resource, sections.get(name)) {
            (_, None | Some(Json::Null)) => Vec::new(),
            (Resource::Part(_), Some(Json::Object(members))) => named(resource, name, members, wrong),
            (Resource::Key, Some(Json::Array(items))) => listed(name, items, wrong),
            (Resource::Part(_), Some(_)) => {
                wrong.push(Wrong::new(name, "must be a map of names"));
                Vec::new()
            }
            (Resource::Key, Some(_)) => {
                wrong.push(Wrong::new(name, "must be a list"));
                Vec::new()
            }
        };
        entries.extend(found);
    }
    entries
}

/// Parts stand under their names; one may have a `name` of its own where several organizations have one of it.
fn named(
    resource: Resource,
    section: &str,
    members: &Map<String, Json>,
    wrong: &mut Vec<Wrong>,
) -> Vec<Entry> {
    let empty = Json::Object(Map::new());
    let entries = members.iter().filter_map(|(label, value)| {
        let path = format!("{section}.{label}");
        let value = if value.is_null() { &empty } else { value };
        let mut entry = entry(resource, path, value, wrong)?;
        if !entry.members.contains_key("name") {
            entry.members.insert("name".to_owned(), Json::from(label.as_str()));
        }
        Some(entry)
    });
    entries.collect()
}

fn listed(section: &str, items: &[Json], wrong: &mut Vec<Wrong>) -> Vec<Entry> {
    let entries = items.iter().enumerate().filter_map(|(at, value)| {
        let path = format!("{section}[{at}]");
        let mut entry = entry(Resource::Key, path, value, wrong)?;
        if entry.members.shift_remove("key").is_some() {
            let message = "a registry file holds no secrets: leave it out, and the key that is made is shown once; or keep \
                           the entry in the configuration";
            wrong.push(Wrong::new(joined(&entry.path, "key"), message));
        }
        Some(entry)
    });
    entries.collect()
}

fn entry(resource: Resource, path: String, value: &Json, wrong: &mut Vec<Wrong>) -> Option<Entry> {
    let Json::Object(members) = value else {
        wrong.push(Wrong::new(path, "must be a map"));
        return None;
    };
    let mut members = members.clone();
    let id = members.shift_remove("id");
    let id = id.and_then(|id| {
        let read = id.as_str().and_then(|text| Uuid::parse_str(text).ok());
        if read.is_none() {
            wrong.push(Wrong::new(joined(&path, "id"), "is no id; leave it out for something new"));
        }
        read
    });
    Some(Entry { path, resource, id, members })
}

/// Teams after those that they stand below; all else as it was.
pub(super) fn in_order(entries: Vec<Entry>) -> Vec<Entry> {
    let team = Resource::Part(EntityKind::Team);
    let text = |entry: &Entry, name: &str| entry.members.get(name).and_then(Json::as_str).map(str::to_owned);
    let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
    for (at, entry) in entries.iter().enumerate().filter(|(_, entry)| entry.resource == team) {
        let names = [text(entry, "name"), entry.id.map(|id| id.to_string())];
        names.into_iter().flatten().for_each(|name| by_name.entry(name).or_default().push(at));
    }
    let above: Vec<Vec<usize>> = entries
        .iter()
        .map(|entry| match text(entry, "team").filter(|_| entry.resource == team) {
            Some(name) => by_name.get(&name).cloned().unwrap_or_default(),
            None => Vec::new(),
        })
        .collect();
    let mut waiting: Vec<Option<Entry>> = entries.into_iter().map(Some).collect();
    let mut sorted = Vec::with_capacity(waiting.len());
    let mut seen = HashSet::new();
    for at in 0..waiting.len() {
        // Each goes on the stack again behind what it stands below, and is taken when it comes back.
        let mut stack = vec![at];
        while let Some(top) = stack.pop() {
            let fresh = above.get(top).into_iter().flatten().filter(|above| !seen.contains(*above));
            let fresh: Vec<usize> = fresh.copied().collect();
            if seen.insert(top) && !fresh.is_empty() {
                stack.push(top);
                stack.extend(fresh);
            } else {
                sorted.extend(waiting.get_mut(top).and_then(Option::take));
            }
        }
    }
    sorted
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn entries_come_from_their_sections() {
        let file = json!({
            "keys": [{"name": "app"}],
            "service_accounts": {"bot": null},
            "teams": {"globex/search": {"name": "search", "id": "00000000-0000-0000-0000-000000000007"}},
        });
        let mut wrong = Vec::new();
        let found = entries(&file, &mut wrong);
        let shown: Vec<_> = found
            .iter()
            .map(|entry| {
                let name = entry.members.get("name").and_then(Json::as_str);
                (entry.path.as_str(), name.unwrap(), entry.id.map(|id| id.as_u128()))
            })
            .collect();
        let expected = [
            ("teams.globex/search", "search", Some(7)),
            ("service_accounts.bot", "bot", None),
            ("keys[0]", "app", None),
        ];
        assert_eq!((shown.as_slice(), wrong.as_slice()), (&expected[..], &[][..]));
    }

    #[test]
    fn teams_come_after_those_above_them() {
        let teams =
            json!({"a": {"team": "b"}, "b": {"team": "c"}, "c": {}, "x": {"team": "y"}, "y": {"team": "x"}});
        let file = json!({"teams": teams, "organizations": {"o": {}}, "keys": [{"name": "k", "team": "a"}]});
        let sorted = in_order(entries(&file, &mut Vec::new()));
        let paths: Vec<&str> = sorted.iter().map(|entry| entry.path.as_str()).collect();
        let place = |path: &str| paths.iter().position(|found| *found == path).unwrap();
        assert_eq!(paths.len(), 7, "also those in a circle, once each");
        assert!(place("teams.c") < place("teams.b") && place("teams.b") < place("teams.a"), "{paths:?}");
        assert_eq!((place("organizations.o"), place("keys[0]")), (0, 6));
    }

    #[test]
    fn what_is_no_entry_is_told_by_its_path() {
        let check = |file: Json, paths: &[&str]| {
            let mut wrong = Vec::new();
            entries(&file, &mut wrong);
            let found: Vec<&str> = wrong.iter().map(|one| one.path.as_str()).collect();
            assert_eq!(found, paths, "{file}");
        };
        check(Json::Null, &[]);
        check(json!([]), &[""]);
        check(json!({"team": {}, "provider": {}}), &["team", "provider"]);
        check(json!({"teams": [], "keys": {}}), &["teams", "keys"]);
        check(json!({"teams": {"a": 1, "b": {"id": "x"}}}), &["teams.a", "teams.b.id"]);
        check(json!({"keys": [{"name": "a", "key": "tg-x"}, 3]}), &["keys[0].key", "keys[1]"]);
    }
}

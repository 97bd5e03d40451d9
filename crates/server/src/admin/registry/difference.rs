//! What tells two things apart, member by member.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value as Json};

/// One member that is not what it was.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Difference {
    /// As `limits[0].per`.
    pub path: String,
    /// Nothing where it was not there.
    pub before: Option<Json>,
    /// Nothing where it is not there any more.
    pub after: Option<Json>,
}

/// In the order of the members before; what is new comes behind.
pub(super) fn differences(before: &Map<String, Json>, after: &Map<String, Json>) -> Vec<Difference> {
    let mut found = Vec::new();
    members("", before, after, &mut found);
    found
}

fn members(path: &str, before: &Map<String, Json>, after: &Map<String, Json>, found: &mut Vec<Difference>) {
    let fresh = after.keys().filter(|name| !before.contains_key(*name));
    for name in before.keys().chain(fresh) {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        values(path, before.get(name), after.get(name), found);
    }
}

fn values(path: String, before: Option<&Json>, after: Option<&Json>, found: &mut Vec<Difference>) {
    if before == after {
        return;
    }
    match (before, after) {
        (Some(Json::Object(one)), Some(Json::Object(other))) => members(&path, one, other, found),
        // Items of lists of one length are taken for the same; otherwise it cannot be told which is which.
        (Some(Json::Array(one)), Some(Json::Array(other)))
            if one.len() == other.len() && one.iter().chain(other).all(Json::is_object) =>
        {
            for (at, (one, other)) in one.iter().zip(other).enumerate() {
                values(format!("{path}[{at}]"), Some(one), Some(other), found);
            }
        }
        _ => found.push(Difference { path, before: before.cloned(), after: after.cloned() }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_are_told_apart_where_they_differ() {
        let check = |before: Json, after: Json, expected: &[(&str, Option<Json>, Option<Json>)]| {
            let found = differences(before.as_object().unwrap(), after.as_object().unwrap());
            let found: Vec<_> =
                found.iter().map(|one| (one.path.as_str(), one.before.clone(), one.after.clone())).collect();
            assert_eq!(found, expected, "{before} {after}");
        };
        check(json!({}), json!({}), &[]);
        check(json!({"a": 1, "b": 2}), json!({"b": 2, "a": 1}), &[]);
        check(json!({"a": 1}), json!({"b": 2}), &[("a", Some(json!(1)), None), ("b", None, Some(json!(2)))]);
        let budget = |usd: &str| json!({"budget": {"usd": usd, "per": "month"}});
        check(budget("1.00"), budget("2.00"), &[("budget.usd", Some(json!("1.00")), Some(json!("2.00")))]);
        let limits = |first: i64, second: i64| json!({"l": [{"requests": first}, {"requests": second}]});
        check(limits(1, 2), limits(1, 3), &[("l[1].requests", Some(json!(2)), Some(json!(3)))]);
        check(
            json!({"l": [{"a": 1}]}),
            json!({"l": [{"a": 1}, {"a": 2}]}),
            &[("l", Some(json!([{"a": 1}])), Some(json!([{"a": 1}, {"a": 2}])))],
        );
        check(json!({"m": ["x"]}), json!({"m": ["y"]}), &[("m", Some(json!(["x"])), Some(json!(["y"])))]);
        check(json!({"m": {}}), json!({"m": 1}), &[("m", Some(json!({})), Some(json!(1)))]);
    }
}

//! What is allowed for a time, beside what the lists allow.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wire::Operation;

use super::{Settings, lineage::names};
use crate::{config::moment, limit::OperationName};

/// Models and operations that are allowed for a time, and no longer, whatever becomes of who allowed them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TemporarySpec {
    /// Model names beside those of `models`, exact or with a trailing `*`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// Operations beside those of `operations`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<OperationName>,
    /// When it ends, as `2027-01-31` (the end of that day in UTC) or `2027-01-31T12:00:00Z`.
    pub until: String,
}

/// The same, read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Temporary {
    pub(super) models: Vec<String>,
    pub(super) operations: Vec<Operation>,
    /// Microseconds since 1970.
    pub(super) until_us: i64,
}

/// What somebody is to be allowed more.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'w> {
    pub models: &'w [String],
    pub operations: &'w [OperationName],
}

impl Temporary {
    pub(super) fn compile(specs: &[TemporarySpec], wrong: &mut Vec<(String, String)>) -> Vec<Temporary> {
        let read = specs.iter().enumerate().filter_map(|(at, spec)| match moment(&spec.until) {
            Ok(until_us) => Some(Temporary {
                models: spec.models.clone(),
                operations: spec.operations.iter().map(|name| name.0).collect(),
                until_us,
            }),
            Err(message) => {
                wrong.push((format!("temporary[{at}].until"), message));
                None
            }
        });
        read.collect()
    }
}

/// Adds to the lists of somebody what they do not allow, for a time where one is given; says whether there was anything to
/// add. A list that is empty allows everything as it is.
pub fn allow(settings: &mut Settings, wanted: &Wanted<'_>, until: Option<String>) -> bool {
    let is_new = |model: &&String| !settings.models.is_empty() && !names(&settings.models, model);
    let models: Vec<String> = wanted.models.iter().filter(is_new).cloned().collect();
    let is_new = |name: &&OperationName| {
        !settings.operations.is_empty() && settings.operations.iter().all(|known| known.0 != name.0)
    };
    let operations: Vec<OperationName> = wanted.operations.iter().filter(is_new).copied().collect();
    if models.is_empty() && operations.is_empty() {
        return false;
    }
    match until {
        Some(until) => settings.temporary.push(TemporarySpec { models, operations, until }),
        None => {
            settings.models.extend(models);
            settings.operations.extend(operations);
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{key::Key, principal::Directory};

    #[test]
    fn what_is_allowed_for_a_time_ends_with_it() {
        let mut settings = Settings { models: vec!["fast".to_owned()], ..Settings::default() };
        let models = ["fast".to_owned(), "smart".to_owned()];
        let wanted = Wanted { models: &models, operations: &[] };
        assert!(allow(&mut settings, &wanted, Some("1970-01-01T00:00:01Z".to_owned())));
        let key = Key { settings, ..Key::unbound() };
        let (principal, problems) = Directory::default().principal(&key);
        assert_eq!(problems, []);
        let principal = Arc::new(principal);
        let check = |now_us: i64, allowed: bool| {
            let principal = principal.at(now_us);
            assert_eq!(principal.may_use("smart").is_ok(), allowed, "{now_us}");
            assert!(principal.may_use("fast").is_ok() && principal.may_use("other").is_err(), "{now_us}");
        };
        check(999_999, true);
        check(1_000_000, false);
    }

    #[test]
    fn only_what_is_missing_is_added() {
        let check = |models: &[&str], wanted: &[&str], expected: Option<&[&str]>| {
            let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
            let mut settings = Settings { models: owned(models), ..Settings::default() };
            let added = allow(&mut settings, &Wanted { models: &owned(wanted), operations: &[] }, None);
            assert_eq!(added.then_some(settings.models), expected.map(owned), "{models:?} {wanted:?}");
        };
        check(&["a*"], &["ab", "b"], Some(&["a*", "b"]));
        check(&["a"], &["a"], None);
        check(&[], &["a"], None);
    }
}

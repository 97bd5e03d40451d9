//! What of a list is wanted (<https://www.rfc-editor.org/rfc/rfc7644#section-3.4.2>).

use serde_json::{Map, Value as Json};

use super::{
    body::{check_schemas, member},
    projection::Projection,
    refused::invalid_value,
};
use crate::admin::refusal::Refusal;

/// How many resources a page has at most, and where nothing is said.
pub(super) const COUNT_MAX: usize = 200;
const COUNT: usize = 100;
pub(super) const LIST_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
/// The most attributes that a request names.
const NAMES_MAX: usize = 100;
const SEARCH_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Search {
    pub(super) filter: Option<String>,
    pub(super) sort_by: Option<String>,
    pub(super) descending: bool,
    /// Counted from 1.
    pub(super) start: usize,
    pub(super) count: usize,
    pub(super) projection: Projection,
}

impl Search {
    /// By what stands behind the question mark. What is unknown is not looked at.
    pub(super) fn of_query(query: &str) -> Result<Search, Refusal> {
        let pairs = form_urlencoded::parse(query.as_bytes());
        let members = pairs.map(|(name, value)| (name.into_owned(), Json::String(value.into_owned())));
        Search::read(&members.collect())
    }

    pub(super) fn of_body(members: &Map<String, Json>) -> Result<Search, Refusal> {
        check_schemas(members, SEARCH_SCHEMA)?;
        Search::read(members)
    }

    fn read(members: &Map<String, Json>) -> Result<Search, Refusal> {
        let text = |name: &str| match member(members, name) {
            None => Ok(None),
            Some(Json::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
            Some(_) => Err(invalid_value(name, "must be a text")),
        };
        let descending = match text("sortOrder")?.map(|order| order.to_ascii_lowercase()).as_deref() {
            None | Some("ascending") => false,
            Some("descending") => true,
            Some(_) => return Err(invalid_value("sortOrder", "must be ascending or descending")),
        };
        // Less than the least is the least.
        let start = whole(members, "startIndex")?.map_or(1, |start| start.max(1));
        let count = whole(members, "count")?.unwrap_or(COUNT).min(COUNT_MAX);
        let only = names(members, "attributes")?;
        let projection =
            Projection { only, without: names(members, "excludedAttributes")?.unwrap_or_default() };
        Ok(Search { filter: text("filter")?, sort_by: text("sortBy")?, descending, start, count, projection })
    }
}

fn whole(members: &Map<String, Json>, name: &str) -> Result<Option<usize>, Refusal> {
    let Some(value) = member(members, name) else { return Ok(None) };
    let number = value.as_i64().or_else(|| value.as_str()?.trim().parse().ok());
    let number = number.ok_or_else(|| invalid_value(name, "must be a whole number"))?;
    Ok(Some(usize::try_from(number).unwrap_or(0)))
}

/// Names with commas between them, or a list of them.
fn names(members: &Map<String, Json>, name: &str) -> Result<Option<Vec<String>>, Refusal> {
    let split = |text: &str| text.split(',').map(|name| name.trim().to_owned()).collect::<Vec<String>>();
    let named = match member(members, name) {
        None => return Ok(None),
        Some(Json::String(text)) => Some(split(text)),
        Some(Json::Array(names)) => names.iter().map(|name| name.as_str().map(str::to_owned)).collect(),
        Some(_) => None,
    };
    let named = named.ok_or_else(|| invalid_value(name, "must be a list of names"))?;
    if named.len() > NAMES_MAX {
        return Err(invalid_value(name, &format!("has {NAMES_MAX} names at most")));
    }
    Ok(Some(named))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_say_what_is_wanted() {
        let found =
            Search::of_query("filter=userName+eq+%22a%22&STARTINDEX=0&count=900&sortOrder=Descending&x=y");
        let found = found.unwrap_or_else(|refusal| panic!("{refusal:?}"));
        assert_eq!(found.filter.as_deref(), Some("userName eq \"a\""));
        assert_eq!((found.start, found.count, found.descending), (1, COUNT_MAX, true));
        assert_eq!(Search::of_query("count=-1").map(|search| search.count).ok(), Some(0));
        let shown = Search::of_query("attributes=a,%20b").map(|search| search.projection.only).ok();
        assert_eq!(shown, Some(Some(vec!["a".to_owned(), "b".to_owned()])));
        for bad in ["count=x", "startIndex=1.5", "sortOrder=up"] {
            assert!(Search::of_query(bad).is_err(), "{bad}");
        }
    }
}

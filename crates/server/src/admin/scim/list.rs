//! Lists and shows users and groups (<https://www.rfc-editor.org/rfc/rfc7644#section-3.4>).

use std::{cmp::Ordering, collections::HashMap};

use http::{HeaderMap, StatusCode};
use serde_json::{Value as Json, json};
use store::Database;
use uuid::Uuid;

use super::{
    attribute::Attribute,
    body::is_primary,
    filter::{Filter, Steps, values},
    projection::Projection,
    record::{Member, Record, View, nothing},
    refused::{ErrorType, MEDIA, invalid_value},
    schema::ResourceType,
    search::{LIST_SCHEMA, Search},
    tenant::Tenant,
};
use crate::admin::{Reply, query::is_known, refusal::Refusal};

/// The most resources that are sorted.
const SORTED_MAX: usize = 50_000;

/// What was found so far.
struct Page<'s> {
    search: &'s Search,
    total: usize,
    /// With what each is sorted by; without an order only those of the page.
    taken: Vec<(Option<String>, Json)>,
}

/// How one type of resources is looked through.
struct Look {
    kind: ResourceType,
    filter: Option<Filter>,
    sort: Option<Steps>,
}

impl Look {
    fn new(kind: ResourceType, search: &Search) -> Result<Look, Refusal> {
        let filter = search.filter.as_ref().map(|text| Filter::read(kind, text)).transpose();
        let sort = search.sort_by.as_ref().and_then(|name| kind.resolve(name));
        Ok(Look { kind, filter: filter.map_err(super::parse::Misread::of_filter)?, sort })
    }

    /// Whether members of groups must be looked up.
    fn reads_members(&self, search: &Search) -> bool {
        let in_filter = search.filter.as_ref().is_some_and(|text| text.to_lowercase().contains("members"));
        self.kind == ResourceType::Group && (in_filter || search.projection.shows(self.kind, "members"))
    }
}

/// A page of what there is of these types.
pub(super) fn list(
    tenant: &Tenant,
    kinds: &[ResourceType],
    search: &Search,
    database: &mut Database,
) -> Result<Reply, Refusal> {
    let looks = kinds.iter().map(|kind| Look::new(*kind, search)).collect::<Result<Vec<_>, _>>()?;
    if let Some(name) = search.sort_by.as_ref().filter(|_| looks.iter().all(|look| look.sort.is_none())) {
        return Err(invalid_value("sortBy", &format!("there is no attribute \"{name}\"")));
    }
    let roster = tenant.roster(database)?;
    let view = View { tenant, roster: &roster, projection: &search.projection };
    let mut page = Page { search, total: 0, taken: Vec::new() };
    for look in &looks {
        let members = if look.reads_members(search) { members(tenant, database)? } else { HashMap::new() };
        let letters = look.filter.as_ref().and_then(|filter| filter.letters(look.kind.named_by()));
        tenant.each(look.kind, letters, database, |record| {
            let whole = view.whole(&record, members.get(&record.id).map_or(&[], Vec::as_slice));
            if look.filter.as_ref().is_some_and(|filter| !filter.holds(&whole)) {
                return Ok(());
            }
            page.take(look, whole)
        })?;
    }
    Ok(page.reply())
}

impl Page<'_> {
    fn take(&mut self, look: &Look, whole: Json) -> Result<(), Refusal> {
        let at = self.total;
        self.total += 1;
        if self.search.sort_by.is_none() {
            let first = self.search.start - 1;
            if at >= first && at - first < self.search.count {
                self.taken.push((None, self.search.projection.apply(look.kind, whole)));
            }
            return Ok(());
        }
        if self.total > SORTED_MAX {
            let message = format!("more than {SORTED_MAX} resources are not sorted; filter them");
            return Err(ErrorType::TooMany.refusal(message));
        }
        let key = look.sort.as_ref().and_then(|steps| sorted_by(steps, &whole));
        self.taken.push((key, self.search.projection.apply(look.kind, whole)));
        Ok(())
    }

    fn reply(mut self) -> Reply {
        let search = self.search;
        if search.sort_by.is_some() {
            self.taken.sort_by(|(one, _), (other, _)| ordered(one.as_deref(), other.as_deref()));
            if search.descending {
                self.taken.reverse();
            }
            self.taken.drain(..(search.start - 1).min(self.taken.len()));
            self.taken.truncate(search.count);
        }
        let resources: Vec<Json> = self.taken.into_iter().map(|(_, shown)| shown).collect();
        let body = json!({
            "schemas": [LIST_SCHEMA], "totalResults": self.total, "startIndex": search.start,
            "itemsPerPage": resources.len(), "Resources": resources,
        });
        Reply { kind: MEDIA, ..Reply::ok(&body) }
    }
}

/// What has no value comes last (<https://www.rfc-editor.org/rfc/rfc7644#section-3.4.2.3>).
fn ordered(one: Option<&str>, other: Option<&str>) -> Ordering {
    match (one, other) {
        (Some(one), Some(other)) => one.cmp(other),
        (one, other) => other.is_some().cmp(&one.is_some()),
    }
}

/// Of several values the primary one counts, or the first.
fn sorted_by(steps: &Steps, whole: &Json) -> Option<String> {
    let (last, above) = steps.split_last()?;
    let holders = if above.is_empty() { vec![whole] } else { values(above, whole) };
    let holder = holders.iter().find(|holder| is_primary(holder)).or(holders.first())?;
    let found = values(&[last], holder);
    let found = found.iter().find(|value| is_primary(value)).or(found.first())?;
    let (part, value) = match found {
        Json::Object(members) => (Attribute::find(last.parts, "value")?, members.get("value")?),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => (*last, *found),
    };
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Some(if part.exact { text } else { text.to_lowercase() })
}

/// Who is in which group.
fn members(tenant: &Tenant, database: &mut Database) -> Result<HashMap<Uuid, Vec<Member>>, Refusal> {
    let mut members: HashMap<Uuid, Vec<Member>> = HashMap::new();
    for kind in ResourceType::ALL {
        tenant.each(kind, None, database, |record| {
            for group in &record.kept.groups {
                let member = Member { id: record.id, kind, name: record.name.clone() };
                members.entry(*group).or_default().push(member);
            }
            Ok(())
        })?;
    }
    Ok(members)
}

/// One resource, unless its client has it already.
pub(super) fn read(
    tenant: &Tenant,
    kind: ResourceType,
    wanted: &str,
    (projection, headers): (&Projection, &HeaderMap),
    database: &mut Database,
) -> Result<Reply, Refusal> {
    let unknown = || Refusal::not_found(kind.kind(), wanted);
    let id = Uuid::parse_str(wanted).map_err(|_| unknown())?;
    let of_file = tenant.of_file().find(|entity| entity.id == id && kind == ResourceType::User);
    let record = match of_file {
        Some(entity) => Record::of_entity(entity),
        None => {
            let object = database.object(tenant.finder.who.tenancy(), id)?;
            let own = object
                .filter(|object| object.kind == kind.kind() && object.organization == tenant.organization());
            Record::of_object(kind, &own.ok_or_else(unknown)?)
        }
    };
    if record.version > 0 && is_known(headers, record.version) {
        return Ok(Reply { status: StatusCode::NOT_MODIFIED, ..nothing() }.with("etag", record.etag()));
    }
    let members = if kind == ResourceType::Group && projection.shows(kind, "members") {
        database.members(tenant.organization(), id)?.iter().map(Member::of_object).collect()
    } else {
        Vec::new()
    };
    let roster = tenant.roster(database)?;
    Ok(View { tenant, roster: &roster, projection }.reply(StatusCode::OK, &record, &members))
}

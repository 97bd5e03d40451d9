//! Lists and shows what the file and the registry own.

use http::{HeaderMap, StatusCode};
use policy::principal::EntityKind;
use store::{Database, Query, Tenancy};
use uuid::Uuid;

use super::{
    Reply,
    bodies::List,
    find::{Finder, Shown, Thing},
    query::{LISTED_MAX, Parameters, cursor, is_known, no_cursor},
    refusal::Refusal,
    resource::Resource,
};

/// Where a list goes on: first comes what the file owns, by name, then what the registry owns, by id.
enum Place {
    File { after: String },
    Registry { after: Option<Uuid> },
}

impl Place {
    fn read(parameters: &Parameters) -> Result<Place, Refusal> {
        let Some(text) = parameters.cursor()? else { return Ok(Place::File { after: String::new() }) };
        match text.split_once(':') {
            Some(("file", name)) => Ok(Place::File { after: name.to_owned() }),
            Some(("id", id)) => {
                let after = Some(Uuid::parse_str(id).map_err(|_| no_cursor())?);
                Ok(Place::Registry { after })
            }
            Some(_) | None => Err(no_cursor()),
        }
    }

    fn of(thing: &Thing) -> String {
        if thing.is_of_file() {
            cursor(&format!("file:{}", thing.name))
        } else {
            cursor(&format!("id:{}", thing.id))
        }
    }
}

/// Things of one kind.
pub(super) fn list(
    finder: &Finder,
    parameters: &Parameters,
    database: &mut Database,
) -> Result<Reply, Refusal> {
    let limit = parameters.limit(LISTED_MAX)?;
    let place = Place::read(parameters)?;
    let wanted = wanted_organization(finder, parameters, database)?;
    let parent = parameters.id("parent")?;
    let search = parameters.text("search").map(str::to_lowercase);
    let Some(tenancy) = wanted else {
        return Ok(Reply::ok(&List::<Shown> { data: Vec::new(), next_cursor: None }));
    };
    let mut things: Vec<Thing> = Vec::new();
    if let Place::File { after } = &place {
        things = finder.of_file();
        things.retain(|thing| {
            (after.is_empty() || thing.name > *after)
                && is_covered(tenancy, thing)
                && parent.is_none_or(|parent| thing.parent == Some(parent))
                && search.as_ref().is_none_or(|search| thing.name.to_lowercase().contains(search))
        });
    }
    let more = limit as usize + 1;
    if things.len() < more {
        let after = match place {
            Place::File { .. } => None,
            Place::Registry { after } => after,
        };
        let limit = u32::try_from(more - things.len()).unwrap_or(LISTED_MAX);
        let query =
            Query { kind: finder.resource.kind().to_owned(), parent, search, after, limit, name: None };
        things.extend(registry(finder, tenancy, &query, database)?);
    }
    let is_last = things.len() < more;
    things.truncate(limit as usize);
    let next = things.last().filter(|_| !is_last).map(Place::of);
    let kinds = finder.kinds(database, &things)?;
    let shown = Shown::with_uses(things.iter().map(|thing| thing.shown(&kinds)).collect(), database)?;
    Ok(Reply::ok(&List { data: shown, next_cursor: next }))
}

/// One thing, unless its caller has it already.
pub(super) fn one(
    finder: &Finder,
    wanted: &str,
    headers: &HeaderMap,
    database: &mut Database,
) -> Result<Reply, Refusal> {
    let thing = finder.find(database, wanted)?;
    let version = thing.state.version;
    if version > 0 && is_known(headers, version) {
        let reply = Reply::json(StatusCode::NOT_MODIFIED, &());
        return Ok(Reply { body: String::new(), ..reply }.with("etag", format!("\"{version}\"")));
    }
    let kinds = finder.kinds(database, std::slice::from_ref(&thing))?;
    let shown = Shown::with_uses(vec![thing.shown(&kinds)], database)?;
    let shown = shown.first().ok_or_else(|| Refusal::not_found(finder.resource.shown(), wanted))?;
    Ok(shown.reply(StatusCode::OK))
}

/// Whose things are asked for; nothing where there can be none.
pub(super) fn wanted_organization(
    finder: &Finder,
    parameters: &Parameters,
    database: &mut Database,
) -> Result<Option<Tenancy>, Refusal> {
    let Some(text) = parameters.text("organization") else { return Ok(Some(finder.tenancy())) };
    let finder = Finder { resource: Resource::Part(EntityKind::Organization), ..finder.clone() };
    match finder.find(database, text) {
        Ok(found) => Ok(Some(Tenancy::Organization(found.id))),
        Err(refusal) if refusal.is_not_found() => Ok(None),
        Err(refusal) => Err(refusal),
    }
}

fn registry(
    finder: &Finder,
    tenancy: Tenancy,
    query: &Query,
    database: &mut Database,
) -> Result<Vec<Thing>, Refusal> {
    // Whoever administers one organization sees that one of all.
    if let (true, Some(own)) = (finder.is_organization(), finder.who.organization) {
        let object = database.object(Tenancy::All, own)?.filter(|object| finder.is_mine(object));
        let named =
            |name: &str| query.search.as_ref().is_none_or(|search| name.to_lowercase().contains(search));
        let fits =
            object.filter(|object| query.after.is_none() && query.parent.is_none() && named(&object.name));
        return Ok(fits.iter().map(Thing::of_object).collect());
    }
    Ok(database.objects(tenancy, query)?.iter().map(Thing::of_object).collect())
}

fn is_covered(tenancy: Tenancy, thing: &Thing) -> bool {
    match tenancy {
        Tenancy::All => true,
        Tenancy::Organization(id) => thing.organization == Some(id),
    }
}

//! `/admin/v1/erasures`: everything about somebody is forgotten.

use http::{Method, StatusCode};
use policy::{principal::EntityKind, role::Permission};
use schemars::{JsonSchema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use store::{Database, Subject};
use uuid::Uuid;

use super::{
    Admin, Reply,
    bodies::List,
    examine::{object, read},
    find::Finder,
    query::{LISTED_MAX, Parameters},
    refusal::{Refusal, Wrong},
    resource::Resource,
    routes::{self, Action, Parameter, Route},
    side::Asked,
};
use crate::world::now_us;

/// The longest name, in characters.
const NAME_CHARS_MAX: usize = 500;

/// What may be done with erasures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ErasureAction {
    List,
    Create,
}

/// Who is to be forgotten: one of these.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "ErasureBody")]
struct Body {
    /// A user that has ended, by id: its name, its attributes, its keys, and who made its calls.
    user: Option<Uuid>,
    /// Who made calls, by the name that the journal shows: of a token, a certificate or a key.
    caller: Option<String>,
    /// For whom calls were made, as callers named them.
    end_user: Option<String>,
    /// What becomes of the calls: `strip` leaves them and what they cost without the one who made them, `delete` leaves
    /// nothing. Default: strip.
    calls: Calls,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Calls {
    #[default]
    Strip,
    Delete,
}

/// What was asked to be forgotten.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Erasure")]
struct Shown {
    id: Uuid,
    /// `user`, `caller` or `end_user`.
    kind: String,
    /// Who; forgotten too, a day later.
    subject: String,
    organization: Option<Uuid>,
    /// Whether the calls were deleted.
    deletes: bool,
    /// How many calls there were.
    calls: u64,
    /// Microseconds since 1970.
    asked_us: i64,
}

const LISTED: [Parameter; 1] =
    [routes::number("limit", "how many, from 1 to 500, the latest first; 100 where nothing is said")];

pub(super) fn routes() -> Vec<Route> {
    let path = "/admin/v1/erasures";
    let simple = |method, named, (shape, action)| {
        routes::simple(method, path, named, Permission::DataErase, (shape, Action::Erasures(action)))
    };
    let (list, one): (routes::Shape, routes::Shape) =
        (SchemaGenerator::subschema_for::<List<Shown>>, SchemaGenerator::subschema_for::<Shown>);
    vec![
        Route {
            parameters: &LISTED,
            ..simple(
                Method::GET,
                ("listErasures", "What was asked to be forgotten"),
                (list, ErasureAction::List),
            )
        },
        Route {
            request: Some(SchemaGenerator::subschema_for::<Body>),
            status: 201,
            ..simple(
                Method::POST,
                ("erase", "Forget everything about somebody"),
                (one, ErasureAction::Create),
            )
        },
    ]
}

impl Admin {
    pub(super) async fn erasures(&self, action: ErasureAction, asked: Asked<'_>) -> Result<Reply, Refusal> {
        let finder = self.finder(&asked, Resource::Key);
        match action {
            ErasureAction::List => {
                let parameters = asked.parameters;
                self.read(move |database| list(&finder, &parameters, database)).await
            }
            ErasureAction::Create => {
                let members = object(&asked.request.body)?;
                self.read_at_length(move |database| create(&finder, members, database)).await
            }
        }
    }
}

fn list(finder: &Finder, parameters: &Parameters, database: &mut Database) -> Result<Reply, Refusal> {
    let found = database.erasures(finder.who.tenancy(), parameters.limit(LISTED_MAX)?)?;
    let data = found.into_iter().map(shown).collect();
    Ok(Reply::ok(&List::<Shown> { data, next_cursor: None }))
}

fn create(finder: &Finder, members: Map<String, Json>, database: &mut Database) -> Result<Reply, Refusal> {
    let body: Body = read(members)?;
    let subject = subject(&body)?;
    if let Subject::User(id) = &subject {
        check_user(finder, *id, database)?;
    }
    let author = finder.who.author();
    let deletes = body.calls == Calls::Delete;
    let erased = database.erase(finder.who.tenancy(), (&subject, deletes), &author, now_us());
    let erasure = erased.map_err(|error| match (error, &subject) {
        (store::Error::NoObject(id), Subject::User(_)) => Refusal::not_found("user", &id.to_string()),
        (error, _) => error.into(),
    })?;
    Ok(Reply::json(StatusCode::CREATED, &shown(erasure)))
}

fn subject(body: &Body) -> Result<Subject, Refusal> {
    let wrong = |path: &str, message: &str| Refusal::invalid(vec![Wrong::new(path, message)]);
    let name = |path: &str, name: &String| match name.chars().count() {
        0 => Err(wrong(path, "is empty")),
        1..=NAME_CHARS_MAX => Ok(name.clone()),
        _ => Err(wrong(path, "is too long")),
    };
    match (body.user, &body.caller, &body.end_user) {
        (Some(id), None, None) => Ok(Subject::User(id)),
        (None, Some(caller), None) => Ok(Subject::Caller(name("caller", caller)?)),
        (None, None, Some(end_user)) => Ok(Subject::EndUser(name("end_user", end_user)?)),
        _ => Err(wrong("", "name one of user, caller and end_user")),
    }
}

/// Whoever is there still would be written down again at once. What it is that the registry has is looked at by the store.
fn check_user(finder: &Finder, id: Uuid, database: &mut Database) -> Result<(), Refusal> {
    let finder = Finder { resource: Resource::Part(EntityKind::User), ..finder.clone() };
    let wanted = id.to_string();
    match finder.find(database, &wanted) {
        Ok(found) => {
            let owner = if found.is_of_file() { "take it out of the configuration" } else { "end it" };
            let message = format!("the user \"{}\" is there still; {owner} first", found.name);
            Err(Refusal::new(StatusCode::CONFLICT, "user_not_ended", message))
        }
        // The journal may know it.
        Err(refusal) if refusal.is_not_found() => Ok(()),
        Err(refusal) => Err(refusal),
    }
}

fn shown(erasure: store::Erasure) -> Shown {
    let store::Erasure { id, kind, subject, organization, deletes, calls, asked_us } = erasure;
    Shown { id, kind, subject, organization, deletes, calls, asked_us }
}

//! Keeps, shows and deletes credentials.

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Map, Value as Json};
use store::{CREDENTIAL, Change, Database, Object, Query, Sealer, Tenancy};
use uuid::Uuid;

use super::{
    Act,
    bodies::{Credential, Draft},
};
use crate::{
    admin::{
        Reply,
        bodies::List,
        examine::object,
        query::{Expected, LISTED_MAX, Parameters, cursor, no_cursor},
        refusal::Refusal,
        side::{Admin, Asked},
        who::Who,
    },
    world::{World, now_us},
};

/// A request about credentials, with what answering it takes.
struct Work {
    who: Who,
    world: Arc<World>,
    sealer: Option<Arc<Sealer>>,
    expected: Expected,
}

impl Admin {
    /// Replicas take a change up when they hear of it.
    pub(in crate::admin) async fn credentials(&self, act: Act, asked: Asked<'_>) -> Result<Reply, Refusal> {
        let work = Work {
            who: asked.who,
            world: self.shared.world.load_full(),
            sealer: self.sealer.clone(),
            expected: Expected::read(&asked.request.headers),
        };
        let (name, parameters) = (asked.name, asked.parameters);
        match act {
            Act::List => self.read(move |database| work.list(&parameters, database)).await,
            Act::Read => {
                self.read(move |database| Ok(work.reply(StatusCode::OK, &work.find(&name, database)?))).await
            }
            Act::Create => {
                let members = object(&asked.request.body)?;
                self.read(move |database| work.create(members, database)).await
            }
            Act::Replace => {
                let members = object(&asked.request.body)?;
                self.read(move |database| work.replace(&name, members, database)).await
            }
            Act::Delete => self.read(move |database| work.delete(&name, database)).await,
        }
    }
}

impl Work {
    fn list(&self, parameters: &Parameters, database: &mut Database) -> Result<Reply, Refusal> {
        let limit = parameters.limit(LISTED_MAX)?;
        let after = match parameters.cursor()? {
            Some(text) => Some(Uuid::parse_str(&text).map_err(|_| no_cursor())?),
            None => None,
        };
        let search = parameters.text("search").map(str::to_owned);
        let query =
            Query { kind: CREDENTIAL.to_owned(), search, after, limit: limit + 1, ..Query::default() };
        let mut found = database.objects(Tenancy::All, &query)?;
        let is_last = found.len() <= limit as usize;
        found.truncate(limit as usize);
        let next = found.last().filter(|_| !is_last).map(|object| cursor(&object.id.to_string()));
        let data: Vec<Credential> = found.iter().map(|object| self.shown(object)).collect();
        Ok(Reply::ok(&List { data, next_cursor: next }))
    }

    fn create(&self, members: Map<String, Json>, database: &mut Database) -> Result<Reply, Refusal> {
        let draft = Draft::new(members)?.known(&self.world.snapshot)?;
        let id = Uuid::now_v7();
        let body = database.sealed_credential(self.sealer()?, id, &draft.provider, &draft.secret)?;
        let change = Change::Create {
            id,
            kind: CREDENTIAL.to_owned(),
            organization: None,
            parent: None,
            name: draft.name,
            body,
        };
        let made = self.applied(id, change, database)?;
        let reply = self.reply(StatusCode::CREATED, &made);
        Ok(reply.with("location", format!("/admin/v1/provider-credentials/{id}")))
    }

    fn replace(
        &self,
        name: &str,
        members: Map<String, Json>,
        database: &mut Database,
    ) -> Result<Reply, Refusal> {
        let before = self.find(name, database)?;
        self.expected.check(before.version)?;
        let known = self.shown(&before);
        let mut draft = Draft::replacing(&known, members)?;
        if draft.provider != known.provider {
            draft = draft.known(&self.world.snapshot)?;
        }
        if known.in_use && (draft.name != known.name || draft.provider != known.provider) {
            return Err(in_use(&known, "leave name and provider as they are"));
        }
        let body = database.sealed_credential(self.sealer()?, before.id, &draft.provider, &draft.secret)?;
        let change = Change::Update {
            id: before.id,
            expected: Some(before.version),
            name: draft.name,
            parent: None,
            body,
        };
        let after = self.applied(before.id, change, database)?;
        Ok(self.reply(StatusCode::OK, &after))
    }

    fn delete(&self, name: &str, database: &mut Database) -> Result<Reply, Refusal> {
        let before = self.find(name, database)?;
        self.expected.check(before.version)?;
        let known = self.shown(&before);
        if known.in_use {
            return Err(in_use(&known, "take credential:NAME out of the configuration first"));
        }
        let change = Change::Delete { id: before.id, expected: Some(before.version) };
        let gone = self.applied(before.id, change, database)?;
        Ok(self.reply(StatusCode::OK, &gone))
    }

    fn applied(&self, id: Uuid, change: Change, database: &mut Database) -> Result<Object, Refusal> {
        let applied = database.apply(Tenancy::All, &[change], &self.who.author(), now_us())?;
        applied.into_iter().next().ok_or_else(|| store::Error::NoObject(id).into())
    }

    /// The credential of this id or name.
    fn find(&self, wanted: &str, database: &mut Database) -> Result<Object, Refusal> {
        let found = match Uuid::parse_str(wanted) {
            Ok(id) => database.object(Tenancy::All, id)?,
            Err(_) => {
                let name = Some(wanted.to_owned());
                let query = Query { kind: CREDENTIAL.to_owned(), name, limit: 1, ..Query::default() };
                database.objects(Tenancy::All, &query)?.into_iter().next()
            }
        };
        let found = found.filter(|object| object.kind == CREDENTIAL && object.organization.is_none());
        found.ok_or_else(|| Refusal::not_found("credential", wanted))
    }

    fn sealer(&self) -> Result<&Sealer, Refusal> {
        self.sealer.as_deref().ok_or_else(|| {
            let message = "the registry keeps no credentials without store.encryption; set its key (tollgate secrets \
                           generate prints one) and restart";
            Refusal::new(StatusCode::CONFLICT, "encryption_missing", message)
        })
    }

    fn shown(&self, object: &Object) -> Credential {
        Credential::of(object, &self.world.snapshot)
    }

    fn reply(&self, status: StatusCode, object: &Object) -> Reply {
        Reply::json(status, &self.shown(object)).with("etag", format!("\"{}\"", object.version))
    }
}

fn in_use(known: &Credential, remedy: &str) -> Refusal {
    let message =
        format!("the credential \"{}\" opens the provider \"{}\"; {remedy}", known.name, known.provider);
    Refusal::new(StatusCode::CONFLICT, "in_use", message)
}

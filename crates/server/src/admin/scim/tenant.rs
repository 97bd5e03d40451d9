//! Whose people are meant: those of the key's organization, or of none where the key has none.

use http::HeaderMap;
use policy::principal::{Entity, EntityKind};
use store::{Database, Roster};
use uuid::Uuid;

use super::{record::Record, schema::ResourceType};
use crate::{
    admin::{AdminRequest, find::Finder, refusal::Refusal},
    world::World,
};

/// How many objects are read at a time.
const BATCH: u32 = 500;
/// Where all of it stands.
const ROOT: &str = "/scim/v2";

/// A client, and what it provisions.
pub(super) struct Tenant {
    pub(super) finder: Finder,
    /// The address that all resources stand below.
    pub(super) base: String,
}

impl Tenant {
    pub(super) fn new(finder: Finder, request: &AdminRequest) -> Tenant {
        let base = base(&finder.world, request);
        Tenant { finder, base }
    }

    /// Names are told apart within one organization, so that a key without one has only what is in none.
    pub(super) fn organization(&self) -> Option<Uuid> {
        self.finder.who.organization
    }

    pub(super) fn location(&self, kind: ResourceType, id: Uuid) -> String {
        format!("{}/{}/{id}", self.base, kind.plural())
    }

    /// The users that the configuration file owns.
    pub(super) fn of_file(&self) -> impl Iterator<Item = &Entity> {
        let organization = self.organization();
        let entities = self.finder.world.snapshot.entities.iter();
        entities.filter(move |entity| entity.kind == EntityKind::User && entity.organization == organization)
    }

    pub(super) fn roster(&self, database: &mut Database) -> Result<Roster, Refusal> {
        Ok(Roster::new(&database.groups(self.organization())?))
    }

    /// Everything of one type, what the file owns first. Where letters are given, what is left out has none of them in its
    /// name.
    pub(super) fn each(
        &self,
        kind: ResourceType,
        letters: Option<&str>,
        database: &mut Database,
        mut take: impl FnMut(Record) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        match kind {
            ResourceType::User => self.of_file().try_for_each(|entity| take(Record::of_entity(entity)))?,
            ResourceType::Group => {}
        }
        let mut after = Uuid::nil();
        loop {
            let page = database.people(self.organization(), kind.kind(), letters, (after, BATCH))?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.id;
            page.iter().try_for_each(|object| take(Record::of_object(kind, object)))?;
        }
    }
}

/// As the client has it, where that can be told: otherwise the path alone, which stands for the same.
fn base(world: &World, request: &AdminRequest) -> String {
    let server = &world.snapshot.server;
    let Some(host) = text(&request.headers, "host").filter(|host| is_host(host)) else {
        return ROOT.to_owned();
    };
    let is_trusted = server.trusted_proxies.iter().any(|range| range.contains(request.peer));
    let outside = text(&request.headers, "x-forwarded-proto").filter(|_| is_trusted);
    let scheme = match outside {
        Some("https") => "https",
        Some(_) | None if server.tls.is_some() => "https",
        Some(_) | None => "http",
    };
    format!("{scheme}://{host}{ROOT}")
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

fn is_host(text: &str) -> bool {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || "-._:[]".contains(letter);
    !text.is_empty() && text.len() <= 255 && text.chars().all(is_part)
}

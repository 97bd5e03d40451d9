//! Organizations, teams, projects, users, service accounts and keys that the file owns.

use std::collections::{BTreeMap, HashSet};

use schemars::JsonSchema;
use serde::Deserialize;
use uuid::Uuid;

use super::{compile::Compiler, problem::nearest};
use crate::{
    Secret,
    key::{KEY_PREFIX, Key, Owner, Scope},
    principal::{Directory, Entity, EntityKind, Settings},
    role::{RoleName, Roles},
    snapshot::FileKey,
};

/// How many characters a key must have after its prefix.
const KEY_CHARS_MIN: usize = 32;
/// How many characters of a key are shown in lists.
const HINT_CHARS: usize = 8;

/// Part of an organization: what it stands below, and what it may do.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct PartEntry {
    /// The organization it is a part of. Default: that of what it stands below, if any.
    pub(super) organization: Option<String>,
    /// The team it stands below. Default: none.
    pub(super) team: Option<String>,
    #[serde(flatten)]
    pub(super) settings: Settings,
}

/// A program that is nobody's own: what it stands below, and what it may do.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct AccountEntry {
    /// The organization it is a part of. Default: that of what it stands below, if any.
    pub(super) organization: Option<String>,
    /// The team it stands below. Default: none.
    pub(super) team: Option<String>,
    /// The project it stands below. Default: none.
    pub(super) project: Option<String>,
    #[serde(flatten)]
    pub(super) settings: Settings,
}

/// A key that this file owns: whom it belongs to, and what it may do.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub(super) struct KeyEntry {
    /// The name that the journal shows.
    pub(super) name: String,
    /// The key itself, as `${VARIABLE}` or a `secret:` reference: `tg-` and at least 32 further characters.
    pub(super) key: String,
    /// When it ends, as `2027-01-31` (the end of that day in UTC) or `2027-01-31T12:00:00Z`. Default: never.
    #[serde(default)]
    pub(super) expires: Option<String>,
    /// Whether it opens the admin API instead of models, as an owner. Default: false.
    #[serde(default)]
    pub(super) admin: bool,
    /// What it may administer; a key with a role opens the admin API instead of models. With an organization, it
    /// administers that organization only.
    #[serde(default)]
    pub(super) role: Option<RoleName>,
    /// The organization it belongs to, where it belongs to no part of one.
    #[serde(default)]
    pub(super) organization: Option<String>,
    /// The team it belongs to.
    #[serde(default)]
    pub(super) team: Option<String>,
    /// The project it belongs to.
    #[serde(default)]
    pub(super) project: Option<String>,
    /// The user it belongs to.
    #[serde(default)]
    pub(super) user: Option<String>,
    /// The service account it belongs to.
    #[serde(default)]
    pub(super) service_account: Option<String>,
    #[serde(flatten)]
    pub(super) settings: Settings,
}

/// What the file says of organizations.
pub(super) struct Drafts {
    pub(super) organizations: BTreeMap<String, Option<Settings>>,
    pub(super) teams: BTreeMap<String, Option<PartEntry>>,
    pub(super) projects: BTreeMap<String, Option<PartEntry>>,
    pub(super) users: BTreeMap<String, Option<PartEntry>>,
    pub(super) service_accounts: BTreeMap<String, Option<AccountEntry>>,
}

/// Where something stands: its organization, and what it stands below.
#[derive(Clone, Copy, Default)]
struct Stand {
    organization: Option<Uuid>,
    parent: Option<Uuid>,
}

/// What an entry says of where it stands.
struct Said<'d> {
    organization: Option<&'d str>,
    /// The kinds and names of what it may stand below; at most one is said.
    below: Vec<(EntityKind, &'d str)>,
}

impl Compiler<'_> {
    /// Everything that the file says of organizations, the upper parts first.
    pub(super) fn entities(&mut self, drafts: Drafts) -> Vec<Entity> {
        let mut placer = Placer { placed: Vec::new(), open: HashSet::new() };
        for (name, settings) in &drafts.organizations {
            let entity = entity(
                EntityKind::Organization,
                name,
                Stand::default(),
                settings.clone().unwrap_or_default(),
            );
            placer.placed.push(entity);
        }
        let empty = PartEntry::default();
        for name in drafts.teams.keys() {
            self.team(name, &drafts.teams, &mut placer);
        }
        for (kind, entries) in [(EntityKind::Project, &drafts.projects), (EntityKind::User, &drafts.users)] {
            for (name, entry) in entries {
                let entry = entry.as_ref().unwrap_or(&empty);
                let said = said(&entry.organization, &[(EntityKind::Team, &entry.team)]);
                let stand = self.stand(&format!("{}.{name}", plural(kind)), &said, &placer);
                placer.placed.push(entity(kind, name, stand, entry.settings.clone()));
            }
        }
        let empty = AccountEntry::default();
        for (name, entry) in &drafts.service_accounts {
            let entry = entry.as_ref().unwrap_or(&empty);
            let below = [(EntityKind::Team, &entry.team), (EntityKind::Project, &entry.project)];
            let said = said(&entry.organization, &below);
            let stand = self.stand(&format!("service_accounts.{name}"), &said, &placer);
            placer.placed.push(entity(EntityKind::ServiceAccount, name, stand, entry.settings.clone()));
        }
        let (_, problems) = Directory::new(placer.placed.clone());
        for problem in problems {
            let kind = EntityKind::ALL.into_iter().find(|kind| kind.name() == problem.kind);
            let list = kind.map_or("", plural);
            self.fault(&format!("{list}.{}.{}", problem.name, problem.path), problem.message);
        }
        placer.placed
    }

    /// A team, after what it stands below.
    fn team(&mut self, name: &str, drafts: &BTreeMap<String, Option<PartEntry>>, placer: &mut Placer) {
        if placer.find(EntityKind::Team, name).is_some() {
            return;
        }
        let Some(entry) = drafts.get(name) else { return };
        let entry = entry.clone().unwrap_or_default();
        let path = format!("teams.{name}");
        if !placer.open.insert(name.to_owned()) {
            self.fault(&format!("{path}.team"), "teams stand below each other in a circle");
            return;
        }
        if let Some(above) = &entry.team {
            self.team(above, drafts, placer);
        }
        let said = said(&entry.organization, &[(EntityKind::Team, &entry.team)]);
        let stand = self.stand(&path, &said, placer);
        if placer.find(EntityKind::Team, name).is_none() {
            placer.placed.push(entity(EntityKind::Team, name, stand, entry.settings));
        }
    }

    fn stand(&mut self, path: &str, said: &Said<'_>, placer: &Placer) -> Stand {
        if let [_, (second, _), ..] = said.below.as_slice() {
            self.fault(&format!("{path}.{}", second.name()), "it can belong to one of these only");
        }
        let organization = said.organization.and_then(|name| {
            let found = placer.find(EntityKind::Organization, name).map(|entity| entity.id);
            if found.is_none() {
                self.unknown(&format!("{path}.organization"), EntityKind::Organization, name, placer);
            }
            found
        });
        let Some((kind, name)) = said.below.first() else { return Stand { organization, parent: None } };
        let Some(above) = placer.find(*kind, name) else {
            self.unknown(&format!("{path}.{}", kind.name()), *kind, name, placer);
            return Stand { organization, parent: None };
        };
        if organization.is_some() && organization != above.organization {
            let message = format!("{} \"{name}\" is not of this organization", kind.shown());
            self.fault(&format!("{path}.{}", kind.name()), message);
        }
        Stand { organization: above.organization, parent: Some(above.id) }
    }

    fn unknown(&mut self, path: &str, kind: EntityKind, name: &str, placer: &Placer) {
        let known = placer.placed.iter().filter(|entity| entity.kind == kind);
        let near = nearest(name, known.map(|entity| entity.name.as_str()));
        let remedy = match near {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("name it under {}", plural(kind)),
        };
        self.fault(path, format!("there is no {} \"{name}\"; {remedy}", kind.shown()));
    }

    pub(super) fn keys(
        &mut self,
        entries: Vec<KeyEntry>,
        entities: &[Entity],
        roles: &Roles,
    ) -> Vec<FileKey> {
        let placer = Placer { placed: entities.to_vec(), open: HashSet::new() };
        let (directory, _) = Directory::new(entities.to_vec());
        let mut names = HashSet::new();
        let mut secrets: Vec<Secret> = Vec::new();
        let mut keys = Vec::new();
        for (at, entry) in entries.into_iter().enumerate() {
            let path = format!("keys[{at}]");
            if !names.insert(entry.name.clone()) {
                self.fault(&format!("{path}.name"), format!("there are two keys named \"{}\"", entry.name));
            }
            self.check_role(entry.role.as_ref(), roles, &format!("{path}.role"));
            let stand = self.key_stand(&path, &entry, &placer);
            let Some(secret) = self.secret(&entry.key, &format!("{path}.key")) else { continue };
            self.check_key(&secret, &secrets, &path);
            let expires_us =
                entry.expires.as_deref().and_then(|text| self.moment(text, &format!("{path}.expires")));
            let key = Key {
                id: Uuid::new_v5(&Uuid::NAMESPACE_OID, entry.name.as_bytes()),
                name: entry.name,
                organization: stand.organization,
                parent: stand.parent,
                settings: entry.settings,
                scope: if entry.admin || entry.role.is_some() { Scope::Admin } else { Scope::Calls },
                role: entry.role,
                owner: Owner::File,
                created_us: 0,
                expires_us,
                revoked_us: None,
                hint: secret.expose().chars().take(HINT_CHARS).collect(),
            };
            let (_, problems) = directory.principal(&key);
            for problem in problems {
                self.fault(&format!("{path}.{}", problem.path), problem.message);
            }
            secrets.push(secret.clone());
            keys.push(FileKey { key, secret });
        }
        keys
    }

    fn key_stand(&mut self, path: &str, entry: &KeyEntry, placer: &Placer) -> Stand {
        let below = [
            (EntityKind::Team, &entry.team),
            (EntityKind::Project, &entry.project),
            (EntityKind::User, &entry.user),
            (EntityKind::ServiceAccount, &entry.service_account),
        ];
        self.stand(path, &said(&entry.organization, &below), placer)
    }

    fn check_key(&mut self, secret: &Secret, earlier: &[Secret], path: &str) {
        let long = secret.expose().strip_prefix(KEY_PREFIX).is_some_and(|rest| rest.len() >= KEY_CHARS_MIN);
        if !long {
            let message = format!(
                "must begin with {KEY_PREFIX} and have at least {KEY_CHARS_MIN} further characters; tollgate keys generate makes one"
            );
            self.fault(&format!("{path}.key"), message);
        }
        if earlier.contains(secret) {
            self.fault(&format!("{path}.key"), "is the same as that of an earlier entry");
        }
    }

    fn moment(&mut self, text: &str, path: &str) -> Option<i64> {
        match moment(text) {
            Ok(end) => Some(end),
            Err(message) => {
                self.fault(path, message);
                None
            }
        }
    }
}

/// When something ends, in microseconds since 1970: a date is good to its end in UTC, a moment is a moment.
pub fn moment(text: &str) -> Result<i64, String> {
    if let Ok(moment) = text.parse::<jiff::Timestamp>() {
        return Ok(moment.as_microsecond());
    }
    let end = text.parse::<jiff::civil::Date>().ok().and_then(|date| date.tomorrow().ok());
    let end = end.and_then(|date| date.to_zoned(jiff::tz::TimeZone::UTC).ok());
    let end =
        end.ok_or_else(|| format!("\"{text}\" is no date; write it as 2027-01-31 or 2027-01-31T12:00:00Z"))?;
    Ok(end.timestamp().as_microsecond())
}

/// What is in its place already.
struct Placer {
    placed: Vec<Entity>,
    /// Teams that are on their way to their place.
    open: HashSet<String>,
}

impl Placer {
    fn find(&self, kind: EntityKind, name: &str) -> Option<&Entity> {
        self.placed.iter().find(|entity| entity.kind == kind && entity.name == name)
    }
}

fn said<'d>(organization: &'d Option<String>, below: &[(EntityKind, &'d Option<String>)]) -> Said<'d> {
    let below = below.iter().filter_map(|(kind, name)| Some((*kind, name.as_deref()?)));
    Said { organization: organization.as_deref(), below: below.collect() }
}

fn entity(kind: EntityKind, name: &str, stand: Stand, settings: Settings) -> Entity {
    Entity {
        id: Entity::file_id(kind, stand.organization, name),
        kind,
        name: name.to_owned(),
        organization: stand.organization,
        parent: stand.parent,
        owner: Owner::File,
        settings,
    }
}

/// The list of the file that a kind stands in.
fn plural(kind: EntityKind) -> &'static str {
    match kind {
        EntityKind::Organization => "organizations",
        EntityKind::Team => "teams",
        EntityKind::Project => "projects",
        EntityKind::User => "users",
        EntityKind::ServiceAccount => "service_accounts",
    }
}

//! `POST /admin/v1/keys/{id}/rotate`: another secret for a key, and for a while both.

use http::StatusCode;
use policy::key::{ADMIN_PREFIX, KEY_PREFIX, Scope};
use serde_json::{Map, Value as Json};
use store::{Change, Database};

use super::{
    Reply,
    bodies::Rotation,
    change::{Wish, hint},
    examine::read,
    find::{Is, Thing},
    refusal::{Refusal, Wrong},
};
use crate::world::now_us;

/// The longest time for which two secrets are good, in microseconds: 30 days.
const OVERLAP_US_MAX: i64 = 30 * 24 * 3_600 * 1_000_000;

/// For how long the earlier secrets go on, in microseconds. A request without a body says nothing.
pub(super) fn overlap_us(members: &Map<String, Json>) -> Result<i64, Refusal> {
    let rotation: Rotation = read(members.clone())?;
    let overlap = rotation.overlap.map(policy::config::Span::duration).unwrap_or_default();
    let overlap_us = i64::try_from(overlap.as_micros()).unwrap_or(i64::MAX);
    if overlap_us > OVERLAP_US_MAX {
        return Err(Refusal::invalid(vec![Wrong::new("overlap", "is too long; the most is 30d")]));
    }
    Ok(overlap_us)
}

impl Wish {
    pub(super) fn rotate(
        &self,
        wanted: &str,
        overlap_us: i64,
        database: &mut Database,
    ) -> Result<Reply, Refusal> {
        let found = self.owned(wanted, database)?;
        self.once(database, |transaction| {
            let before = self.reread(transaction, found.id)?;
            let Is::Key(key) = &before.is else {
                return Err(Refusal::not_found("key", wanted));
            };
            let secret = store::new_key(match key.scope {
                Scope::Calls => KEY_PREFIX,
                Scope::Admin => ADMIN_PREFIX,
            })?;
            transaction.end_secrets(before.id, now_us().saturating_add(overlap_us))?;
            transaction.add_secret(before.id, &secret)?;
            // Who signed in with what may have become known must not stay.
            transaction.end_sessions_of(before.id)?;
            let change = self.rehinted(transaction, &before, &hint(&secret))?;
            let after = Thing::of_object(&transaction.apply(&change)?);
            let shown = self.shown(transaction, &after)?.with_secret_to_come();
            Ok((shown.reply(StatusCode::OK), Some(secret)))
        })
    }

    /// The same key with other first characters.
    fn rehinted(
        &self,
        transaction: &mut store::Transaction<'_>,
        before: &Thing,
        hint: &str,
    ) -> Result<Change, Refusal> {
        let object = transaction.object(self.finder.resource.kind(), before.id)?;
        let object = object.ok_or_else(|| Refusal::not_found("key", &before.name))?;
        let mut body = object.body;
        body["hint"] = hint.into();
        Ok(Change::Update {
            id: object.id,
            expected: Some(object.version),
            name: object.name,
            parent: object.parent,
            body,
        })
    }
}

//! Another secret for a key, by a command.

use policy::{
    Secret,
    key::{ADMIN_PREFIX, KEY_PREFIX},
};
use serde_json::{Map, Value as Json, json};
use store::{Change, Database};

use super::super::{change::hint, refusal::Refusal, resource::Resource, rotate::overlap_us};
use super::{
    desk::{Desk, Refused},
    state::{Known, State},
};
use crate::world::now_us;

impl Desk {
    /// Gives the key of this name or id another secret. The earlier ones are good for as long as `overlap`, as `24h`.
    pub fn rotate(
        &self,
        database: &mut Database,
        name: &str,
        overlap: &str,
    ) -> Result<(Json, Secret), Refused> {
        let overlap = Map::from_iter([("overlap".to_owned(), Json::from(overlap))]);
        let until_us = now_us().saturating_add(overlap_us(&overlap)?);
        let done =
            database.write(self.who.tenancy(), (&self.author, now_us()), self.outside(), |transaction| {
                let state = State::read(&mut transaction.look(self.tenancy()))?;
                let found = state.find(&self.finder(Resource::Key), name)?;
                let role = found.thing.role();
                self.who.may_give(role.as_ref())?;
                let secret =
                    store::new_key(if found.thing.role().is_some() { ADMIN_PREFIX } else { KEY_PREFIX })?;
                transaction.end_secrets(found.thing.id, until_us)?;
                transaction.add_secret(found.thing.id, &secret)?;
                // Who signed in with what may have become known must not stay.
                transaction.end_sessions_of(found.thing.id)?;
                let object = found.object.clone();
                let mut body = object.body;
                body["hint"] = hint(&secret).into();
                let expected = Some(object.version);
                let (id, name, parent) = (object.id, object.name, object.parent);
                let changed = transaction.apply(&Change::Update { id, expected, name, parent, body })?;
                let shown = Known::of(changed).map(|known| json!(known.thing.shown(&self.kinds(&state))));
                Ok::<_, Refusal>((shown.unwrap_or_default(), secret))
            })?;
        Ok(done)
    }
}

//! The parts of organizations that the registry owns.

use policy::{
    key::Owner,
    principal::{Entity, EntityKind, Settings},
};

use crate::{
    Database, Error,
    objects::{COLUMNS, Object, object_of},
    sql::Engine,
};

impl Database {
    /// All of them, of all organizations.
    pub fn entities(&mut self) -> Result<Vec<Entity>, Error> {
        entities(&mut *self.engine)
    }
}

/// All of them, of all organizations.
pub(crate) fn entities(engine: &mut dyn Engine) -> Result<Vec<Entity>, Error> {
    let kinds: Vec<String> = EntityKind::ALL.iter().map(|kind| format!("'{}'", kind.name())).collect();
    let select = format!(
        "SELECT {COLUMNS} FROM objects WHERE kind IN ({}) AND deleted_us IS NULL ORDER BY id",
        kinds.join(", ")
    );
    let rows = engine.query(&select, &[])?;
    let mut entities = Vec::with_capacity(rows.len());
    for row in &rows {
        entities.extend(entity_of(&object_of(row)?));
    }
    Ok(entities)
}

/// The entity that an object is; nothing where it is of another kind. What cannot be read of it opens nothing.
pub fn entity_of(object: &Object) -> Option<Entity> {
    let kind = EntityKind::ALL.into_iter().find(|kind| kind.name() == object.kind)?;
    let settings = serde_json::from_value(object.body.clone());
    Some(Entity {
        id: object.id,
        kind,
        name: object.name.clone(),
        organization: object.organization,
        parent: object.parent,
        owner: Owner::Registry,
        settings: settings.unwrap_or_else(|_| Settings { disabled: true, ..Settings::default() }),
    })
}

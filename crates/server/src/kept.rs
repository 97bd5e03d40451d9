//! Credentials of providers that the registry keeps, in the clear and in memory.

use std::{collections::BTreeMap, sync::Arc};

use policy::Secret;
use store::{Database, Sealer};
use uuid::Uuid;

/// What of the registry's credentials is in force.
#[derive(Default)]
pub(crate) struct Kept {
    by_name: BTreeMap<String, Opened>,
    /// What they were opened from.
    pub(crate) versions: Vec<(Uuid, u64)>,
}

#[derive(Clone)]
struct Opened {
    id: Uuid,
    /// The only one that may be opened by it.
    provider: String,
    secret: Secret,
}

impl Kept {
    /// One that cannot be opened stays what it was.
    pub(crate) fn read(
        database: &mut Database,
        sealer: Option<&Arc<Sealer>>,
        before: Option<&Kept>,
    ) -> Result<Kept, store::Error> {
        let versions = database.credential_versions()?;
        let Some(sealer) = sealer.filter(|_| !versions.is_empty()) else {
            return Ok(Kept { versions, ..Kept::default() });
        };
        let mut by_name = BTreeMap::new();
        for found in database.credentials(sealer)? {
            let known = before.and_then(|before| before.by_name.get(&found.name));
            let opened = match found.secret {
                Ok(secret) => Some(Opened { id: found.id, provider: found.provider, secret }),
                Err(error) => {
                    tracing::error!(credential = found.name, %error, "a credential of the registry cannot be opened");
                    known.filter(|known| known.id == found.id).cloned()
                }
            };
            by_name.extend(opened.map(|opened| (found.name, opened)));
        }
        Ok(Kept { by_name, versions })
    }

    /// What opens this provider, or why nothing does.
    pub(crate) fn secret(&self, name: &str, provider: &str) -> Result<&Secret, String> {
        match self.by_name.get(name) {
            Some(opened) if opened.provider == provider => Ok(&opened.secret),
            Some(opened) => Err(format!("the credential \"{name}\" is for the provider {}", opened.provider)),
            None => Err(format!("the registry has no credential \"{name}\" that can be opened")),
        }
    }
}

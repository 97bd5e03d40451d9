//! An identity that is needed now and then: nobody keeps it fresh meanwhile.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use policy::identity::Identity;
use tokio::sync::Mutex;

use super::{
    Fetcher,
    keeper::{Opened, Source},
};

/// A credential that ends sooner than this is fetched again.
const LEFT_MIN: Duration = Duration::from_secs(60);
/// One that says no end is believed for so long.
const ENDLESS: Duration = Duration::from_secs(300);

/// An identity, with the credential that was fetched last.
pub(crate) struct Occasional {
    source: Source,
    kept: Mutex<Option<(Arc<Opened>, SystemTime)>>,
}

impl Occasional {
    pub(crate) fn new(identity: &Identity, fetcher: &Fetcher) -> Occasional {
        Occasional { source: Source::new(identity, fetcher), kept: Mutex::new(None) }
    }

    /// What is kept, fetched where it has ended. Those who ask at the same time wait for one fetch.
    pub(crate) async fn opened(&self) -> Result<Arc<Opened>, String> {
        let mut kept = self.kept.lock().await;
        let now = SystemTime::now();
        if let Some((opened, until)) = &*kept
            && now < *until
        {
            return Ok(Arc::clone(opened));
        }
        let granted = self.source.fetch().await?;
        let until = granted.until.and_then(|until| until.checked_sub(LEFT_MIN)).unwrap_or(now + ENDLESS);
        let opened = Arc::new(granted.opened);
        *kept = Some((Arc::clone(&opened), until));
        Ok(opened)
    }

    /// It was refused: the next one is fetched.
    pub(crate) async fn forget(&self) {
        *self.kept.lock().await = None;
    }
}

//! Calls that are kept no longer are forgotten, and what was asked to be forgotten is once more.

use std::{sync::Arc, time::Duration};

use store::Kept;

use crate::{core::Shared, database::DatabaseThread, world::now_us};

/// How often it is looked for what is to be forgotten.
const LOOK: Duration = Duration::from_secs(10);
/// Between two steps of it, so that others get to the database.
const PAUSE: Duration = Duration::from_millis(20);

pub(crate) async fn run(shared: Arc<Shared>, database: DatabaseThread) {
    loop {
        tokio::time::sleep(LOOK).await;
        if let Err(error) = forget(&shared, &database).await {
            tracing::warn!(%error, "old calls could not be forgotten; it is tried again");
        }
    }
}

async fn forget(shared: &Shared, database: &DatabaseThread) -> Result<(), crate::database::Unanswered> {
    let now_us = now_us();
    database.ask_at_length(move |database| database.erase_late(now_us)).await?;
    let kept = kept(shared, now_us);
    if kept == Kept::default() {
        return Ok(());
    }
    loop {
        let kept = kept.clone();
        if database.ask_at_length(move |database| database.expire(&kept)).await? == 0 {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// What is to be kept by the configuration and the registry.
fn kept(shared: &Shared, now_us: i64) -> Kept {
    let since = |keep: Duration| now_us.saturating_sub(i64::try_from(keep.as_micros()).unwrap_or(i64::MAX));
    let callers = shared.callers.load();
    let own = callers.directory.entities().filter_map(|entity| {
        let keep = entity.settings.keep_calls?;
        Some((entity.id, since(keep.duration())))
    });
    let mut by_organization: Vec<_> = own.collect();
    by_organization.sort_unstable();
    let since_us = shared.world.load().snapshot.journal.keep.map(since);
    Kept { since_us, by_organization }
}

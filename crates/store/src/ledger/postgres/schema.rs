//! The tables and functions that counters need.

use tokio_postgres::{Client, Error};

/// Makes them, unless they are there. Replicas that start at the same time take turns.
pub(super) async fn migrate(client: &Client) -> Result<(), Error> {
    if version(client).await? >= VERSION {
        return Ok(());
    }
    let script = format!(
        "BEGIN; SELECT pg_advisory_xact_lock({LOCK}); {} \
         DELETE FROM tollgate_ledger.version; INSERT INTO tollgate_ledger.version VALUES ({VERSION}); COMMIT",
        include_str!("schema.sql"),
    );
    let made = client.batch_execute(&script).await;
    if made.is_err() {
        client.batch_execute("ROLLBACK").await?;
    }
    made
}

/// The version that is there; 0 where none is.
async fn version(client: &Client) -> Result<i32, Error> {
    let found = client.query_one("SELECT to_regclass('tollgate_ledger.version') IS NOT NULL", &[]).await?;
    if !found.try_get::<_, bool>(0)? {
        return Ok(0);
    }
    let rows = client.query("SELECT max(version) FROM tollgate_ledger.version", &[]).await?;
    Ok(rows.first().and_then(|row| row.try_get::<_, Option<i32>>(0).ok().flatten()).unwrap_or(0))
}

const VERSION: i32 = 1;
/// The name of the advisory lock: "tollgate" in ASCII.
const LOCK: i64 = 0x746f_6c6c_6761_7465;

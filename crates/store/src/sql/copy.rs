//! Many rows at once: by COPY into a table of the transaction's own, and from there where they are not there yet.

use std::collections::HashSet;

use postgres::{
    binary_copy::BinaryCopyInWriter,
    types::{ToSql, Type},
};
use uuid::Uuid;

use super::{Bulk, postgres::Link};

pub(super) fn insert_new(link: &mut Link, bulk: &Bulk<'_>) -> Result<HashSet<Uuid>, postgres::Error> {
    let Bulk { table, columns, rows } = bulk;
    link.client.batch_execute(&format!(
        "CREATE TEMPORARY TABLE IF NOT EXISTS {table}_new (LIKE {table} INCLUDING DEFAULTS) ON COMMIT DELETE ROWS"
    ))?;
    let shape = link.prepared(&format!("SELECT {columns} FROM {table}_new"))?;
    let types: Vec<Type> = shape.columns().iter().map(|column| column.type_().clone()).collect();
    let copy = format!("COPY {table}_new ({columns}) FROM STDIN (FORMAT binary)");
    let mut writer = BinaryCopyInWriter::new(link.client.copy_in(&copy)?, &types);
    for row in rows {
        let row: Vec<&(dyn ToSql + Sync)> = row.iter().map(|value| value as _).collect();
        writer.write(&row)?;
    }
    writer.finish()?;
    let insert = link.prepared(&format!(
        "INSERT INTO {table} ({columns}) SELECT {columns} FROM {table}_new ON CONFLICT DO NOTHING RETURNING id"
    ))?;
    link.client.query(&insert, &[])?.iter().map(|row| row.try_get(0)).collect()
}

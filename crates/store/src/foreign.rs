//! Databases of other programs, in PostgreSQL or SQLite: they are only read, a table at a time.

use std::path::Path;

use policy::Secret;
use serde_json::{Map, Value as Json};

use crate::{
    Error,
    sql::{Engine, Postgres, Server, Sqlite},
};

/// An open database of another program.
pub struct Foreign {
    engine: Box<dyn Engine>,
    is_file: bool,
}

/// What Prisma writes into an address and PostgreSQL's own clients do not know
/// (<https://www.prisma.io/docs/orm/overview/databases/postgresql#connection-details>).
const PRISMA: [&str; 9] = [
    "schema",
    "connection_limit",
    "pool_timeout",
    "pgbouncer",
    "socket_timeout",
    "statement_cache_size",
    "sslaccept",
    "sslidentity",
    "single_use_connections",
];

impl Foreign {
    /// At an address as `postgres://USER:PASSWORD@HOST/DATABASE`, with what Prisma writes behind it.
    pub fn postgres(address: &Secret) -> Result<Foreign, Error> {
        let (bare, query) = address.expose().split_once('?').unwrap_or((address.expose(), ""));
        let pairs = || query.split('&').filter(|pair| !pair.is_empty());
        let name = |pair: &str| pair.split('=').next().unwrap_or_default().to_owned();
        let kept: Vec<&str> = pairs().filter(|pair| !PRISMA.contains(&name(pair).as_str())).collect();
        let server = Server::parse(&Secret::new(format!("{bare}?{}", kept.join("&"))))?;
        let mut engine = Postgres::open(server)?;
        if let Some(schema) = pairs().find_map(|pair| pair.strip_prefix("schema=")) {
            check_name(schema)?;
            engine.batch(&format!("SET search_path TO \"{schema}\""))?;
        }
        engine.batch("SET default_transaction_read_only = on")?;
        Ok(Foreign { engine: Box::new(engine), is_file: false })
    }

    /// A file of SQLite's, which must be there.
    pub fn sqlite(path: &Path) -> Result<Foreign, Error> {
        Ok(Foreign { engine: Box::new(Sqlite::read_only(path)?), is_file: true })
    }

    /// All rows of a table, as objects whose members are its columns; `None` where there is no such table.
    pub fn table(&mut self, name: &str) -> Result<Option<Vec<Map<String, Json>>>, Error> {
        check_name(name)?;
        let select = if self.is_file { self.of_file(name)? } else { self.of_server(name)? };
        let Some(select) = select else { return Ok(None) };
        let rows = self.engine.query(&select, &[])?;
        let read = rows.iter().map(|row| {
            let text: String = row.get(0)?;
            serde_json::from_str(&text).map_err(|error| Error::Database(format!("table {name}: {error}")))
        });
        read.collect::<Result<_, _>>().map(Some)
    }
}

impl Foreign {
    /// How many rows a table has; none where there is no such table.
    pub fn count(&mut self, name: &str) -> Result<u64, Error> {
        check_name(name)?;
        let select = if self.is_file { self.of_file(name)? } else { self.of_server(name)? };
        if select.is_none() {
            return Ok(0);
        }
        let row = self.engine.query_first(&format!("SELECT count(*) FROM \"{name}\""), &[])?;
        row.map_or(Ok(0), |row| row.get(0))
    }

    /// Selects the rows of a table as JSON.
    fn of_server(&mut self, name: &str) -> Result<Option<String>, Error> {
        let there = self.engine.query_first(&format!("SELECT to_regclass('\"{name}\"') IS NOT NULL"), &[])?;
        let there = there.map_or(Ok(false), |row| row.get::<bool>(0))?;
        Ok(there.then(|| format!("SELECT CAST(row_to_json(t) AS TEXT) FROM \"{name}\" t")))
    }

    /// The same in SQLite, where any value may be bytes, of which JSON has none.
    fn of_file(&mut self, name: &str) -> Result<Option<String>, Error> {
        let columns = self.engine.query("SELECT name FROM pragma_table_info(?1)", &[name.into()])?;
        let mut members = Vec::with_capacity(columns.len());
        for column in &columns {
            let column: String = column.get(0)?;
            check_name(&column)?;
            let value = format!(
                "CASE typeof(\"{column}\") WHEN 'blob' THEN CAST(\"{column}\" AS TEXT) ELSE \"{column}\" END"
            );
            members.push(format!("'{column}', {value}"));
        }
        Ok((!members.is_empty())
            .then(|| format!("SELECT json_object({}) FROM \"{name}\"", members.join(", "))))
    }
}

/// What stands in a statement is a plain name.
fn check_name(name: &str) -> Result<(), Error> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if !name.is_empty() && name.bytes().all(plain) {
        return Ok(());
    }
    Err(Error::Database(format!("\"{name}\" is no plain name")))
}

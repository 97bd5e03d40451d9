//! Databases of other programs, in PostgreSQL: they are only read, a table at a time.

use policy::Secret;
use serde_json::{Map, Value as Json};

use crate::{
    Error,
    sql::{Engine, Postgres, Server},
};

/// An open database of another program.
pub struct Foreign {
    engine: Postgres,
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
        Ok(Foreign { engine })
    }

    /// All rows of a table, as objects whose members are its columns; `None` where there is no such table.
    pub fn table(&mut self, name: &str) -> Result<Option<Vec<Map<String, Json>>>, Error> {
        check_name(name)?;
        let there = self.engine.query_first(&format!("SELECT to_regclass('\"{name}\"') IS NOT NULL"), &[])?;
        if !there.map_or(Ok(false), |row| row.get::<bool>(0))? {
            return Ok(None);
        }
        let select = format!("SELECT CAST(row_to_json(t) AS TEXT) FROM \"{name}\" t");
        let rows = self.engine.query(&select, &[])?;
        let read = rows.iter().map(|row| {
            let text: String = row.get(0)?;
            serde_json::from_str(&text).map_err(|error| Error::Database(format!("table {name}: {error}")))
        });
        read.collect::<Result<_, _>>().map(Some)
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

//! PostgreSQL, by its synchronous client: never to be used on a thread that runs tasks.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    error::Error as _,
    time::Duration,
};

use policy::Secret;
use postgres::{
    Client, Config, Statement,
    config::SslMode,
    error::SqlState,
    fallible_iterator::FallibleIterator,
    types::{FromSql, IsNull, ToSql, Type, private::BytesMut, to_sql_checked},
};
use tokio_postgres_rustls::MakeRustlsConnect;
use uuid::Uuid;

use super::{
    Bulk, Engine, Row, Value, copy,
    tls::{self, Trust},
};
use crate::{Error, partition::Month};

/// To connect, TLS included.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// For what was sent to be acknowledged, and for a silent server to be given up.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// What every session is told: no statement runs for ever, and no transaction of a process that has gone keeps its
/// locks.
const SESSION: &str = "SET statement_timeout = '60s'; SET idle_in_transaction_session_timeout = '60s'";

/// The schema's versions; each is applied once, in order.
const MIGRATIONS: [&str; 7] = [
    include_str!("../schema/postgres/1.sql"),
    include_str!("../schema/postgres/2.sql"),
    include_str!("../schema/postgres/3.sql"),
    include_str!("../schema/postgres/4.sql"),
    include_str!("../schema/postgres/5.sql"),
    include_str!("../schema/postgres/6.sql"),
    include_str!("../schema/postgres/7.sql"),
];
/// Whoever changes the schema holds this lock: `tollgate` in ASCII.
const SCHEMA_LOCK: i64 = 0x746f_6c6c_6761_7465;

/// Where a database is, and how it is reached.
#[derive(Clone)]
pub(crate) struct Server {
    config: tokio_postgres::Config,
    tls: MakeRustlsConnect,
}

pub(crate) struct Postgres {
    server: Server,
    link: Option<Link>,
    in_transaction: bool,
    /// For which there is room.
    months: HashSet<Month>,
}

/// One connection with what was prepared on it.
pub(super) struct Link {
    pub(super) client: Client,
    statements: HashMap<String, Statement>,
    /// It is told of changes.
    listening: bool,
}

impl Server {
    /// Reads an address such as `postgres://user:password@host/database?sslmode=verify-full`. No part of it is in an
    /// error: any may be the password.
    pub(crate) fn parse(address: &Secret) -> Result<Server, Error> {
        let (bare, query) = address.expose().split_once('?').unwrap_or((address.expose(), ""));
        let mut kept = Vec::new();
        let (mut mode, mut root) = ("prefer", None);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("sslmode", value)) => mode = value,
                Some(("sslrootcert", value)) => root = Some(value.replace("%2F", "/").replace("%2f", "/")),
                _ => kept.push(pair),
            }
        }
        let url = if kept.is_empty() { bare.to_owned() } else { format!("{bare}?{}", kept.join("&")) };
        let mut config: tokio_postgres::Config = url.parse().map_err(|_| {
            Error::Address(
                "is no address of PostgreSQL; write postgres://USER:PASSWORD@HOST:PORT/DATABASE, with other \
                 characters of names and passwords percent-encoded"
                    .to_owned(),
            )
        })?;
        let (ssl_mode, trust) = match mode {
            "disable" => (SslMode::Disable, Trust::Anyone),
            "prefer" => (SslMode::Prefer, Trust::Anyone),
            "require" => (SslMode::Require, Trust::Anyone),
            "verify-full" => (SslMode::Require, Trust::Verified(root)),
            _ => {
                let remedy = "sslmode must be disable, prefer, require or verify-full";
                return Err(Error::Address(remedy.to_owned()));
            }
        };
        config.ssl_mode(ssl_mode).keepalives_idle(SILENCE_MAX).keepalives_interval(SILENCE_MAX / 5);
        config.keepalives_retries(3).tcp_user_timeout(SILENCE_MAX);
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIME_MAX);
        }
        if config.get_application_name().is_none() {
            config.application_name("tollgate");
        }
        Ok(Server { config, tls: tls::connector(&trust)? })
    }

    /// Where it is and how it is spoken to, for clients of their own.
    pub(crate) fn parts(&self) -> (tokio_postgres::Config, MakeRustlsConnect) {
        (self.config.clone(), self.tls.clone())
    }

    pub(super) fn connect(&self) -> Result<Link, Error> {
        let mut config = Config::from(self.config.clone());
        config.notice_callback(|notice| {
            tracing::debug!(message = notice.message(), "PostgreSQL");
        });
        let mut client = config.connect(self.tls.clone()).map_err(|error| told(&error))?;
        client.batch_execute(SESSION).map_err(|error| told(&error))?;
        Ok(Link { client, statements: HashMap::new(), listening: false })
    }
}

impl Postgres {
    pub(crate) fn open(server: Server) -> Result<Postgres, Error> {
        let link = Some(server.connect()?);
        Ok(Postgres { server, link, in_transaction: false, months: HashSet::new() })
    }

    /// Does something on the connection; on a new one when the old one was lost, unless a transaction was lost with it.
    fn run<T>(&mut self, work: impl Fn(&mut Link) -> Result<T, postgres::Error>) -> Result<T, Error> {
        let had_link = self.link.is_some();
        let failed = match work(self.linked()?) {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        if !is_lost(&failed) {
            return Err(told(&failed));
        }
        drop_aside(self.link.take());
        if self.in_transaction || !had_link {
            return Err(told(&failed));
        }
        work(self.linked()?).map_err(|error| told(&error))
    }

    fn linked(&mut self) -> Result<&mut Link, Error> {
        if self.link.as_ref().is_none_or(|link| link.client.is_closed()) {
            if self.in_transaction {
                return Err(Error::Unreachable("the connection was lost in a transaction".to_owned()));
            }
            drop_aside(self.link.take());
            self.link = Some(self.server.connect()?);
        }
        self.link.as_mut().ok_or_else(|| Error::Unreachable("there is no connection".to_owned()))
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop_aside(self.link.take());
    }
}

/// The client has a runtime of its own, which must not end on a thread that runs tasks of another.
fn drop_aside(link: Option<Link>) {
    if let Some(link) = link {
        // What the thread could not do, the end of the socket does.
        let _ = std::thread::spawn(move || drop(link)).join();
    }
}

impl Engine for Postgres {
    fn begin(&mut self) -> Result<(), Error> {
        self.run(|link| link.client.batch_execute("BEGIN"))?;
        self.in_transaction = true;
        Ok(())
    }

    fn commit(&mut self) -> Result<(), Error> {
        self.run(|link| link.client.batch_execute("COMMIT"))?;
        self.in_transaction = false;
        Ok(())
    }

    fn roll_back(&mut self) {
        self.in_transaction = false;
        if let Some(link) = &mut self.link
            && link.client.batch_execute("ROLLBACK").is_err()
        {
            drop_aside(self.link.take());
        }
    }

    fn execute(&mut self, sql: &str, values: &[Value<'_>]) -> Result<u64, Error> {
        self.run(|link| {
            let statement = link.prepared(sql)?;
            link.client.execute(&statement, &parameters(values))
        })
    }

    fn query(&mut self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Row>, Error> {
        self.run(|link| {
            let statement = link.prepared(sql)?;
            let rows = link.client.query(&statement, &parameters(values))?;
            rows.iter().map(owned).collect()
        })
    }

    fn batch(&mut self, sql: &str) -> Result<(), Error> {
        self.run(|link| link.client.batch_execute(sql))
    }

    fn insert_new(&mut self, bulk: &Bulk<'_>) -> Result<HashSet<Uuid>, Error> {
        self.run(|link| copy::insert_new(link, bulk))
    }

    fn make_room(&mut self, started_us: &[i64]) -> Result<(), Error> {
        let months: HashSet<Month> = started_us
            .iter()
            .filter_map(|&at_us| Month::of(at_us))
            .flat_map(|month| [month, month.next()])
            .filter(|month| !self.months.contains(month))
            .collect();
        for month in months {
            let table = month.table();
            let there = self.query("SELECT to_regclass(?1) IS NOT NULL", &[(&table).into()])?;
            if !there.first().map_or(Ok(false), |row| row.get(0))? {
                let (from_us, to_us) = month.bounds_us();
                let create = format!(
                    "CREATE TABLE IF NOT EXISTS {table} PARTITION OF calls FOR VALUES FROM ({from_us}) TO ({to_us})"
                );
                super::transaction(self, |engine| {
                    engine.query("SELECT CAST(pg_advisory_xact_lock(?1) AS TEXT)", &[SCHEMA_LOCK.into()])?;
                    engine.batch(&create)
                })?;
            }
            self.months.insert(month);
        }
        Ok(())
    }

    fn drop_months(&mut self, before_us: i64) -> Result<bool, Error> {
        let select = "SELECT CAST(c.relname AS TEXT) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid \
                      WHERE i.inhparent = CAST('calls' AS regclass)";
        let rows = self.query(select, &[])?;
        let tables: Vec<String> = rows.iter().map(|row| row.get(0)).collect::<Result<_, _>>()?;
        let months = tables.iter().filter_map(|table| Month::of_table(table));
        let over: Vec<Month> = months.filter(|month| month.bounds_us().1 <= before_us).collect();
        for month in &over {
            self.batch(&format!("DROP TABLE IF EXISTS {}", month.table()))?;
            self.months.remove(month);
        }
        Ok(!over.is_empty())
    }

    fn announce(&mut self) -> Result<(), Error> {
        self.batch("NOTIFY tollgate_registry")
    }

    fn wait(&mut self, time_max: Duration) -> Result<(), Error> {
        self.run(|link| {
            if !link.listening {
                link.client.batch_execute("LISTEN tollgate_registry")?;
                link.listening = true;
                // What was announced before is looked for at once.
                return Ok(());
            }
            let mut notifications = link.client.notifications();
            notifications.timeout_iter(time_max).next().map(|_| ())
        })
    }

    fn migrate(&mut self) -> Result<(), Error> {
        let known = MIGRATIONS.len() as i64;
        super::transaction(self, |engine| {
            // A large table takes its time, and others wait for it.
            engine.batch("SET LOCAL statement_timeout = 0")?;
            engine.query("SELECT CAST(pg_advisory_xact_lock(?1) AS TEXT)", &[SCHEMA_LOCK.into()])?;
            let there = engine.query_first("SELECT to_regclass('schema_version') IS NOT NULL", &[])?;
            let there = there.map_or(Ok(false), |row| row.get::<bool>(0))?;
            let found = match there {
                true => engine.query_first("SELECT version FROM schema_version", &[])?,
                false => None,
            };
            let found: i64 = found.map_or(Ok(0), |row| row.get(0))?;
            if found > known {
                return Err(Error::Newer { found, known });
            }
            for migration in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or_default()) {
                engine.batch(migration)?;
            }
            if found < known {
                engine.execute("UPDATE schema_version SET version = ?1", &[known.into()])?;
            }
            Ok(())
        })
    }
}

impl Link {
    /// The statement, prepared once; placeholders are PostgreSQL's then.
    pub(super) fn prepared(&mut self, sql: &str) -> Result<Statement, postgres::Error> {
        if let Some(known) = self.statements.get(sql) {
            return Ok(known.clone());
        }
        let statement = self.client.prepare(&sql.replace('?', "$"))?;
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }
}

fn parameters<'p>(values: &'p [Value<'p>]) -> Vec<&'p (dyn ToSql + Sync)> {
    values.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

fn owned(row: &postgres::Row) -> Result<Row, postgres::Error> {
    (0..row.len()).map(|column| row.try_get(column)).collect::<Result<_, _>>().map(Row)
}

/// Whether a new connection may do better.
fn is_lost(error: &postgres::Error) -> bool {
    let states = [
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
        SqlState::CANNOT_CONNECT_NOW,
        SqlState::READ_ONLY_SQL_TRANSACTION,
    ];
    let of_network = error.source().is_some_and(<dyn std::error::Error + 'static>::is::<std::io::Error>);
    error.is_closed() || of_network || error.code().is_some_and(|code| states.contains(code))
}

/// Whether a statement was refused for its values: data that are wrong (class 22), that break a constraint (23), or
/// that are too large (54), and what this end cannot write down.
fn is_refused(error: &postgres::Error) -> bool {
    let class = error.code().and_then(|state| state.code().get(..2));
    let unfit = error.source().is_some_and(<dyn std::error::Error + 'static>::is::<Unfit>);
    unfit || matches!(class, Some("22" | "23" | "54"))
}

/// A value that a column of its kind cannot hold.
#[derive(Debug, thiserror::Error)]
#[error("{found} where {wanted} is expected")]
struct Unfit {
    found: &'static str,
    wanted: Type,
}

pub(super) fn told(error: &postgres::Error) -> Error {
    let text = match (error.as_db_error(), error.source()) {
        (Some(said), _) => format!("{} ({})", said.message(), said.code().code()),
        (None, Some(source)) => format!("{error}: {source}"),
        (None, None) => error.to_string(),
    };
    if error.code() == Some(&SqlState::UNIQUE_VIOLATION) {
        Error::Duplicate(text)
    } else if is_refused(error) {
        Error::Refused(text)
    } else if is_lost(error) || error.as_db_error().is_none() {
        Error::Unreachable(text)
    } else {
        Error::Database(text)
    }
}

impl ToSql for Value<'_> {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Value::Null => Ok(IsNull::Yes),
            Value::Int(number) if *kind == Type::INT8 => number.to_sql(kind, out),
            Value::Int(number) if *kind == Type::INT4 => {
                let unfit = |_| Unfit { found: "a larger number", wanted: kind.clone() };
                i32::try_from(*number).map_err(unfit)?.to_sql(kind, out)
            }
            Value::Int(number) if *kind == Type::FLOAT8 => (*number as f64).to_sql(kind, out),
            Value::Real(number) if *kind == Type::FLOAT8 => number.to_sql(kind, out),
            // PostgreSQL has no texts with a zero in them, and callers write what they like.
            Value::Text(text) if text.contains('\0') => text.replace('\0', "\u{fffd}").to_sql(kind, out),
            Value::Text(text) if <&str as ToSql>::accepts(kind) => text.as_ref().to_sql(kind, out),
            Value::Bytes(bytes) if *kind == Type::BYTEA => bytes.as_ref().to_sql(kind, out),
            Value::Uuid(id) if *kind == Type::UUID => id.to_sql(kind, out),
            Value::Bool(value) if *kind == Type::BOOL => value.to_sql(kind, out),
            Value::Int(_)
            | Value::Real(_)
            | Value::Text(_)
            | Value::Bytes(_)
            | Value::Uuid(_)
            | Value::Bool(_) => Err(Unfit { found: self.kind(), wanted: kind.clone() }.into()),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl<'r> FromSql<'r> for Value<'static> {
    fn from_sql(kind: &Type, raw: &'r [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(match *kind {
            Type::INT8 => Value::Int(i64::from_sql(kind, raw)?),
            Type::INT4 => Value::Int(i32::from_sql(kind, raw)?.into()),
            Type::FLOAT8 => Value::Real(f64::from_sql(kind, raw)?),
            Type::BYTEA => Value::Bytes(Cow::Owned(Vec::from_sql(kind, raw)?)),
            Type::UUID => Value::Uuid(Uuid::from_sql(kind, raw)?),
            Type::BOOL => Value::Bool(bool::from_sql(kind, raw)?),
            _ => Value::Text(Cow::Owned(String::from_sql(kind, raw)?)),
        })
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Value::Null)
    }

    fn accepts(kind: &Type) -> bool {
        let known = [Type::INT8, Type::INT4, Type::FLOAT8, Type::BYTEA, Type::UUID, Type::BOOL];
        known.contains(kind) || <String as FromSql>::accepts(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_never_told() {
        let check = |address: &str, expected: Result<SslMode, &str>| {
            let read = Server::parse(&Secret::new(address));
            match (read, expected) {
                (Ok(server), Ok(mode)) => assert_eq!(server.config.get_ssl_mode(), mode, "{address}"),
                (Err(error), Err(part)) => {
                    let message = error.to_string();
                    assert!(message.contains(part) && !message.contains("hush"), "{address}: {message}");
                }
                (read, _) => panic!("{address}: {:?}", read.map(|_| ())),
            }
        };
        check("postgres://me:hush@db:5433/tollgate", Ok(SslMode::Prefer));
        check("postgresql://me:hush@db/tollgate?sslmode=disable", Ok(SslMode::Disable));
        check("postgres://db/t?sslmode=require&application_name=x", Ok(SslMode::Require));
        check("postgres://db/t?sslmode=verify-full", Ok(SslMode::Require));
        check("postgres://db/t?sslmode=verify-ca", Err("verify-full"));
        check("postgres://me:hush@db:hush/t", Err("percent-encoded"));
        check("postgres://db/t?sslmode=verify-full&sslrootcert=%2Fnowhere.pem", Err("sslrootcert"));
    }
}

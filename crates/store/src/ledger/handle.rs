//! The ledger as its users see it.

use std::{sync::Arc, time::Duration};

use policy::{
    Secret,
    ledger::{Bucket, Claim, Hold, Keeper, Reserved, Rule, Standing, Tenant},
};

use super::{
    Driver, LedgerError,
    fallback::without,
    link::Target,
    memory::Memory,
    postgres::PostgresTarget,
    redis::RedisTarget,
    shared::{self, Shared},
};
use crate::{Error, sql::Server};

/// Counts what calls claim. A clone is another handle on the same counters.
#[derive(Clone)]
pub struct Ledger {
    keeper: Keeping,
}

#[derive(Clone)]
enum Keeping {
    Memory(Arc<Memory>),
    Shared(Arc<Shared>),
}

/// What a ledger may take, and for how long it waits.
#[derive(Clone, Debug)]
pub struct LedgerSettings {
    /// A call waits so long for a shared store.
    pub timeout: Duration,
    /// Buckets that are counted in memory.
    pub buckets_max: usize,
    /// Settlements that wait for a shared store.
    pub settlements_max: usize,
    /// This replica among those that share the store.
    pub replica: u128,
}

impl Default for LedgerSettings {
    fn default() -> LedgerSettings {
        LedgerSettings {
            timeout: Duration::from_millis(100),
            buckets_max: 1_000_000,
            settlements_max: 100_000,
            replica: uuid::Uuid::now_v7().as_u128(),
        }
    }
}

/// A slot of a window that holds at least so much, as the database knows; it counts until `ends_us`. An amount of 0 says
/// that the database knows of nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raise {
    pub bucket: Bucket,
    pub slot_us: i64,
    pub amount: i64,
    pub ends_us: i64,
}

/// How a ledger is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LedgerFigures {
    /// Buckets in memory: all of them, or this replica's share while a shared store is away.
    pub buckets: usize,
    /// Reservations that found no room in memory.
    pub overflows: u64,
    pub is_away: bool,
    /// Times that the shared store went away.
    pub outages: u64,
    /// Replicas that were last seen alive, this one among them.
    pub replicas: u32,
    /// Settled calls of which the shared store has not heard yet.
    pub unsent: u64,
    /// Settled calls of which it never will.
    pub dropped: u64,
}

impl Ledger {
    /// Counters in this process, for one replica.
    pub fn memory(settings: &LedgerSettings) -> Ledger {
        Ledger { keeper: Keeping::Memory(Arc::new(Memory::new(settings.buckets_max))) }
    }

    /// Counters in Redis or Valkey. Of several addresses, or one that begins with `redis-cluster:` or `rediss-cluster:`,
    /// the store is a cluster. The driver has to be run beside the ledger.
    pub fn redis(address: &Secret, settings: &LedgerSettings) -> Result<(Ledger, Driver), Error> {
        let target = RedisTarget::new(address.expose()).map_err(Error::Shared)?;
        Ok(Ledger::shared(Target::Redis(target), settings))
    }

    /// Counters in PostgreSQL. The driver has to be run beside the ledger.
    pub fn postgres(address: &Secret, settings: &LedgerSettings) -> Result<(Ledger, Driver), Error> {
        Ok(Ledger::at(&Server::parse(address)?, settings))
    }

    pub(crate) fn at(server: &Server, settings: &LedgerSettings) -> (Ledger, Driver) {
        Ledger::shared(Target::Postgres(Box::new(PostgresTarget::new(server))), settings)
    }

    fn shared(target: Target, settings: &LedgerSettings) -> (Ledger, Driver) {
        let (shared, driver) = shared::open(target, settings);
        (Ledger { keeper: Keeping::Shared(Arc::new(shared)) }, driver)
    }

    /// Grants all claims of a call, or none. What is granted is held until it is settled, and not beyond `hold_until_us`.
    pub async fn reserve(
        &self,
        tenant: Tenant,
        now_us: i64,
        hold_until_us: i64,
        claims: &[Claim],
    ) -> Result<Reserved, LedgerError> {
        sound(claims)?;
        match &self.keeper {
            Keeping::Memory(memory) => match memory.reserve(tenant, now_us, hold_until_us, claims) {
                Err(LedgerError::Full(_)) => Ok(without(tenant, now_us, claims)),
                reserved => reserved,
            },
            Keeping::Shared(shared) => shared.reserve(tenant, now_us, hold_until_us, claims).await,
        }
    }

    /// Says what a call turned out to use, claim by claim; nothing but zeros gives all of it back. Never waits: where a
    /// shared store does not keep up, settlements are dropped and counted.
    pub fn settle(&self, now_us: i64, hold: &Hold, actual: &[i64]) {
        match &self.keeper {
            Keeping::Memory(memory) => memory.settle(now_us, &hold.held, Keeper::Ledger, actual),
            Keeping::Shared(shared) => shared.settle(now_us, hold, actual),
        }
    }

    /// Tells what the database knows of durable buckets: after a reservation found them unseeded, and whenever counters are
    /// to be reconciled. Telling twice is telling once.
    pub async fn raise(&self, tenant: Tenant, now_us: i64, raises: &[Raise]) -> Result<(), LedgerError> {
        match &self.keeper {
            Keeping::Memory(memory) => memory.raise(now_us, raises),
            Keeping::Shared(shared) => shared.raise(tenant, now_us, raises).await,
        }
    }

    /// How buckets stand.
    pub async fn used(
        &self,
        tenant: Tenant,
        now_us: i64,
        buckets: &[(Bucket, Rule)],
    ) -> Result<Vec<Standing>, LedgerError> {
        match &self.keeper {
            Keeping::Memory(memory) => Ok(memory.used(now_us, buckets)),
            Keeping::Shared(shared) => shared.used(tenant, now_us, buckets).await,
        }
    }

    /// Waits until the shared store answers.
    pub async fn ready(&self) {
        match &self.keeper {
            Keeping::Memory(_) => {}
            Keeping::Shared(shared) => shared.ready().await,
        }
    }

    /// Waits until the shared store has heard of everything that was settled.
    pub async fn flush(&self) {
        match &self.keeper {
            Keeping::Memory(_) => {}
            Keeping::Shared(shared) => shared.flush().await,
        }
    }

    pub fn figures(&self) -> LedgerFigures {
        match &self.keeper {
            Keeping::Memory(memory) => LedgerFigures {
                buckets: memory.len(),
                overflows: memory.overflows(),
                replicas: 1,
                ..LedgerFigures::default()
            },
            Keeping::Shared(shared) => shared.figures(),
        }
    }
}

fn sound(claims: &[Claim]) -> Result<(), LedgerError> {
    if claims.len() > CLAIMS_MAX {
        return Err(LedgerError::TooMany(claims.len()));
    }
    let twice =
        |at: usize, claim: &Claim| claims.iter().skip(at + 1).any(|other| other.bucket == claim.bucket);
    if claims.iter().enumerate().any(|(at, claim)| twice(at, claim)) {
        return Err(LedgerError::Twice);
    }
    Ok(())
}

/// Claims of one call.
pub(super) const CLAIMS_MAX: usize = 64;

//! A connection to a shared store, whichever it is.

use std::{future::Future, pin::Pin};

use policy::ledger::{Bucket, Reserved, Rule, Standing, Tenant};

use super::{
    Raise,
    job::{Ask, Batch, Failure},
    postgres::{PostgresLink, PostgresTarget},
    redis::{RedisLink, RedisTarget},
};

/// A store to connect to.
pub(super) enum Target {
    Redis(RedisTarget),
    Postgres(Box<PostgresTarget>),
}

/// A connection; a clone is the same one.
#[derive(Clone)]
pub(super) enum Link {
    Redis(RedisLink),
    Postgres(PostgresLink),
}

/// What has to be polled for as long as a connection is used; ends when the connection does.
pub(super) type Background = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Target {
    pub(super) async fn connect(&self) -> Result<(Link, Background), Failure> {
        match self {
            Target::Redis(target) => {
                let link = target.connect().await?;
                Ok((Link::Redis(link), Box::pin(std::future::pending())))
            }
            Target::Postgres(target) => {
                let (link, background) = target.connect().await?;
                Ok((Link::Postgres(link), background))
            }
        }
    }

    /// How many reservations go out as one, and how many such are under way at a time.
    pub(super) fn reservations_max(&self) -> (usize, usize) {
        match self {
            // Each is a script of its own on one connection, which answers them in their order.
            Target::Redis(_) => (1, 1024),
            // What waits while a batch is under way is the next batch.
            Target::Postgres(_) => (64, 1),
        }
    }
}

impl Link {
    /// An answer for each, in their order.
    pub(super) async fn reserve(&self, asks: &[Ask]) -> Vec<Result<Reserved, Failure>> {
        match self {
            Link::Redis(link) => {
                let mut reserved = Vec::with_capacity(asks.len());
                for ask in asks {
                    reserved.push(link.reserve(ask).await);
                }
                reserved
            }
            Link::Postgres(link) => match link.reserve(asks).await {
                Ok(reserved) => reserved.into_iter().map(Ok).collect(),
                Err(failure) => asks.iter().map(|_| Err(failure.clone())).collect(),
            },
        }
    }

    pub(super) async fn settle(&self, batch: &Batch) -> Result<(), Failure> {
        match self {
            Link::Redis(link) => link.settle(batch).await,
            Link::Postgres(link) => link.settle(batch).await,
        }
    }

    pub(super) async fn raise(&self, tenant: Tenant, now_us: i64, raises: &[Raise]) -> Result<(), Failure> {
        match self {
            Link::Redis(link) => link.raise(tenant, now_us, raises).await,
            Link::Postgres(link) => link.raise(now_us, raises).await,
        }
    }

    pub(super) async fn used(
        &self,
        tenant: Tenant,
        now_us: i64,
        buckets: &[(Bucket, Rule)],
    ) -> Result<Vec<Standing>, Failure> {
        match self {
            Link::Redis(link) => link.used(tenant, now_us, buckets).await,
            Link::Postgres(link) => link.used(now_us, buckets).await,
        }
    }

    /// Says that this replica is alive; tells how many are.
    pub(super) async fn beat(&self, replica: u128) -> Result<u32, Failure> {
        match self {
            Link::Redis(link) => link.beat(replica).await,
            Link::Postgres(link) => link.beat(replica).await,
        }
    }

    /// Removes what nothing counts any more, where the store does not do so by itself.
    pub(super) async fn sweep(&self) -> Result<(), Failure> {
        match self {
            Link::Redis(_) => Ok(()),
            Link::Postgres(link) => link.sweep().await,
        }
    }
}

/// A replica that has said nothing for so long is gone.
pub(super) const SILENCE_MS: i64 = 15_000;

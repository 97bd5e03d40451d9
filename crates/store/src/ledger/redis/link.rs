//! What a connection to Redis does: one script, and one round trip, for each operation.
//!
//! All keys of a script are of one tenant, whose name is their hash tag: a cluster keeps them in one slot
//! (<https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags>). Nothing that a
//! caller wrote is in a key or a script: names are hashes in hexadecimal digits, everything else is a number.

use std::sync::Arc;

use policy::ledger::{Bucket, Claim, Judged, Reserved, Rule, Standing, Tenant, conclude, hold_end};
use redis::{RedisError, Value, aio::MultiplexedConnection, cluster_async::ClusterConnection};

use super::{
    call::{Call, Script},
    reply,
};
use crate::ledger::{
    Raise,
    job::{Ask, Batch, Failure, Posting, keep_us, known_us},
    link::SILENCE_MS,
};

#[derive(Clone)]
pub(in crate::ledger) struct RedisLink {
    connection: Connection,
    scripts: Arc<Scripts>,
}

#[derive(Clone)]
pub(super) enum Connection {
    Single(Box<MultiplexedConnection>),
    Cluster(Box<ClusterConnection>),
}

struct Scripts {
    reserve: Script,
    settle: Script,
    raise: Script,
    beat: Script,
}

impl RedisLink {
    pub(super) fn new(connection: Connection) -> RedisLink {
        let scripts = Scripts {
            reserve: Script::new(include_str!("reserve.lua")),
            settle: Script::new(include_str!("settle.lua")),
            raise: Script::new(include_str!("raise.lua")),
            beat: Script::new(include_str!("beat.lua")),
        };
        RedisLink { connection, scripts: Arc::new(scripts) }
    }

    pub(in crate::ledger) async fn reserve(&self, ask: &Ask) -> Result<Reserved, Failure> {
        let reply = self.look(ask, "reserve").await?;
        if let Some(places) = reply::unseeded(&reply) {
            let bucket = |place: usize| ask.claims.get(place).map(|claim| claim.bucket);
            return Ok(Reserved::Unseeded(places.into_iter().filter_map(bucket).collect()));
        }
        let judged = reply::judged(&reply, ask.now_us, &ask.claims).ok_or_else(strange)?;
        Ok(conclude(ask.tenant, ask.now_us, ask.hold_until_us, &ask.claims, &judged))
    }

    pub(in crate::ledger) async fn used(
        &self,
        tenant: Tenant,
        now_us: i64,
        buckets: &[(Bucket, Rule)],
    ) -> Result<Vec<Standing>, Failure> {
        let claim = |(bucket, rule): &(Bucket, Rule)| Claim::look(*bucket, *rule);
        let claims: Vec<Claim> = buckets.iter().map(claim).collect();
        let ask = Ask { tenant, now_us, hold_until_us: now_us, claims };
        let reply = self.look(&ask, "look").await?;
        let judged = reply::judged(&reply, now_us, &ask.claims).ok_or_else(strange)?;
        let stands = |(judged, (_, rule)): (&Judged, &(Bucket, Rule))| judged.standing(now_us, rule);
        Ok(judged.iter().zip(buckets).map(stands).collect())
    }

    pub(in crate::ledger) async fn settle(&self, batch: &Batch) -> Result<(), Failure> {
        let mut call = self.scripts.settle.call();
        call.key(format!("{}:batch:{:032x}", home(batch.tenant), batch.id));
        call.arg(batch.postings.first().map_or(0, |posting| posting.now_us)).arg(BATCH_MS);
        for posting in &batch.postings {
            call.key(key(batch.tenant, posting.held.claim.bucket));
            settle_words(&mut call, posting);
        }
        self.run(&call).await.map(|_| ())
    }

    pub(in crate::ledger) async fn raise(
        &self,
        tenant: Tenant,
        now_us: i64,
        raises: &[Raise],
    ) -> Result<(), Failure> {
        if raises.is_empty() {
            return Ok(());
        }
        let mut call = self.scripts.raise.call();
        call.arg(now_us);
        for raise in raises {
            call.key(key(tenant, raise.bucket));
            call.arg(raise.slot_us).arg(raise.amount.max(0)).arg(alive_ms(now_us, raise.ends_us));
        }
        self.run(&call).await.map(|_| ())
    }

    pub(in crate::ledger) async fn beat(&self, replica: u128) -> Result<u32, Failure> {
        let mut call = self.scripts.beat.call();
        call.key("tollgate:replicas").arg(format!("{replica:032x}")).arg(SILENCE_MS);
        let replicas = reply::number(&self.run(&call).await?).ok_or_else(strange)?;
        Ok(u32::try_from(replicas).unwrap_or(u32::MAX))
    }

    async fn look(&self, ask: &Ask, mode: &str) -> Result<Value, Failure> {
        if ask.claims.is_empty() {
            return Ok(Value::Array(vec![Value::Int(1)]));
        }
        let mut call = self.scripts.reserve.call();
        call.arg(ask.now_us).arg(mode);
        let hold_end_us = hold_end(ask.now_us, ask.hold_until_us);
        for claim in &ask.claims {
            call.key(key(ask.tenant, claim.bucket));
            claim_words(&mut call, ask.now_us, hold_end_us, claim);
        }
        self.run(&call).await
    }

    async fn run(&self, call: &Call<'_>) -> Result<Value, Failure> {
        let done = match self.connection.clone() {
            Connection::Single(mut connection) => call.run(&mut *connection).await,
            Connection::Cluster(mut connection) => call.run(&mut *connection).await,
        };
        done.map_err(|error| failure(&error))
    }
}

/// The fields of `reserve.lua`.
fn claim_words(call: &mut Call<'_>, now_us: i64, hold_end_us: i64, claim: &Claim) {
    let rule = &claim.rule;
    let amount = claim.amount.max(0);
    let (kind, limit, amount, since_us) = match *rule {
        Rule::Window { limit, since_us, .. } => ("w", limit.max(0), amount, since_us),
        Rule::Places { limit } => ("p", limit.max(0), amount, 0),
        Rule::Rate { .. } => ("r", rule.cost_us(rule.limit()), rule.cost_us(amount), rule.wait_us_max()),
    };
    // Of a rate, the script adds when it is full again.
    let lives_ms = match rule {
        Rule::Window { .. } | Rule::Places { .. } => alive_ms(now_us, keep_us(now_us, rule, hold_end_us)),
        Rule::Rate { .. } => GRACE_MS,
    };
    call.arg(kind).arg(i64::from(claim.shadow)).arg(i64::from(claim.durable)).arg(limit).arg(amount);
    call.arg(since_us).arg(rule.forget_us()).arg(hold_end_us).arg(lives_ms);
}

/// The fields of `settle.lua`.
fn settle_words(call: &mut Call<'_>, posting: &Posting) {
    let held = &posting.held;
    let rule = &held.claim.rule;
    let claimed = held.claim.amount;
    let lives_ms = alive_ms(posting.now_us, keep_us(posting.now_us, rule, held.until_us));
    match *rule {
        Rule::Window { slot_us, ends_us, .. } => {
            call.arg("w").arg(held.until_us).arg(claimed).arg(slot_us).arg(ends_us);
            call.arg(posting.actual).arg(lives_ms);
        }
        Rule::Places { .. } => {
            call.arg("p").arg(held.until_us).arg(claimed).arg(0).arg(0).arg(0).arg(lives_ms);
        }
        Rule::Rate { .. } => {
            let charged = if held.charged { rule.cost_us(posting.actual) - rule.cost_us(claimed) } else { 0 };
            let latest_us = posting.now_us.saturating_add(rule.debt_us_max());
            call.arg("r").arg(0).arg(charged).arg(0).arg(0).arg(latest_us).arg(GRACE_MS);
        }
    }
    call.arg(known_us(posting));
}

/// How all keys of a tenant begin.
fn home(tenant: Tenant) -> String {
    format!("tollgate:{{{:032x}}}", tenant.0)
}

fn key(tenant: Tenant, bucket: Bucket) -> String {
    format!("{}:{:032x}", home(tenant), bucket.0)
}

/// How long a key lives that counts until a moment.
fn alive_ms(now_us: i64, until_us: i64) -> i64 {
    until_us.saturating_sub(now_us).max(0) / 1000 + GRACE_MS
}

fn failure(error: &RedisError) -> Failure {
    let why = error.to_string();
    // A script that fails for what it was given would fail again on another connection; a store that is full, read only or
    // still loading is another matter, but one that a new connection (to another node, perhaps) finds out.
    let script = matches!(error.kind(), redis::ErrorKind::Server(redis::ServerErrorKind::ResponseError));
    if script && !error.is_io_error() { Failure::Failed(why) } else { Failure::Lost(why) }
}

fn strange() -> Failure {
    Failure::Failed("the store's answer is not understood".to_owned())
}

/// A batch that is older than this is not sent again.
const BATCH_MS: i64 = 3_600_000;
/// Keys live a little longer than they count, since replicas' clocks differ.
const GRACE_MS: i64 = 60_000;

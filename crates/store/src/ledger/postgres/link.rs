//! What a connection to PostgreSQL does: one call of a function for a whole batch.

use std::sync::Arc;

use policy::ledger::{Bucket, Claim, Judged, Reserved, Rule, Seen, Standing, Tenant, conclude, hold_end};
use tokio_postgres::{Client, Error, Row, Statement};
use uuid::Uuid;

use crate::ledger::{
    Raise,
    job::{Ask, Batch, Failure, keep_us, known_us},
    link::SILENCE_MS,
};

#[derive(Clone)]
pub(in crate::ledger) struct PostgresLink {
    open: Arc<Open>,
}

struct Open {
    reserving: Client,
    settling: Client,
    reserve: Statement,
    settle: Statement,
    raise: Statement,
    beat: Statement,
    sweep: Statement,
}

/// The claims of a batch, column by column.
#[derive(Default)]
struct Columns {
    calls: Vec<i64>,
    buckets: Vec<Uuid>,
    kinds: Vec<i64>,
    shadows: Vec<bool>,
    durables: Vec<bool>,
    limits: Vec<i64>,
    amounts: Vec<i64>,
    since: Vec<i64>,
    hold_ends: Vec<i64>,
    keeps: Vec<i64>,
    nows: Vec<i64>,
}

/// The postings of a batch, column by column.
#[derive(Default)]
struct PostedColumns {
    buckets: Vec<Uuid>,
    kinds: Vec<i64>,
    hold_ends: Vec<i64>,
    claimed: Vec<i64>,
    slots: Vec<i64>,
    slot_ends: Vec<i64>,
    actuals: Vec<i64>,
    keeps: Vec<i64>,
    nows: Vec<i64>,
    known: Vec<i64>,
}

impl PostgresLink {
    pub(super) async fn prepare(reserving: Client, settling: Client) -> Result<PostgresLink, Error> {
        let reserve =
            "SELECT * FROM tollgate_ledger.reserve($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
        let settle = "SELECT tollgate_ledger.settle($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
        let open = Open {
            reserve: reserving.prepare(reserve).await?,
            settle: settling.prepare(settle).await?,
            raise: settling.prepare("SELECT tollgate_ledger.raise_to($1, $2, $3, $4, $5)").await?,
            beat: settling.prepare("SELECT tollgate_ledger.beat($1, $2)").await?,
            sweep: settling
                .prepare("SELECT tollgate_ledger.sweep((extract(epoch FROM now()) * 1000000)::bigint - $1)")
                .await?,
            reserving,
            settling,
        };
        Ok(PostgresLink { open: Arc::new(open) })
    }

    pub(in crate::ledger) async fn reserve(&self, asks: &[Ask]) -> Result<Vec<Reserved>, Failure> {
        let mut rows = self.look(asks, false).await?.into_iter();
        let one = |ask: &Ask| {
            let found: Option<Vec<(bool, Judged)>> =
                ask.claims.iter().map(|claim| found(&rows.next()?, ask.now_us, claim)).collect();
            let found = found.ok_or_else(strange)?;
            let unknown = |(claim, (known, _)): (&Claim, &(bool, Judged))| {
                (claim.durable && !known).then_some(claim.bucket)
            };
            let unseeded: Vec<Bucket> = ask.claims.iter().zip(&found).filter_map(unknown).collect();
            if !unseeded.is_empty() {
                return Ok(Reserved::Unseeded(unseeded));
            }
            let judged: Vec<Judged> = found.into_iter().map(|(_, judged)| judged).collect();
            Ok(conclude(ask.tenant, ask.now_us, ask.hold_until_us, &ask.claims, &judged))
        };
        asks.iter().map(one).collect()
    }

    pub(in crate::ledger) async fn used(
        &self,
        now_us: i64,
        buckets: &[(Bucket, Rule)],
    ) -> Result<Vec<Standing>, Failure> {
        let claim = |(bucket, rule): &(Bucket, Rule)| Claim::look(*bucket, *rule);
        let claims = buckets.iter().map(claim).collect();
        let ask = Ask { tenant: Tenant(0), now_us, hold_until_us: now_us, claims };
        let rows = self.look(std::slice::from_ref(&ask), true).await?;
        let standing = |(row, claim): (&Row, &Claim)| {
            let (_, judged) = found(row, now_us, claim)?;
            Some(judged.standing(now_us, &claim.rule))
        };
        rows.iter().zip(&ask.claims).map(standing).collect::<Option<_>>().ok_or_else(strange)
    }

    pub(in crate::ledger) async fn settle(&self, batch: &Batch) -> Result<(), Failure> {
        let posted = PostedColumns::of(batch);
        let id = Uuid::from_u128(batch.id);
        let PostedColumns {
            buckets,
            kinds,
            hold_ends,
            claimed,
            slots,
            slot_ends,
            actuals,
            keeps,
            nows,
            known,
        } = &posted;
        let words: [&(dyn tokio_postgres::types::ToSql + Sync); 11] =
            [&id, buckets, kinds, hold_ends, claimed, slots, slot_ends, actuals, keeps, nows, known];
        self.open.settling.query(&self.open.settle, &words).await.map(|_| ()).map_err(|error| failure(&error))
    }

    pub(in crate::ledger) async fn raise(&self, now_us: i64, raises: &[Raise]) -> Result<(), Failure> {
        let buckets: Vec<Uuid> = raises.iter().map(|raise| name(raise.bucket)).collect();
        let slots: Vec<i64> = raises.iter().map(|raise| raise.slot_us).collect();
        let amounts: Vec<i64> = raises.iter().map(|raise| raise.amount.max(0)).collect();
        let ends: Vec<i64> = raises.iter().map(|raise| raise.ends_us).collect();
        let raised =
            self.open.settling.query(&self.open.raise, &[&now_us, &buckets, &slots, &amounts, &ends]).await;
        raised.map(|_| ()).map_err(|error| failure(&error))
    }

    pub(in crate::ledger) async fn beat(&self, replica: u128) -> Result<u32, Failure> {
        let replica = Uuid::from_u128(replica);
        let row = self.open.settling.query_one(&self.open.beat, &[&replica, &SILENCE_MS]).await;
        let replicas: i64 = row.and_then(|row| row.try_get(0)).map_err(|error| failure(&error))?;
        Ok(u32::try_from(replicas).unwrap_or(u32::MAX))
    }

    pub(in crate::ledger) async fn sweep(&self) -> Result<(), Failure> {
        let swept = self.open.settling.query(&self.open.sweep, &[&SKEW_US]).await;
        swept.map(|_| ()).map_err(|error| failure(&error))
    }

    async fn look(&self, asks: &[Ask], look: bool) -> Result<Vec<Row>, Failure> {
        let columns = Columns::of(asks);
        let Columns {
            calls,
            buckets,
            kinds,
            shadows,
            durables,
            limits,
            amounts,
            since,
            hold_ends,
            keeps,
            nows,
        } = &columns;
        let words: [&(dyn tokio_postgres::types::ToSql + Sync); 12] =
            [&look, calls, buckets, kinds, shadows, durables, limits, amounts, since, hold_ends, keeps, nows];
        self.open.reserving.query(&self.open.reserve, &words).await.map_err(|error| failure(&error))
    }
}

impl Columns {
    fn of(asks: &[Ask]) -> Columns {
        let mut columns = Columns::default();
        for (call, ask) in asks.iter().enumerate() {
            let hold_end_us = hold_end(ask.now_us, ask.hold_until_us);
            for claim in &ask.claims {
                columns.add(call as i64, ask.now_us, hold_end_us, claim);
            }
        }
        columns
    }

    fn add(&mut self, call: i64, now_us: i64, hold_end_us: i64, claim: &Claim) {
        let rule = &claim.rule;
        let amount = claim.amount.max(0);
        let (kind, limit, amount, since_us) = match *rule {
            Rule::Window { limit, since_us, .. } => (WINDOW, limit.max(0), amount, since_us),
            Rule::Places { limit } => (PLACES, limit.max(0), amount, 0),
            Rule::Rate { .. } => (RATE, rule.cost_us(rule.limit()), rule.cost_us(amount), rule.wait_us_max()),
        };
        self.calls.push(call);
        self.buckets.push(name(claim.bucket));
        self.kinds.push(kind);
        self.shadows.push(claim.shadow);
        self.durables.push(claim.durable);
        self.limits.push(limit);
        self.amounts.push(amount);
        self.since.push(since_us);
        self.hold_ends.push(hold_end_us);
        self.keeps.push(keep_us(now_us, rule, hold_end_us));
        self.nows.push(now_us);
    }
}

impl PostedColumns {
    fn of(batch: &Batch) -> PostedColumns {
        let mut columns = PostedColumns::default();
        for posting in &batch.postings {
            let held = &posting.held;
            let rule = &held.claim.rule;
            let claimed = held.claim.amount;
            let (kind, claimed, slot_us, slot_end_us, actual) = match *rule {
                Rule::Window { slot_us, ends_us, .. } => (WINDOW, claimed, slot_us, ends_us, posting.actual),
                Rule::Places { .. } => (PLACES, claimed, 0, 0, 0),
                Rule::Rate { .. } => {
                    let change = rule.cost_us(posting.actual) - rule.cost_us(claimed);
                    let latest_us = posting.now_us.saturating_add(rule.debt_us_max());
                    (RATE, if held.charged { change } else { 0 }, 0, 0, latest_us)
                }
            };
            columns.buckets.push(name(held.claim.bucket));
            columns.kinds.push(kind);
            columns.hold_ends.push(held.until_us);
            columns.claimed.push(claimed);
            columns.slots.push(slot_us);
            columns.slot_ends.push(slot_end_us);
            columns.actuals.push(actual);
            columns.keeps.push(keep_us(posting.now_us, rule, held.until_us));
            columns.nows.push(posting.now_us);
            columns.known.push(known_us(posting));
        }
        columns
    }
}

/// Whether the bucket is known, and what was found for the claim.
fn found(row: &Row, now_us: i64, claim: &Claim) -> Option<(bool, Judged)> {
    let number = |at: usize| row.try_get::<_, i64>(at).ok();
    let (settled, held, arrival_us) = (number(1)?, number(2)?, number(3)?);
    let seen = match claim.rule {
        Rule::Window { .. } | Rule::Places { .. } => Seen { settled, held, arrival_us: 0 },
        Rule::Rate { .. } => Seen { settled: 0, held: 0, arrival_us },
    };
    let words: Vec<i64> = row.try_get::<_, Option<Vec<i64>>>(4).ok()?.unwrap_or_default();
    let slots: Vec<(i64, i64)> = words
        .chunks_exact(2)
        .filter_map(|pair| match pair {
            [slot, amount] => Some((*slot, *amount)),
            _ => None,
        })
        .collect();
    let verdict = claim.rule.verdict(now_us, claim.amount, &seen, &slots);
    Some((row.try_get(0).ok()?, Judged { seen, verdict }))
}

fn name(bucket: Bucket) -> Uuid {
    Uuid::from_u128(bucket.0)
}

/// By the class of its code, an error is in what was sent (22, 23, 42), in the connection or the server's role (08, 25006,
/// 57P), or passes: a lock or a statement that took too long, a deadlock, a lack of memory.
/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
fn failure(error: &Error) -> Failure {
    let Some(code) = error.as_db_error().map(|error| error.code().code()) else {
        return Failure::Lost(why(error));
    };
    let begins = |classes: &[&str]| classes.iter().any(|class| code.starts_with(class));
    if begins(&["22", "23", "42"]) {
        Failure::Failed(why(error))
    } else if begins(&["08", "25006", "57P"]) {
        Failure::Lost(why(error))
    } else {
        Failure::Busy(why(error))
    }
}

pub(super) fn why(error: &Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), |error| error.message().to_owned())
}

fn strange() -> Failure {
    Failure::Failed("the store's answer is not understood".to_owned())
}

const WINDOW: i64 = 0;
const PLACES: i64 = 1;
const RATE: i64 = 2;
/// How far replicas' clocks may be apart.
const SKEW_US: i64 = 60_000_000;

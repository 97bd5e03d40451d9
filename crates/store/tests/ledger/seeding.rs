//! Durable buckets: what the database knows is told to a store that does not.

use policy::ledger::{Bucket, Claim, Reserved};
use tollgate_store::ledger::Raise;

use crate::stores::{HOUR_US, claim, each, granted, hour};

fn durable(limit: i64, amount: i64, now_us: i64) -> Claim {
    Claim { durable: true, ..claim(hour(limit, now_us), amount) }
}

fn raise(bucket: Bucket, amount: i64, now_us: i64) -> Raise {
    Raise { bucket, slot_us: now_us, amount, ends_us: now_us + HOUR_US }
}

#[test]
fn a_durable_bucket_is_asked_for_once() {
    each(async |store| {
        let [known, unknown] = [durable(100, 10, store.now_us), durable(100, 10, store.now_us)];
        let plain = claim(hour(100, store.now_us), 10);
        let tell = async |raises: &[Raise]| {
            store.ledger.raise(store.tenant, store.now_us, raises).await.expect("the store answers");
        };
        tell(&[raise(known.bucket, 0, store.now_us)]).await;
        let reserved = store.reserve(&[plain, unknown, known]).await;
        assert_eq!(reserved, Reserved::Unseeded(vec![unknown.bucket]), "{:?}", store.kind);
        assert_eq!(store.left(&plain).await, 100, "nothing is granted");
        for _ in 0..3 {
            tell(&[raise(unknown.bucket, 85, store.now_us)]).await;
        }
        let hold = store.hold(&[plain, unknown, known]).await;
        assert_eq!(store.left(&unknown).await, 5, "{:?}", store.kind);
        store.settle(&hold, &[10, 12, 10]).await;
        // The database hears of it later; what it knew is no reason to go back.
        tell(&[raise(unknown.bucket, 85, store.now_us)]).await;
        assert_eq!(store.left(&unknown).await, 3);
        tell(&[raise(unknown.bucket, 99, store.now_us)]).await;
        assert_eq!(store.left(&unknown).await, 1);
        assert!(granted(store.reserve(&[unknown]).await).is_none());
    });
}

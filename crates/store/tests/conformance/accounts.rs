use std::collections::HashMap;

use policy::Secret;
use tollgate_store::{
    Account, ActorKind, AuditQuery, Author, Database, Error, NewAccount, PasswordHash, Renewed, Tenancy,
    Transaction,
};
use uuid::Uuid;

use crate::place::Place;

const MINUTE_US: i64 = 60_000_000;

/// Does something as an administrator would.
fn write<T>(
    database: &mut Database,
    now_us: i64,
    work: impl FnOnce(&mut Transaction<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let author = Author { actor: "ops".to_owned(), kind: ActorKind::User, address: None, request_id: None };
    database.write(Tenancy::All, (&author, now_us), HashMap::new(), work)
}

fn make(place: &Place, database: &mut Database, name: &str, password: &str) -> Result<Account, Error> {
    let hash = PasswordHash::new(&place.data.hasher(), &Secret::new(password)).unwrap();
    let new =
        NewAccount { name: name.to_owned(), organization: None, role: "owner".to_owned(), disabled: false };
    write(database, 1, |transaction| transaction.create_account(&new, &hash))
}

pub(crate) fn accounts_live_from_creation_to_their_end(place: &mut Place) {
    let mut database = place.database();
    assert!(!database.has_accounts().unwrap());
    let made = make(place, &mut database, "Kim@example.com", "seven green bottles").unwrap();
    assert!(made.one_time_until_us.is_some() && database.has_accounts().unwrap());
    let error = make(place, &mut database, "kim@EXAMPLE.com", "seven green bottles").unwrap_err();
    assert!(matches!(error, Error::NameTaken { .. }), "{error}");
    assert_eq!(database.account_named(Tenancy::All, "KIM@example.com").unwrap(), Some(made.clone()));
    let others = Tenancy::Organization(Uuid::from_u128(1));
    assert_eq!(database.account_named(others, "kim@example.com").unwrap(), None);
    assert_eq!(database.account(others, made.id).unwrap(), None);
    assert_eq!(database.accounts(others, None, (None, 10)).unwrap(), []);
    let listed = database.accounts(Tenancy::All, Some("KIM".to_owned()), (None, 10)).unwrap();
    assert_eq!(listed, std::slice::from_ref(&made));
    let renewed = Renewed { name: "lee".to_owned(), role: "viewer".to_owned(), disabled: true };
    let changed = write(&mut database, 2, |transaction| transaction.change_account(&made, &renewed)).unwrap();
    assert_eq!((changed.version, changed.role.as_str(), changed.disabled), (2, "viewer", true));
    assert_eq!(database.account_named(Tenancy::All, "kim@example.com").unwrap(), None);
    let stale = write(&mut database, 3, |transaction| transaction.change_account(&made, &renewed));
    assert!(matches!(stale, Err(Error::VersionMismatch { found: 2 })));
    write(&mut database, 4, |transaction| transaction.delete_account(&changed)).unwrap();
    assert!(!database.has_accounts().unwrap());
    assert!(database.try_password("lee", 5).unwrap().is_none());
    make(place, &mut database, "lee", "seven green bottles").unwrap();
}

pub(crate) fn passwords_are_kept_as_slow_hashes_beside_them(place: &mut Place) {
    let mut database = place.database();
    let password = "seven green bottles";
    let made = make(place, &mut database, "kim", password).unwrap();
    let hasher = place.data.hasher();
    let fits = |database: &mut Database, password: &str, now_us: i64| {
        let tried = database.try_password("kim", now_us).unwrap().unwrap();
        tried.granted && tried.hash.fits(&hasher, &Secret::new(password)).unwrap()
    };
    assert!(fits(&mut database, password, 2) && !fits(&mut database, "other", 3));
    let new = PasswordHash::new(&hasher, &Secret::new("ten red balloons")).unwrap();
    let kept = database.try_password("kim", 4).unwrap().unwrap().hash;
    write(&mut database, 5, |transaction| {
        assert!(transaction.has_password(made.id, &kept)?);
        transaction.set_password(&made, &new, false)?;
        assert!(!transaction.has_password(made.id, &kept)?);
        Ok(())
    })
    .unwrap();
    assert!(fits(&mut database, "ten red balloons", 6) && !fits(&mut database, password, 7));
    assert_eq!(database.account(Tenancy::All, made.id).unwrap().unwrap().one_time_until_us, None);
    let told = database.audit(Tenancy::All, &AuditQuery { limit: 100, ..AuditQuery::default() }).unwrap();
    let told = format!("{told:?} {:?}", database.history(Tenancy::All, made.id).unwrap());
    assert!(told.contains("password") && !told.contains("bottles") && !told.contains("argon"));
    for entry in std::fs::read_dir(place.folder.path()).unwrap() {
        let file = std::fs::read(entry.unwrap().path()).unwrap_or_default();
        assert!(!file.windows(password.len()).any(|bytes| bytes == password.as_bytes()));
    }
}

pub(crate) fn wrong_passwords_lock_an_account_for_all(place: &mut Place) {
    let (mut one, mut other) = (place.database(), place.database());
    let made = make(place, &mut one, "kim", "seven green bottles").unwrap();
    let now_us = 1_000 * MINUTE_US;
    for turn in 0..5 {
        let database = if turn % 2 == 0 { &mut one } else { &mut other };
        let tried = database.try_password("KIM", now_us + turn).unwrap().unwrap();
        assert_eq!((tried.granted, tried.last), (true, turn == 4), "{turn}");
    }
    for database in [&mut one, &mut other] {
        let tried = database.try_password("kim", now_us + 5).unwrap().unwrap();
        assert!(!tried.granted && !tried.last);
        let account = database.account(Tenancy::All, made.id).unwrap().unwrap();
        assert_eq!(account.locked_until_us, now_us + 4 + 15 * MINUTE_US);
    }
    let later_us = now_us + 16 * MINUTE_US;
    assert!(other.try_password("kim", later_us).unwrap().unwrap().granted);
    write(&mut one, later_us, |transaction| transaction.opened(made.id, None)).unwrap();
    for _ in 0..4 {
        assert!(!other.try_password("kim", later_us).unwrap().unwrap().last, "they were forgotten");
    }
    assert!(other.try_password("nobody", later_us).unwrap().is_none());
}

pub(crate) fn one_time_passwords_open_an_account_for_a_week(place: &mut Place) {
    let mut database = place.database();
    let made = make(place, &mut database, "kim", "seven green bottles").unwrap();
    let until_us = 1 + 7 * 24 * 60 * MINUTE_US;
    assert_eq!(made.one_time_until_us, Some(until_us));
    let may =
        |database: &mut Database, now_us: i64| database.try_password("kim", now_us).unwrap().unwrap().granted;
    assert!(may(&mut database, until_us - 1) && !may(&mut database, until_us));
    let hash = PasswordHash::of_nobody();
    let again =
        write(&mut database, until_us, |transaction| transaction.set_password(&made, &hash, true)).unwrap();
    assert_eq!(database.account(Tenancy::All, made.id).unwrap(), Some(again));
    assert!(may(&mut database, until_us));
    write(&mut database, until_us, |transaction| transaction.set_password(&made, &hash, false)).unwrap();
    assert!(may(&mut database, 9 * until_us), "its owner's own lasts");
}

pub(crate) fn a_hash_is_made_anew_without_ending_anything(place: &mut Place) {
    let mut database = place.database();
    let made = make(place, &mut database, "kim", "seven green bottles").unwrap();
    let password = Secret::new("seven green bottles");
    let again = PasswordHash::new(&place.data.hasher(), &password).unwrap();
    write(&mut database, 2, |transaction| transaction.opened(made.id, Some(&again))).unwrap();
    let tried = database.try_password("kim", 3).unwrap().unwrap();
    assert_eq!(tried.hash, again);
    assert!(tried.account.one_time_until_us.is_some() && tried.hash.is_current());
}

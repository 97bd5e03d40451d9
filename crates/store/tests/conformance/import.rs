use policy::record::Posting;
use serde_json::json;
use tollgate_store::{ActorKind, Author, Change, Import, ImportedKey};
use uuid::Uuid;

use crate::place::Place;

pub(crate) fn what_comes_from_elsewhere_is_taken_over_once(place: &mut Place) {
    let mut database = place.database();
    let author =
        Author { actor: "import".to_owned(), kind: ActorKind::Command, address: None, request_id: None };
    let key_id = Uuid::from_u128(1);
    let create = Change::Create {
        id: key_id,
        kind: "key".to_owned(),
        organization: None,
        parent: None,
        name: "old".to_owned(),
        body: json!({"scope": "calls"}),
    };
    // FIPS 180-4's example of "abc".
    let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".to_owned();
    let spent = |amount: i64| Posting { bucket: Uuid::from_u128(2), slot_us: 60, amount, until_us: 120 };
    let import = |changes: &[Change], amount: i64| Import {
        changes: changes.to_vec(),
        keys: vec![ImportedKey { key_id, sha256: sha256.clone() }],
        spent: vec![spent(amount)],
    };
    let first = database.lacking(&import(&[create], 5)).unwrap();
    assert_eq!((first.changes.len(), first.keys.len(), first.spent.len()), (1, 1, 1));
    database.import(&first, &author, 1).unwrap();
    let keys = database.keys().unwrap();
    let hashes: Vec<_> = keys.iter().map(|(hash, key)| (*hash, key.id)).collect();
    assert_eq!(hashes, [(place.data.hasher().hash_imported("abc"), key_id)]);
    assert_eq!(
        database.history(tollgate_store::Tenancy::All, key_id).unwrap()[0].changed_by,
        "command:import"
    );

    assert!(database.lacking(&import(&[], 5)).unwrap().is_empty(), "all of it is there");
    let more = database.lacking(&import(&[], 8)).unwrap();
    assert!(more.keys.is_empty());
    database.import(&more, &author, 2).unwrap();
    assert_eq!(
        database.ledger(&[Uuid::from_u128(2)], 100).unwrap(),
        [spent(8)],
        "what came before is not added again"
    );
}

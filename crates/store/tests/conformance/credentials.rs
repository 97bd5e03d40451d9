use policy::{
    Secret,
    snapshot::{Encryption, EncryptionKey},
};
use tollgate_store::{Author, NewCredential, Rewrapped, Sealer, Tenancy, new_encryption_key};

use crate::place::Place;

fn sealer(key: &Secret, previous: &[&Secret]) -> Sealer {
    let previous = previous.iter().map(|&key| EncryptionKey::Written(key.clone())).collect();
    let settings = Encryption { key: EncryptionKey::Written(key.clone()), previous };
    Sealer::new(&settings, |_| unreachable!("no key is kept elsewhere")).unwrap()
}

pub(crate) fn credentials_are_sealed_and_go_on_under_another_key(place: &mut Place) {
    let mut database = place.database();
    let (old, new) = (new_encryption_key().unwrap(), new_encryption_key().unwrap());
    let wanted = NewCredential { organization: None, name: "main".to_owned(), provider: "openai".to_owned() };
    let secret = Secret::new("sk-in-the-clear-0123456789");
    let before = sealer(&old, &[]);
    let author = Author::system();
    let object = database.keep_credential(&before, &wanted, &secret, &author, 1).unwrap();
    assert!(database.credential(&before, Tenancy::All, object.id).unwrap() == secret);
    for entry in std::fs::read_dir(place.folder.path()).unwrap() {
        let file = std::fs::read(entry.unwrap().path()).unwrap_or_default();
        assert!(!file.windows(secret.expose().len()).any(|bytes| bytes == secret.expose().as_bytes()));
    }
    let after = sealer(&new, &[&old]);
    assert_eq!(database.rewrap(&after).unwrap(), Rewrapped { total: 1, changed: 1 });
    assert_eq!(
        database.rewrap(&after).unwrap(),
        Rewrapped { total: 1, changed: 0 },
        "what is done stays done"
    );
    let alone = sealer(&new, &[]);
    assert!(database.credential(&alone, Tenancy::All, object.id).unwrap() == secret);
    assert!(database.credential(&before, Tenancy::All, object.id).is_err(), "the old key opens nothing now");
    let second = Secret::new("sk-second");
    let changed = database.keep_credential(&alone, &wanted, &second, &author, 2).unwrap();
    assert_eq!((changed.id, changed.version), (object.id, 2));
    assert!(database.credential(&alone, Tenancy::All, object.id).unwrap() == second);
    let others = Tenancy::Organization(uuid::Uuid::from_u128(1));
    assert!(database.credential(&alone, others, object.id).is_err());
}

/// Rows are told by their columns, so that what is sealed for one object opens nothing as another's.
pub(crate) fn one_credential_does_not_stand_in_for_another(place: &mut Place) {
    let mut database = place.database();
    let sealer = sealer(&new_encryption_key().unwrap(), &[]);
    let author = Author::system();
    let mut keep = |name: &str| {
        let new = NewCredential { organization: None, name: name.to_owned(), provider: "openai".to_owned() };
        database.keep_credential(&sealer, &new, &Secret::new(name), &author, 1).unwrap()
    };
    let (one, two) = (keep("one"), keep("two"));
    let swapped = tollgate_store::Change::Update {
        id: one.id,
        expected: None,
        name: one.name.clone(),
        parent: None,
        body: two.body.clone(),
    };
    database.apply(Tenancy::All, &[swapped], &author, 2).unwrap();
    assert!(database.credential(&sealer, Tenancy::All, one.id).is_err());
    assert!(database.credential(&sealer, Tenancy::All, two.id).is_ok());
}

use std::{sync::mpsc, time::Duration};

use policy::key::Scope;
use tollgate_store::{Author, Change, NewKey, Tenancy, Watch};

use crate::place::Place;

pub(crate) fn word_of_a_change_comes_to_others(place: &mut Place) {
    let mut database = place.database();
    let start = database.clock().unwrap();
    let (sender, heard) = mpsc::channel();
    let watch = Watch::start(&place.data, start, move |seq| sender.send(seq).is_ok()).unwrap();
    let new = NewKey { name: "app".to_owned(), models: Vec::new(), scope: Scope::Calls, expires_us: None };
    let (key, _) = database.create_key(&new, 1).unwrap();
    let limit = Duration::from_secs(30);
    assert_eq!(heard.recv_timeout(limit).unwrap(), start + 1);
    let change = Change::Delete { id: key.id, expected: None };
    database.apply(Tenancy::All, &[change], &Author::system(), 2).unwrap();
    assert_eq!(heard.recv_timeout(limit).unwrap(), start + 2);
    drop(watch);
    // The thread ends, and its side of the channel with it.
    assert_eq!(heard.recv_timeout(limit), Err(mpsc::RecvTimeoutError::Disconnected));
}

pub(crate) fn what_could_not_be_taken_up_is_told_again(place: &mut Place) {
    let (sender, heard) = mpsc::channel();
    let mut refused = 0;
    let _watch = Watch::start(&place.data, 0, move |seq| {
        refused += 1;
        refused > 1 && sender.send(seq).is_ok()
    });
    assert_eq!(heard.recv_timeout(Duration::from_secs(30)).unwrap(), place.database().clock().unwrap());
}

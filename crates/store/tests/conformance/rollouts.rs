use tollgate_store::Feedback;
use uuid::Uuid;

use crate::place::Place;

pub(crate) fn states_and_scores_are_kept(place: &mut Place) {
    let mut database = place.database();
    database.keep_rollout("smart", u64::MAX, "{}", 1).unwrap();
    database.keep_rollout("smart", 3, "{\"a\":1}", 2).unwrap();
    assert_eq!(database.rollout("smart", u64::MAX).unwrap(), None, "another definition");
    assert_eq!(place.database().rollout("smart", 3).unwrap().as_deref(), Some("{\"a\":1}"));
    let said = |score| Feedback { call_id: Uuid::from_u128(1), score, comment: None, given_us: 5 };
    assert!(database.keep_feedback(&said(0.5)).unwrap());
    assert!(!database.keep_feedback(&said(1.0)).unwrap());
    assert_eq!(database.feedback(Uuid::from_u128(1)).unwrap(), Some(said(1.0)));
    assert_eq!(database.feedback(Uuid::from_u128(2)).unwrap(), None);
}

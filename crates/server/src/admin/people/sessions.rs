//! Sessions: one's own and, for those who administer administrators, everybody's.

use std::collections::HashMap;

use policy::role::{Permission, RoleName};
use store::Tenancy;
use uuid::Uuid;

use super::{
    bodies::{Ended, SessionShown},
    session::micros,
};
use crate::{
    admin::{Admin, Reply, bodies::List, query::LISTED_MAX, refusal::Refusal, side::Asked, who::Who},
    world::now_us,
};

impl Admin {
    /// The latest ones first.
    pub(super) async fn sessions(&self, who: &Who) -> Result<Reply, Refusal> {
        let (tenancy, person) = seen_by(who);
        let now_us = now_us();
        let since_us = now_us.saturating_sub(micros(self.shared.world.load().snapshot.sign_in.idle));
        let found = self
            .database
            .ask(move |database| database.sessions(tenancy, person, (since_us, now_us, LISTED_MAX)));
        let own = who.person.as_ref().map(|person| person.session.id);
        let data = found.await?.iter().map(|session| SessionShown::new(session, own)).collect();
        Ok(Reply::ok(&List { data, next_cursor: None }))
    }

    /// Ends all of one's own.
    pub(super) async fn end_sessions(&self, who: &Who) -> Result<Reply, Refusal> {
        let (author, person) = (who.author(), who.id);
        let ended = self.database.ask(move |database| {
            let now_us = now_us();
            database.write(Tenancy::All, (&author, now_us), HashMap::new(), |transaction| {
                let mut ended = 0;
                for id in transaction.session_ids_of(person)? {
                    ended += u64::from(transaction.end_session(id, "sign_out")?.is_some());
                }
                Ok::<_, store::Error>(ended)
            })
        });
        Ok(Reply::ok(&Ended { ended: ended.await? }))
    }

    pub(super) async fn end_session(&self, asked: &Asked<'_>) -> Result<Reply, Refusal> {
        let (who, wanted) = (asked.who.clone(), asked.name.clone());
        let nothing = move || Refusal::not_found("session", &wanted);
        let id = Uuid::parse_str(&asked.name).map_err(|_| nothing())?;
        self.read(move |database| {
            let (tenancy, person) = seen_by(&who);
            let author = who.author();
            database.write(tenancy, (&author, now_us()), HashMap::new(), |transaction| {
                let session = transaction.session(id)?;
                let session = session.filter(|session| person.is_none_or(|own| own == session.person));
                let session = session.ok_or_else(&nothing)?;
                let is_own = session.person == who.id;
                if !is_own {
                    who.may_give(Some(&RoleName::new(&session.role)))?;
                }
                transaction.end_session(id, if is_own { "sign_out" } else { "delete" })?;
                let own = who.person.as_ref().map(|person| person.session.id);
                Ok(Reply::ok(&SessionShown::new(&session, own)))
            })
        })
        .await
    }
}

/// Whose sessions somebody may see.
fn seen_by(who: &Who) -> (Tenancy, Option<Uuid>) {
    match who.may(Permission::AdminsWrite) {
        Ok(()) => (who.tenancy(), None),
        Err(_) => (who.tenancy(), Some(who.id)),
    }
}

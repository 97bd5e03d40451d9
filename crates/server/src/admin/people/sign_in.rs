//! What all ways to sign in share: who is asked, what is made, and what is written down of those who do not get in.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use http::StatusCode;
use policy::Secret;
use store::{ActorKind, Author, Event, NewSession, Session, Tenancy, Transaction, Way};
use uuid::Uuid;
use wire::Fault;

use super::{
    cookies::{Cookie, Jar},
    passwords::Passwords,
    relying::Relying,
    routes::PeopleAction,
    session::{Person, micros},
};
use crate::{
    admin::{Admin, AdminRequest, Reply, refusal::Refusal, side::Asked, who::Who},
    credentials::Fetcher,
    world::now_us,
};

/// What is kept for people.
pub(in crate::admin) struct People {
    pub(super) passwords: Passwords,
    pub(super) relying: Relying,
}

/// Somebody who tries to get in.
pub(super) struct Attempt<'a> {
    pub(super) request: &'a AdminRequest,
    pub(super) address: IpAddr,
    pub(super) way: Way,
    /// The provider, where it is one.
    pub(super) source: Option<&'a str>,
}

impl People {
    pub(in crate::admin) fn new(fetcher: Fetcher) -> People {
        People { passwords: Passwords::default(), relying: Relying::new(fetcher) }
    }
}

impl Attempt<'_> {
    /// Who does what is written down of it.
    pub(super) fn author(&self, name: &str) -> Author {
        Author {
            actor: name.to_owned(),
            kind: ActorKind::User,
            address: Some(self.address.to_string()),
            request_id: Some(self.request.id),
        }
    }

    /// What the audit tells of one that failed. A name that nobody has may be a password that was typed in the wrong place.
    fn refused(&self, code: &str, name: Option<&str>) -> Event {
        let after = serde_json::json!({"code": code, "way": self.way.name(), "source": self.source});
        Event {
            action: "sign_in_refused".to_owned(),
            object_name: name.map(str::to_owned),
            after: Some(after.to_string()),
            ..Event::default()
        }
    }
}

impl Admin {
    /// Answers those who want to get in.
    pub(in crate::admin) async fn anybody(
        &self,
        action: PeopleAction,
        request: &AdminRequest,
        name: &str,
    ) -> Result<Reply, Refusal> {
        let reply = match action {
            PeopleAction::Ways => self.ways_in().await,
            PeopleAction::SignIn => self.sign_in(request).await,
            PeopleAction::StartLogin => self.start_login(request, name).await,
            PeopleAction::EndLogin => self.end_login(request, name).await,
            PeopleAction::SignOut
            | PeopleAction::Me
            | PeopleAction::OwnPassword
            | PeopleAction::Sessions
            | PeopleAction::EndSessions
            | PeopleAction::EndSession
            | PeopleAction::Accounts
            | PeopleAction::CreateAccount
            | PeopleAction::ReadAccount
            | PeopleAction::MergeAccount
            | PeopleAction::DeleteAccount
            | PeopleAction::SetPassword => Err(Refusal::not_found("way to sign in", name)),
        };
        reply.map(unkept)
    }

    /// Answers those who are known.
    pub(in crate::admin) async fn people(
        &self,
        action: PeopleAction,
        asked: Asked<'_>,
    ) -> Result<Reply, Refusal> {
        let reply = match action {
            PeopleAction::SignOut => self.sign_out(&asked.who).await,
            PeopleAction::Me => Ok(Reply::ok(&self.me(&asked.who))),
            PeopleAction::OwnPassword => self.own_password(&asked).await,
            PeopleAction::Sessions => self.sessions(&asked.who).await,
            PeopleAction::EndSessions => self.end_sessions(&asked.who).await,
            PeopleAction::EndSession => self.end_session(&asked).await,
            PeopleAction::Accounts => self.accounts(&asked).await,
            PeopleAction::CreateAccount => self.create_account(&asked).await,
            PeopleAction::ReadAccount => self.read_account(&asked).await,
            PeopleAction::MergeAccount => self.merge_account(&asked).await,
            PeopleAction::DeleteAccount => self.delete_account(&asked).await,
            PeopleAction::SetPassword => self.set_password(&asked).await,
            PeopleAction::Ways | PeopleAction::SignIn | PeopleAction::StartLogin | PeopleAction::EndLogin => {
                self.anybody(action, asked.request, &asked.name).await
            }
        };
        reply.map(unkept)
    }

    /// Makes a session for somebody who has shown to be who they are, together with what else belongs to it.
    pub(super) async fn begin_session(
        &self,
        new: NewSession,
        author: Author,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<(), Refusal> + Send + 'static,
    ) -> Result<(Session, Secret), Refusal> {
        let asked = self.database.ask(move |database| {
            let now_us = now_us();
            Ok(database.write(Tenancy::All, (&author, now_us), HashMap::new(), |transaction| {
                work(transaction)?;
                Ok::<_, Refusal>(transaction.create_session(&new)?)
            }))
        });
        asked.await?
    }

    /// Until when a session lasts that begins now.
    pub(super) fn session_until_us(&self) -> i64 {
        now_us().saturating_add(micros(self.shared.world.load().snapshot.sign_in.length))
    }

    /// The line that hands a session to a browser.
    pub(super) fn session_cookie(&self, token: &Secret) -> String {
        let snapshot = &self.shared.world.load().snapshot;
        Jar::of(snapshot).set(Cookie::Session, token.expose(), snapshot.sign_in.length.as_secs())
    }

    /// The answer to somebody who has signed in.
    pub(super) fn signed_in(
        &self,
        attempt: &Attempt<'_>,
        who: Who,
        (session, token): (Session, Secret),
        must_change: bool,
    ) -> Reply {
        let mut who = who;
        who.person = Some(Arc::new(Person { session, must_change }));
        tracing::debug!(way = attempt.way.name(), "somebody has signed in");
        Reply::ok(&self.me(&who)).with("set-cookie", self.session_cookie(&token))
    }

    /// Counts and writes down somebody who did not get in, and says what to answer.
    pub(super) async fn refuse(
        &self,
        attempt: &Attempt<'_>,
        known: Option<(&str, Uuid)>,
        fault: Fault,
    ) -> Refusal {
        let failure = self.guard.failed_to_sign_in(attempt.address, now_us());
        if failure.is_audited {
            let code = fault.code.clone().unwrap_or_default();
            let author = attempt.author(known.map_or("unknown", |(name, _)| name));
            let mut event = attempt.refused(&code, known.map(|(name, _)| name));
            event.object_id = known.map(|(_, id)| id);
            let written = self.database.ask(move |database| database.append_audit(&event, &author, now_us()));
            if let Err(error) = written.await {
                tracing::error!(%error, "the audit does not tell of somebody who did not get in");
            }
        }
        failure.instead.unwrap_or(fault).into()
    }
}

/// What is answered to people is for them alone, and for once.
fn unkept(reply: Reply) -> Reply {
    reply.with("cache-control", "no-store".to_owned())
}

/// Sends a browser on.
pub(super) fn see(place: String) -> Reply {
    let reply = Reply::json(StatusCode::FOUND, &());
    Reply { body: String::new(), ..reply }.with("location", place)
}

//! What those who are known ask of themselves: who they are, another password, and to sign out.

use std::collections::HashMap;

use http::StatusCode;
use policy::{Secret, role::Permission};
use store::{NewSession, Tenancy, Way};

use super::{
    bodies::{Me, OwnPassword, SessionShown, SignedOut},
    cookies::{Cookie, Jar},
    local::{Tried, read_body, wrong_password},
    passwords,
    sign_in::Attempt,
};
use crate::{
    admin::{Admin, Reply, refusal::Refusal, routes::ROUTES, side::Asked, who::Who},
    world::now_us,
};

impl Admin {
    /// Who asks, and all that the API's routes need which they may.
    pub(super) fn me(&self, who: &Who) -> Me {
        let mut permissions: Vec<&'static str> = Vec::new();
        let allowed = ROUTES.iter().filter_map(|route| route.needs).filter(|needs| who.may(*needs).is_ok());
        for name in allowed.map(Permission::name) {
            if !permissions.contains(&name) {
                permissions.push(name);
            }
        }
        let person = who.person.as_ref();
        let key = self.shared.callers.load().of_id(who.id, now_us()).map(|key| key.name.clone());
        Me {
            id: who.id,
            name: person.map(|person| person.session.name.clone()).or(key),
            role: who.role().name.to_string(),
            organization: who.organization,
            permissions,
            session: person.map(|person| SessionShown::new(&person.session, Some(person.session.id))),
            must_change_password: person.is_some_and(|person| person.must_change),
        }
    }

    pub(super) async fn sign_out(&self, who: &Who) -> Result<Reply, Refusal> {
        let world = self.shared.world.load_full();
        let cleared = Jar::of(&world.snapshot).clear(Cookie::Session);
        let mut end_session_url = None;
        if let Some(person) = &who.person {
            let (author, id) = (who.author(), person.session.id);
            let ended = self.database.ask(move |database| {
                database.write(Tenancy::All, (&author, now_us()), HashMap::new(), |transaction| {
                    transaction.end_session(id, "sign_out")
                })
            });
            ended.await?;
            let source = person.session.source.as_ref();
            if let Some(provider) = source.and_then(|name| world.snapshot.sign_in.providers.get(name)) {
                end_session_url = self.people.relying.end_session_url(provider).await;
            }
        }
        Ok(Reply::ok(&SignedOut { end_session_url }).with("set-cookie", cleared))
    }

    pub(super) async fn own_password(&self, asked: &Asked<'_>) -> Result<Reply, Refusal> {
        let session = match &asked.who.person {
            Some(person) if person.session.way == Way::Account => &person.session,
            Some(_) | None => {
                let message =
                    "only those who signed in with a password have one; sign in with your account's";
                return Err(Refusal::new(StatusCode::BAD_REQUEST, "no_password", message));
            }
        };
        let body: OwnPassword = read_body(&asked.request.body)?;
        let (request, address) = (asked.request, self.address(asked.request));
        let attempt = Attempt { request, address, way: Way::Account, source: None };
        self.guard.may_try(address, now_us())?;
        passwords::check(&body.new, &session.name, "new").map_err(|wrong| Refusal::invalid(vec![wrong]))?;
        if body.new == body.old {
            let wrong = crate::admin::refusal::Wrong::new("new", "is the old one; choose another");
            return Err(Refusal::invalid(vec![wrong]));
        }
        let tried = self.try_password(session.name.clone(), Secret::new(body.old)).await?;
        let Tried { found: Some(found), is_good: true } = &tried else {
            return Err(self.refuse_password(&attempt, tried.found.as_ref()).await);
        };
        let hash = self.people.passwords.hash(self.shared.hasher.clone(), Secret::new(body.new)).await?;
        let new = NewSession {
            person: session.person,
            name: session.name.clone(),
            way: Way::Account,
            source: None,
            matched: None,
            role: session.role.clone(),
            organization: session.organization,
            address: address.to_string(),
            until_us: self.session_until_us(),
        };
        let (id, before) = (session.person, found.hash.clone());
        let made = self.begin_session(new, asked.who.author(), move |transaction| {
            let account = transaction.account(id)?.filter(|account| !account.disabled);
            let account = account.ok_or_else(wrong_password)?;
            if !transaction.has_password(id, &before)? {
                return Err(wrong_password().into());
            }
            transaction.set_password(&account, &hash, false)?;
            Ok(())
        });
        Ok(self.signed_in(&attempt, asked.who.clone(), made.await?, false))
    }
}

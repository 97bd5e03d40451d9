//! From the cookie of a session to who asks: whether what was given at the sign-in holds still.

use std::{net::IpAddr, sync::Arc};

use http::{HeaderMap, StatusCode};
use policy::{
    key::{Key, Scope},
    principal::{EntityKind, Principal},
    role::{RoleName, Roles},
};
use store::{Account, Session, Tenancy, Way};
use uuid::Uuid;
use wire::{Fault, Kind, Origin};

use super::cookies::{Cookie, Jar, check_written_by_page};
use crate::{
    admin::{Admin, AdminRequest, refusal::Refusal, routes::Action, who::Who},
    callers::Callers,
    world::{World, now_us},
};

/// The longest token of a session.
const TOKEN_BYTES_MAX: usize = 64;

/// Somebody who has signed in.
#[derive(Debug)]
pub(in crate::admin) struct Person {
    pub(super) session: Session,
    /// Whether the password must be changed before anything else is answered.
    pub(super) must_change: bool,
}

/// Whom a session is for, or is to be for.
#[derive(Clone, Copy)]
pub(super) struct Whom<'w> {
    pub(super) id: Uuid,
    pub(super) name: &'w str,
    pub(super) role: &'w str,
    pub(super) organization: Option<Uuid>,
}

impl Person {
    /// What the audit calls it by; a key is known by its id.
    pub(in crate::admin) fn name(&self) -> Option<&str> {
        match self.session.way {
            Way::Account | Way::Provider => Some(&self.session.name),
            Way::Key => None,
        }
    }

    /// Whether a user stands for this person: it has the same name, whatever its case.
    pub(in crate::admin) fn is_called(&self, user: &str) -> bool {
        self.name().is_some_and(|name| name.to_lowercase() == user.to_lowercase())
    }

    /// Refuses what is not answered while a one-time password has not been changed.
    pub(in crate::admin) fn may_ask(&self, action: Action) -> Result<(), Refusal> {
        let is_before_change = matches!(action, Action::People(action) if action.is_before_change());
        if !self.must_change || is_before_change {
            return Ok(());
        }
        let message = "this password is for one time; change it first, with POST /admin/v1/me/password";
        Err(Refusal::new(StatusCode::FORBIDDEN, "password_change_required", message))
    }
}

/// Everything that holds for a key of the same role and organization holds for a person, and what is set for users of the
/// person's name as well: one that is disabled does not get in. Users of other organizations say nothing: whoever administers one
/// could keep others out.
pub(super) fn admitted(
    (callers, roles): (&Callers, &Roles),
    whom: Whom<'_>,
    address: IpAddr,
) -> Result<Principal, Fault> {
    let role = RoleName::new(whom.role);
    if roles.find(&role).is_none() {
        return Err(ended("the role of this session is gone"));
    }
    let key = |organization: Option<Uuid>, parent: Option<Uuid>| Key {
        id: whom.id,
        name: whom.name.to_owned(),
        organization,
        parent,
        scope: Scope::Admin,
        role: Some(role.clone()),
        ..Key::unbound()
    };
    let directory = &callers.directory;
    let lower = whom.name.to_lowercase();
    let own = directory.entities().filter(|entity| {
        entity.kind == EntityKind::User
            && (entity.organization.is_none() || entity.organization == whom.organization)
            && entity.name.to_lowercase() == lower
    });
    for user in own {
        directory.principal(&key(user.organization, Some(user.id))).0.may_come_from(address)?;
    }
    let (principal, _) = directory.principal(&key(whom.organization, None));
    principal.may_come_from(address)?;
    Ok(principal)
}

/// The organization of a name or id, among those that there are.
pub(super) fn organization(callers: &Callers, wanted: &str) -> Option<Uuid> {
    let directory = &callers.directory;
    let found = match Uuid::parse_str(wanted) {
        Ok(id) => directory.entity(id),
        Err(_) => directory.find(EntityKind::Organization, None, wanted),
    };
    found.filter(|entity| entity.kind == EntityKind::Organization).map(|entity| entity.id)
}

pub(super) fn ended(message: &str) -> Fault {
    Fault::new(Origin::Client, Kind::Unauthenticated, format!("{message}; sign in again"))
        .code("session_ended")
}

impl Admin {
    /// The token in a request's cookie, where it looks like one.
    pub(in crate::admin) fn session_token(&self, headers: &HeaderMap) -> Option<String> {
        let jar = Jar::of(&self.shared.world.load().snapshot);
        let token = jar.read(headers, Cookie::Session)?;
        (token.len() <= TOKEN_BYTES_MAX).then(|| token.to_owned())
    }

    /// Who asks with a session.
    pub(in crate::admin) async fn by_session(
        &self,
        request: &AdminRequest,
        token: String,
        address: IpAddr,
    ) -> Result<Who, Refusal> {
        let world = self.shared.world.load_full();
        let settings = &world.snapshot.sign_in;
        check_written_by_page(request, settings.url.as_deref())?;
        let now_us = now_us();
        let seen_since_us = now_us.saturating_sub(micros(settings.idle));
        let found = self.database.ask(move |database| {
            let Some(session) = database.session(&token, seen_since_us, now_us)? else { return Ok(None) };
            let account = match session.way {
                Way::Account => database.account(Tenancy::All, session.person)?,
                Way::Key | Way::Provider => None,
            };
            Ok(Some((session, account)))
        });
        let found = found.await?;
        let who = found.ok_or_else(|| ended("this session has ended"));
        let who = who.and_then(|(session, account)| {
            let principal = self.holds(&world, &session, account.as_ref(), (now_us, address))?;
            let must_change = account.is_some_and(|account| account.one_time_until_us.is_some());
            let who = Who::new(&principal, &world.snapshot.roles, (address, request.id));
            let mut who = who.ok_or_else(|| ended("this session administers nothing"))?;
            who.person = Some(Arc::new(Person { session, must_change }));
            Ok(who)
        });
        // Somebody who is kept out for a while comes back with the same cookie.
        who.map_err(|fault| match fault.kind == Kind::Unauthenticated {
            true => Refusal::from(fault).with("set-cookie", Jar::of(&world.snapshot).clear(Cookie::Session)),
            false => fault.into(),
        })
    }

    /// The caller that a session stands for, where what it was given by would give the same still.
    fn holds(
        &self,
        world: &World,
        session: &Session,
        account: Option<&Account>,
        (now_us, address): (i64, IpAddr),
    ) -> Result<Arc<Principal>, Fault> {
        let callers = self.shared.callers.load();
        let settings = &world.snapshot.sign_in;
        let same = match session.way {
            Way::Account => account.is_some_and(|account| {
                settings.accounts
                    && !account.disabled
                    && (account.role.as_str(), account.organization)
                        == (session.role.as_str(), session.organization)
            }),
            Way::Key => return held_by_key(&callers, session, (now_us, address)),
            Way::Provider => {
                let provider = session.source.as_ref().and_then(|name| settings.providers.get(name));
                let grant = provider.and_then(|provider| provider.of_group(session.matched.as_deref()));
                grant.is_some_and(|grant| {
                    let named = grant.organization.as_deref();
                    let bound = named.map(|name| organization(&callers, name));
                    grant.role == session.role
                        && bound.is_none_or(|id| id.is_some())
                        && bound.flatten() == session.organization
                })
            }
        };
        if !same {
            return Err(ended("what this session was given has changed"));
        }
        let whom = Whom {
            id: session.person,
            name: &session.name,
            role: &session.role,
            organization: session.organization,
        };
        admitted((&callers, &world.snapshot.roles), whom, address).map(Arc::new)
    }
}

/// The caller whose key a session was begun with, where it is good still.
fn held_by_key(
    callers: &Callers,
    session: &Session,
    (now_us, address): (i64, IpAddr),
) -> Result<Arc<Principal>, Fault> {
    let key =
        callers.of_id(session.person, now_us).ok_or_else(|| ended("the key of this session is gone"))?;
    key.check(now_us)?;
    key.may_come_from(address)?;
    let role = key.role.as_ref().map(RoleName::as_str);
    if role == Some(session.role.as_str()) && key.organization == session.organization {
        return Ok(Arc::clone(key));
    }
    Err(ended("what this session was given has changed"))
}

/// In microseconds.
pub(in crate::admin) fn micros(time: std::time::Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{super::routes::PeopleAction, *};

    #[test]
    fn a_one_time_password_opens_only_its_own_change() {
        let session = Session {
            id: Uuid::nil(),
            person: Uuid::nil(),
            name: "kim".to_owned(),
            way: Way::Account,
            source: None,
            matched: None,
            role: "owner".to_owned(),
            organization: None,
            address: "::1".to_owned(),
            created_us: 0,
            seen_us: 0,
            until_us: 1,
        };
        let person = Person { session, must_change: true };
        assert!(person.may_ask(Action::People(PeopleAction::OwnPassword)).is_ok());
        assert!(person.may_ask(Action::People(PeopleAction::Sessions)).is_err());
        assert!(person.may_ask(Action::Audit).is_err());
        assert!(Person { must_change: false, ..person }.may_ask(Action::Audit).is_ok());
    }
}

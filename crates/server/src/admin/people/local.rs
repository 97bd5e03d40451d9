//! Sign-in with a password or an admin key.

use policy::{Secret, key::Scope};
use store::{NewSession, PasswordHash, Try, Way};
use wire::{Fault, Kind, Origin};

use super::{
    bodies::{ProviderShown, SignInBody, Ways},
    cookies::check_origin,
    session::{Whom, admitted},
    sign_in::Attempt,
};
use crate::{
    admin::{
        Admin, AdminRequest, Reply,
        examine::{object_or_nothing, read},
        refusal::{Refusal, Wrong},
        who::Who,
    },
    authenticate,
    world::now_us,
};

/// The longest password that is looked at, in bytes: longer than any that is taken.
const PASSWORD_BYTES_MAX: usize = 1_024;
/// The longest name that is looked for, in bytes.
const NAME_BYTES_MAX: usize = 1_024;

/// What came of trying a password.
pub(super) struct Tried {
    pub(super) found: Option<Try>,
    /// Whether it opens the account.
    pub(super) is_good: bool,
}

/// Reads a body, which may be missing where nothing must be said.
pub(super) fn read_body<T: serde::de::DeserializeOwned + schemars::JsonSchema>(
    body: &[u8],
) -> Result<T, Refusal> {
    read(object_or_nothing(body)?)
}

impl Admin {
    pub(super) async fn ways_in(&self) -> Result<Reply, Refusal> {
        let world = self.shared.world.load_full();
        let settings = &world.snapshot.sign_in;
        let has_accounts = self.database.ask(store::Database::has_accounts).await?;
        let providers = settings.providers.iter().map(|(name, provider)| ProviderShown {
            name: name.clone(),
            title: provider.title.clone(),
            path: format!("/admin/v1/sign-in/{name}"),
        });
        let providers = providers.collect();
        Ok(Reply::ok(&Ways { accounts: settings.accounts && has_accounts, providers }))
    }

    pub(super) async fn sign_in(&self, request: &AdminRequest) -> Result<Reply, Refusal> {
        let address = self.address(request);
        check_origin(&request.headers, self.shared.world.load().snapshot.sign_in.url.as_deref())?;
        self.guard.may_try(address, now_us())?;
        let body: SignInBody = read_body(&request.body)?;
        match (body.name, body.password, body.key) {
            (Some(name), Some(password), None) => {
                let attempt = Attempt { request, address, way: Way::Account, source: None };
                self.sign_in_with_password(&attempt, name, Secret::new(password)).await
            }
            (None, None, Some(key)) => {
                let attempt = Attempt { request, address, way: Way::Key, source: None };
                self.sign_in_with_key(&attempt, &Secret::new(key)).await
            }
            (..) => {
                let message = "send name and password, or key";
                Err(Refusal::invalid(vec![Wrong::new("", message)]))
            }
        }
    }

    async fn sign_in_with_password(
        &self,
        attempt: &Attempt<'_>,
        name: String,
        password: Secret,
    ) -> Result<Reply, Refusal> {
        let tried = self.try_password(name, password.clone()).await?;
        let takes_accounts = self.shared.world.load().snapshot.sign_in.accounts;
        let Tried { found: Some(found), is_good: true } = &tried else {
            return Err(self.refuse_password(attempt, tried.found.as_ref()).await);
        };
        let account = found.account.clone();
        if account.disabled || !takes_accounts {
            return Err(self.refuse_password(attempt, Some(found)).await);
        }
        let whom = Whom {
            id: account.id,
            name: &account.name,
            role: &account.role,
            organization: account.organization,
        };
        let known = Some((account.name.as_str(), account.id));
        let roles = &self.shared.world.load_full().snapshot.roles;
        let admitted = admitted((&self.shared.callers.load(), roles), whom, attempt.address);
        let who = match admitted {
            Ok(principal) => Who::new(&principal, roles, (attempt.address, attempt.request.id)),
            Err(fault) => return Err(self.refuse(attempt, known, fault).await),
        };
        let who = who.ok_or_else(wrong_password)?;
        let rehashed = match found.hash.is_current() {
            true => None,
            false => Some(self.people.passwords.hash(self.shared.hasher.clone(), password).await?),
        };
        let new = NewSession {
            person: account.id,
            name: account.name.clone(),
            way: Way::Account,
            source: None,
            matched: None,
            role: account.role.clone(),
            organization: account.organization,
            address: attempt.address.to_string(),
            until_us: self.session_until_us(),
        };
        let (author, id, hash) = (attempt.author(&account.name), account.id, found.hash.clone());
        let made = self.begin_session(new, author, move |transaction| {
            // Whoever changed it meanwhile has ended all sessions: this one must not come behind.
            if !transaction.has_password(id, &hash)? {
                return Err(wrong_password().into());
            }
            Ok(transaction.opened(id, rehashed.as_ref())?)
        });
        Ok(self.signed_in(attempt, who, made.await?, account.one_time_until_us.is_some()))
    }

    async fn sign_in_with_key(&self, attempt: &Attempt<'_>, key: &Secret) -> Result<Reply, Refusal> {
        let address = attempt.address;
        let found = {
            let callers = self.shared.callers.load();
            authenticate::of_key(&callers, key.expose(), Scope::Admin, (now_us(), address))
        };
        let principal = match found {
            Ok(principal) => principal,
            Err(fault) => return Err(self.refuse(attempt, None, fault).await),
        };
        let roles = &self.shared.world.load_full().snapshot.roles;
        let Some(who) = Who::new(&principal, roles, (address, attempt.request.id)) else {
            return Err(self.refuse(attempt, None, wrong_password()).await);
        };
        let new = NewSession {
            person: principal.id,
            name: principal.name.clone(),
            way: Way::Key,
            source: None,
            matched: None,
            role: who.role().name.to_string(),
            organization: principal.organization,
            address: address.to_string(),
            until_us: self.session_until_us(),
        };
        let made = self.begin_session(new, who.author(), |_| Ok(())).await?;
        Ok(self.signed_in(attempt, who, made, false))
    }

    /// Tries a password. Names that nobody has take as long as others.
    pub(super) async fn try_password(&self, name: String, password: Secret) -> Result<Tried, Refusal> {
        let too_long = name.len() > NAME_BYTES_MAX || password.expose().len() > PASSWORD_BYTES_MAX;
        let (name, password) =
            if too_long { (String::new(), Secret::new(String::new())) } else { (name, password) };
        let found = self.database.ask(move |database| database.try_password(&name, now_us())).await?;
        let hash = found.as_ref().map_or_else(PasswordHash::of_nobody, |found| found.hash.clone());
        let fits = self.people.passwords.fits(self.shared.hasher.clone(), hash, password).await?;
        let granted = found.as_ref().is_some_and(|found| found.granted);
        Ok(Tried { found, is_good: fits && granted })
    }

    /// Writes down that a password was wrong, and that the account is locked where it was the last one.
    pub(super) async fn refuse_password(&self, attempt: &Attempt<'_>, found: Option<&Try>) -> Refusal {
        let known = found.map(|found| (found.account.name.as_str(), found.account.id));
        let refusal = self.refuse(attempt, known, wrong_password()).await;
        if let Some(found) = found.filter(|found| found.last) {
            let (author, account) = (attempt.author(&found.account.name), found.account.clone());
            let after = serde_json::json!({"locked_until_us": account.locked_until_us}).to_string();
            let written = self.database.ask(move |database| {
                database.tell_of_account("locked", &account, Some(after), (&author, now_us()))
            });
            if let Err(error) = written.await {
                tracing::error!(%error, "the audit does not tell of an account that was locked");
            }
        }
        refusal
    }
}

/// The same for everybody, so that it does not tell which accounts there are.
pub(super) fn wrong_password() -> Fault {
    let message = "the name or the password is wrong, or the account is disabled or locked for a while after too many \
                   wrong passwords, or its one-time password is older than a week; try later, or ask an administrator for a new password";
    Fault::new(Origin::Client, Kind::Unauthenticated, message).code("sign_in_failed")
}

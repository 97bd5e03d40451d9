//! Sign-in at an identity provider: the code flow with PKCE
//! (<https://openid.net/specs/openid-connect-core-1_0.html#CodeFlowAuth>, <https://www.rfc-editor.org/rfc/rfc9700>).

use std::{borrow::Cow, sync::Arc};

use policy::{
    authentication::{ClaimPath, Claims, Mapping},
    sign_in::SignInProvider,
};
use store::{NewSession, Way};
use uuid::Uuid;
use wire::{Fault, Kind, Origin};

use super::{
    cookies::{Cookie, Jar},
    login::{Login, return_path},
    relying::{Endpoints, Known, refused, with_query, word},
    session::{Whom, admitted, organization},
    sign_in::{Attempt, see},
};
use crate::{
    admin::{
        Admin, AdminRequest, Reply,
        refusal::{Refusal, Wrong},
        who::Who,
    },
    world::{World, now_us},
};

/// The longest code that is taken.
const CODE_BYTES_MAX: usize = 4_096;

/// What a provider sends a browser back with.
struct Returned<'q> {
    code: Option<Cow<'q, str>>,
    state: Option<Cow<'q, str>>,
    issuer: Option<Cow<'q, str>>,
    error: Option<Cow<'q, str>>,
}

/// A provider where somebody signs in.
struct At<'a> {
    name: &'a str,
    provider: Arc<SignInProvider>,
    known: Arc<Known>,
    endpoints: Arc<Endpoints>,
    redirect_uri: String,
}

/// Who has signed in.
struct Proven {
    id: Uuid,
    name: String,
    matched: Option<String>,
    role: String,
    organization: Option<Uuid>,
}

impl<'q> Returned<'q> {
    /// Of a member that is there twice, nobody could say which is meant.
    fn read(query: &'q str) -> Option<Returned<'q>> {
        let mut returned = Returned { code: None, state: None, issuer: None, error: None };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let member = match name.as_ref() {
                "code" => &mut returned.code,
                "state" => &mut returned.state,
                "iss" => &mut returned.issuer,
                "error" => &mut returned.error,
                _ => continue,
            };
            if value.len() > CODE_BYTES_MAX || member.replace(value).is_some() {
                return None;
            }
        }
        Some(returned)
    }
}

impl Admin {
    /// Sends a browser to a provider.
    pub(super) async fn start_login(&self, request: &AdminRequest, name: &str) -> Result<Reply, Refusal> {
        let world = self.shared.world.load_full();
        let query = form_urlencoded::parse(request.query.as_bytes());
        let wanted = query.into_iter().find(|(name, _)| name == "return_to").map(|(_, value)| value);
        let return_to = return_path(wanted.as_deref()).ok_or_else(|| {
            let message = "must be a path of this gateway, as /admin/v1/me";
            Refusal::invalid(vec![Wrong::new("return_to", message)])
        })?;
        let at = self.at(&world, name).await?;
        let login = Login::begin(name, return_to, now_us())?;
        let hasher = &self.shared.hasher;
        let place = with_query(
            &at.endpoints.authorization_endpoint,
            &[
                ("response_type", "code"),
                ("client_id", &at.provider.client_id),
                ("redirect_uri", &at.redirect_uri),
                ("scope", &at.provider.scopes),
                ("state", &login.state(hasher)),
                ("nonce", &login.nonce(hasher)),
                ("code_challenge", &login.challenge(hasher)),
                ("code_challenge_method", "S256"),
            ],
        );
        let cookie = Jar::of(&world.snapshot).set(Cookie::Login, login.cookie(), Login::SECONDS);
        Ok(see(place).with("set-cookie", cookie))
    }

    /// Takes a browser back from a provider.
    pub(super) async fn end_login(&self, request: &AdminRequest, name: &str) -> Result<Reply, Refusal> {
        let world = self.shared.world.load_full();
        let address = self.address(request);
        self.guard.may_try(address, now_us())?;
        let jar = Jar::of(&world.snapshot);
        let attempt = Attempt { request, address, way: Way::Provider, source: Some(name) };
        let cleared = |refusal: Refusal| refusal.with("set-cookie", jar.clear(Cookie::Login));
        let at = self.at(&world, name).await.map_err(cleared)?;
        let login = match self.returned(&at, request, jar).await {
            Ok(login) => login,
            Err(fault) => return Err(cleared(self.refuse(&attempt, None, fault).await)),
        };
        let proven = match self.proven(&at, request, &login).await {
            Ok(proven) => proven,
            Err(fault) => return Err(cleared(self.refuse(&attempt, None, fault).await)),
        };
        let whom =
            Whom { id: proven.id, name: &proven.name, role: &proven.role, organization: proven.organization };
        let roles = &self.shared.world.load_full().snapshot.roles;
        let admitted = admitted((&self.shared.callers.load(), roles), whom, address);
        if let Err(fault) = admitted.map(|principal| Who::new(&principal, roles, (address, request.id))) {
            return Err(cleared(self.refuse(&attempt, Some((&proven.name, proven.id)), fault).await));
        }
        let author = attempt.author(&proven.name);
        let new = NewSession {
            person: proven.id,
            name: proven.name,
            way: Way::Provider,
            source: Some(name.to_owned()),
            matched: proven.matched,
            role: proven.role,
            organization: proven.organization,
            address: address.to_string(),
            until_us: self.session_until_us(),
        };
        let (_, token) = self.begin_session(new, author, |_| Ok(())).await?;
        let reply = see(login.return_to).with("set-cookie", jar.clear(Cookie::Login));
        Ok(reply.with("set-cookie", self.session_cookie(&token)))
    }

    /// The provider of this name, as it describes itself.
    async fn at<'a>(&self, world: &World, name: &'a str) -> Result<At<'a>, Refusal> {
        let settings = &world.snapshot.sign_in;
        let found = settings.providers.get(name).zip(settings.url.as_ref());
        let (provider, url) = found.ok_or_else(|| Refusal::not_found("way to sign in", name))?;
        let known = self.people.relying.known(provider, &settings.providers);
        let endpoints = self.people.relying.endpoints(&known).await?;
        let redirect_uri = format!("{url}/admin/v1/sign-in/{name}/callback");
        Ok(At { name, provider: Arc::clone(provider), known, endpoints, redirect_uri })
    }

    /// The login that comes back, which it does once, from where it was begun, and with the answer of the provider it went to.
    async fn returned(&self, at: &At<'_>, request: &AdminRequest, jar: Jar) -> Result<Login, Fault> {
        let unknown = || {
            let message =
                "this login was not begun in this browser, took too long, or was changed on its way";
            refused(message.to_owned(), "login_unknown")
        };
        let returned = Returned::read(&request.query).ok_or_else(unknown)?;
        let cookie = jar.read(&request.headers, Cookie::Login).ok_or_else(unknown)?;
        let state = returned.state.as_deref().ok_or_else(unknown)?;
        let login = Login::found(cookie, state, &self.shared.hasher, now_us());
        let login = login.filter(|login| login.provider == at.name).ok_or_else(unknown)?;
        // Otherwise the code of one provider could be shown to another (RFC 9207).
        let is_named = at.endpoints.authorization_response_iss_parameter_supported;
        match returned.issuer.as_deref() {
            Some(named) if named == at.provider.issuer.issuer => {}
            None if !is_named => {}
            Some(_) | None => {
                let message = format!("the answer is not that of {}", at.provider.title);
                return Err(refused(message, "login_mixed_up"));
            }
        }
        if let Some(error) = &returned.error {
            let message = format!("{} says: {}", at.provider.title, word(error));
            return Err(refused(message, "login_refused"));
        }
        let (mark, until_us) = (login.mark(&self.shared.hasher), login.until_us);
        let used = self.database.ask(move |database| database.use_login(&mark, until_us, now_us()));
        if used.await? {
            Ok(login)
        } else {
            Err(refused("this login was used already".to_owned(), "login_used"))
        }
    }

    /// Who it is that a code stands for, and what that person may administer.
    async fn proven(&self, at: &At<'_>, request: &AdminRequest, login: &Login) -> Result<Proven, Fault> {
        let relying = &self.people.relying;
        let hasher = &self.shared.hasher;
        let returned = Returned::read(&request.query).and_then(|returned| returned.code);
        let code = returned.ok_or_else(|| refused("there is no code".to_owned(), "login_unknown"))?;
        let verifier = login.verifier(hasher);
        let tokens = relying.redeem(&at.known, &at.endpoints, (&code, &at.redirect_uri, &verifier)).await?;
        let checked = at.known.issuer.claims(tokens.id_token.expose(), now_us()).await;
        let claims = checked.map_err(|refusal| refusal.fault())?;
        check_own(&claims, &at.provider.client_id, &login.nonce(hasher))?;
        let mut all = vec![&claims];
        let is_told = all_told(&at.provider, &claims);
        let info = match &tokens.access_token {
            Some(token) if !is_told => relying.user_info(&at.known, &at.endpoints, token).await?,
            Some(_) | None => None,
        };
        if let Some(info) = &info {
            // Whoever else it tells of is not the one who signed in (OpenID Connect Core, section 5.3.2).
            let subject = ClaimPath::new("sub");
            if info.at(&subject) != claims.at(&subject) {
                let message = format!("{} tells of somebody else", at.provider.title);
                return Err(refused(message, "login_mixed_up"));
            }
            all.push(info);
        }
        self.allowed(at, &all)
    }

    /// What the configuration makes of somebody.
    fn allowed(&self, at: &At<'_>, claims: &[&Claims]) -> Result<Proven, Fault> {
        let forbidden = |message: String, code: &'static str| {
            Fault::new(Origin::Client, Kind::Forbidden, message).code(code)
        };
        let unnamed = || refused("nothing says who signed in".to_owned(), "login_refused");
        let first = claims.first().ok_or_else(unnamed)?;
        let identified = Mapping::default().identify(&at.provider.issuer.issuer, first);
        let identified = identified.map_err(|refusal| refusal.fault())?;
        let name = at.provider.name_of(claims).ok_or_else(|| {
            let claim = at.provider.name.as_ref().map_or("sub", ClaimPath::text);
            let message =
                format!("the claim \"{claim}\" does not name you, or is not checked; ask for it to be set");
            forbidden(message, "login_unnamed")
        })?;
        let grant = at.provider.grant(claims).ok_or_else(|| {
            let message = format!(
                "none of the groups that {} tells of may administer this gateway; ask for one",
                at.provider.title
            );
            forbidden(message, "login_without_role")
        })?;
        let bound = match &grant.organization {
            None => None,
            Some(wanted) => {
                let found = organization(&self.shared.callers.load(), wanted);
                Some(found.ok_or_else(|| {
                    forbidden(
                        format!("there is no organization \"{wanted}\"; ask for it to be made"),
                        "login_without_role",
                    )
                })?)
            }
        };
        Ok(Proven {
            id: identified.id,
            name,
            matched: grant.group.clone(),
            role: grant.role.clone(),
            organization: bound,
        })
    }
}

/// Whether a token was made for this client and this login
/// (<https://openid.net/specs/openid-connect-core-1_0.html#IDTokenValidation>).
fn check_own(claims: &Claims, client_id: &str, nonce: &str) -> Result<(), Fault> {
    let text = |name: &str| claims.at(&ClaimPath::new(name)).map(|value| value.as_str().unwrap_or_default());
    if text("nonce") != Some(nonce) {
        return Err(refused("the token is of another login".to_owned(), "login_mixed_up"));
    }
    let several = claims.texts(&ClaimPath::new("aud")).len() > 1;
    let party = text("azp");
    if party.is_some_and(|party| party != client_id) || (several && party.is_none()) {
        return Err(refused("the token is for another client".to_owned(), "login_mixed_up"));
    }
    Ok(())
}

/// Whether a token tells all that counts, so that nobody needs to be asked.
fn all_told(provider: &SignInProvider, claims: &Claims) -> bool {
    let is_named = match &provider.name {
        Some(path) => claims.at(path).is_some(),
        None => claims.at(&ClaimPath::new("email")).is_some(),
    };
    is_named && (provider.roles.is_empty() || claims.at(&provider.groups).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_twice_is_not_believed() {
        assert!(Returned::read("code=a&state=b&session_state=c").is_some_and(|one| one.code.is_some()));
        assert!(Returned::read("code=a&state=b&code=c").is_none());
        assert!(Returned::read("state=b&state=b").is_none());
    }

    #[test]
    fn tokens_are_for_this_client_and_login() {
        let check = |text: &str, code: Option<&str>| {
            let claims = Claims::parse(text.as_bytes()).unwrap_or_else(|refusal| panic!("{refusal:?}"));
            let refused = check_own(&claims, "gateway", "n").err().and_then(|fault| fault.code);
            assert_eq!(refused.as_deref(), code, "{text}");
        };
        check(r#"{"nonce":"n","aud":"gateway"}"#, None);
        check(r#"{"nonce":"n","aud":["gateway"]}"#, None);
        check(r#"{"nonce":"n","aud":["gateway","other"],"azp":"gateway"}"#, None);
        check(r#"{"nonce":"n","aud":["gateway","other"]}"#, Some("login_mixed_up"));
        check(r#"{"nonce":"n","aud":"gateway","azp":"other"}"#, Some("login_mixed_up"));
        check(r#"{"nonce":"m","aud":"gateway"}"#, Some("login_mixed_up"));
        check(r#"{"aud":"gateway"}"#, Some("login_mixed_up"));
        check(r#"{"nonce":["n"],"aud":"gateway"}"#, Some("login_mixed_up"));
    }
}

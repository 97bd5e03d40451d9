//! HashiCorp Vault and OpenBao: the key/value engine in both versions, tokens, AppRole, Kubernetes
//! (<https://developer.hashicorp.com/vault/api-docs/secret/kv>).

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use policy::secret_store::{VaultLogin, VaultStore};
use serde_json::{Value, json as object};
use tokio::{sync::Mutex, time::Instant};
use zeroize::Zeroizing;

use super::{
    client::{Unread, escaped, json},
    content::Content,
};
use crate::{credentials::Fetcher, tasks};

/// For one exchange.
const TIME_MAX: Duration = Duration::from_secs(10);
/// A token that is refused is fetched anew, unless it is as new as this: then it is the policy that refuses.
const NEW: Duration = Duration::from_secs(5);

/// A Vault, with the token that was given for it.
pub(super) struct Vault {
    store: VaultStore,
    fetcher: Fetcher,
    session: Mutex<Option<Session>>,
}

struct Session {
    token: Zeroizing<String>,
    since: Instant,
    /// For how long it is good; for ever where it does not say.
    lasts: Option<Duration>,
    renewable: bool,
}

impl Vault {
    pub(super) fn new(store: VaultStore, fetcher: Fetcher) -> Vault {
        Vault { store, fetcher, session: Mutex::new(None) }
    }

    pub(super) async fn read(&self, path: &str) -> Result<Content, Unread> {
        let mount = escaped(&self.store.mount);
        let below = if self.store.versioned { "data/" } else { "" };
        let path = format!("{mount}/{below}{}", escaped(path));
        let body = json(&self.ask_inside(Method::GET, &path, None).await?)?;
        let members = match self.store.versioned {
            true => body.pointer("/data/data"),
            false => body.get("data"),
        };
        let members = members.and_then(Value::as_object);
        let what = if self.store.versioned { "version 2" } else { "version 1" };
        let members =
            members.ok_or_else(|| format!("it answered with no secret of a key/value engine of {what}"))?;
        Ok(Content::members(members)?)
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Response<Bytes>, Unread> {
        self.ask_inside(Method::POST, path, Some(body)).await
    }

    /// Asks with a token; once more with another where it is refused and there may be one.
    async fn ask_inside(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Response<Bytes>, Unread> {
        let token = self.token().await?;
        let response = self.ask(method.clone(), path, Some(&token), body).await?;
        if response.status() == StatusCode::FORBIDDEN && self.forget(&token).await {
            let token = self.token().await?;
            return self.ask(method, path, Some(&token), body).await;
        }
        Ok(response)
    }

    pub(super) async fn enter(&self) -> Result<(), Unread> {
        self.token().await.map(|_| ())
    }

    /// Half of a token's time.
    pub(super) async fn rest(&self) -> Option<Duration> {
        self.session.lock().await.as_ref()?.lasts.map(|lasts| lasts / 2)
    }

    /// The token that is kept; renewed when two thirds of its time are gone, fetched where there is none.
    async fn token(&self) -> Result<Zeroizing<String>, Unread> {
        let mut kept = self.session.lock().await;
        if let Some(session) = &mut *kept {
            if session.is_fresh() {
                return Ok(session.token.clone());
            }
            if session.renewable {
                match self.renew(&session.token).await {
                    Ok(renewed) => {
                        let token = renewed.token.clone();
                        *session = renewed;
                        return Ok(token);
                    }
                    Err(error) => tracing::warn!(%error, "a token of Vault could not be renewed"),
                }
            }
        }
        let session = self.log_in().await?;
        let token = session.token.clone();
        *kept = Some(session);
        Ok(token)
    }

    /// Whether another token than this one may be had.
    async fn forget(&self, token: &str) -> bool {
        if matches!(self.store.login, VaultLogin::Token(_)) {
            return false;
        }
        let mut kept = self.session.lock().await;
        match &*kept {
            Some(session) if *session.token == token && session.since.elapsed() < NEW => false,
            Some(session) if *session.token == token => {
                *kept = None;
                true
            }
            Some(_) | None => true,
        }
    }

    async fn log_in(&self) -> Result<Session, Unread> {
        let (path, body) = match &self.store.login {
            VaultLogin::Token(token) => return self.look_up(token.expose()).await,
            VaultLogin::AppRole { mount, role_id, secret_id } => (
                format!("auth/{}/login", escaped(mount)),
                object!({"role_id": role_id, "secret_id": secret_id.expose()}),
            ),
            VaultLogin::Kubernetes { mount, role, token_file } => {
                let (file, shown) = (token_file.clone(), token_file.display());
                let read = tasks::aside(move || std::fs::read_to_string(file)).await;
                let read = read.ok_or_else(|| format!("{shown}: reading it panicked"))?;
                let jwt = read.map_err(|error| format!("{shown}: {error}"))?;
                (format!("auth/{}/login", escaped(mount)), object!({"role": role, "jwt": jwt.trim()}))
            }
        };
        let response = self.ask(Method::POST, &path, None, Some(&body)).await?;
        let body = json(&response).map_err(|error| error.while_doing("logging in"))?;
        Session::granted(&body).ok_or_else(|| "logging in: it answered with no token".into())
    }

    /// What Vault knows of a token that was written down; a policy may forbid to ask.
    async fn look_up(&self, token: &str) -> Result<Session, Unread> {
        let response = self.ask(Method::GET, "auth/token/lookup-self", Some(token), None).await?;
        let found = json(&response).unwrap_or_default();
        let seconds = found.pointer("/data/ttl").and_then(Value::as_u64).filter(|seconds| *seconds > 0);
        Ok(Session {
            token: Zeroizing::new(token.to_owned()),
            since: Instant::now(),
            lasts: seconds.map(Duration::from_secs),
            renewable: found.pointer("/data/renewable").and_then(Value::as_bool).unwrap_or_default(),
        })
    }

    async fn renew(&self, token: &str) -> Result<Session, Unread> {
        let empty = object!({});
        let response = self.ask(Method::POST, "auth/token/renew-self", Some(token), Some(&empty)).await?;
        let body = json(&response)?;
        Session::granted(&body).ok_or_else(|| "it answered with no token".into())
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Response<Bytes>, Unread> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}/v1/{path}", self.store.address))
            .header("x-vault-request", "true");
        if let Some(token) = token {
            let mut value = HeaderValue::from_str(token).map_err(|_| "the token is no token".to_owned())?;
            value.set_sensitive(true);
            request = request.header("x-vault-token", value);
        }
        if let Some(namespace) = &self.store.namespace {
            request = request.header("x-vault-namespace", namespace);
        }
        let body = body.map(Value::to_string).map(Bytes::from).unwrap_or_default();
        let request = request.body(body).map_err(|_| "its address or namespace cannot be sent".to_owned())?;
        self.fetcher.send_within(request, TIME_MAX).await.map_err(|error| Unread::away(&error))
    }
}

impl Session {
    /// The member `auth` of an answer.
    fn granted(body: &Value) -> Option<Session> {
        let auth = body.get("auth")?;
        let seconds = auth.get("lease_duration").and_then(Value::as_u64).filter(|seconds| *seconds > 0);
        Some(Session {
            token: Zeroizing::new(auth.get("client_token")?.as_str()?.to_owned()),
            since: Instant::now(),
            lasts: seconds.map(Duration::from_secs),
            renewable: auth.get("renewable").and_then(Value::as_bool).unwrap_or_default(),
        })
    }

    fn is_fresh(&self) -> bool {
        self.lasts.is_none_or(|lasts| self.since.elapsed() * 3 < lasts * 2)
    }
}

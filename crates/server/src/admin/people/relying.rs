//! What the gateway asks of identity providers: where their endpoints are, tokens for codes, and who somebody is.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, StatusCode, header};
use policy::{
    Secret,
    authentication::{Claims, Keys, is_private},
    sign_in::SignInProvider,
};
use serde::Deserialize;
use wire::{Fault, Kind, Origin, Retry};

use crate::{
    access::{TokenIssuer, basic, description},
    credentials::Fetcher,
};

/// For one answer.
const TIME_MAX: Duration = Duration::from_secs(10);
/// How long a provider is left alone that could not be asked.
const QUIET: Duration = Duration::from_secs(5);
/// The only way to prove a code one's own that is used (<https://www.rfc-editor.org/rfc/rfc9700#section-2.1.1>).
const METHOD: &str = "S256";

/// Providers that were asked before, with their keys.
pub(super) struct Relying {
    fetcher: Fetcher,
    /// By what is configured of them: another configuration is another provider.
    known: Mutex<Vec<Arc<Known>>>,
}

/// One of them.
pub(super) struct Known {
    provider: Arc<SignInProvider>,
    pub(super) issuer: TokenIssuer,
    /// What it said when it was asked last. One asks, and others wait for the answer.
    said: tokio::sync::Mutex<Option<Said>>,
}

/// What came of asking a provider about itself.
struct Said {
    endpoints: Result<Arc<Endpoints>, Fault>,
    /// Until when it is not asked again.
    until: Instant,
}

/// What a provider says of itself (<https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderMetadata>).
#[derive(Debug, Deserialize)]
pub(super) struct Endpoints {
    pub(super) authorization_endpoint: String,
    token_endpoint: String,
    userinfo_endpoint: Option<String>,
    /// <https://openid.net/specs/openid-connect-rpinitiated-1_0.html#OPMetadata>
    end_session_endpoint: Option<String>,
    code_challenge_methods_supported: Option<Vec<String>>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    /// Whether its answers name it (<https://www.rfc-editor.org/rfc/rfc9207#section-3>).
    #[serde(default)]
    pub(super) authorization_response_iss_parameter_supported: bool,
}

/// What a code was changed into.
#[derive(Deserialize)]
struct Granted {
    id_token: String,
    access_token: Option<String>,
}

/// The tokens of somebody.
pub(super) struct Tokens {
    pub(super) id_token: Secret,
    pub(super) access_token: Option<Secret>,
}

impl Relying {
    pub(super) fn new(fetcher: Fetcher) -> Relying {
        Relying { fetcher, known: Mutex::default() }
    }

    /// A provider with its keys. Those that are configured no more are forgotten.
    pub(super) fn known(
        &self,
        provider: &Arc<SignInProvider>,
        configured: &std::collections::BTreeMap<String, Arc<SignInProvider>>,
    ) -> Arc<Known> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|known| configured.values().any(|provider| *provider == known.provider));
        if let Some(known) = known.iter().find(|known| known.provider == *provider) {
            return Arc::clone(known);
        }
        let made = Arc::new(Known {
            provider: Arc::clone(provider),
            issuer: TokenIssuer::start(&provider.issuer, &self.fetcher),
            said: tokio::sync::Mutex::default(),
        });
        known.push(Arc::clone(&made));
        made
    }

    /// Where a provider takes what.
    pub(super) async fn endpoints(&self, known: &Known) -> Result<Arc<Endpoints>, Fault> {
        let mut kept = known.said.lock().await;
        if let Some(said) = kept.as_ref().filter(|said| said.until > Instant::now()) {
            return said.endpoints.clone();
        }
        let (endpoints, lasts) = match self.discovered(&known.provider).await {
            Ok((endpoints, lasts)) => (Ok(Arc::new(endpoints)), lasts),
            Err(error) => {
                tracing::warn!(
                    issuer = known.provider.issuer.issuer,
                    error,
                    "an identity provider cannot be used"
                );
                (Err(away(&known.provider.title)), QUIET)
            }
        };
        *kept = Some(Said { endpoints: endpoints.clone(), until: Instant::now() + lasts });
        endpoints
    }

    async fn discovered(&self, provider: &SignInProvider) -> Result<(Endpoints, Duration), String> {
        let Keys::Discovered { url, allow_http } = &provider.issuer.keys else {
            return Err("it is not described anywhere".to_owned());
        };
        let (endpoints, lasts) =
            description::<Endpoints>(url, &provider.issuer.issuer, &self.fetcher).await?;
        let all = [Some(&endpoints.authorization_endpoint), Some(&endpoints.token_endpoint)];
        let all = all
            .into_iter()
            .chain([endpoints.userinfo_endpoint.as_ref(), endpoints.end_session_endpoint.as_ref()]);
        if let Some(open) = all.flatten().find(|url| !allow_http && !is_private(url)) {
            return Err(format!("{url} names an address without https, {open}"));
        }
        let methods = endpoints.code_challenge_methods_supported.as_ref();
        if methods.is_some_and(|methods| !methods.iter().any(|method| method == METHOD)) {
            return Err(format!("{url} says that it does not take PKCE with {METHOD}"));
        }
        Ok((endpoints, lasts))
    }

    /// Changes a code into tokens (<https://www.rfc-editor.org/rfc/rfc6749#section-4.1.3>).
    pub(super) async fn redeem(
        &self,
        known: &Known,
        endpoints: &Endpoints,
        (code, redirect_uri, verifier): (&str, &str, &Secret),
    ) -> Result<Tokens, Fault> {
        let provider = &known.provider;
        let mut fields = HashMap::from([
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect_uri),
            ("code_verifier", verifier.expose()),
        ]);
        let mut request = Request::post(&endpoints.token_endpoint)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ACCEPT, "application/json");
        match &provider.client_secret {
            Some(secret) if endpoints.takes_basic() => {
                request = request.header(header::AUTHORIZATION, basic(&provider.client_id, secret.expose()));
            }
            Some(secret) => {
                fields
                    .extend([("client_id", provider.client_id.as_str()), ("client_secret", secret.expose())]);
            }
            None => drop(fields.insert("client_id", &provider.client_id)),
        }
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let answer = self.answered(provider, request.body(Bytes::from(body)), "login_refused").await?;
        let granted: Granted = serde_json::from_slice(&answer).map_err(|_| {
            refused(format!("{} answered without an id_token", provider.title), "login_refused")
        })?;
        let access_token = granted.access_token.map(Secret::new);
        Ok(Tokens { id_token: Secret::new(granted.id_token), access_token })
    }

    /// What a provider says of a token's owner (<https://openid.net/specs/openid-connect-core-1_0.html#UserInfo>); nothing where it
    /// says nothing.
    pub(super) async fn user_info(
        &self,
        known: &Known,
        endpoints: &Endpoints,
        access_token: &Secret,
    ) -> Result<Option<Claims>, Fault> {
        let Some(url) = &endpoints.userinfo_endpoint else { return Ok(None) };
        let request = Request::get(url)
            .header(header::ACCEPT, "application/json")
            .header(header::AUTHORIZATION, format!("Bearer {}", access_token.expose()))
            .body(Bytes::new());
        let answer = self.answered(&known.provider, request, "login_refused").await?;
        let claims = Claims::parse(&answer).map_err(|_| {
            refused(format!("{} says nothing of who signed in", known.provider.title), "login_refused")
        })?;
        Ok(Some(claims))
    }

    /// Where a browser goes to end the provider's own session. No token is in it: it would stand in logs.
    pub(super) async fn end_session_url(&self, provider: &Arc<SignInProvider>) -> Option<String> {
        let known = {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.iter().find(|known| known.provider == *provider).cloned()
        };
        let endpoints = self.endpoints(&*known?).await.ok()?;
        let url = endpoints.end_session_endpoint.as_ref()?;
        Some(with_query(url, &[("client_id", &provider.client_id)]))
    }

    async fn answered(
        &self,
        provider: &SignInProvider,
        request: Result<Request<Bytes>, http::Error>,
        code: &'static str,
    ) -> Result<Bytes, Fault> {
        let request = request.map_err(|_| away(&provider.title))?;
        let url = request.uri().to_string();
        let answer = self.fetcher.send_within(request, TIME_MAX).await.map_err(|error| {
            tracing::warn!(url, %error, "an identity provider does not answer");
            away(&provider.title)
        })?;
        let status = answer.status();
        if status == StatusCode::OK {
            return Ok(answer.into_body());
        }
        if status.is_server_error() {
            return Err(away(&provider.title));
        }
        // The error has a name (RFC 6749, section 5.2); what else is told may hold a code or a token.
        let said: serde_json::Value = serde_json::from_slice(answer.body()).unwrap_or_default();
        let said = word(said.get("error").and_then(serde_json::Value::as_str).unwrap_or_default());
        tracing::warn!(url, status = status.as_u16(), said, "an identity provider refused");
        Err(refused(format!("{} refused: {} {said}", provider.title, status.as_u16()), code))
    }
}

impl Endpoints {
    /// It is what all take that do not say otherwise.
    fn takes_basic(&self) -> bool {
        let methods = self.token_endpoint_auth_methods_supported.as_ref();
        methods.is_none_or(|methods| {
            let has = |name: &str| methods.iter().any(|method| method == name);
            has("client_secret_basic") || !has("client_secret_post")
        })
    }
}

/// An error's name, where it is one (<https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2.1>).
pub(super) fn word(text: &str) -> &str {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    if text.len() <= 64 && text.bytes().all(plain) { text } else { "something else" }
}

/// An address with more behind its question mark.
pub(super) fn with_query(url: &str, pairs: &[(&str, &str)]) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let joint = if url.contains('?') { '&' } else { '?' };
    format!("{url}{joint}{query}")
}

/// Somebody who does not get in.
pub(super) fn refused(message: String, code: &'static str) -> Fault {
    Fault::new(Origin::Client, Kind::Unauthenticated, format!("{message}; sign in again")).code(code)
}

fn away(title: &str) -> Fault {
    let message = format!("{title} cannot be asked now; try again");
    let fault = Fault::new(Origin::Gateway, Kind::Overloaded, message).code("provider_unavailable");
    fault.retry(Retry::After(QUIET))
}

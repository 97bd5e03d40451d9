//! Identities in Entra ID, as Azure's tools find them: a client's secret, workload identity, managed identity.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::Request;
use policy::identity::AzureIdentity;
use serde::Deserialize;
use serde_json::Value;

use super::{Fetcher, keeper::Granted};
use crate::tasks;

const AUTHORITY: &str = "https://login.microsoftonline.com";
/// Where a machine asks for its identity, unless `AZURE_POD_IDENTITY_AUTHORITY_HOST` says otherwise
/// (<https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token>).
const METADATA: &str = "http://169.254.169.254";

/// An identity in Entra ID.
pub(super) struct Azure {
    identity: AzureIdentity,
    fetcher: Fetcher,
}

/// A token as the various endpoints tell it: numbers may be texts.
#[derive(Deserialize)]
struct Token {
    access_token: String,
    /// In seconds.
    expires_in: Option<Value>,
    /// In seconds since 1970.
    expires_on: Option<Value>,
}

impl Azure {
    pub(super) fn new(identity: AzureIdentity, fetcher: Fetcher) -> Azure {
        Azure { identity, fetcher }
    }

    pub(super) async fn fetch(&self) -> Result<Granted, String> {
        let identity = &self.identity;
        let token = match (&identity.tenant_id, &identity.client_id) {
            (Some(tenant), Some(client)) if identity.client_secret.is_some() => {
                let secret = identity.client_secret.as_ref().map_or("", policy::Secret::expose);
                self.client(tenant, client, &[("client_secret", secret)]).await?
            }
            (Some(tenant), Some(client)) if identity.federated_token_file.is_some() => {
                let assertion = self.federated_token().await?;
                let shown = [
                    ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                    ("client_assertion", assertion.as_str()),
                ];
                self.client(tenant, client, &shown).await?
            }
            _ => self.managed().await?,
        };
        Granted::bearer(&token.access_token, token.lasts())
    }

    /// A client that shows its secret, or a token instead
    /// (<https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>).
    async fn client(&self, tenant: &str, client: &str, shown: &[(&str, &str)]) -> Result<Token, String> {
        let authority = self.identity.authority.as_deref().unwrap_or(AUTHORITY);
        let url = format!("{}/{tenant}/oauth2/v2.0/token", authority.trim_end_matches('/'));
        let mut fields = vec![
            ("grant_type", "client_credentials"),
            ("client_id", client),
            ("scope", &self.identity.scope),
        ];
        fields.extend_from_slice(shown);
        self.fetcher.form(&url, &fields).await
    }

    async fn federated_token(&self) -> Result<String, String> {
        let path = self.identity.federated_token_file.clone().unwrap_or_default();
        let shown = path.display().to_string();
        match tasks::aside(move || std::fs::read_to_string(path)).await {
            Some(Ok(token)) => Ok(token.trim().to_owned()),
            Some(Err(error)) => Err(format!("{shown}: {error}")),
            None => Err(format!("{shown}: reading it panicked")),
        }
    }

    /// The identity of the machine, or of the app where App Service says how to ask for it
    /// (<https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference>).
    async fn managed(&self) -> Result<Token, String> {
        let request = self.managed_request().map_err(|_| "the managed identity's endpoint is no address")?;
        self.fetcher.json(request).await.map_err(|error| {
            format!(
                "no client secret (AZURE_CLIENT_SECRET), no federated token, and no managed identity: {error}"
            )
        })
    }

    fn managed_request(&self) -> http::Result<Request<Bytes>> {
        let resource = self.identity.scope.trim_end_matches("/.default");
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("resource", resource);
        if let Some(client) = &self.identity.client_id {
            query.append_pair("client_id", client);
        }
        let app = std::env::var("IDENTITY_ENDPOINT").ok().zip(std::env::var("IDENTITY_HEADER").ok());
        if let Some((endpoint, header)) = app {
            query.append_pair("api-version", "2019-08-01");
            let request = Request::get(format!("{endpoint}?{}", query.finish()));
            return request.header("x-identity-header", header).body(Bytes::new());
        }
        query.append_pair("api-version", "2018-02-01");
        let host = std::env::var("AZURE_POD_IDENTITY_AUTHORITY_HOST");
        let host = host.unwrap_or_else(|_| METADATA.to_owned());
        let path = "/metadata/identity/oauth2/token";
        let request = Request::get(format!("{}{path}?{}", host.trim_end_matches('/'), query.finish()));
        request.header("metadata", "true").body(Bytes::new())
    }
}

impl Token {
    fn lasts(&self) -> Duration {
        let number = |value: &Option<Value>| match value {
            Some(Value::Number(number)) => number.as_u64(),
            Some(Value::String(text)) => text.parse().ok(),
            _ => None,
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let on = || number(&self.expires_on).map(|on| on.saturating_sub(now));
        Duration::from_secs(number(&self.expires_in).or_else(on).unwrap_or(300))
    }
}

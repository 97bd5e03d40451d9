//! Identities in Google Cloud, as Application Default Credentials find them: service accounts, workload identity
//! federation, users, and the metadata server
//! (<https://cloud.google.com/docs/authentication/application-default-credentials>).

use std::{
    collections::HashMap,
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use http::{Request, header};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use policy::identity::GoogleIdentity;
use serde::{Deserialize, Serialize};

use super::{Fetcher, keeper::Granted};
use crate::tasks;

/// Where the metadata server is, unless `GCE_METADATA_HOST` says otherwise.
const METADATA_HOST: &str = "metadata.google.internal";
const TOKEN_URI: &str = "https://oauth2.googleapis.com/token";
/// For how long a service account vouches for itself; Google takes an hour at the most
/// (<https://developers.google.com/identity/protocols/oauth2/service-account#authorizingrequests>).
const ASSERTION_TIME: Duration = Duration::from_secs(3_600);

/// An identity in Google Cloud.
pub(super) struct Google {
    identity: GoogleIdentity,
    fetcher: Fetcher,
}

/// A credential file. It has no `Debug`: it holds secrets.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum File {
    ServiceAccount(ServiceAccount),
    AuthorizedUser(User),
    /// Workload identity federation (<https://cloud.google.com/iam/docs/workload-identity-federation>).
    ExternalAccount(ExternalAccount),
    ImpersonatedServiceAccount {
        source_credentials: Box<File>,
        service_account_impersonation_url: String,
    },
}

#[derive(Deserialize)]
struct ServiceAccount {
    client_email: String,
    private_key: String,
    private_key_id: Option<String>,
    token_uri: Option<String>,
}

#[derive(Deserialize)]
struct User {
    client_id: String,
    client_secret: String,
    refresh_token: String,
    token_uri: Option<String>,
}

#[derive(Deserialize)]
struct ExternalAccount {
    audience: String,
    subject_token_type: String,
    token_url: String,
    credential_source: SubjectSource,
    service_account_impersonation_url: Option<String>,
}

/// Where the token of the other identity provider is found.
#[derive(Deserialize)]
struct SubjectSource {
    file: Option<String>,
    url: Option<String>,
    #[serde(default)]
    headers: HashMap<String, String>,
    format: Option<SubjectFormat>,
}

#[derive(Deserialize)]
struct SubjectFormat {
    #[serde(rename = "type")]
    kind: String,
    subject_token_field_name: Option<String>,
}

#[derive(Serialize)]
struct Claims<'c> {
    iss: &'c str,
    scope: &'c str,
    aud: &'c str,
    iat: u64,
    exp: u64,
}

#[derive(Deserialize)]
struct Token {
    access_token: String,
    #[serde(default = "hour")]
    expires_in: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Impersonated {
    access_token: String,
    expire_time: String,
}

fn hour() -> u64 {
    3_600
}

impl Google {
    pub(super) fn new(identity: GoogleIdentity, fetcher: Fetcher) -> Google {
        Google { identity, fetcher }
    }

    pub(super) async fn fetch(&self) -> Result<Granted, String> {
        let found = match &self.identity.credentials {
            Some(text) => Some(text.expose().to_owned()),
            None => usual_file().await?,
        };
        let token = match found {
            Some(text) => {
                let file = serde_json::from_str(&text)
                    .map_err(|error| format!("the credential file: {}", plain(&error)))?;
                self.of_file(&file, &self.identity.scope).await?
            }
            None => self.of_metadata().await?,
        };
        Granted::bearer(&token.access_token, Duration::from_secs(token.expires_in))
    }

    async fn of_file(&self, file: &File, scope: &str) -> Result<Token, String> {
        match file {
            File::ServiceAccount(account) => self.of_service_account(account, scope).await,
            File::AuthorizedUser(user) => {
                let url = user.token_uri.as_deref().unwrap_or(TOKEN_URI);
                let fields = [
                    ("grant_type", "refresh_token"),
                    ("client_id", &user.client_id),
                    ("client_secret", &user.client_secret),
                    ("refresh_token", &user.refresh_token),
                ];
                self.fetcher.form(url, &fields).await
            }
            File::ExternalAccount(account) => self.of_external(account, scope).await,
            File::ImpersonatedServiceAccount { source_credentials, service_account_impersonation_url } => {
                let own = Box::pin(self.of_file(source_credentials, scope)).await?;
                self.impersonated(service_account_impersonation_url, &own, scope).await
            }
        }
    }

    /// An account that vouches for itself (RFC 7523).
    async fn of_service_account(&self, account: &ServiceAccount, scope: &str) -> Result<Token, String> {
        let url = account.token_uri.as_deref().unwrap_or(TOKEN_URI);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let claims = Claims {
            iss: &account.client_email,
            scope,
            aud: url,
            iat: now,
            exp: now + ASSERTION_TIME.as_secs(),
        };
        let key = EncodingKey::from_rsa_pem(account.private_key.as_bytes())
            .map_err(|_| "private_key of the credential file is no RSA key in PEM")?;
        let header = Header { kid: account.private_key_id.clone(), ..Header::new(Algorithm::RS256) };
        let assertion = jsonwebtoken::encode(&header, &claims, &key)
            .map_err(|error| format!("the assertion could not be signed: {error}"))?;
        let fields =
            [("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", &assertion)];
        self.fetcher.form(url, &fields).await
    }

    /// Another provider's token for one of Google's (RFC 8693), and that, where it is said, for a service account's.
    async fn of_external(&self, account: &ExternalAccount, scope: &str) -> Result<Token, String> {
        let subject = self.subject(&account.credential_source).await?;
        let fields = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("audience", &account.audience),
            ("scope", scope),
            ("subject_token_type", &account.subject_token_type),
            ("subject_token", &subject),
        ];
        let token: Token = self.fetcher.form(&account.token_url, &fields).await?;
        match &account.service_account_impersonation_url {
            Some(url) => self.impersonated(url, &token, scope).await,
            None => Ok(token),
        }
    }

    async fn subject(&self, source: &SubjectSource) -> Result<String, String> {
        let text = match (&source.file, &source.url) {
            (Some(path), _) => read(PathBuf::from(path)).await?,
            (None, Some(url)) => {
                let mut request = Request::get(url);
                for (name, value) in &source.headers {
                    request = request.header(name, value);
                }
                let request = request.body(Bytes::new());
                self.fetcher.text(request.map_err(|_| "credential_source.url is no address")?).await?
            }
            (None, None) => {
                return Err(
                    "credential_source of the credential file names no file and no url; others are not \
                            supported"
                        .to_owned(),
                );
            }
        };
        let format = source.format.as_ref().filter(|format| format.kind == "json");
        let Some(format) = format else { return Ok(text.trim().to_owned()) };
        let field = format.subject_token_field_name.as_deref().unwrap_or("access_token");
        let json: Option<serde_json::Value> = serde_json::from_str(&text).ok();
        let token = json.as_ref().and_then(|json| json.get(field)?.as_str());
        token.map(str::to_owned).ok_or_else(|| format!("the subject token's \"{field}\" is missing"))
    }

    /// A service account's token for whoever may act as it
    /// (<https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken>).
    async fn impersonated(&self, url: &str, own: &Token, scope: &str) -> Result<Token, String> {
        let body = serde_json::json!({ "scope": [scope], "lifetime": "3600s" }).to_string();
        let request = Request::post(url)
            .header(header::AUTHORIZATION, format!("Bearer {}", own.access_token))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Bytes::from(body))
            .map_err(|_| "service_account_impersonation_url is no address")?;
        let given: Impersonated = self.fetcher.json(request).await?;
        let until = given.expire_time.parse::<jiff::Timestamp>().map_err(|_| "expireTime is no time")?;
        let left = until.duration_since(jiff::Timestamp::now()).as_secs();
        Ok(Token { access_token: given.access_token, expires_in: u64::try_from(left).unwrap_or_default() })
    }

    /// The account of the machine or the pod.
    async fn of_metadata(&self) -> Result<Token, String> {
        let host = std::env::var("GCE_METADATA_HOST").unwrap_or_else(|_| METADATA_HOST.to_owned());
        let scope = form_urlencoded::byte_serialize(self.identity.scope.as_bytes()).collect::<String>();
        let url = format!(
            "http://{host}/computeMetadata/v1/instance/service-accounts/default/token?scopes={scope}"
        );
        let request = Request::get(url).header("metadata-flavor", "Google").body(Bytes::new());
        self.fetcher.json(request.map_err(|_| "GCE_METADATA_HOST is no host")?).await.map_err(|error| {
            format!(
                "no credential file (GOOGLE_APPLICATION_CREDENTIALS, or gcloud auth application-default login), and \
                 the metadata server gives none: {error}"
            )
        })
    }
}

/// The credential file that Google's tools would find.
async fn usual_file() -> Result<Option<String>, String> {
    if let Some(path) = std::env::var_os("GOOGLE_APPLICATION_CREDENTIALS").filter(|path| !path.is_empty()) {
        return read(PathBuf::from(path)).await.map(Some);
    }
    let folder = match std::env::var_os("CLOUDSDK_CONFIG") {
        Some(folder) => Some(PathBuf::from(folder)),
        None => std::env::home_dir().map(|home| home.join(".config/gcloud")),
    };
    let path = folder.map(|folder| folder.join("application_default_credentials.json"));
    match path.filter(|path| path.exists()) {
        Some(path) => read(path).await.map(Some),
        None => Ok(None),
    }
}

async fn read(path: PathBuf) -> Result<String, String> {
    let shown = path.display().to_string();
    let text = tasks::aside(move || std::fs::read_to_string(path)).await;
    match text {
        Some(Ok(text)) => Ok(text),
        Some(Err(error)) => Err(format!("{shown}: {error}")),
        None => Err(format!("{shown}: reading it panicked")),
    }
}

/// What is wrong with a credential file, without a word of the values that stand in it.
fn plain(error: &serde_json::Error) -> String {
    let said = error.to_string();
    let said = said.split(" at line").next().unwrap_or_default();
    match said.split(' ').next() {
        Some("missing" | "unknown") => said.to_owned(),
        _ => "is not as Google writes it".to_owned(),
    }
}

//! The stores of AWS, Azure and Google Cloud.

use std::{str, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{Request, header, request};
use policy::identity::AwsIdentity;
use serde_json::Value;

use super::{
    client::{Unread, escaped, json},
    content::Content,
};
use crate::credentials::{Fetcher, Occasional, Opened, sign_whole};

/// For one exchange.
const TIME_MAX: Duration = Duration::from_secs(10);
const GOOGLE: &str = "https://secretmanager.googleapis.com";

/// A cloud's store, with the identity that opens it.
pub(super) struct Cloud {
    api: Api,
    address: String,
    identity: Occasional,
    fetcher: Fetcher,
}

enum Api {
    /// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html>
    Aws,
    /// <https://learn.microsoft.com/rest/api/keyvault/secrets/get-secret/get-secret>
    Azure,
    /// <https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets.versions/access>
    Google { project: String },
}

impl Cloud {
    pub(super) fn aws(identity: &AwsIdentity, address: Option<&str>, opened: (Occasional, Fetcher)) -> Cloud {
        let region = &identity.region;
        // China's regions have a domain of their own (<https://docs.aws.amazon.com/general/latest/gr/asm.html>).
        let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
        let usual = || format!("https://secretsmanager.{region}.amazonaws.com{suffix}");
        Cloud::new(Api::Aws, address.map_or_else(usual, str::to_owned), opened)
    }

    pub(super) fn azure(address: &str, opened: (Occasional, Fetcher)) -> Cloud {
        Cloud::new(Api::Azure, address.to_owned(), opened)
    }

    pub(super) fn google(project: &str, address: Option<&str>, opened: (Occasional, Fetcher)) -> Cloud {
        let api = Api::Google { project: project.to_owned() };
        Cloud::new(api, address.unwrap_or(GOOGLE).to_owned(), opened)
    }

    fn new(api: Api, address: String, (identity, fetcher): (Occasional, Fetcher)) -> Cloud {
        Cloud { api, address, identity, fetcher }
    }

    pub(super) async fn enter(&self) -> Result<(), Unread> {
        self.identity.opened().await.map(|_| ()).map_err(Unread::from)
    }

    pub(super) async fn read(&self, path: &str) -> Result<Content, Unread> {
        let request = match &self.api {
            Api::Aws => Request::post(format!("{}/", self.address))
                .header(header::CONTENT_TYPE, "application/x-amz-json-1.1")
                .header("x-amz-target", "secretsmanager.GetSecretValue")
                .body(Bytes::from(serde_json::json!({"SecretId": path}).to_string())),
            Api::Azure => {
                let (name, version) = versioned(path)?;
                let version = version.map(|version| format!("/{}", escaped(version))).unwrap_or_default();
                get(format!("{}/secrets/{}{version}?api-version=7.4", self.address, escaped(name)))
            }
            Api::Google { project } => {
                let (name, version) = versioned(path)?;
                let version = version.unwrap_or("latest");
                let below = format!("secrets/{}/versions/{}:access", escaped(name), escaped(version));
                get(format!("{}/v1/projects/{}/{below}", self.address, escaped(project)))
            }
        };
        let request = request.map_err(|_| "its address cannot be asked".to_owned())?;
        let opened = self.identity.opened().await.map_err(|error| format!("the identity: {error}"))?;
        let request = signed(request, &opened).await?;
        let response = self.fetcher.send_within(request, TIME_MAX).await;
        let response = response.map_err(|error| Unread::away(&error))?;
        let status = response.status();
        if matches!(status.as_u16(), 401 | 403) {
            self.identity.forget().await;
        }
        Ok(self.content(&json(&response)?)?)
    }

    fn content(&self, body: &Value) -> Result<Content, String> {
        let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str);
        match &self.api {
            Api::Aws => match (text("/SecretString"), text("/SecretBinary")) {
                (Some(text), _) => Ok(Content::text(text)),
                (None, Some(binary)) => decoded(binary),
                (None, None) => Err(empty()),
            },
            Api::Azure => text("/value").map(Content::text).ok_or_else(empty),
            Api::Google { .. } => decoded(text("/payload/data").ok_or_else(empty)?),
        }
    }
}

fn get(url: String) -> http::Result<Request<Bytes>> {
    request::Builder::new().uri(url).body(Bytes::new())
}

fn empty() -> String {
    "it answered with no secret".to_owned()
}

fn decoded(base64: &str) -> Result<Content, String> {
    let bytes = STANDARD.decode(base64).map_err(|_| "it answered with no base64".to_owned())?;
    let text = String::from_utf8(bytes).map_err(|_| "the secret is no text".to_owned())?;
    Ok(Content::text(text))
}

/// A name, and a version where one is named.
fn versioned(path: &str) -> Result<(&str, Option<&str>), String> {
    let mut parts = path.split('/');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(name), version, None) => Ok((name, version)),
        _ => Err("has more parts than this store's secrets; write NAME or NAME/VERSION".to_owned()),
    }
}

pub(super) async fn signed(request: Request<Bytes>, opened: &Arc<Opened>) -> Result<Request<Bytes>, String> {
    match &**opened {
        Opened::Aws { credential, region, service } => {
            sign_whole(request, credential, (service, region)).await
        }
        Opened::Bearer(line) => {
            let token =
                str::from_utf8(line).ok().and_then(|line| line.trim().strip_prefix("authorization: "));
            let value = token.and_then(|token| token.parse::<http::HeaderValue>().ok());
            let mut value = value.ok_or_else(|| "the token is no token".to_owned())?;
            value.set_sensitive(true);
            let mut request = request;
            request.headers_mut().insert(header::AUTHORIZATION, value);
            Ok(request)
        }
    }
}

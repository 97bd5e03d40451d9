//! Identities in clouds: what a person types, and what it means.

use std::path::{Path, PathBuf};

use catalog::{Auth, Cloud};
use schemars::JsonSchema;
use serde::Deserialize;

use super::Sources;
use crate::{
    Secret,
    identity::{AwsAccessKey, AwsIdentity, AwsRole, AzureIdentity, GoogleIdentity, Identity},
};

/// AWS's own name for what Bedrock's requests are signed for.
const AWS_SERVICE: &str = "bedrock";
const AWS_SESSION_NAME: &str = "tollgate";
pub(super) const GOOGLE_SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// What opens a vault in Azure's public cloud.
pub(super) const AZURE_VAULT_SCOPE: &str = "https://vault.azure.net/.default";
const AZURE_SCOPE: &str = "https://cognitiveservices.azure.com/.default";

/// An identity in AWS. What is left out is looked for as AWS's tools do: environment, shared files, SSO, web identity,
/// `credential_process`, the container's role, the instance's role.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AwsDraft {
    /// The access key's id.
    pub(super) access_key_id: Option<String>,
    /// The access key itself, as `${VARIABLE}` or a `secret:` reference.
    pub(super) secret_access_key: Option<String>,
    /// What comes with an access key that ends, as `${VARIABLE}` or a `secret:` reference.
    pub(super) session_token: Option<String>,
    /// A profile of the shared files `~/.aws/config` and `~/.aws/credentials`.
    pub(super) profile: Option<String>,
    /// The role to take on, by its ARN.
    pub(super) role: Option<String>,
    /// The name under which AWS's logs show it. Default: `tollgate`.
    pub(super) session_name: Option<String>,
    /// What the role's owner asks for before it gives the role to another account.
    pub(super) external_id: Option<String>,
    /// The file with the token for which the role is given.
    pub(super) web_identity_token_file: Option<String>,
    /// The service that signatures name. Default: `bedrock`.
    pub(super) service: Option<String>,
}

/// An identity in Google Cloud. Left out, Application Default Credentials are looked for:
/// `GOOGLE_APPLICATION_CREDENTIALS`, the file that `gcloud` keeps, the metadata server.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct GoogleDraft {
    /// The content of a credential file (service account, workload identity federation, authorized user), as
    /// `secret:file/PATH`.
    pub(super) credentials: Option<String>,
    /// What tokens are good for. Default: `https://www.googleapis.com/auth/cloud-platform`.
    pub(super) scope: Option<String>,
}

/// An identity in Entra ID. Left out, it is looked for as Azure's tools do: `AZURE_CLIENT_SECRET`, workload identity,
/// managed identity.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AzureDraft {
    /// The directory. Default: `AZURE_TENANT_ID`.
    pub(super) tenant_id: Option<String>,
    /// The application, or a managed identity that a user made. Default: `AZURE_CLIENT_ID`.
    pub(super) client_id: Option<String>,
    /// The application's secret, as `${VARIABLE}` or a `secret:` reference. Default: `AZURE_CLIENT_SECRET`.
    pub(super) client_secret: Option<String>,
    /// The file with the token that stands in for the secret. Default: `AZURE_FEDERATED_TOKEN_FILE`.
    pub(super) federated_token_file: Option<String>,
    /// Who gives tokens out. Default: `AZURE_AUTHORITY_HOST`, or `https://login.microsoftonline.com`.
    pub(super) authority: Option<String>,
    /// What tokens are good for. Default: `https://cognitiveservices.azure.com/.default`.
    pub(super) scope: Option<String>,
}

/// What an entry says of whose identity opens it.
#[derive(Default)]
pub(super) struct Drafts {
    pub(super) aws: Option<AwsDraft>,
    pub(super) google: Option<GoogleDraft>,
    pub(super) azure: Option<AzureDraft>,
}

impl Drafts {
    pub(super) fn any(&self) -> bool {
        self.aws.is_some() || self.google.is_some() || self.azure.is_some()
    }
}

/// Gives drafts their meaning. `secret` resolves a reference at a path; `fault` takes a path and what is wrong there.
pub(super) struct Reading<'r> {
    pub(super) facts: &'r catalog::Provider,
    pub(super) folder: &'r Path,
    pub(super) sources: &'r dyn Sources,
    pub(super) secret: &'r mut dyn FnMut(&str, &str) -> Option<Secret>,
    /// Paths below the provider's entry, and messages.
    pub(super) faults: Vec<(String, String)>,
}

impl Reading<'_> {
    /// The identity that an entry without a key is opened by, if any is.
    pub(super) fn identity(&mut self, drafts: Drafts) -> Option<Identity> {
        let usual = match self.facts.auth {
            Auth::Cloud(cloud) => Some(cloud),
            Auth::Bearer | Auth::Header(_) | Auth::Query(_) | Auth::None => None,
        };
        match (drafts.aws, drafts.google, drafts.azure, usual) {
            (Some(draft), None, None, _) => self.aws(draft).map(Identity::Aws),
            (None, Some(draft), None, _) => self.google(draft).map(Identity::Google),
            (None, None, Some(draft), _) => Some(Identity::Azure(self.azure(draft))),
            (None, None, None, Some(Cloud::Aws)) => self.aws(AwsDraft::default()).map(Identity::Aws),
            (None, None, None, Some(Cloud::Google)) => {
                self.google(GoogleDraft::default()).map(Identity::Google)
            }
            (None, None, None, Some(Cloud::Azure)) => {
                Some(Identity::Azure(self.azure(AzureDraft::default())))
            }
            (None, None, None, None) => None,
            _ => {
                self.fault("", "is opened by one identity: aws, google or azure");
                None
            }
        }
    }

    fn aws(&mut self, draft: AwsDraft) -> Option<AwsIdentity> {
        let region = self.region_in_address().or_else(|| self.facts.region.clone());
        let region = region.or_else(|| self.sources.variable("AWS_REGION"));
        if region.is_none() {
            self.fault("region", "is missing; signatures name it, as us-east-1");
        }
        let access_key = match (draft.access_key_id, draft.secret_access_key) {
            (Some(id), Some(secret)) => {
                let session_token =
                    draft.session_token.and_then(|text| (self.secret)(&text, "aws.session_token"));
                let secret = (self.secret)(&secret, "aws.secret_access_key")?;
                Some(AwsAccessKey { id, secret, session_token })
            }
            (None, None) => None,
            (Some(_), None) => {
                self.fault("aws.secret_access_key", "is missing; it belongs to access_key_id");
                None
            }
            (None, Some(_)) => {
                self.fault("aws.access_key_id", "is missing; it belongs to secret_access_key");
                None
            }
        };
        if access_key.is_some() && draft.profile.is_some() {
            self.fault("aws.profile", "says whose access key to take, and access_key_id says another");
        }
        let file = draft.web_identity_token_file.map(|file| self.folder.join(file));
        if draft.role.is_none() && (file.is_some() || draft.external_id.is_some()) {
            self.fault("aws.role", "is missing; a token or an external id is shown for a role");
        }
        let role = draft.role.map(|arn| AwsRole {
            arn,
            session_name: draft.session_name.unwrap_or_else(|| AWS_SESSION_NAME.to_owned()),
            external_id: draft.external_id,
            web_identity_token_file: file,
        });
        let service = draft.service.unwrap_or_else(|| AWS_SERVICE.to_owned());
        Some(AwsIdentity { region: region?, service, access_key, profile: draft.profile, role })
    }

    /// An address of AWS's own names its region (<https://docs.aws.amazon.com/general/latest/gr/rande.html>).
    fn region_in_address(&self) -> Option<String> {
        let url = self.facts.base_url.as_deref()?;
        let host = url.split("://").nth(1)?.split(['/', ':']).next()?;
        let before = host.split_once(".amazonaws.com")?.0;
        before.rsplit_once('.').map(|(_, region)| region.to_owned())
    }

    fn google(&mut self, draft: GoogleDraft) -> Option<GoogleIdentity> {
        let credentials = match draft.credentials {
            Some(text) => Some((self.secret)(&text, "google.credentials")?),
            None => None,
        };
        if let Some(credentials) = &credentials {
            let kind = serde_json::from_str::<serde_json::Value>(credentials.expose());
            let kind = kind.ok().and_then(|json| Some(json.get("type")?.as_str()?.to_owned()));
            if kind.is_none() {
                let message =
                    "is no credential file: JSON with a \"type\" is expected; write secret:file/PATH";
                self.fault("google.credentials", message);
            }
        }
        let scope = draft.scope.unwrap_or_else(|| GOOGLE_SCOPE.to_owned());
        Some(GoogleIdentity { credentials, scope })
    }

    fn azure(&mut self, draft: AzureDraft) -> AzureIdentity {
        let sources = self.sources;
        let said = |own: Option<String>, name: &str| {
            own.or_else(|| sources.variable(name)).filter(|text| !text.is_empty())
        };
        let tenant_id = said(draft.tenant_id, "AZURE_TENANT_ID");
        let client_id = said(draft.client_id, "AZURE_CLIENT_ID");
        let authority = said(draft.authority, "AZURE_AUTHORITY_HOST");
        let client_secret = match draft.client_secret {
            Some(text) => (self.secret)(&text, "azure.client_secret"),
            None => said(None, "AZURE_CLIENT_SECRET").map(Secret::new),
        };
        let file = match draft.federated_token_file {
            Some(file) => Some(self.folder.join(file)),
            None => said(None, "AZURE_FEDERATED_TOKEN_FILE").map(PathBuf::from),
        };
        if client_secret.is_some() || file.is_some() {
            for (field, value) in [("azure.tenant_id", &tenant_id), ("azure.client_id", &client_id)] {
                if value.is_none() {
                    self.fault(field, "is missing; a client's secret or token is shown with it");
                }
            }
        }
        AzureIdentity {
            tenant_id,
            client_id,
            client_secret,
            federated_token_file: file,
            authority: authority.map(|url| url.trim_end_matches('/').to_owned()),
            scope: draft.scope.unwrap_or_else(|| AZURE_SCOPE.to_owned()),
        }
    }

    fn fault(&mut self, field: &str, message: &str) {
        self.faults.push((field.to_owned(), message.to_owned()));
    }
}

/// The identity that Azure's own tools find in the environment.
pub(super) fn usual_azure(sources: &dyn Sources, scope: String) -> AzureIdentity {
    let said = |name: &str| sources.variable(name).filter(|text| !text.is_empty());
    AzureIdentity {
        tenant_id: said("AZURE_TENANT_ID"),
        client_id: said("AZURE_CLIENT_ID"),
        client_secret: said("AZURE_CLIENT_SECRET").map(Secret::new),
        federated_token_file: said("AZURE_FEDERATED_TOKEN_FILE").map(PathBuf::from),
        authority: said("AZURE_AUTHORITY_HOST").map(|url| url.trim_end_matches('/').to_owned()),
        scope,
    }
}

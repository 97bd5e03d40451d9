//! Whose identity opens a provider in a cloud, where no key does.

use std::path::PathBuf;

use crate::Secret;

/// An identity in a cloud. What it does not say is looked for where the cloud's own tools look.
#[derive(Clone, PartialEq, Eq)]
pub enum Identity {
    Aws(AwsIdentity),
    Google(GoogleIdentity),
    Azure(AzureIdentity),
}

/// Signs requests (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html>).
#[derive(Clone, PartialEq, Eq)]
pub struct AwsIdentity {
    /// The region that signatures name.
    pub region: String,
    /// The service that signatures name, as `bedrock`.
    pub service: String,
    pub access_key: Option<AwsAccessKey>,
    /// A profile of the shared files `~/.aws/config` and `~/.aws/credentials`.
    pub profile: Option<String>,
    /// The role that is taken on, by its ARN.
    pub role: Option<AwsRole>,
}

#[derive(Clone, PartialEq, Eq)]
pub struct AwsAccessKey {
    pub id: String,
    pub secret: Secret,
    /// Comes with an access key that ends.
    pub session_token: Option<Secret>,
}

/// A role to take on (<https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>).
#[derive(Clone, PartialEq, Eq)]
pub struct AwsRole {
    pub arn: String,
    pub session_name: String,
    pub external_id: Option<String>,
    /// The file with the token for which the role is given, instead of an access key.
    pub web_identity_token_file: Option<PathBuf>,
}

/// Fetches access tokens (<https://cloud.google.com/docs/authentication/application-default-credentials>).
#[derive(Clone, PartialEq, Eq)]
pub struct GoogleIdentity {
    /// A credential file's content, in JSON.
    pub credentials: Option<Secret>,
    pub scope: String,
}

/// Fetches access tokens of Entra ID (<https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>).
#[derive(Clone, PartialEq, Eq)]
pub struct AzureIdentity {
    pub tenant_id: Option<String>,
    pub client_id: Option<String>,
    pub client_secret: Option<Secret>,
    /// The file with the token that stands in for the secret, as workload identity puts it there.
    pub federated_token_file: Option<PathBuf>,
    /// Who gives tokens out, without a trailing slash.
    pub authority: Option<String>,
    pub scope: String,
}

//! Identities in AWS: access keys, shared files, roles, web identity, the instance's own.

use std::{io, path::PathBuf, process::Stdio, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header};
use policy::identity::{AwsIdentity, AwsRole};
use reqsign_aws_v4::{
    AssumeRoleCredentialProvider, AssumeRoleWithWebIdentityCredentialProvider, Credential,
    DefaultCredentialProvider, RequestSigner, StaticCredentialProvider,
};
use reqsign_core::{
    CommandExecute, CommandOutput, Context, Error, FileRead, HttpSend, OsEnv, ProvideCredential,
    ProvideCredentialDyn, Signer,
};

use super::{
    Fetcher,
    keeper::{Granted, Opened},
};
use crate::tasks;

/// Where AWS's tools look for another address of the security token service
/// (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html>).
const STS_ENDPOINT: &str = "AWS_ENDPOINT_URL_STS";

/// An identity in AWS, with how its credential is found.
pub(super) struct Aws {
    region: String,
    service: String,
    profile: Option<String>,
    source: Arc<Source>,
    context: Context,
}

/// Where a credential comes from.
type Source = dyn ProvideCredentialDyn<Credential = Credential>;

impl Aws {
    pub(super) fn new(identity: &AwsIdentity, fetcher: Fetcher) -> Aws {
        let context = Context::new()
            .with_env(OsEnv)
            .with_file_read(Files)
            .with_command_execute(Commands)
            .with_http_send(Sts { fetcher, endpoint: std::env::var(STS_ENDPOINT).ok() });
        let source: Arc<Source> = match &identity.role {
            None => own(identity),
            Some(role) => match &role.web_identity_token_file {
                Some(file) => Arc::new(web_identity(identity, role, file)),
                None => Arc::new(assumed(identity, role, context.clone())),
            },
        };
        let (region, service) = (identity.region.clone(), identity.service.clone());
        Aws { region, service, profile: identity.profile.clone(), source, context }
    }

    pub(super) async fn fetch(&self) -> Result<Granted, String> {
        let found = self.source.provide_credential(&self.context).await.map_err(|error| told(&error))?;
        let credential = found.ok_or_else(|| match &self.profile {
            Some(profile) => format!("the shared files have no credential for the profile \"{profile}\""),
            None => "none in the environment, the shared files, the container or the instance".to_owned(),
        })?;
        let until = credential.expires_in.map(reqsign_core::time::Timestamp::as_system_time);
        let (region, service) = (self.region.clone(), self.service.clone());
        Ok(Granted { opened: Opened::Aws { credential, region, service }, until })
    }
}

/// The access key that is said, or what AWS's tools would find.
fn own(identity: &AwsIdentity) -> Arc<Source> {
    if let Some(key) = &identity.access_key {
        let fixed = StaticCredentialProvider::new(&key.id, key.secret.expose());
        return Arc::new(match &key.session_token {
            Some(token) => fixed.with_session_token(token.expose()),
            None => fixed,
        });
    }
    let usual = DefaultCredentialProvider::builder();
    Arc::new(match &identity.profile {
        // A profile that is asked for is meant: where it is not found, nobody else signs.
        Some(profile) => usual.no_env().no_web_identity().no_ecs().no_imds().with_profile(profile).build(),
        None => usual.build(),
    })
}

fn web_identity(
    identity: &AwsIdentity,
    role: &AwsRole,
    file: &std::path::Path,
) -> AssumeRoleWithWebIdentityCredentialProvider {
    AssumeRoleWithWebIdentityCredentialProvider::with_config(role.arn.clone(), file.to_owned())
        .with_role_session_name(role.session_name.clone())
        .with_region(identity.region.clone())
        .with_regional_sts_endpoint()
}

fn assumed(identity: &AwsIdentity, role: &AwsRole, context: Context) -> AssumeRoleCredentialProvider {
    let signer = Signer::new(context, own(identity), RequestSigner::new("sts", &identity.region));
    let provider = AssumeRoleCredentialProvider::new(role.arn.clone(), signer)
        .with_role_session_name(role.session_name.clone())
        .with_region(identity.region.clone())
        .with_regional_sts_endpoint();
    match &role.external_id {
        Some(id) => provider.with_external_id(id.clone()),
        None => provider,
    }
}

/// An error with what caused it.
fn told(error: &Error) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("{error}{cause}").chars().take(400).collect()
}

/// Sends what the chain asks, to another address of the security token service where there is one.
#[derive(Debug)]
struct Sts {
    fetcher: Fetcher,
    endpoint: Option<String>,
}

impl HttpSend for Sts {
    async fn http_send(&self, mut request: Request<Bytes>) -> reqsign_core::Result<Response<Bytes>> {
        let asked = request.uri().host().unwrap_or_default().to_owned();
        if let Some(endpoint) = self.endpoint.as_ref().filter(|_| asked.starts_with("sts.")) {
            // The signature names the host that was asked for.
            let host = HeaderValue::from_str(&asked).map_err(|error| unexpected(&error))?;
            request.headers_mut().insert(header::HOST, host);
            let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
            let uri = format!("{}{path}", endpoint.trim_end_matches('/')).parse::<Uri>();
            *request.uri_mut() = uri.map_err(|error| unexpected(&error))?;
        }
        self.fetcher.send(request).await.map_err(|error| unexpected(&error))
    }
}

fn unexpected(error: &dyn std::fmt::Display) -> Error {
    Error::unexpected(error.to_string())
}

/// Reads small files, aside.
#[derive(Debug)]
struct Files;

impl FileRead for Files {
    async fn file_read(&self, path: &str) -> reqsign_core::Result<Vec<u8>> {
        let path = PathBuf::from(path);
        let read = tasks::aside(move || std::fs::read(path)).await;
        read.unwrap_or_else(|| Err(io::Error::other("reading it panicked")))
            .map_err(|error| unexpected(&error))
    }
}

/// Runs a `credential_process`, aside.
#[derive(Debug)]
struct Commands;

impl CommandExecute for Commands {
    async fn command_execute<'a>(
        &'a self,
        program: &'a str,
        arguments: &'a [&'a str],
    ) -> reqsign_core::Result<CommandOutput> {
        let mut command = std::process::Command::new(program);
        command.args(arguments).stdin(Stdio::null());
        let output = tasks::aside(move || command.output()).await;
        let output = output.unwrap_or_else(|| Err(io::Error::other("running it panicked")));
        let output = output.map_err(|error| unexpected(&error))?;
        let status = output.status.code().unwrap_or(-1);
        Ok(CommandOutput { status, stdout: output.stdout, stderr: output.stderr })
    }
}

//! Stores of secrets: what a person writes of them, and what it means.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    compile::Compiler,
    identity::{AZURE_VAULT_SCOPE, GOOGLE_SCOPE, usual_azure},
    node::{Node, Value},
    units::Span,
};
use crate::{
    Secret,
    authentication::is_private,
    identity::{AwsIdentity, AwsRole, GoogleIdentity},
    secret_store::{SecretStore, StoreKind, StoredName, VaultLogin, VaultStore},
};

const REFRESH: Duration = Duration::from_secs(300);
/// Stores count what they are asked, and some charge for it.
const REFRESH_MIN: Duration = Duration::from_secs(1);
const OFFLINE_MAX: Duration = Duration::from_secs(30 * 24 * 3_600);
/// Where Kubernetes puts a pod's token
/// (<https://kubernetes.io/docs/concepts/security/service-accounts/#authenticating-in-code>).
const KUBERNETES_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";
/// Names that references have of their own.
pub(super) const TAKEN: [&str; 3] = ["env", "file", "command"];

/// A [store of secrets](secrets.md), for references of the form `secret:NAME/PATH#FIELD`. What opens it is read from
/// `${VARIABLE}`, `secret:env/…`, `secret:file/…` or `secret:command/…`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SecretStoreDraft {
    /// What it is.
    kind: KindDraft,
    /// Where it is, as `https://vault.example.com:8200`. Google's and AWS's are known.
    #[serde(default)]
    address: Option<String>,
    /// How often it is asked whether anything has changed; a change is taken up as a reload. Default: `5m`.
    #[serde(default)]
    refresh: Option<Span>,
    /// For how long after it last answered a gateway may [start from its last known values](secrets.md#starting-without-a-store)
    /// while it is away; 30 days at most. They are kept in the data directory, sealed under `store.encryption`. Default: not at
    /// all.
    #[serde(default)]
    offline: Option<Span>,
    /// Whether it may be asked over plain HTTP, where anyone in between can read. Default: only on this machine.
    #[serde(default)]
    allow_http: bool,
    /// Of Vault: the namespace.
    #[serde(default)]
    namespace: Option<String>,
    /// Of Vault: how a token is come by; one of these.
    #[serde(default)]
    auth: Option<VaultAuthDraft>,
    /// Of Vault: where the key/value engine is mounted. Default: `secret`.
    #[serde(default)]
    mount: Option<String>,
    /// Of Vault: the version of the key/value engine, 1 or 2. Default: 2.
    #[serde(default)]
    version: Option<u64>,
    /// Of Vault: a PEM file, relative to this one, with the authorities that may have signed its certificate. Default: those that
    /// everybody and this system trust.
    #[serde(default)]
    ca: Option<String>,
    /// Of AWS: the region. Default: `AWS_REGION`.
    #[serde(default)]
    region: Option<String>,
    /// Of AWS: a profile of the shared files. Default: the identity that AWS's tools find.
    #[serde(default)]
    profile: Option<String>,
    /// Of AWS: the role to take on, by its ARN.
    #[serde(default)]
    role: Option<String>,
    /// Of Google: the project.
    #[serde(default)]
    project: Option<String>,
    /// Of Google: the content of a credential file, as `secret:file/PATH`. Default: Application Default Credentials.
    #[serde(default)]
    credentials: Option<String>,
}

/// What a store of secrets is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum KindDraft {
    /// HashiCorp Vault or OpenBao, with the key/value engine.
    Vault,
    /// AWS Secrets Manager.
    AwsSecretsManager,
    /// Azure Key Vault. The identity is the one that Azure's tools find.
    AzureKeyVault,
    /// Google Cloud's Secret Manager.
    GoogleSecretManager,
}

/// How a token of Vault is come by; one of these.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct VaultAuthDraft {
    /// A token.
    token: Option<String>,
    /// A role for programs.
    approle: Option<AppRoleDraft>,
    /// The pod's own service account.
    kubernetes: Option<KubernetesDraft>,
}

/// A role for programs (AppRole).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AppRoleDraft {
    /// The role's id.
    role_id: String,
    /// What is shown with it, as `${VARIABLE}` or a `secret:` reference.
    secret_id: String,
    /// Where the method is mounted. Default: `approle`.
    #[serde(default)]
    mount: Option<String>,
}

/// A pod's service account.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct KubernetesDraft {
    /// The role in Vault.
    role: String,
    /// The file with the service account's token. Default: where Kubernetes puts it.
    #[serde(default)]
    token_file: Option<String>,
    /// Where the method is mounted. Default: `kubernetes`.
    #[serde(default)]
    mount: Option<String>,
}

impl Compiler<'_> {
    pub(super) fn secret_stores(
        &mut self,
        drafts: BTreeMap<String, SecretStoreDraft>,
    ) -> BTreeMap<String, SecretStore> {
        let mut stores = BTreeMap::new();
        for (name, draft) in drafts {
            let path = format!("secrets.{name}");
            if TAKEN.contains(&name.as_str()) || name.is_empty() || name.contains(['/', '#']) {
                let message =
                    "is no name for a store: env, file and command are taken, and it has no / and no #";
                self.fault(&path, message);
            }
            self.belongs(&draft, &path);
            let refresh = draft.refresh.map_or(REFRESH, |span| span.0);
            if refresh < REFRESH_MIN {
                self.fault(&format!("{path}.refresh"), "must be 1s at least");
            }
            let offline = draft.offline.map(|span| span.0);
            if offline.is_some_and(|offline| offline.is_zero() || offline > OFFLINE_MAX) {
                self.fault(&format!("{path}.offline"), "must be more than 0s, and 30d at most");
            }
            let kind = match draft.kind {
                KindDraft::Vault => self.vault(draft, &path).map(|store| StoreKind::Vault(Box::new(store))),
                KindDraft::AwsSecretsManager => self.aws_store(draft, &path),
                KindDraft::AzureKeyVault => self.azure_store(draft, &path),
                KindDraft::GoogleSecretManager => self.google_store(draft, &path),
            };
            stores.extend(kind.map(|kind| (name, SecretStore { kind, refresh, offline })));
        }
        stores
    }

    /// A member of another kind of store would do nothing.
    fn belongs(&mut self, draft: &SecretStoreDraft, path: &str) {
        let vault = (KindDraft::Vault, "vault");
        let aws = (KindDraft::AwsSecretsManager, "aws_secrets_manager");
        let google = (KindDraft::GoogleSecretManager, "google_secret_manager");
        let members = [
            ("namespace", draft.namespace.is_some(), vault),
            ("auth", draft.auth.is_some(), vault),
            ("mount", draft.mount.is_some(), vault),
            ("version", draft.version.is_some(), vault),
            ("ca", draft.ca.is_some(), vault),
            ("region", draft.region.is_some(), aws),
            ("profile", draft.profile.is_some(), aws),
            ("role", draft.role.is_some(), aws),
            ("project", draft.project.is_some(), google),
            ("credentials", draft.credentials.is_some(), google),
        ];
        for (member, written, (kind, name)) in members {
            if written && draft.kind != kind {
                self.fault(
                    &format!("{path}.{member}"),
                    format!("belongs to stores of kind {name}; take it out"),
                );
            }
        }
    }

    fn vault(&mut self, draft: SecretStoreDraft, path: &str) -> Option<VaultStore> {
        let versioned = match draft.version {
            None | Some(2) => true,
            Some(1) => false,
            Some(_) => {
                self.fault(&format!("{path}.version"), "must be 1 or 2");
                true
            }
        };
        let authorities = match &draft.ca {
            None => None,
            Some(name) => Some(self.authorities(name, &format!("{path}.ca"))?),
        };
        let login = self.vault_login(draft.auth.clone().unwrap_or_default(), &format!("{path}.auth"));
        let address = self.store_address(&draft, path);
        let mount = draft.mount.unwrap_or_else(|| "secret".to_owned());
        let mount = mount.trim_matches('/').to_owned();
        Some(VaultStore {
            address: address?,
            namespace: draft.namespace,
            login: login?,
            mount,
            versioned,
            authorities,
        })
    }

    fn authorities(&mut self, name: &str, path: &str) -> Option<String> {
        let file = self.folder.join(name);
        match self.sources.read_file(&file) {
            Ok(text) => Some(text),
            Err(error) => {
                self.fault(path, format!("{}: {error}", file.display()));
                None
            }
        }
    }

    fn vault_login(&mut self, draft: VaultAuthDraft, path: &str) -> Option<VaultLogin> {
        let mount = |said: Option<String>, usual: &str| {
            said.map_or_else(|| usual.to_owned(), |mount| mount.trim_matches('/').to_owned())
        };
        match (draft.token, draft.approle, draft.kubernetes) {
            (Some(token), None, None) => {
                Some(VaultLogin::Token(self.opening_secret(&token, &format!("{path}.token"))?))
            }
            (None, Some(role), None) => Some(VaultLogin::AppRole {
                mount: mount(role.mount, "approle"),
                role_id: role.role_id,
                secret_id: self.opening_secret(&role.secret_id, &format!("{path}.approle.secret_id"))?,
            }),
            (None, None, Some(pod)) => Some(VaultLogin::Kubernetes {
                mount: mount(pod.mount, "kubernetes"),
                role: pod.role,
                token_file: pod
                    .token_file
                    .map_or_else(|| PathBuf::from(KUBERNETES_TOKEN), |file| self.folder.join(file)),
            }),
            _ => {
                self.fault(path, "must say one way in: token, approle or kubernetes");
                None
            }
        }
    }

    fn aws_store(&mut self, draft: SecretStoreDraft, path: &str) -> Option<StoreKind> {
        let region = draft.region.clone().or_else(|| self.sources.variable("AWS_REGION"));
        if region.is_none() {
            self.fault(&format!("{path}.region"), "is missing; signatures name it, as us-east-1");
        }
        let address = match &draft.address {
            Some(_) => Some(self.store_address(&draft, path)?),
            None => None,
        };
        let role = draft.role.map(|arn| AwsRole {
            arn,
            session_name: "tollgate".to_owned(),
            external_id: None,
            web_identity_token_file: None,
        });
        let identity = AwsIdentity {
            region: region?,
            service: "secretsmanager".to_owned(),
            access_key: None,
            profile: draft.profile,
            role,
        };
        Some(StoreKind::AwsSecretsManager { identity: Box::new(identity), address })
    }

    fn azure_store(&mut self, draft: SecretStoreDraft, path: &str) -> Option<StoreKind> {
        let address = self.store_address(&draft, path)?;
        let identity = Box::new(usual_azure(self.sources, azure_vault_scope(&address)));
        Some(StoreKind::AzureKeyVault { identity, address })
    }

    fn google_store(&mut self, draft: SecretStoreDraft, path: &str) -> Option<StoreKind> {
        let address = match &draft.address {
            Some(_) => Some(self.store_address(&draft, path)?),
            None => None,
        };
        let credentials = match &draft.credentials {
            Some(text) => Some(self.opening_secret(text, &format!("{path}.credentials"))?),
            None => None,
        };
        if draft.project.is_none() {
            self.fault(&format!("{path}.project"), "is missing; it is the project that the secrets are in");
        }
        let identity = GoogleIdentity { credentials, scope: GOOGLE_SCOPE.to_owned() };
        Some(StoreKind::GoogleSecretManager { identity, project: draft.project?, address })
    }

    fn store_address(&mut self, draft: &SecretStoreDraft, path: &str) -> Option<String> {
        let path = format!("{path}.address");
        let Some(address) = &draft.address else {
            self.fault(&path, "is missing; write it as https://vault.example.com:8200");
            return None;
        };
        let rest = address.strip_prefix("https://").or_else(|| address.strip_prefix("http://"));
        if rest.is_none_or(str::is_empty) || address.contains(|letter: char| !letter.is_ascii_graphic()) {
            self.fault(&path, "is no address; write it as https://vault.example.com:8200");
            return None;
        }
        if !is_private(address) && !draft.allow_http {
            let message = "must begin with https://, or write allow_http: true where the way to it is safe";
            self.fault(&path, message);
        }
        Some(address.trim_end_matches('/').to_owned())
    }

    /// What opens a store is in none.
    pub(super) fn opening_secret(&mut self, text: &str, path: &str) -> Option<Secret> {
        let store = text.strip_prefix("secret:").and_then(|rest| rest.split_once('/'));
        if store.is_some_and(|(store, _)| !TAKEN.contains(&store)) {
            self.fault(path, "opens a store and is in none; write secret:env/NAME, secret:file/PATH or secret:command/PROGRAM");
            return None;
        }
        self.secret(text, path)
    }

    /// What a store has said of a reference, asked for before.
    pub(super) fn stored(&self, reference: &str) -> Result<String, String> {
        let forms = "secret:env/NAME, secret:file/PATH, secret:command/PROGRAM ARGUMENTS";
        let store = reference.split_once('/').map(|(store, _)| store).unwrap_or_default();
        if !self.stores.contains_key(store) {
            if self.stores.is_empty() || store.is_empty() {
                return Err(format!(
                    "is no reference; write {forms}, or secret:STORE/PATH#FIELD of a store under secrets"
                ));
            }
            let known: Vec<&str> = self.stores.keys().map(String::as_str).collect();
            return Err(format!(
                "there is no store \"{store}\" under secrets; known are {}; or write {forms}",
                known.join(", ")
            ));
        }
        let name = StoredName::parse(reference).ok_or_else(|| {
            "names no secret of the store; write secret:STORE/PATH or secret:STORE/PATH#FIELD".to_owned()
        })?;
        self.sources.stored(&name).map_err(|message| format!("{name}: {message}"))
    }
}

/// Each of Azure's clouds has a name of its own for its vaults, and tokens are good for one of them
/// (<https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates#dns-suffixes-for-object-identifiers>).
pub(super) fn azure_vault_scope(address: &str) -> String {
    let host = address.split("://").nth(1).unwrap_or_default();
    match host.split_once('.') {
        Some((_, cloud)) if cloud.starts_with("vault.") => format!("https://{cloud}/.default"),
        Some(_) | None => AZURE_VAULT_SCOPE.to_owned(),
    }
}

/// Every reference of a tree to one of these stores. What opens stores is in none.
pub(super) fn wanted(tree: &Node, stores: &BTreeMap<String, SecretStore>) -> Vec<StoredName> {
    let mut found = Vec::new();
    if let Value::Map(members) = &tree.value {
        for (.., node) in members.iter().filter(|(name, ..)| name != "secrets") {
            collect(node, stores, &mut found);
        }
    }
    found.sort();
    found.dedup();
    found
}

fn collect(node: &Node, stores: &BTreeMap<String, SecretStore>, found: &mut Vec<StoredName>) {
    match &node.value {
        Value::List(items) => items.iter().for_each(|item| collect(item, stores, found)),
        Value::Map(members) => members.iter().for_each(|(.., node)| collect(node, stores, found)),
        Value::Text(text) => {
            let name = text.strip_prefix("secret:").and_then(StoredName::parse);
            found.extend(name.filter(|name| stores.contains_key(&name.store)));
        }
        Value::Null | Value::Boolean(_) | Value::Number(_) => {}
    }
}

//! Stores of secrets, and what is asked of them.

use std::{fmt, time::Duration};

use crate::{
    Secret,
    identity::{AwsIdentity, AzureIdentity, GoogleIdentity},
};

/// A store that secrets are read from.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretStore {
    pub kind: StoreKind,
    /// How often it is asked whether anything has changed.
    pub refresh: Duration,
    /// For how long after it said so its last known values may be started from while it is away.
    pub offline: Option<Duration>,
}

/// A kind of store, with what opens it. Addresses have no trailing slash.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreKind {
    Vault(Box<VaultStore>),
    /// `address` is where it is, unless that follows from the region.
    AwsSecretsManager {
        identity: Box<AwsIdentity>,
        address: Option<String>,
    },
    AzureKeyVault {
        identity: Box<AzureIdentity>,
        address: String,
    },
    GoogleSecretManager {
        identity: GoogleIdentity,
        project: String,
        address: Option<String>,
    },
}

/// HashiCorp Vault, OpenBao and others with its API (<https://developer.hashicorp.com/vault/api-docs>).
#[derive(Clone, PartialEq, Eq)]
pub struct VaultStore {
    pub address: String,
    pub namespace: Option<String>,
    pub login: VaultLogin,
    /// The mount of the key/value engine.
    pub mount: String,
    /// Whether that engine keeps versions (KV version 2).
    pub versioned: bool,
    /// Certificates in PEM, one of which must have signed the server's.
    pub authorities: Option<String>,
}

/// How a token of Vault is come by.
#[derive(Clone, PartialEq, Eq)]
pub enum VaultLogin {
    Token(Secret),
    /// <https://developer.hashicorp.com/vault/api-docs/auth/approle>
    AppRole {
        mount: String,
        role_id: String,
        secret_id: Secret,
    },
    /// <https://developer.hashicorp.com/vault/api-docs/auth/kubernetes>
    Kubernetes {
        mount: String,
        role: String,
        token_file: std::path::PathBuf,
    },
}

/// What a reference to a store names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoredName {
    pub store: String,
    pub path: String,
    /// The member that is meant, where a secret has several.
    pub field: Option<String>,
}

impl StoredName {
    /// Reads what stands behind `secret:`, as `vault/ai/anthropic#key`.
    pub fn parse(reference: &str) -> Option<StoredName> {
        let (store, rest) = reference.split_once('/')?;
        let (path, field) = match rest.split_once('#') {
            Some((path, field)) => (path, Some(field.to_owned())),
            None => (rest, None),
        };
        let path = path.trim_matches('/');
        // A step upwards would ask for something else than what is written.
        let good = !path.is_empty() && !path.split('/').any(|part| matches!(part, "" | "." | ".."));
        let named = field.as_ref().is_none_or(|field| !field.is_empty());
        (good && named).then(|| StoredName { store: store.to_owned(), path: path.to_owned(), field })
    }
}

impl fmt::Display for StoredName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.store, self.path)?;
        self.field.iter().try_for_each(|field| write!(f, "#{field}"))
    }
}

impl StoreKind {
    /// Which store it is, beside its name: what another has said is not what this one has.
    pub fn place(&self) -> String {
        let at = match self {
            StoreKind::Vault(vault) => {
                format!("{} {}", vault.address, vault.namespace.as_deref().unwrap_or_default())
            }
            StoreKind::AwsSecretsManager { identity, address } => {
                format!("{} {}", identity.region, address.as_deref().unwrap_or_default())
            }
            StoreKind::AzureKeyVault { address, .. } => address.clone(),
            StoreKind::GoogleSecretManager { project, address, .. } => {
                format!("{project} {}", address.as_deref().unwrap_or_default())
            }
        };
        format!("{} {at}", self.name())
    }

    /// The word for it in the configuration.
    pub fn name(&self) -> &'static str {
        match self {
            StoreKind::Vault(_) => "vault",
            StoreKind::AwsSecretsManager { .. } => "aws_secrets_manager",
            StoreKind::AzureKeyVault { .. } => "azure_key_vault",
            StoreKind::GoogleSecretManager { .. } => "google_secret_manager",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_name_a_store_a_path_and_a_member() {
        let parse = |text| StoredName::parse(text).map(|name| (name.to_string(), name.field));
        assert_eq!(parse("v/ai/a#k"), Some(("v/ai/a#k".to_owned(), Some("k".to_owned()))));
        assert_eq!(parse("v/ai/"), Some(("v/ai".to_owned(), None)));
        for bad in ["v", "v/", "v/#k", "v/a#", "v/../sys", "v/a//b", "v/a/."] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}

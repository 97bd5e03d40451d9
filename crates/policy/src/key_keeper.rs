//! Keys that never leave whoever keeps them: they wrap the data keys of the database where they are.

use crate::{
    identity::{AwsIdentity, AzureIdentity, GoogleIdentity},
    secret_store::VaultStore,
};

/// A key, who keeps it, and how that one is asked. Addresses have no trailing slash.
#[derive(Clone, PartialEq, Eq)]
pub enum KeyKeeper {
    /// The transit engine of Vault or OpenBao (<https://developer.hashicorp.com/vault/api-docs/secret/transit>).
    VaultTransit {
        /// The name of the store under `secrets`.
        store: String,
        vault: Box<VaultStore>,
        /// The mount of the engine.
        mount: String,
        key: String,
    },
    /// AWS KMS (<https://docs.aws.amazon.com/kms/latest/APIReference/Welcome.html>).
    AwsKms { identity: Box<AwsIdentity>, arn: String, address: Option<String> },
    /// Google Cloud KMS (<https://cloud.google.com/kms/docs/reference/rest>).
    GoogleKms {
        identity: GoogleIdentity,
        /// As `projects/…/locations/…/keyRings/…/cryptoKeys/…`.
        key: String,
        address: Option<String>,
    },
    /// A key of Azure Key Vault (<https://learn.microsoft.com/rest/api/keyvault/keys/operation-groups>).
    AzureKey { identity: Box<AzureIdentity>, address: String, key: String },
}

impl KeyKeeper {
    /// Tells its key from others, and names no address that may change.
    pub fn name(&self) -> String {
        match self {
            KeyKeeper::VaultTransit { vault, mount, key, .. } => {
                let namespace = vault.namespace.as_deref().map(|name| format!("{name}:")).unwrap_or_default();
                format!("vault:{namespace}{mount}/{key}")
            }
            KeyKeeper::AwsKms { arn, .. } => format!("aws_kms:{arn}"),
            KeyKeeper::GoogleKms { key, .. } => format!("google_kms:{key}"),
            KeyKeeper::AzureKey { address, key, .. } => format!("azure_key:{address}/keys/{key}"),
        }
    }
}

//! What secrets in the database are sealed under: what a person writes of it, and what it means.

use std::path::PathBuf;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    compile::{Compiler, DATA_DIR},
    draft::Draft,
    identity::{GOOGLE_SCOPE, usual_azure},
    secrets::{TAKEN, azure_vault_scope},
};
use crate::{
    authentication::is_private,
    identity::{AwsIdentity, AwsRole, GoogleIdentity},
    key_keeper::KeyKeeper,
    secret_store::StoreKind,
    snapshot::{Encryption, EncryptionKey},
};

const KEY_BYTES: usize = 32;
const TRANSIT: &str = "transit";
/// What names keys of Google's
/// (<https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys>).
const GOOGLE_PARTS: [&str; 4] = ["projects", "locations", "keyRings", "cryptoKeys"];

/// What secrets in the database are sealed under.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EncryptionDraft {
    /// What wraps data keys; the same for all replicas.
    pub(super) key: KeyDraft,
    /// Keys that were there before, until `tollgate secrets rotate` has been run.
    #[serde(default)]
    previous: Vec<KeyDraft>,
}

/// A key of one's own, or one that a [keeper](secrets.md#keepers) never gives out.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum KeyDraft {
    /// 32 bytes in base64, as `tollgate secrets generate` prints them; as `${VARIABLE}` or a `secret:` reference.
    Written(String),
    /// Who keeps the key: one of `vault`, `aws_kms`, `google_kms` and `azure_key`.
    Kept(Box<KeeperDraft>),
}

/// Who keeps a key: one of `vault`, `aws_kms`, `google_kms` and `azure_key`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct KeeperDraft {
    /// The store of kind `vault` under `secrets` whose transit engine has the key.
    vault: Option<String>,
    /// Of `vault`: the key's name.
    transit: Option<String>,
    /// Of `vault`: where the transit engine is mounted. Default: `transit`.
    mount: Option<String>,
    /// The ARN of a key of AWS KMS, or of an alias.
    aws_kms: Option<String>,
    /// Of `aws_kms`: a profile of the shared files. Default: the identity that AWS's tools find.
    profile: Option<String>,
    /// Of `aws_kms`: the role to take on, by its ARN.
    role: Option<String>,
    /// A key of Google Cloud KMS, as `projects/P/locations/L/keyRings/R/cryptoKeys/K`.
    google_kms: Option<String>,
    /// Of `google_kms`: the content of a credential file, as `secret:file/PATH`. Default: Application Default Credentials.
    credentials: Option<String>,
    /// An RSA key of Azure Key Vault, as `https://house.vault.azure.net/keys/NAME`. The identity is the one that Azure's tools
    /// find.
    azure_key: Option<String>,
    /// Of `aws_kms` and `google_kms`: where the service is. Default: where it usually is.
    address: Option<String>,
}

/// What values of stores are kept by for a start without them.
#[derive(Clone)]
pub struct Offline {
    pub data_dir: PathBuf,
    pub encryption: Encryption,
}

impl Compiler<'_> {
    /// What seals the values of stores, where any are kept, before any store is asked. It must not need those stores itself.
    pub(super) fn offline(&mut self, draft: &Draft) -> Option<Offline> {
        let stores = self.stores;
        let kept: Vec<&String> =
            stores.iter().filter(|(_, store)| store.offline.is_some()).map(|(name, _)| name).collect();
        let first = kept.first()?;
        let path = format!("secrets.{first}.offline");
        let Some(encryption) = &draft.store.encryption else {
            self.fault(
                &path,
                "needs store.encryption, which seals what is kept; tollgate secrets generate prints a key",
            );
            return None;
        };
        let needs = std::iter::once(&encryption.key).chain(&encryption.previous).find_map(|key| match key {
            KeyDraft::Written(text) => {
                let (store, _) = text.strip_prefix("secret:")?.split_once('/')?;
                (!TAKEN.contains(&store)).then(|| store.to_owned())
            }
            KeyDraft::Kept(keeper) => keeper.vault.clone().filter(|store| kept.contains(&store)),
        });
        if let Some(store) = needs {
            let message = format!(
                "needs a key of store.encryption that is there without stores, and \"{store}\" is one; write secret:env, \
                 secret:file, or another keeper"
            );
            self.fault(&path, message);
            return None;
        }
        let encryption = self.encryption(encryption.clone())?;
        let data_dir = draft.data_dir.as_ref();
        let data_dir = data_dir.map_or_else(|| PathBuf::from(DATA_DIR), |path| self.folder.join(path));
        Some(Offline { data_dir, encryption })
    }

    pub(super) fn encryption(&mut self, draft: EncryptionDraft) -> Option<Encryption> {
        let path = "store.encryption";
        let key = self.encryption_key(draft.key, &format!("{path}.key"));
        let previous = draft.previous.into_iter().enumerate();
        let previous = previous.map(|(at, key)| self.encryption_key(key, &format!("{path}.previous[{at}]")));
        let previous = previous.collect::<Option<Vec<EncryptionKey>>>();
        Some(Encryption { key: key?, previous: previous? })
    }

    fn encryption_key(&mut self, draft: KeyDraft, path: &str) -> Option<EncryptionKey> {
        let text = match draft {
            KeyDraft::Kept(draft) => {
                return self.keeper(*draft, path).map(|keeper| EncryptionKey::Kept(Box::new(keeper)));
            }
            KeyDraft::Written(text) => text,
        };
        let key = self.secret(&text, path)?;
        if !STANDARD.decode(key.expose()).is_ok_and(|bytes| bytes.len() == KEY_BYTES) {
            self.fault(path, "must be 32 bytes in base64; tollgate secrets generate prints some");
        }
        Some(EncryptionKey::Written(key))
    }

    fn keeper(&mut self, draft: KeeperDraft, path: &str) -> Option<KeyKeeper> {
        self.belongs_to_keeper(&draft, path);
        let KeeperDraft { vault, aws_kms, google_kms, azure_key, .. } = draft.clone();
        match (vault, aws_kms, google_kms, azure_key) {
            (Some(store), None, None, None) => self.transit(store, draft, path),
            (None, Some(arn), None, None) => self.aws_kms(arn, draft, path),
            (None, None, Some(key), None) => self.google_kms(key, draft, path),
            (None, None, None, Some(url)) => self.azure_key(&url, path),
            _ => {
                self.fault(path, "must name one keeper: vault, aws_kms, google_kms or azure_key");
                None
            }
        }
    }

    /// A member of another keeper would do nothing.
    fn belongs_to_keeper(&mut self, draft: &KeeperDraft, path: &str) {
        let (vault, aws, google) =
            (draft.vault.is_some(), draft.aws_kms.is_some(), draft.google_kms.is_some());
        let members = [
            ("transit", draft.transit.is_some(), vault, "vault"),
            ("mount", draft.mount.is_some(), vault, "vault"),
            ("profile", draft.profile.is_some(), aws, "aws_kms"),
            ("role", draft.role.is_some(), aws, "aws_kms"),
            ("credentials", draft.credentials.is_some(), google, "google_kms"),
            ("address", draft.address.is_some(), aws || google, "aws_kms and google_kms"),
        ];
        for (member, written, fits, keeper) in members {
            if written && !fits {
                self.fault(&format!("{path}.{member}"), format!("belongs to {keeper}; take it out"));
            }
        }
    }

    fn transit(&mut self, store: String, draft: KeeperDraft, path: &str) -> Option<KeyKeeper> {
        let vault = match self.stores.get(&store).map(|store| &store.kind) {
            Some(StoreKind::Vault(vault)) => vault.clone(),
            Some(
                StoreKind::AwsSecretsManager { .. }
                | StoreKind::AzureKeyVault { .. }
                | StoreKind::GoogleSecretManager { .. },
            ) => {
                self.fault(&format!("{path}.vault"), format!("\"{store}\" is no store of kind vault"));
                return None;
            }
            None => {
                let message =
                    format!("there is no store \"{store}\" under secrets; add one of kind vault there");
                self.fault(&format!("{path}.vault"), message);
                return None;
            }
        };
        let Some(key) = draft.transit.filter(|key| !key.is_empty() && !key.contains('/')) else {
            self.fault(&format!("{path}.transit"), "is missing; it is the name of the transit engine's key");
            return None;
        };
        let mount = draft.mount.unwrap_or_else(|| TRANSIT.to_owned()).trim_matches('/').to_owned();
        Some(KeyKeeper::VaultTransit { store, vault, mount, key })
    }

    /// An ARN is `arn:PARTITION:kms:REGION:ACCOUNT:key/ID`, or `alias/NAME` at its end
    /// (<https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#key-id>).
    fn aws_kms(&mut self, arn: String, draft: KeeperDraft, path: &str) -> Option<KeyKeeper> {
        let parts: Vec<&str> = arn.split(':').collect();
        let region = match parts.as_slice() {
            ["arn", _, "kms", region, _, key] if key.starts_with("key/") || key.starts_with("alias/") => {
                (*region).to_owned()
            }
            _ => {
                let message = "is no ARN of a key; write it as arn:aws:kms:eu-central-1:123456789012:key/ID";
                self.fault(&format!("{path}.aws_kms"), message);
                return None;
            }
        };
        let role = draft.role.map(|arn| AwsRole {
            arn,
            session_name: "tollgate".to_owned(),
            external_id: None,
            web_identity_token_file: None,
        });
        let identity =
            AwsIdentity { region, service: "kms".to_owned(), access_key: None, profile: draft.profile, role };
        let address = self.keeper_address(draft.address, path)?;
        Some(KeyKeeper::AwsKms { identity: Box::new(identity), arn, address })
    }

    fn google_kms(&mut self, key: String, draft: KeeperDraft, path: &str) -> Option<KeyKeeper> {
        let parts: Vec<&str> = key.split('/').collect();
        let names = parts.iter().step_by(2).copied();
        let is_whole = parts.len() == 2 * GOOGLE_PARTS.len() && parts.iter().all(|part| !part.is_empty());
        if !is_whole || !names.eq(GOOGLE_PARTS) {
            let message = "is no key; write it as projects/P/locations/L/keyRings/R/cryptoKeys/K";
            self.fault(&format!("{path}.google_kms"), message);
            return None;
        }
        let credentials = match &draft.credentials {
            Some(text) => Some(self.opening_secret(text, &format!("{path}.credentials"))?),
            None => None,
        };
        let identity = GoogleIdentity { credentials, scope: GOOGLE_SCOPE.to_owned() };
        let address = self.keeper_address(draft.address, path)?;
        Some(KeyKeeper::GoogleKms { identity, key, address })
    }

    fn azure_key(&mut self, url: &str, path: &str) -> Option<KeyKeeper> {
        let path = format!("{path}.azure_key");
        let split = url.trim_end_matches('/').split_once("/keys/");
        let Some((address, key)) = split.filter(|(_, key)| !key.is_empty() && !key.contains('/')) else {
            let message = "is no key; write it as https://house.vault.azure.net/keys/NAME, without a version";
            self.fault(&path, message);
            return None;
        };
        self.check_keeper_address(address, &path)?;
        let identity = Box::new(usual_azure(self.sources, azure_vault_scope(address)));
        Some(KeyKeeper::AzureKey { identity, address: address.to_owned(), key: key.to_owned() })
    }

    /// `None` where it is none that may be asked.
    fn keeper_address(&mut self, address: Option<String>, path: &str) -> Option<Option<String>> {
        let Some(address) = address else { return Some(None) };
        self.check_keeper_address(&address, &format!("{path}.address"))?;
        Some(Some(address.trim_end_matches('/').to_owned()))
    }

    fn check_keeper_address(&mut self, address: &str, path: &str) -> Option<()> {
        if is_private(address) && address.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Some(());
        }
        self.fault(path, "must begin with https://; data keys go over it");
        None
    }
}

//! Asks those who keep the keys that data keys are wrapped under. It is rare, and where it happens a thread waits.

use base64::{Engine, engine::general_purpose::STANDARD};
use policy::{key_keeper::KeyKeeper, snapshot::Encryption};
use serde_json::{Value, json as object};
use store::Sealer;
use zeroize::Zeroizing;

use super::{
    client::{escaped, json_of, vault},
    kms::Kms,
    stores::runtime,
    vault::Vault,
};

/// What wraps the database's data keys. Nobody is asked yet.
pub fn sealer(encryption: &Encryption) -> Result<Sealer, store::Error> {
    Sealer::new(encryption, |keeper| Box::new(Asks(keeper.clone())))
}

/// Asks a keeper, each time by connections of its own.
struct Asks(KeyKeeper);

enum Client {
    Transit(Box<Transit>),
    Cloud(Box<Kms>),
}

/// A key of Vault's transit engine.
struct Transit {
    vault: Vault,
    mount: String,
    key: String,
}

impl store::KeyKeeper for Asks {
    fn wrap(&self, key: &[u8], bound: &str) -> Result<Vec<u8>, String> {
        let client = Client::new(&self.0)?;
        block_on(async {
            match &client {
                Client::Cloud(kms) => kms.wrap(key, bound).await,
                Client::Transit(transit) => transit.wrap(key, bound).await,
            }
        })
    }

    fn unwrap(&self, wrapped: &[u8], bound: &str) -> Result<Zeroizing<Vec<u8>>, String> {
        let client = Client::new(&self.0)?;
        block_on(async {
            match &client {
                Client::Cloud(kms) => kms.unwrap(wrapped, bound).await,
                Client::Transit(transit) => transit.unwrap(wrapped, bound).await,
            }
        })
    }
}

impl Client {
    fn new(keeper: &KeyKeeper) -> Result<Client, String> {
        Ok(match keeper {
            KeyKeeper::VaultTransit { vault: store, mount, key, .. } => {
                let vault = vault(store)?;
                Client::Transit(Box::new(Transit { vault, mount: mount.clone(), key: key.clone() }))
            }
            KeyKeeper::AwsKms { identity, arn, address } => {
                Client::Cloud(Box::new(Kms::aws(identity, arn, address.as_deref())))
            }
            KeyKeeper::GoogleKms { identity, key, address } => {
                Client::Cloud(Box::new(Kms::google(identity, key, address.as_deref())))
            }
            KeyKeeper::AzureKey { identity, address, key } => {
                Client::Cloud(Box::new(Kms::azure(identity, address, key)))
            }
        })
    }
}

/// <https://developer.hashicorp.com/vault/api-docs/secret/transit#encrypt-data>
impl Transit {
    async fn wrap(&self, key: &[u8], bound: &str) -> Result<Vec<u8>, String> {
        let (text, data) = (STANDARD.encode(key), STANDARD.encode(bound));
        let body = object!({"plaintext": text, "associated_data": data});
        self.ask("encrypt", &body, "ciphertext").await.map(String::into_bytes)
    }

    async fn unwrap(&self, wrapped: &[u8], bound: &str) -> Result<Zeroizing<Vec<u8>>, String> {
        let text = std::str::from_utf8(wrapped).map_err(|_| "what was wrapped is damaged")?;
        let body = object!({"ciphertext": text, "associated_data": STANDARD.encode(bound)});
        let text = Zeroizing::new(self.ask("decrypt", &body, "plaintext").await?);
        let key = STANDARD.decode(&*text).map_err(|_| "it answered with no base64")?;
        Ok(Zeroizing::new(key))
    }

    async fn ask(&self, action: &str, body: &Value, member: &str) -> Result<String, String> {
        let path = format!("{}/{action}/{}", escaped(&self.mount), escaped(&self.key));
        let response = self.vault.post(&path, body).await.map_err(|unread| unread.message)?;
        let answer = json_of(&response, "key").map_err(|unread| unread.message)?;
        let found = answer.pointer(&format!("/data/{member}")).and_then(Value::as_str);
        found.map(str::to_owned).ok_or_else(|| format!("it answered without {member}"))
    }
}

fn block_on<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let runtime = runtime().map_err(|error| format!("it cannot be asked: {error}"))?;
    runtime.block_on(work)
}

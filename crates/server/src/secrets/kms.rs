//! Keys of AWS KMS, Google Cloud KMS and Azure Key Vault, which wrap data keys where they are.

use std::time::Duration;

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use bytes::Bytes;
use http::{Request, header};
use policy::identity::{AwsIdentity, AzureIdentity, GoogleIdentity, Identity};
use serde_json::{Value, json as object};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{
    client::{escaped, json_of},
    cloud::signed,
};
use crate::{
    credentials::{Fetcher, Occasional},
    upstream::TlsTrust,
};

/// For one exchange.
const TIME_MAX: Duration = Duration::from_secs(10);
const GOOGLE: &str = "https://cloudkms.googleapis.com";
/// The member of AWS' encryption context.
const CONTEXT: &str = "tollgate";
/// <https://learn.microsoft.com/azure/key-vault/keys/about-keys-details#wrapkey-unwrapkey-encrypt-decrypt>
const AZURE_ALGORITHM: &str = "RSA-OAEP-256";
const AZURE_VERSION: &str = "api-version=7.4";

/// A key of a cloud, with the identity that may use it.
pub(super) struct Kms {
    api: Api,
    address: String,
    identity: Occasional,
    fetcher: Fetcher,
}

enum Api {
    /// <https://docs.aws.amazon.com/kms/latest/APIReference/API_Encrypt.html>
    Aws { arn: String },
    /// <https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys/encrypt>
    Google { key: String },
    /// <https://learn.microsoft.com/rest/api/keyvault/keys/wrap-key/wrap-key>
    Azure { key: String },
}

impl Kms {
    pub(super) fn aws(identity: &AwsIdentity, arn: &str, address: Option<&str>) -> Kms {
        let region = &identity.region;
        // China's regions have a domain of their own (<https://docs.aws.amazon.com/general/latest/gr/kms.html>).
        let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
        let usual = || format!("https://kms.{region}.amazonaws.com{suffix}");
        let address = address.map_or_else(usual, str::to_owned);
        Kms::new(Api::Aws { arn: arn.to_owned() }, address, &Identity::Aws(identity.clone()))
    }

    pub(super) fn google(identity: &GoogleIdentity, key: &str, address: Option<&str>) -> Kms {
        let address = address.unwrap_or(GOOGLE).to_owned();
        Kms::new(Api::Google { key: key.to_owned() }, address, &Identity::Google(identity.clone()))
    }

    pub(super) fn azure(identity: &AzureIdentity, address: &str, key: &str) -> Kms {
        let api = Api::Azure { key: key.to_owned() };
        Kms::new(api, address.to_owned(), &Identity::Azure(identity.clone()))
    }

    fn new(api: Api, address: String, identity: &Identity) -> Kms {
        let fetcher = Fetcher::new(&TlsTrust::new());
        Kms { api, address, identity: Occasional::new(identity, &fetcher), fetcher }
    }

    pub(super) async fn wrap(&self, key: &[u8], bound: &str) -> Result<Vec<u8>, String> {
        match &self.api {
            Api::Aws { arn } => {
                let body = object!({
                    "KeyId": arn, "Plaintext": STANDARD.encode(key), "EncryptionContext": {CONTEXT: bound},
                });
                let answer = self.ask_aws("Encrypt", &body).await?;
                decoded(&answer, "CiphertextBlob")
            }
            Api::Google { key: name } => {
                let answer = self.ask_google(name, "encrypt", ("plaintext", key), bound).await?;
                let verified = |member: &str| answer.get(member).and_then(Value::as_bool) == Some(true);
                if !verified("verifiedPlaintextCrc32c")
                    || !verified("verifiedAdditionalAuthenticatedDataCrc32c")
                {
                    return Err("what was sent has not reached it whole".to_owned());
                }
                checked(&answer, "ciphertext")
            }
            Api::Azure { key: name } => self.wrap_azure(name, key, bound).await,
        }
    }

    pub(super) async fn unwrap(&self, wrapped: &[u8], bound: &str) -> Result<Zeroizing<Vec<u8>>, String> {
        let key = match &self.api {
            Api::Aws { arn } => {
                let body = object!({
                    "KeyId": arn, "CiphertextBlob": STANDARD.encode(wrapped), "EncryptionContext": {CONTEXT: bound},
                });
                decoded(&self.ask_aws("Decrypt", &body).await?, "Plaintext")?
            }
            Api::Google { key } => {
                let answer = self.ask_google(key, "decrypt", ("ciphertext", wrapped), bound).await?;
                checked(&answer, "plaintext")?
            }
            Api::Azure { key } => self.unwrap_azure(key, wrapped, bound).await?,
        };
        Ok(Zeroizing::new(key))
    }

    /// The version that wraps is the newest, and is written down: only it unwraps. RSA binds to nothing, so that a hash of what
    /// the data key is bound to is wrapped with it.
    async fn wrap_azure(&self, name: &str, key: &[u8], bound: &str) -> Result<Vec<u8>, String> {
        let path = format!("keys/{}?{AZURE_VERSION}", escaped(name));
        let newest = self.ask(Request::get(format!("{}/{path}", self.address)), None).await?;
        let id = newest.pointer("/key/kid").and_then(Value::as_str).unwrap_or_default();
        let version = id.rsplit('/').next().filter(|version| is_version(version));
        let version = version.ok_or("it names no version of the key")?;
        let text = Zeroizing::new([key, Sha256::digest(bound.as_bytes()).as_slice()].concat());
        let value = self.ask_azure(name, version, "wrapkey", &text).await?;
        Ok(format!("{version}\n{}", URL_SAFE_NO_PAD.encode(value)).into_bytes())
    }

    async fn unwrap_azure(&self, name: &str, wrapped: &[u8], bound: &str) -> Result<Vec<u8>, String> {
        let parts = std::str::from_utf8(wrapped).ok().and_then(|text| text.split_once('\n'));
        let parts = parts.filter(|(version, _)| is_version(version));
        let value = parts.and_then(|(version, value)| Some((version, URL_SAFE_NO_PAD.decode(value).ok()?)));
        let (version, value) = value.ok_or("what was wrapped is damaged")?;
        let text = Zeroizing::new(self.ask_azure(name, version, "unwrapkey", &value).await?);
        let hash = Sha256::digest(bound.as_bytes());
        let key = text.strip_suffix(hash.as_slice());
        key.map(<[u8]>::to_vec).ok_or_else(|| "it was wrapped for another place".to_owned())
    }

    async fn ask_azure(
        &self,
        name: &str,
        version: &str,
        what: &str,
        value: &[u8],
    ) -> Result<Vec<u8>, String> {
        let url = format!("{}/keys/{}/{version}/{what}?{AZURE_VERSION}", self.address, escaped(name));
        let body = object!({"alg": AZURE_ALGORITHM, "value": URL_SAFE_NO_PAD.encode(value)});
        let answer = self.ask(Request::post(url), Some(&body)).await?;
        let value = answer.get("value").and_then(Value::as_str);
        value.and_then(|value| URL_SAFE_NO_PAD.decode(value).ok()).ok_or_else(|| empty("value"))
    }

    async fn ask_aws(&self, action: &str, body: &Value) -> Result<Value, String> {
        let request = Request::post(format!("{}/", self.address))
            .header("x-amz-target", format!("TrentService.{action}"));
        self.ask(request, Some(body)).await
    }

    /// Checksums tell what was damaged on its way
    /// (<https://cloud.google.com/kms/docs/data-integrity-guidelines>).
    async fn ask_google(
        &self,
        key: &str,
        what: &str,
        (member, text): (&str, &[u8]),
        bound: &str,
    ) -> Result<Value, String> {
        let body = object!({
            member: STANDARD.encode(text),
            format!("{member}Crc32c"): crc32c(text).to_string(),
            "additionalAuthenticatedData": STANDARD.encode(bound),
            "additionalAuthenticatedDataCrc32c": crc32c(bound.as_bytes()).to_string(),
        });
        self.ask(Request::post(format!("{}/v1/{}:{what}", self.address, escaped(key))), Some(&body)).await
    }

    async fn ask(&self, request: http::request::Builder, body: Option<&Value>) -> Result<Value, String> {
        let kind = match &self.api {
            Api::Aws { .. } => "application/x-amz-json-1.1",
            Api::Google { .. } | Api::Azure { .. } => "application/json",
        };
        let request = match body {
            Some(body) => request.header(header::CONTENT_TYPE, kind).body(Bytes::from(body.to_string())),
            None => request.body(Bytes::new()),
        };
        let request = request.map_err(|_| "its address cannot be asked".to_owned())?;
        let opened = self.identity.opened().await.map_err(|error| format!("the identity: {error}"))?;
        let response = self.fetcher.send_within(signed(request, &opened).await?, TIME_MAX).await;
        let response = response.map_err(|error| format!("it is away: {error}"))?;
        json_of(&response, "key").map_err(|unread| unread.message)
    }
}

/// A version stands in a path.
fn is_version(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn decoded(answer: &Value, member: &str) -> Result<Vec<u8>, String> {
    let text = answer.get(member).and_then(Value::as_str);
    text.and_then(|text| STANDARD.decode(text).ok()).ok_or_else(|| empty(member))
}

/// The same with Google's checksum, a number that is written as a text.
fn checked(answer: &Value, member: &str) -> Result<Vec<u8>, String> {
    let bytes = decoded(answer, member)?;
    let told = answer.get(format!("{member}Crc32c")).and_then(Value::as_str);
    if told.and_then(|told| told.parse().ok()) == Some(crc32c(&bytes)) {
        return Ok(bytes);
    }
    Err("its answer was damaged on the way".to_owned())
}

fn empty(member: &str) -> String {
    format!("it answered without {member}")
}

/// CRC-32C (<https://www.rfc-editor.org/rfc/rfc3720#appendix-B.4>). It is for a few bytes, so that it needs no table.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |sum: u32| if sum & 1 == 1 { (sum >> 1) ^ 0x82f6_3b78 } else { sum >> 1 };
    !bytes.iter().fold(!0, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), |sum, _| step(sum)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_the_standard() {
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }
}

//! Signatures of AWS, version 4 (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>).

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, header};
use reqsign_aws_v4::{Credential, RequestSigner};
use reqsign_core::{Context, Error, SignRequest, hash::hex_sha256};

use crate::upstream::{Address, Exchange};

const CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");

/// What of a request a signature covers.
#[derive(Clone, Copy)]
pub(crate) struct Signable<'a> {
    pub(crate) address: &'a Address,
    /// Path and query.
    pub(crate) path: &'a str,
    pub(crate) method: &'a Method,
    /// `None` where it is sent while it comes, and so is not known yet.
    pub(crate) body: Option<&'a Bytes>,
}

impl<'a> From<&Exchange<'a>> for Signable<'a> {
    fn from(exchange: &Exchange<'a>) -> Signable<'a> {
        let body = exchange.rest.is_none().then_some(exchange.body);
        Signable { address: exchange.address, path: exchange.path, method: exchange.method, body }
    }
}

/// Signs a request for a service in a region and gives the header lines that this adds.
pub(crate) async fn sign(
    request: Signable<'_>,
    credential: &Credential,
    (service, region): (&str, &str),
) -> Result<Vec<u8>, String> {
    let signed = signed(request, credential, (service, region)).await;
    let headers = signed.map_err(|error| format!("the request could not be signed: {error}"))?;
    let mut lines = Vec::with_capacity(512);
    for (name, value) in &headers {
        if *name != header::HOST {
            for piece in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                lines.extend_from_slice(piece);
            }
        }
    }
    Ok(lines)
}

/// Signs a small request of the gateway's own, with all its headers.
pub(crate) async fn sign_whole(
    request: Request<Bytes>,
    credential: &Credential,
    (service, region): (&str, &str),
) -> Result<Request<Bytes>, String> {
    let failed = |error: &dyn std::fmt::Display| format!("the request could not be signed: {error}");
    let (mut parts, body) = request.into_parts();
    let (address, _) = Address::parse(&parts.uri.to_string()).ok_or_else(|| failed(&"it has no address"))?;
    let host = HeaderValue::from_str(&address.authority).map_err(|error| failed(&error))?;
    let hash = HeaderValue::from_str(&hex_sha256(&body)).map_err(|error| failed(&error))?;
    parts.headers.insert(header::HOST, host);
    parts.headers.insert(CONTENT_SHA256, hash);
    let signer = RequestSigner::new(service, region).with_standard_session_token();
    let signed = signer.sign_request(&Context::new(), &mut parts, Some(credential), None).await;
    signed.map_err(|error| failed(&error))?;
    Ok(Request::from_parts(parts, body))
}

async fn signed(
    signable: Signable<'_>,
    credential: &Credential,
    (service, region): (&str, &str),
) -> Result<http::HeaderMap, Error> {
    let (scheme, authority) =
        (if signable.address.tls { "https" } else { "http" }, signable.address.authority.as_str());
    // Of a path that is escaped already, the signature takes the escaped form once more; only S3 is otherwise.
    let path = match signable.path.split_once('?') {
        Some((path, query)) => format!("{}?{query}", path.replace('%', "%25")),
        None => signable.path.replace('%', "%25"),
    };
    let request = Request::builder()
        .method(Method::clone(signable.method))
        .uri(format!("{scheme}://{authority}{path}"))
        .header(header::HOST, authority)
        .header(
            CONTENT_SHA256,
            match signable.body {
                None => HeaderValue::from_static("UNSIGNED-PAYLOAD"),
                Some(body) => HeaderValue::from_str(&hex_sha256(body)).map_err(http::Error::from)?,
            },
        )
        .body(())?;
    let mut parts = request.into_parts().0;
    let signer = RequestSigner::new(service, region).with_standard_session_token();
    signer.sign_request(&Context::new(), &mut parts, Some(credential), None).await?;
    Ok(parts.headers)
}

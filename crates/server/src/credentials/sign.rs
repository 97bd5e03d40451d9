//! Signatures of AWS, version 4 (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>).

use http::{HeaderName, HeaderValue, Method, Request, header};
use reqsign_aws_v4::{Credential, RequestSigner};
use reqsign_core::{Context, Error, SignRequest, hash::hex_sha256};

use crate::upstream::Exchange;

const CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");

/// Signs a request for a service in a region and gives the header lines that this adds.
pub(crate) async fn sign(
    exchange: &Exchange<'_>,
    credential: &Credential,
    (service, region): (&str, &str),
) -> Result<Vec<u8>, String> {
    let signed = signed(exchange, credential, (service, region)).await;
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

async fn signed(
    exchange: &Exchange<'_>,
    credential: &Credential,
    (service, region): (&str, &str),
) -> Result<http::HeaderMap, Error> {
    let (scheme, authority) =
        (if exchange.address.tls { "https" } else { "http" }, exchange.address.authority.as_str());
    // Of a path that is escaped already, the signature takes the escaped form once more; only S3 is otherwise.
    let path = match exchange.path.split_once('?') {
        Some((path, query)) => format!("{}?{query}", path.replace('%', "%25")),
        None => exchange.path.replace('%', "%25"),
    };
    let request = Request::builder()
        .method(Method::clone(exchange.method))
        .uri(format!("{scheme}://{authority}{path}"))
        .header(header::HOST, authority)
        // A body that is sent while it comes is not known yet.
        .header(
            CONTENT_SHA256,
            match exchange.rest {
                Some(_) => HeaderValue::from_static("UNSIGNED-PAYLOAD"),
                None => HeaderValue::from_str(&hex_sha256(exchange.body)).map_err(http::Error::from)?,
            },
        )
        .body(())?;
    let mut parts = request.into_parts().0;
    let signer = RequestSigner::new(service, region).with_standard_session_token();
    signer.sign_request(&Context::new(), &mut parts, Some(credential), None).await?;
    Ok(parts.headers)
}

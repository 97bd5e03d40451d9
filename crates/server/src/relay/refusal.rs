//! A provider's error answer, told to the caller.

use http::{HeaderValue, Response, StatusCode, header};
use policy::route::Target;
use wire::{Kind, Origin};

use super::{Body, heads::set_headers};
use crate::{attempt::Refusal, call::Call, headers, settle::Ending};

/// Answers with a provider's refusal: in its own bytes where the caller speaks its dialect.
pub(crate) fn refusal(mut call: Call, refusal: Refusal, target: &Target) -> Response<Body> {
    let caller = call.open().dialect;
    // A refused credential is the gateway's affair: the provider's words about it are not the caller's.
    let private = matches!(refusal.fault.kind, Kind::Unauthenticated | Kind::Forbidden);
    let told = refusal.body.first() == Some(&b'{') && refusal.answer.status >= 400;
    let mut response = if caller == target.dialect && told && !private {
        let mut response = Response::new(Body::full(refusal.body));
        *response.status_mut() =
            StatusCode::from_u16(refusal.answer.status).unwrap_or(StatusCode::BAD_GATEWAY);
        response
    } else {
        let mut fault = refusal.fault.clone();
        if private {
            let provider = &target.provider.facts.id;
            fault.message =
                format!("{provider} refused the gateway's credential; its administrator must mend it");
            fault.code = Some("provider_credential_refused".into());
        }
        crate::respond::fault(&fault, caller, call.open().arrival.id)
    };
    call.open().status = response.status().as_u16();
    set_headers(&mut response, &mut call, &refusal.answer.headers, target);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(headers::ORIGIN, HeaderValue::from_static(Origin::Upstream.name()));
    call.settle(Ending::Failed(refusal.fault));
    response
}

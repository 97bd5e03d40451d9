//! Token counts for models whose provider does not count: by the model's own encoding, or near it.

use http::{HeaderValue, Response, StatusCode};
use policy::route::{self, Asked, Asking, Plan, Target};
use serde_json::{Value, json};
use wire::{Fault, Form, Kind, Origin, Quirks, count};

use crate::{
    call::Call,
    core::Core,
    headers,
    limits::{self, Turn},
    relay::Body,
    respond, tasks,
};

/// The target that answers, where its provider does not count in this form.
pub(crate) fn target(
    core: &Core,
    principal: &policy::principal::Principal,
    model: &str,
    form: Form,
) -> Result<Option<Target>, Fault> {
    let asked = Asked {
        model,
        asking: Asking::Chat(form.dialect()),
        wishes: None,
        said: None,
        rules: None,
        wants: None,
    };
    let plan = route::plan(&core.world().snapshot, principal, &asked, &core.vitals())?;
    let first = plan.targets.into_iter().next();
    Ok(first.filter(|target| !target.provider.forms.contains(&form)))
}

/// Counts a request. Nothing is sent anywhere, but it is a request as any other where those are counted.
pub(crate) async fn count(mut call: Call, form: Form, target: Target) -> Result<Response<Body>, Fault> {
    let quirks = target.quirks().clone();
    let mut plan = Plan::direct(target, &call.open().world.snapshot);
    limits::enter(&mut call, &mut plan, Turn::Only).await?;
    let body = call.open().prompt.clone();
    let exact = quirks.tokenizer.is_exact();
    // The first count unpacks a vocabulary, and a long prompt takes a while.
    let counted = tasks::aside(move || tokens(form, &body, &quirks)).await;
    let internal = || Fault::new(Origin::Gateway, Kind::Internal, "the tokens could not be counted");
    let tokens = counted.ok_or_else(internal)??;
    let answer = if form == Form::GeminiCountTokens {
        json!({"totalTokens": tokens})
    } else {
        json!({"input_tokens": tokens})
    };
    let mut response = respond::json(StatusCode::OK, answer.to_string());
    for (name, value) in &call.open().told {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(*name, value);
        }
    }
    call.settle_here();
    let how = if exact { "encoding" } else { "estimate" };
    response.headers_mut().insert(headers::COUNTED, HeaderValue::from_static(how));
    Ok(response)
}

fn tokens(form: Form, body: &[u8], quirks: &Quirks) -> Result<u64, Fault> {
    // Gemini's count takes a whole request as well as its contents alone.
    let whole: Option<Value> = serde_json::from_slice::<Value>(body)
        .ok()
        .and_then(|body| body.get("generateContentRequest").cloned());
    let request = match whole {
        Some(whole) => form.dialect().decode_request(whole.to_string().as_bytes())?,
        None => form.dialect().decode_request(body)?,
    };
    Ok(count::count_request(&request, quirks))
}

//! A request as a target takes it.

use std::borrow::Cow;

use bytes::Bytes;
use policy::{route::Target, snapshot::Fidelity};
use wire::{Dialect, Edits, Encoding, Envelope, Fault, Kind, LossKind, Losses, Origin, StreamUsage};

use crate::{
    call::Open,
    inbound::{Asks, Inbound},
    path,
    world::{Endpoint, World},
};

/// A request as one target takes it.
pub(crate) struct Outbound<'i> {
    pub(crate) body: Bytes,
    /// Path and query.
    pub(crate) path: Cow<'i, str>,
    pub(crate) losses: Losses,
    /// Usage on the stream was asked for by the gateway and not by the caller.
    pub(crate) usage_added: bool,
}

/// Where a target takes such a request.
pub(crate) fn endpoint<'w>(
    world: &'w World,
    inbound: &Inbound<'_>,
    target: &Target,
) -> Result<&'w Endpoint, Fault> {
    let provider = &target.provider.facts.id;
    let found = match inbound.asks {
        Asks::Chat { .. } | Asks::Form { .. } => world.endpoint(target),
        Asks::Pass { .. } => world.root(provider),
    };
    found.ok_or_else(|| {
        Fault::new(Origin::Gateway, Kind::Internal, format!("{provider} has no address for this"))
    })
}

/// The request as a target takes it.
pub(crate) fn encode<'i>(
    open: &Open,
    inbound: &'i Inbound<'_>,
    target: &Target,
    endpoint: &'i Endpoint,
    fidelity: Fidelity,
) -> Result<Outbound<'i>, Fault> {
    let outbound = encoded(open, inbound, target, endpoint, fidelity)?;
    // Whatever was put into the path, a model's name above all, the provider must find what was checked here.
    let path = outbound.path.split('?').next().unwrap_or_default();
    if !path::leads_down(path) {
        let message =
            "must hold no \"..\" and no \".\" between slashes, since it stands in the provider's path";
        return Err(Fault::invalid("model", message).code("invalid_path"));
    }
    Ok(outbound)
}

fn encoded<'i>(
    open: &Open,
    inbound: &'i Inbound<'_>,
    target: &Target,
    endpoint: &'i Endpoint,
    fidelity: Fidelity,
) -> Result<Outbound<'i>, Fault> {
    if let Some(prompt) = inbound.prompt(target) {
        let mut losses = Losses::default();
        let body = prompt.encode(target.dialect, &encoding(target), &mut losses);
        let body = target.quirks().hosting.body(body.into());
        refuse_losses(&losses, target, fidelity)?;
        let path =
            endpoint.path.filled(&target.model, target.quirks().hosting.method(target.dialect, open.stream));
        return Ok(Outbound { body, path, losses, usage_added: false });
    }
    match &inbound.asks {
        Asks::Chat { body, envelope } => {
            encode_chat(open.dialect, (body, envelope), target, endpoint, fidelity)
        }
        Asks::Form { asked, work, body } => {
            let mut losses = Losses::default();
            let own = target.form == Some(asked.form);
            let written = match (work, target.form) {
                (Some(work), Some(form)) if !own => form.write(work, &target.model, &mut losses),
                _ => None,
            };
            refuse_losses(&losses, target, fidelity)?;
            let (body, method) = match written {
                Some((body, method)) => (body.into(), method),
                None => (asked.form.renamed(&body.named(&target.model), &target.model), asked.method),
            };
            let mut path = endpoint.path.filled(&target.model, method);
            if let Some(query) = inbound.query() {
                path.to_mut().push_str(&query);
            }
            Ok(Outbound { body, path, losses, usage_added: false })
        }
        Asks::Pass { path, body, .. } => {
            let root = endpoint.path.filled("", "");
            let path = Cow::Owned(format!("{}{path}", root.trim_end_matches('/')));
            Ok(Outbound { body: body.first(), path, losses: Losses::default(), usage_added: false })
        }
    }
}

/// The request in the target's dialect. In the caller's own it goes on byte for byte, but for the model's name.
fn encode_chat<'i>(
    caller: Dialect,
    (body, envelope): (&Bytes, &Envelope),
    target: &Target,
    endpoint: &'i Endpoint,
    fidelity: Fidelity,
) -> Result<Outbound<'i>, Fault> {
    let quirks = target.quirks();
    let path = endpoint.path.filled(&target.model, quirks.hosting.method(target.dialect, envelope.stream));
    let openai = target.dialect == Dialect::OpenaiChat;
    // A seal that was marked for this caller goes back as its provider gave it, which takes a translation.
    if caller == target.dialect && !wire::is_marked(body) {
        let include_usage = openai && envelope.stream && quirks.stream_usage == StreamUsage::Ask;
        let edits = Edits { model: Some(&target.model), include_usage };
        let usage_added = include_usage && !envelope.include_usage;
        let body = quirks.hosting.body(envelope.edit(body, &edits));
        return Ok(Outbound { body, path, losses: Losses::default(), usage_added });
    }
    let mut request = caller.decode_request(body)?;
    if caller.names_model_in_path() {
        request.stream = Some(envelope.stream);
    }
    let mut losses = Losses::default();
    let body = target.dialect.encode_request(&request, &encoding(target), &mut losses);
    refuse_losses(&losses, target, fidelity)?;
    wire::must_ask(&request)?;
    let body = quirks.hosting.body(body.into());
    Ok(Outbound { body, path, losses, usage_added: false })
}

/// What an encoder has to know of a target.
fn encoding(target: &Target) -> Encoding<'_> {
    let output_tokens_max = target.facts().and_then(|facts| facts.output_tokens);
    Encoding { model: &target.model, quirks: target.quirks(), output_tokens_max }
}

/// Refuses a request that would lose what it is about; with `fidelity: strict`, one that would lose anything.
fn refuse_losses(losses: &Losses, target: &Target, fidelity: Fidelity) -> Result<(), Fault> {
    let vital = losses.iter().find(|loss| loss.kind == LossKind::Vital);
    let refused = vital.or_else(|| losses.iter().next().filter(|_| fidelity == Fidelity::Strict));
    let Some(loss) = refused else { return Ok(()) };
    let (provider, why) = (&target.provider.facts.id, loss.why);
    let strict = if vital.is_some() { "" } else { " (fidelity: strict)" };
    let message = format!("{} cannot be carried to {provider}: {why}{strict}", loss.path);
    let mut fault = Fault::new(Origin::Client, Kind::Unsupported, message).code("unsupported_field");
    fault.param = Some(loss.path.clone());
    Err(fault)
}

//! Whole answers: read to their end, so that their headers can tell what they cost.

use std::{io, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Response, StatusCode, header};
use policy::route::Target;
use tokio::time::{Instant, timeout, timeout_at};
use wire::{Fault, Kind, Mode, Origin, Prompt};

use super::{
    Body, ended,
    heads::{set_cost, set_headers},
    stream::{Broken, translator, wanted},
};
use crate::{
    call::{Call, Open},
    named,
    settle::Ending,
    upstream::{Answer, UpstreamBody},
};

/// A whole answer: read to its end, so that its headers can tell what it cost.
pub(super) async fn whole(
    mut call: Call,
    mut answer: Answer,
    target: &Target,
    prompt: Option<&Prompt>,
    deadline: Instant,
) -> Result<Response<Body>, Box<Broken>> {
    let body = match read(&mut call, &mut answer.body, target, deadline).await {
        Ok(body) => body,
        Err(fault) => return Err(broken(call, fault)),
    };
    let caller = call.open().dialect;
    // A caller that wants a stream gets one, whatever the provider made of it.
    let Open { stream, as_array, .. } = *call.open();
    let mode = if stream { Mode::Stream } else { Mode::Whole };
    let kind = if stream && !as_array { caller.stream_type() } else { "application/json" };
    let speaks = caller == target.dialect && prompt.is_none();
    let own = speaks && mode == Mode::Whole;
    let id = call.open().arrival.id;
    let mut writer =
        (!own).then(|| named::writer(caller, prompt, wanted(&mut call, target, mode), target, id));
    let mut written = Vec::with_capacity(if own { 0 } else { body.len() + 256 });
    let watched = own && !call.open().meter.looks_closely();
    let mut reader =
        if watched { caller.watcher(Mode::Whole) } else { translator(speaks, target, Mode::Whole) };
    if let Some(prompt) = prompt {
        reader = prompt.reader(reader);
    }
    let meter = &mut call.open().meter;
    reader.frame(&wire::Frame { event: None, data: body.as_ref().into() }, &mut |event| {
        meter.event(&event);
        if let Some(writer) = &mut writer {
            writer.event(&event, &mut written);
        }
    });
    if let Some(fault) = call.open().meter.fault.take() {
        return Err(broken(call, fault));
    }
    if let Some(writer) = &writer {
        writer.losses().iter().cloned().for_each(|loss| call.open().losses.push(loss));
    }
    if ended::may_be_in_background(call.open(), target.dialect) {
        ended::look(&mut call, &body);
    }
    let body = if own { body } else { Bytes::from(written) };
    let mut response = Response::new(Body::full(body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    set_headers(&mut response, &mut call, &answer.headers, target);
    if !own {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    let receipt = call.settle(Ending::Complete);
    set_cost(response.headers_mut(), receipt.cost);
    Ok(response)
}

/// Reads an answer to its end, within its limits of size and time.
pub(super) async fn read(
    call: &mut Call,
    body: &mut UpstreamBody,
    target: &Target,
    deadline: Instant,
) -> Result<Bytes, Fault> {
    let bytes_max = call.open().world.snapshot.server.limits.answer_bytes_max;
    let silence_max = target.provider.deadlines.between_events;
    let read = timeout_at(deadline, collect(body, bytes_max, silence_max)).await;
    call.open().meter.first_byte = Some(std::time::Instant::now());
    let (kind, message) = match read {
        Ok(Ok(body)) => return Ok(body),
        Ok(Err(error)) if error.kind() == io::ErrorKind::TimedOut => {
            (Kind::Timeout, format!("nothing came for {silence_max:?} (deadlines.between_events)"))
        }
        Ok(Err(error)) => (Kind::Cut, format!("{} broke off its answer: {error}", target.provider.facts.id)),
        Err(_) => (Kind::Timeout, "the answer did not end in time (deadlines.total)".to_owned()),
    };
    Err(Fault::new(Origin::Upstream, kind, message))
}

/// Reads a body to its end, and no further than the limit; waits for each piece no longer than is allowed.
pub(crate) async fn collect(
    body: &mut UpstreamBody,
    bytes_max: usize,
    silence_max: Duration,
) -> io::Result<Bytes> {
    let mut first = Bytes::new();
    let mut joined: Option<BytesMut> = None;
    while let Some(piece) = timeout(silence_max, std::future::poll_fn(|cx| body.poll_data(cx))).await? {
        let piece = piece?;
        match &mut joined {
            None if first.is_empty() => first = piece,
            _ => joined.get_or_insert_with(|| BytesMut::from(first.as_ref())).extend_from_slice(&piece),
        }
        if joined.as_ref().map_or(first.len(), BytesMut::len) > bytes_max {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the answer is too large"));
        }
    }
    Ok(joined.map_or(first, BytesMut::freeze))
}

pub(super) fn broken(call: Call, fault: Fault) -> Box<Broken> {
    Box::new(Broken { call, fault })
}

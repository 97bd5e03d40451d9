//! An answer on its way back: bytes to events, past the meter, to the caller's dialect.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use http_body::{Frame as BodyFrame, SizeHint};
use policy::{Money, route::Target};
use tokio::time::{Instant, Sleep, sleep_until, timeout, timeout_at};
use wire::{
    Dialect, Fault, Framer, Kind, Mode, Origin, Pass, Reader, Wanted, Writer,
    ir::{Event, Place},
};

use crate::{
    call::{Call, Open},
    drive::Refusal,
    gathered::Gathered,
    headers, named,
    settle::Ending,
    upstream::{Answer, UpstreamBody},
};

/// The most that is gathered before it is written, when a provider sends faster than its caller reads.
const GATHERED_BYTES: usize = 64 << 10;

/// A response's body.
pub(crate) enum Body {
    Full(Option<Bytes>),
    Stream(Box<Relay>),
}

/// A stream that is being relayed.
pub(crate) struct Relay {
    /// Gone once the call is settled.
    call: Option<Call>,
    /// Something has been handed on to the caller.
    begun: bool,
    /// Why the answer broke before anything of it was handed on.
    broken: Option<Fault>,
    /// What was read ahead, to know that the answer begins well.
    first: Option<Bytes>,
    upstream: UpstreamBody,
    framer: Framer,
    reader: Box<dyn Reader>,
    /// Translates, where the caller's dialect is not the target's.
    writer: Option<Box<dyn Writer>>,
    dialect: Dialect,
    /// Whether the caller reads one JSON array.
    as_array: bool,
    /// Usage was asked for by the gateway: the caller does not see the chunk that brings it.
    usage_added: bool,
    /// Fires when nothing has come for too long; set anew when it fires and something has.
    silence: Pin<Box<Sleep>>,
    silence_max: Duration,
    last_piece: Instant,
    deadline: Instant,
}

/// An answer that broke before any of it reached the caller, so that another target may be asked.
pub(crate) struct Broken {
    pub(crate) call: Call,
    pub(crate) fault: Fault,
}

impl Body {
    pub(crate) fn full(bytes: Bytes) -> Body {
        Body::Full((!bytes.is_empty()).then_some(bytes))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<BodyFrame<Bytes>>>> {
        let bytes = match self.get_mut() {
            Body::Full(bytes) => bytes.take(),
            Body::Stream(relay) => ready!(relay.poll(cx)),
        };
        Poll::Ready(bytes.map(|bytes| Ok(BodyFrame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Body::Full(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Body::Stream(_) => SizeHint::default(),
        }
    }
}

/// Relays an answer whose head is well. Of a stream the first events are waited for: until something reaches the
/// caller, another target can still be asked.
pub(crate) async fn relay(
    mut call: Call,
    answer: Answer,
    target: &Target,
    usage_added: bool,
    deadline: Instant,
) -> Result<Response<Body>, Box<Broken>> {
    call.open().status = answer.status;
    if !is_stream(&answer.headers, target.dialect) {
        return whole(call, answer, target, deadline).await;
    }
    let caller = call.open().dialect;
    let mut response = Response::new(Body::Full(None));
    set_headers(&mut response, &mut call, &answer.headers, target);
    let as_array = call.open().as_array;
    let own = caller == target.dialect && !as_array;
    let kind = if as_array { "application/json" } else { caller.stream_type() };
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Proxies on the way to the caller must not gather events (nginx reads this header).
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    let silence_max = target.provider.deadlines.between_events;
    let now = Instant::now();
    let id = call.open().arrival.id;
    let writer = (!own).then(|| named::writer(caller, wanted(&mut call, target, Mode::Stream), target, id));
    let mut relay = Relay {
        begun: false,
        broken: None,
        first: None,
        upstream: answer.body,
        framer: Framer::new(target.dialect.framing(Mode::Stream)),
        reader: if own { caller.watcher(Mode::Stream) } else { target.dialect.reader(Mode::Stream) },
        writer,
        dialect: caller,
        as_array,
        usage_added,
        silence: Box::pin(sleep_until((now + silence_max).min(deadline))),
        silence_max,
        last_piece: now,
        deadline,
        call: Some(call),
    };
    relay.first = std::future::poll_fn(|cx| relay.poll(cx)).await;
    if let Some(fault) = relay.broken.take()
        && let Some(call) = relay.call.take()
    {
        return Err(Box::new(Broken { call, fault }));
    }
    relay.begun = true;
    *response.body_mut() = Body::Stream(Box::new(relay));
    Ok(response)
}

/// Answers with a provider's refusal: in its own bytes where the caller speaks its dialect.
pub(crate) fn refusal(mut call: Call, refusal: Refusal, target: &Target) -> Response<Body> {
    let caller = call.open().dialect;
    // A refused credential is the gateway's affair: the provider's words about it are not the caller's.
    let private = matches!(refusal.fault.kind, Kind::Unauthenticated | Kind::Forbidden);
    let json = refusal.body.first() == Some(&b'{');
    let mut response = if caller == target.dialect && json && !private {
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

/// A whole answer: read to its end, so that its headers can tell what it cost.
async fn whole(
    mut call: Call,
    mut answer: Answer,
    target: &Target,
    deadline: Instant,
) -> Result<Response<Body>, Box<Broken>> {
    let bytes_max = call.open().world.snapshot.server.limits.answer_bytes_max;
    let silence_max = target.provider.deadlines.between_events;
    let read = timeout_at(deadline, collect(&mut answer.body, bytes_max, silence_max)).await;
    call.open().meter.first_byte = Some(std::time::Instant::now());
    let body = match read {
        Ok(Ok(body)) => body,
        Ok(Err(error)) if error.kind() == io::ErrorKind::TimedOut => {
            let message = format!("nothing came for {silence_max:?} (deadlines.between_events)");
            return Err(broken(call, Fault::new(Origin::Upstream, Kind::Timeout, message)));
        }
        Ok(Err(error)) => {
            let message = format!("{} broke off its answer: {error}", target.provider.facts.id);
            return Err(broken(call, Fault::new(Origin::Upstream, Kind::Cut, message)));
        }
        Err(_) => {
            let message = "the answer did not end in time (deadlines.total)";
            return Err(broken(call, Fault::new(Origin::Upstream, Kind::Timeout, message)));
        }
    };
    let caller = call.open().dialect;
    // A caller that wants a stream gets one, whatever the provider made of it.
    let Open { stream, as_array, .. } = *call.open();
    let mode = if stream { Mode::Stream } else { Mode::Whole };
    let kind = if stream && !as_array { caller.stream_type() } else { "application/json" };
    let own = caller == target.dialect && mode == Mode::Whole;
    let id = call.open().arrival.id;
    let mut writer = (!own).then(|| named::writer(caller, wanted(&mut call, target, mode), target, id));
    let mut written = Vec::with_capacity(if own { 0 } else { body.len() + 256 });
    let mut reader = if own { caller.watcher(Mode::Whole) } else { target.dialect.reader(Mode::Whole) };
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

fn broken(call: Call, fault: Fault) -> Box<Broken> {
    Box::new(Broken { call, fault })
}

impl Relay {
    /// The next bytes for the caller: everything that is there, as one piece.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(first));
        }
        let mut out = Gathered::default();
        loop {
            if self.call.is_none() || self.broken.is_some() {
                return Poll::Ready(out.take());
            }
            match self.upstream.poll_data(cx) {
                Poll::Ready(Some(Ok(piece))) => {
                    self.last_piece = Instant::now();
                    self.piece(piece, &mut out);
                    if out.len() >= GATHERED_BYTES {
                        return Poll::Ready(out.take());
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    let message = format!("the provider broke off its answer: {error}");
                    self.end(Err(Fault::new(Origin::Upstream, Kind::Cut, message)), &mut out);
                }
                Poll::Ready(None) => self.last(&mut out),
                Poll::Pending if !out.is_empty() => return Poll::Ready(out.take()),
                Poll::Pending => ready!(self.poll_silence(cx, &mut out)),
            }
        }
    }

    /// Waits for the time in which something must come.
    fn poll_silence(&mut self, cx: &mut Context<'_>, out: &mut Gathered) -> Poll<()> {
        ready!(self.silence.as_mut().poll(cx));
        let due = (self.last_piece + self.silence_max).min(self.deadline);
        if Instant::now() < due {
            self.silence.as_mut().reset(due);
            return self.silence.as_mut().poll(cx).map(|()| ());
        }
        let message = if Instant::now() >= self.deadline {
            "the answer did not end in time (deadlines.total)".to_owned()
        } else {
            format!("nothing came for {:?} (deadlines.between_events)", self.silence_max)
        };
        self.end(Err(Fault::new(Origin::Upstream, Kind::Timeout, message)), out);
        Poll::Ready(())
    }

    fn piece(&mut self, piece: Bytes, out: &mut Gathered) {
        let Some(call) = &mut self.call else { return };
        let open = call.open();
        if open.meter.first_byte.is_none() {
            open.meter.first_byte = Some(std::time::Instant::now());
        }
        let meter = &mut open.meter;
        let (reader, writer, hide) = (&mut self.reader, &mut self.writer, self.usage_added);
        let passed = self.framer.push(piece, &mut |frame| {
            let mut usage_only = true;
            let mut usage_seen = false;
            reader.frame(frame, &mut |event| {
                match &event {
                    Event::Usage { .. } => usage_seen = true,
                    Event::Ext { place: Place::Response, .. } => {}
                    _ => usage_only = false,
                }
                meter.event(&event);
                if let Some(writer) = writer.as_mut() {
                    writer.event(&event, out.written());
                }
            });
            let hidden = hide && usage_seen && usage_only;
            if writer.is_some() || hidden { Pass::Hold } else { Pass::On }
        });
        match passed {
            Ok(passed) => out.pass(passed),
            Err(error) => {
                let fault = Fault::new(Origin::Upstream, Kind::Garbage, error.to_string());
                return self.end(Err(fault), out);
            }
        }
        self.after_events(out);
    }

    /// A fault inside the stream, or its end, ends the call; what the provider still sends is not waited for.
    fn after_events(&mut self, out: &mut Gathered) {
        let Some(call) = &mut self.call else { return };
        let meter = &mut call.open().meter;
        if let Some(fault) = meter.fault.take() {
            // The provider's own error event has been passed on, or was written by the writer.
            let told = fault.kind != Kind::Garbage || self.writer.is_some();
            self.settle(Err(fault), told, out);
        }
    }

    /// The provider's bytes have ended.
    fn last(&mut self, out: &mut Gathered) {
        let mut tail = Vec::new();
        if let Some(call) = &mut self.call {
            let meter = &mut call.open().meter;
            let (reader, writer) = (&mut self.reader, &mut self.writer);
            let passed = self.framer.finish(&mut |frame| {
                reader.frame(frame, &mut |event| {
                    meter.event(&event);
                    if let Some(writer) = writer.as_mut() {
                        writer.event(&event, &mut tail);
                    }
                });
                if writer.is_some() { Pass::Hold } else { Pass::On }
            });
            out.pass(passed);
            out.written().extend_from_slice(&tail);
        }
        if self.reader.complete() {
            return self.end(Ok(()), out);
        }
        let message = "the provider ended its stream before the answer was complete";
        self.end(Err(Fault::new(Origin::Upstream, Kind::Cut, message)), out);
    }

    fn end(&mut self, ending: Result<(), Fault>, out: &mut Gathered) {
        self.settle(ending, false, out);
    }

    /// Settles the call, once. A fault that the caller has not been told is written as its dialect's error event:
    /// a broken stream never looks finished.
    fn settle(&mut self, ending: Result<(), Fault>, told: bool, out: &mut Gathered) {
        self.upstream = UpstreamBody::Ended;
        if let (Err(fault), false) = (&ending, self.begun) {
            self.broken = Some(fault.clone());
            return;
        }
        let Some(mut call) = self.call.take() else { return };
        if let Some(writer) = &mut self.writer {
            if ending.is_ok() && !call.open().meter.ended {
                // The provider left its last line out; the caller's dialect has one.
                writer.event(&Event::End, out.written());
            }
            writer.losses().iter().cloned().for_each(|loss| call.open().losses.push(loss));
        }
        match ending {
            Ok(()) => {
                // What is known only now comes as a comment, which every reader of events passes over.
                let receipt = call.settle(Ending::Complete);
                if self.dialect.takes_comments() {
                    let cost = receipt.cost.map_or_else(|| "unpriced".to_owned(), |cost| cost.to_string());
                    out.written().extend_from_slice(format!(": x-tollgate-cost-usd {cost}\n\n").as_bytes());
                }
            }
            Err(fault) => {
                if !told {
                    self.tell(&fault, out);
                }
                call.settle(Ending::Cut(fault));
            }
        }
    }

    /// Writes a fault as the dialect's error event. An array that has begun ends with it.
    fn tell(&mut self, fault: &Fault, out: &mut Gathered) {
        let event = Event::Fault(fault.clone());
        if let Some(writer) = self.writer.as_mut().filter(|_| self.as_array) {
            return writer.event(&event, out.written());
        }
        let mode = Mode::Stream;
        let wanted = Wanted { mode, include_usage: false, source: self.dialect, now_s: 0, as_array: false };
        self.dialect.writer(wanted).event(&event, out.written());
    }
}

fn wanted(call: &mut Call, target: &Target, mode: Mode) -> Wanted {
    let open = call.open();
    let include_usage = open.include_usage;
    let now_s = open.arrival.started_us / 1_000_000;
    Wanted { mode, include_usage, source: target.dialect, now_s, as_array: open.as_array }
}

/// Whether an answer is a stream of its dialect.
fn is_stream(headers: &HeaderMap, dialect: Dialect) -> bool {
    let essence = |kind: &str| kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    kind.is_some_and(|kind| essence(kind) == essence(dialect.stream_type()))
}

/// The provider's headers that are kept, and what the gateway says of the call.
fn set_headers(response: &mut Response<Body>, call: &mut Call, upstream: &HeaderMap, target: &Target) {
    let open = call.open();
    let own = open.dialect == target.dialect;
    let to = response.headers_mut();
    for (name, value) in upstream {
        // Rate limits of another dialect would mislead an SDK.
        if (own || !is_dialects(name)) && !to.contains_key(name) {
            to.append(name.clone(), value.clone());
        }
    }
    let mut id = uuid::Uuid::encode_buffer();
    let id = open.arrival.id.hyphenated().encode_lower(&mut id);
    if let Ok(id) = HeaderValue::from_str(id) {
        let usual = HeaderName::from_static(open.dialect.id_header());
        to.entry(usual).or_insert_with(|| id.clone());
        to.insert(headers::REQUEST_ID, id);
    }
    let shown = format!("{}/{}", target.provider.facts.id, target.model);
    if let Ok(shown) = HeaderValue::from_str(&shown) {
        to.insert(headers::TARGET, shown);
    }
    let running = usize::from(open.attempt_began.is_some());
    to.insert(headers::ATTEMPTS, HeaderValue::from(open.attempts.len() + running));
    if !open.losses.is_empty() {
        let names: Vec<String> = open.losses.iter().map(ToString::to_string).collect();
        if let Ok(names) = HeaderValue::from_str(&names.join(", ")) {
            to.insert(headers::LOSS, names);
        }
    }
}

fn set_cost(to: &mut HeaderMap, cost: Option<Money>) {
    let text = cost.map_or_else(|| "unpriced".to_owned(), |cost| cost.to_string());
    if let Ok(text) = HeaderValue::from_str(&text) {
        to.insert(headers::COST, text);
    }
}

/// Headers that mean something only to callers of the provider's own dialect.
fn is_dialects(name: &HeaderName) -> bool {
    !matches!(name.as_str(), "content-type" | "retry-after" | "retry-after-ms")
}

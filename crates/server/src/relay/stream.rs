//! An answer on its way back: bytes to events, past the meter, to the caller's dialect.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Response, header};
use policy::{route::Target, snapshot::Hold};
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};
use wire::{
    Dialect, Fault, Framer, Kind, Mode, Origin, Pass, Prompt, Reader, Wanted, Writer,
    ir::{Event, Place},
};

use super::{
    Body, ended,
    heads::{is_stream, set_headers},
    resume::{Resumed, Resumption},
    seam::Seam,
    whole::whole,
};
use crate::{
    call::Call,
    gathered::Gathered,
    named,
    settle::Ending,
    upstream::{Answer, UpstreamBody},
};

/// The most that is gathered before it is written, when a provider sends faster than its caller reads.
const GATHERED_BYTES: usize = 64 << 10;

/// An answer that broke before any of it reached the caller, so that another target may be asked.
pub(crate) struct Broken {
    pub(crate) call: Call,
    pub(crate) fault: Fault,
}

/// How a caller is told the answer of a chat.
pub(crate) struct Told<'a> {
    /// The prompt that the caller sent, in whose form the answer is told; otherwise it is told in its dialect.
    pub(crate) prompt: Option<&'a Prompt>,
    /// Usage on the stream was asked for by the gateway and not by the caller.
    pub(crate) usage_added: bool,
    /// For another target to go on where the answer breaks off.
    pub(crate) resumption: Option<Box<Resumption>>,
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
    /// Whether the caller reads events of the dialect: faults and what is known at the end are told as such.
    events: bool,
    /// A fault that could not be told in the answer.
    untold: Option<io::Error>,
    /// Whether the caller reads one JSON array.
    as_array: bool,
    /// Usage was asked for by the gateway: the caller does not see the chunk that brings it.
    usage_added: bool,
    /// Fires when nothing has come for too long; set anew when it fires and something has.
    silence: Pin<Box<Sleep>>,
    silence_max: Duration,
    last_piece: Instant,
    deadline: Instant,
    /// For another target to go on where the answer breaks off.
    sequel: Option<Sequel>,
}

/// What another target goes on from, and how it is asked.
struct Sequel {
    seam: Seam,
    /// Gone while another target is being asked.
    resumption: Option<Box<Resumption>>,
    resuming: Option<Pin<Box<dyn Future<Output = Resumed>>>>,
}

/// Relays an answer whose head is well. Of a stream the first events are waited for: until something reaches the
/// caller, another target can still be asked.
pub(crate) async fn relay(
    mut call: Call,
    answer: Answer,
    target: &Target,
    told: Told<'_>,
    deadline: Instant,
) -> Result<Response<Body>, Box<Broken>> {
    call.open().status = answer.status;
    if !is_stream(&answer.headers, target.dialect) {
        return whole(call, answer, target, told.prompt, deadline).await;
    }
    let caller = call.open().dialect;
    let mut response = Response::new(Body::Full(None));
    set_headers(&mut response, &mut call, &answer.headers, target);
    let as_array = call.open().as_array;
    let speaks = caller == target.dialect && told.prompt.is_none();
    let own = speaks && !as_array && told.resumption.is_none();
    let kind = if as_array { "application/json" } else { caller.stream_type() };
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Proxies on the way to the caller must not gather events (nginx reads this header).
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    let id = call.open().arrival.id;
    // An answer of which targets of several dialects may tell a part is told as that of a foreign one.
    let foreign = told.resumption.as_ref().and_then(|resumption| resumption.foreign());
    let writer = (!own).then(|| {
        let mut wanted = wanted(&mut call, target, Mode::Stream);
        wanted.source = foreign.unwrap_or(wanted.source);
        named::writer(caller, told.prompt, wanted, target, id)
    });
    let framer = Framer::new(target.dialect.framing(Mode::Stream));
    let watched = own && !call.open().meter.looks_closely();
    let mut reader =
        if watched { caller.watcher(Mode::Stream) } else { translator(speaks, target, Mode::Stream) };
    if ended::may_be_in_background(call.open(), target.dialect) {
        reader = ended::watch(&mut call, reader);
    }
    let mut relay = Relay::new(call, answer.body, framer, reader, deadline);
    (relay.writer, relay.as_array, relay.usage_added) = (writer, as_array, told.usage_added);
    relay.sequel = told.resumption.map(|resumption| Sequel {
        seam: Seam::default(),
        resumption: Some(resumption),
        resuming: None,
    });
    *response.body_mut() = relay.begin().await?;
    Ok(response)
}

/// A reader for an answer that is written anew. The target's quirks are read unless the caller speaks its dialect.
pub(super) fn translator(speaks: bool, target: &Target, mode: Mode) -> Box<dyn Reader> {
    if speaks { target.dialect.reader(mode) } else { target.dialect.reader_of(mode, target.quirks()) }
}

impl Relay {
    /// An answer that goes on as it is, watched by the reader.
    pub(super) fn new(
        mut call: Call,
        upstream: UpstreamBody,
        framer: Framer,
        reader: Box<dyn Reader>,
        deadline: Instant,
    ) -> Relay {
        let now = Instant::now();
        let open = call.open();
        let between = open.target.as_ref().map(|target| target.provider.deadlines.between_events);
        let silence_max = between.unwrap_or(open.world.snapshot.deadlines.between_events);
        Relay {
            begun: false,
            broken: None,
            first: None,
            upstream,
            framer,
            reader,
            writer: None,
            dialect: open.dialect,
            events: true,
            untold: None,
            as_array: false,
            usage_added: false,
            silence: Box::pin(sleep_until((now + silence_max).min(deadline))),
            silence_max,
            last_piece: now,
            deadline,
            sequel: None,
            call: Some(call),
        }
    }

    /// The same for an answer that is no stream of events.
    pub(super) fn opaque(mut self) -> Relay {
        self.events = false;
        self
    }

    /// Reads until enough has come to be handed on: from then on no other target is asked.
    pub(super) async fn begin(mut self) -> Result<Body, Box<Broken>> {
        let plan = self.call.as_mut().and_then(|call| call.open().plan.clone());
        let hold = plan.as_ref().map_or_else(Hold::default, |plan| plan.hold);
        let first_token = plan.and_then(|plan| plan.deadlines.first_token).filter(|_| self.events);
        let mut held = Gathered::default();
        // Until when is waited for more. A first token that is due is waited for until it is.
        let mut until = first_token.map(|span| self.began() + span);
        loop {
            let next = std::future::poll_fn(|cx| self.poll(cx));
            let piece = match until {
                None => next.await,
                Some(until) => match timeout_at(until, next).await {
                    Ok(piece) => piece,
                    Err(_) => break,
                },
            };
            let Some(piece) = piece else { break };
            held.pass(piece);
            until.get_or_insert_with(|| Instant::now() + hold.time);
            let due = first_token.is_some() && held.len() < GATHERED_BYTES && !self.has_spoken();
            if !due && self.is_enough(hold, held.len()) {
                break;
            }
        }
        if let Some(span) = first_token.filter(|_| held.len() < GATHERED_BYTES && !self.has_spoken()) {
            let message = format!("no token came within {span:?} (deadlines.first_token)");
            self.broken.get_or_insert_with(|| Fault::new(Origin::Upstream, Kind::Timeout, message));
        }
        if let Some(fault) = self.broken.take()
            && let Some(call) = self.call.take()
        {
            return Err(Box::new(Broken { call, fault }));
        }
        self.first = held.take();
        self.begun = true;
        Ok(Body::Stream(Box::new(self)))
    }

    /// When the attempt began whose answer this is.
    fn began(&mut self) -> Instant {
        let attempt = self.call.as_mut().and_then(|call| call.open().attempts.last());
        attempt.map_or_else(Instant::now, |attempt| Instant::from_std(attempt.began))
    }

    /// Whether a token has come, or the answer is over.
    fn has_spoken(&mut self) -> bool {
        self.call.as_mut().is_none_or(|call| {
            let meter = &call.open().meter;
            meter.generated_tokens() > 0 || meter.stop.is_some() || meter.ended
        })
    }

    /// Whether what has come need not be held back any longer.
    fn is_enough(&mut self, hold: Hold, held_bytes: usize) -> bool {
        let Some(call) = &mut self.call else { return true };
        let said = call.open().meter.generated_tokens();
        !self.events || said >= hold.tokens || held_bytes >= GATHERED_BYTES
    }

    /// A fault that the answer itself could not tell.
    pub(super) fn untold(&mut self) -> Option<io::Error> {
        self.untold.take()
    }

    /// The next bytes for the caller: everything that is there, as one piece.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(first));
        }
        let mut out = Gathered::default();
        loop {
            if let Some(resuming) = self.sequel.as_mut().and_then(|sequel| sequel.resuming.as_mut()) {
                match resuming.as_mut().poll(cx) {
                    Poll::Ready(resumed) => self.resumed(resumed, &mut out),
                    Poll::Pending if !out.is_empty() => return Poll::Ready(out.take()),
                    Poll::Pending => return Poll::Pending,
                }
            }
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
        let mut seam = self.sequel.as_mut().map(|sequel| &mut sequel.seam);
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
                let Some(writer) = writer.as_mut() else { return };
                match seam.as_mut() {
                    None => writer.event(&event, out.written()),
                    // Whether a fault is told is not decided yet.
                    Some(_) if matches!(event, Event::Fault(_)) => {}
                    Some(seam) => {
                        if let Some(event) = seam.fit(event) {
                            writer.event(&event, out.written());
                        }
                    }
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
            let told = self.sequel.is_none() && (fault.kind != Kind::Garbage || self.writer.is_some());
            self.settle(Err(fault), told, out);
        }
    }

    /// The provider's bytes have ended.
    fn last(&mut self, out: &mut Gathered) {
        let mut tail = Vec::new();
        if let Some(call) = &mut self.call {
            let meter = &mut call.open().meter;
            let (reader, writer) = (&mut self.reader, &mut self.writer);
            let mut seam = self.sequel.as_mut().map(|sequel| &mut sequel.seam);
            let passed = self.framer.finish(&mut |frame| {
                reader.frame(frame, &mut |event| {
                    meter.event(&event);
                    let Some(writer) = writer.as_mut() else { return };
                    let fitting = match seam.as_mut() {
                        Some(seam) => seam.fit(event),
                        None => Some(event),
                    };
                    if let Some(event) = fitting {
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
        if let Err(fault) = &ending
            && self.goes_on(fault)
        {
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
                if self.events && self.dialect.takes_comments() {
                    let cost = receipt.cost.map_or_else(|| "unpriced".to_owned(), |cost| cost.to_string());
                    out.written().extend_from_slice(format!(": x-tollgate-cost-usd {cost}\n\n").as_bytes());
                }
            }
            Err(fault) => {
                if !self.events {
                    self.untold = Some(io::Error::other("the provider broke off its answer"));
                } else if !told {
                    self.tell(&fault, out);
                }
                call.settle(Ending::Cut(fault));
            }
        }
    }

    /// Has another target asked for the rest, where that may help.
    fn goes_on(&mut self, fault: &Fault) -> bool {
        let Some(sequel) = self.sequel.as_mut().filter(|_| Resumption::helps(fault)) else { return false };
        let Some(said) = sequel.seam.open_text().map(str::to_owned) else { return false };
        let Some(resumption) = sequel.resumption.take() else { return false };
        let Some(call) = self.call.take() else { return false };
        sequel.resuming = Some(Box::pin(resumption.resume(call, fault.clone(), said)));
        true
    }

    /// Another target begins with the rest, or none does.
    fn resumed(&mut self, resumed: Resumed, out: &mut Gathered) {
        let Some(sequel) = &mut self.sequel else { return };
        sequel.resuming = None;
        match resumed {
            Resumed::On { resumption, call, answer, target } => {
                sequel.seam.go_on();
                sequel.resumption = Some(resumption);
                self.call = Some(call);
                self.upstream = answer.body;
                self.framer = Framer::new(target.dialect.framing(Mode::Stream));
                self.reader = translator(false, &target, Mode::Stream);
                self.last_piece = Instant::now();
                self.silence_max = target.provider.deadlines.between_events;
                self.silence.as_mut().reset((self.last_piece + self.silence_max).min(self.deadline));
                if self.dialect.takes_comments() {
                    let shown = format!(
                        ": x-tollgate-continued-by {}/{}\n\n",
                        target.provider.facts.id, target.model
                    );
                    out.written().extend_from_slice(shown.as_bytes());
                }
            }
            Resumed::Given(call, fault) => {
                self.call = Some(call);
                self.settle(Err(fault), false, out);
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

pub(super) fn wanted(call: &mut Call, target: &Target, mode: Mode) -> Wanted {
    let open = call.open();
    let include_usage = open.include_usage;
    let now_s = open.arrival.started_us / 1_000_000;
    Wanted { mode, include_usage, source: target.dialect, now_s, as_array: open.as_array }
}

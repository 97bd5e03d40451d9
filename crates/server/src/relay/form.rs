//! Answers of operations beside chat, and of requests that are passed through: they go on as they come, and what was
//! used is read out of them; turned into the caller's form where the provider has another.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use policy::route::Target;
use tokio::time::Instant;
use wire::{
    Dialect, Fault, Form, Frame, Framer, Framing, Mode, Reader, Sink, Work,
    ir::{Event, ExtRef, Usage},
};

use super::{
    Body, ended,
    heads::{is_stream, set_cost, set_headers},
    stream::{Broken, Relay},
    whole::{broken, read},
};
use crate::{call::Call, settle::Ending, upstream::Answer};

/// How to read what was used.
#[derive(Clone, Copy)]
pub(crate) enum Reading<'a> {
    /// By the caller's form; the request is there where another form may answer it.
    Form(Form, Option<&'a Work>),
    /// By the dialect of the path that is passed through.
    Dialect(Dialect),
    /// By what many providers call it.
    Guess,
}

/// Relays an answer whose head is well.
pub(crate) async fn relay_form(
    mut call: Call,
    answer: Answer,
    target: &Target,
    reading: Reading<'_>,
    deadline: Instant,
) -> Result<Response<Body>, Box<Broken>> {
    let open = call.open();
    open.status = answer.status;
    if let Reading::Form(form, _) = reading
        && let Some(usage) = form.asked_usage(&open.prompt)
    {
        open.meter.event(&used(usage));
    }
    let kind = essence(&answer.headers);
    let streamed = reading.dialect().filter(|dialect| is_stream(&answer.headers, *dialect));
    if kind == "application/json" && streamed.is_none() {
        return whole(call, answer, target, reading, deadline).await;
    }
    let mut response = Response::new(Body::full(Bytes::new()));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    set_headers(&mut response, &mut call, &answer.headers, target);
    if streamed.is_some() || kind == "text/event-stream" {
        response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    }
    let mut watched = |reader| if reading.tells_of_work() { ended::watch(&mut call, reader) } else { reader };
    let relay = match (streamed, reading.watcher(Mode::Stream)) {
        (Some(dialect), Some(watcher)) => {
            let framer = Framer::new(dialect.framing(Mode::Stream));
            let watcher = watched(watcher);
            Relay::new(call, answer.body, framer, watcher, deadline)
        }
        _ if kind == "text/event-stream" => {
            let reader = watched(Box::new(UsageReader(reading.usage())));
            Relay::new(call, answer.body, Framer::new(Framing::Sse), reader, deadline)
        }
        _ => {
            let reader = Box::new(UsageReader(reading.usage()));
            Relay::new(call, answer.body, Framer::new(Framing::Opaque), reader, deadline).opaque()
        }
    };
    *response.body_mut() = relay.begin().await?;
    Ok(response)
}

/// A whole answer in JSON.
async fn whole(
    mut call: Call,
    mut answer: Answer,
    target: &Target,
    reading: Reading<'_>,
    deadline: Instant,
) -> Result<Response<Body>, Box<Broken>> {
    let mut body = match read(&mut call, &mut answer.body, target, deadline).await {
        Ok(body) => body,
        Err(fault) => return Err(broken(call, fault)),
    };
    match reading {
        Reading::Form(caller, Some(work)) if target.form != Some(caller) => {
            match turned(&mut call, caller, work, target, &body) {
                Ok(turned) => body = turned,
                Err(fault) => return Err(broken(call, fault)),
            }
        }
        Reading::Form(..) | Reading::Dialect(_) | Reading::Guess => {
            let meter = &mut call.open().meter;
            if let Some(mut watcher) = reading.watcher(Mode::Whole) {
                let frame = Frame { event: None, data: body.as_ref().into() };
                watcher.frame(&frame, &mut |event| meter.event(&event));
                // What goes on as it is is not judged.
                meter.fault = None;
            } else if let Some(usage) = reading.usage()(&body) {
                meter.event(&used(usage));
            }
        }
    }
    if reading.tells_of_work() {
        ended::look(&mut call, &body);
    }
    let mut response = Response::new(Body::full(body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    set_headers(&mut response, &mut call, &answer.headers, target);
    let receipt = call.settle(Ending::Complete);
    set_cost(response.headers_mut(), receipt.cost);
    Ok(response)
}

/// The answer as the caller's form has it.
fn turned(call: &mut Call, caller: Form, work: &Work, target: &Target, body: &[u8]) -> Result<Bytes, Fault> {
    let open = call.open();
    let from = target.form.unwrap_or(caller);
    let answered = caller.turn(from, work, body, &open.arrival.id.to_string())?;
    if let Some(usage) = answered.usage {
        open.meter.event(&used(usage));
    }
    Ok(answered.body.into())
}

fn used(usage: Usage) -> Event<'static> {
    Event::Usage { usage, ext: ExtRef::default() }
}

/// The content type without its parameters.
fn essence(headers: &HeaderMap) -> String {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Finds what was used in a body, or in an event of a stream.
type FindUsage = Box<dyn Fn(&[u8]) -> Option<Usage>>;

impl Reading<'_> {
    fn usage(self) -> FindUsage {
        match self {
            Reading::Form(form, _) => Box::new(move |body| form.usage(body)),
            Reading::Dialect(_) | Reading::Guess => Box::new(Form::guessed_usage),
        }
    }

    /// The dialect in which texts of a model are streamed.
    fn dialect(self) -> Option<Dialect> {
        match self {
            Reading::Dialect(dialect) => Some(dialect),
            Reading::Form(form, _) => form.is_prompt().then(|| form.dialect()),
            Reading::Guess => None,
        }
    }

    /// A reader of a model's texts.
    fn watcher(self, mode: Mode) -> Option<Box<dyn Reader>> {
        match self {
            Reading::Dialect(dialect) => Some(dialect.watcher(mode)),
            Reading::Form(form, _) => form.watcher(mode),
            Reading::Guess => None,
        }
    }
}

/// Looks for what was used in the events of a stream that goes on as it is.
struct UsageReader(FindUsage);

impl Reader for UsageReader {
    fn frame(&mut self, frame: &Frame<'_>, sink: &mut Sink<'_>) {
        // Most events are pieces of text or of sound, and tell nothing of use.
        if memchr::memmem::find(&frame.data, b"\"usage\"").is_some()
            && let Some(usage) = (self.0)(&frame.data)
        {
            sink(used(usage));
        }
    }

    fn complete(&self) -> bool {
        true
    }
}

//! The server.

use std::{future::Future, io, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header, request::Parts};
use http_body_util::BodyExt;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use crate::{
    answer::{Scene, answer},
    api::{self, Address, Api, EVENT_STREAM, Refused},
    body::Body,
    calls::Calls,
    line::{Line, Wired},
    operations::{self, Operation, Reply, Sent},
    play::{Played, play, text},
    script::Script,
};

/// A simulator that listens.
pub struct Sim {
    listener: TcpListener,
    address: SocketAddr,
}

impl Sim {
    pub async fn bind(address: SocketAddr) -> io::Result<Sim> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Sim { listener, address })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` is done.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) {
        let calls = Arc::new(Calls::default());
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                accepted = self.listener.accept() => {
                    if let Ok((stream, _)) = accepted {
                        spawn(connection(stream, Arc::clone(&calls)));
                    }
                }
                () = &mut shutdown => return,
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the simulator's connections live as long as its process")]
fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(task);
}

async fn connection(stream: TcpStream, calls: Arc<Calls>) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let line = Line::default();
    let stream = Wired::new(stream, line.clone());
    let service = service_fn(move |request| {
        let (calls, line) = (Arc::clone(&calls), line.clone());
        async move {
            let response = respond(request, &calls, &line).await;
            if line.is_broken() {
                return Err(io::Error::other("as the script wants it"));
            }
            calls.answered(response.status().as_u16());
            Ok(response)
        }
    });
    // A caller that goes away, or a script that breaks the connection, ends it with an error.
    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
}

async fn respond(request: Request<Incoming>, calls: &Arc<Calls>, line: &Line) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    match path {
        "/sim/calls" => return json_response(200, &calls.report()),
        "/sim/calls/last" => return json_response(200, &calls.last()),
        "/sim/reset" => {
            calls.reset();
            return json_response(200, &json!({"reset": true}));
        }
        "/health" => return json_response(calls.health(), &json!({})),
        "/sim/health" => {
            let asked = parts.uri.query().and_then(|query| query.strip_prefix("status=")?.parse().ok());
            calls.set_health(asked.unwrap_or(200));
            return json_response(200, &json!({"health": calls.health()}));
        }
        "/v1/models" => return json_response(200, &models(&parts.headers)),
        _ => {}
    }
    let (address, operation) = (api::find(path), operations::find(path));
    if address.is_none() && operation.is_none() {
        return json_response(404, &json!({"error": {"message": format!("nothing at {path}")}}));
    }
    let Ok(collected) = body.collect().await else {
        return json_response(400, &json!({"error": {"message": "the body broke off"}}));
    };
    match (address, operation) {
        (Some(address), _) => complete(&address, &parts, &collected.to_bytes(), calls, line).await,
        (None, Some(operation)) => perform(&operation, &parts, &collected.to_bytes(), calls, line).await,
        (None, None) => json_response(404, &Value::Null),
    }
}

/// An operation beside chat.
async fn perform(
    operation: &Operation,
    parts: &Parts,
    body: &Bytes,
    calls: &Arc<Calls>,
    line: &Line,
) -> Response<Body> {
    let (path, headers, api) = (parts.uri.path(), &parts.headers, operation.api);
    let mut sent = Sent::new(&parts.method, path, text(headers, "content-type"), body, calls);
    let asked_model = operation.model.clone().unwrap_or_else(|| sent.named());
    let seen = if sent.json.is_null() { json!({"bytes": body.len()}) } else { sent.json.clone() };
    let played = match play(api, parts, &asked_model, &seen, (calls, line)).await {
        Ok(played) => played,
        Err(refused) => return refused,
    };
    (sent.model, sent.number) = (played.model, played.number);
    let script = &played.script;
    let (kind, body) = match (operation.answer)(&sent) {
        Err(refused) => return refuse(refused),
        Ok(Reply::Json(value)) => ("application/json", broken_up(value.to_string().as_bytes(), script)),
        Ok(Reply::Bytes(kind, bytes)) => (kind, broken_up(&bytes, script)),
        Ok(Reply::Events(frames)) => {
            (EVENT_STREAM, Body::pieces(frames.into_iter().map(Bytes::from).collect(), script))
        }
    };
    played.dress(typed(200, kind, body.telling(calls, played.number, line, &played.flight)))
}

/// A whole body, in pieces where it shall be cut or stalled.
fn broken_up(bytes: &[u8], script: &Script) -> Body {
    let broken =
        script.cut.is_some() || script.stall.is_some() || script.half.is_some() || !script.pace.is_zero();
    let size = if broken { 256 } else { bytes.len().max(1) };
    Body::pieces(bytes.chunks(size).map(Bytes::copy_from_slice).collect(), script)
}

async fn complete(
    address: &Address,
    parts: &Parts,
    body: &Bytes,
    calls: &Arc<Calls>,
    line: &Line,
) -> Response<Body> {
    let api = address.api;
    let body: Value = match serde_json::from_slice(body) {
        Ok(body) => body,
        Err(error) => {
            return refuse((api.invalid)(&format!(
                "We could not parse the JSON body of your request: {error}"
            )));
        }
    };
    let asked_model = match &address.model {
        Some(model) => model.as_str(),
        None => body["model"].as_str().unwrap_or_default(),
    };
    let played = match play(api, parts, asked_model, &body, (calls, line)).await {
        Ok(played) => played,
        Err(refused) => return refused,
    };
    let Played { model, number, script, flight, .. } = &played;
    let streamed = address.stream.or(body["stream"].as_bool()).unwrap_or(api.streams_unasked);
    if script.garbage {
        let kind = if streamed { api.stream_type } else { "application/json" };
        return played.dress(typed(200, kind, Body::whole("data: {\"this is\": not json\n\n")));
    }
    if model.is_empty() {
        return refuse((api.invalid)("you must provide a model parameter"));
    }
    let asked = match (api.read)(&body, model, calls) {
        Ok(asked) => asked,
        Err(refused) => return refuse(refused),
    };
    let answer = answer(&asked, script);
    if !script.no_usage {
        calls.reports(*number, asked.prompt_tokens, answer.tokens() + answer.thought_tokens());
    }
    let scene = Scene { body: &body, model, number: *number, asked: &asked, answer: &answer, script };
    let (kind, body) = if streamed { stream(api, &scene) } else { whole(api, &scene, calls) };
    played.dress(typed(200, kind, body.telling(calls, *number, line, flight)))
}

/// A whole answer. It is sent in pieces where it shall be cut or stalled.
fn whole(api: &Api, scene: &Scene<'_>, calls: &Calls) -> (&'static str, Body) {
    let mut answered = (api.whole)(scene);
    if answered["object"] == json!("response") {
        calls.stored(|stored| stored.keep(scene.body, &answered));
        if answered["background"] == json!(true) {
            // It is done by the time somebody looks at it.
            (answered["status"], answered["output"], answered["usage"]) =
                (json!("queued"), json!([]), Value::Null);
        }
    }
    let text = answered.to_string();
    ("application/json", broken_up(text.as_bytes(), scene.script))
}

/// A streamed answer, with the events as the script wants them.
fn stream(api: &Api, scene: &Scene<'_>) -> (&'static str, Body) {
    let script = scene.script;
    let mut frames = (api.stream)(scene);
    if let Some(count) = script.end {
        frames.truncate(count);
    }
    if let Some(count) = script.error {
        frames.truncate(count);
        frames.push((api.broken)());
    }
    let ending = |frame: Vec<u8>| if script.crlf { crlf(&frame) } else { frame };
    let frames = frames.into_iter().map(|frame| Bytes::from(ending(frame))).collect();
    (api.stream_type, Body::pieces(frames, script))
}

fn crlf(frame: &[u8]) -> Vec<u8> {
    let ends =
        frame.iter().flat_map(|byte| if *byte == b'\n' { &b"\r\n"[..] } else { std::slice::from_ref(byte) });
    ends.copied().collect()
}

fn models(headers: &HeaderMap) -> Value {
    let names = ["echo", "reasoner", "claude-echo"];
    if headers.contains_key("anthropic-version") {
        let model = |name: &&str| json!({"type": "model", "id": name, "display_name": name, "created_at": "2026-01-01T00:00:00Z"});
        return json!({"data": names.iter().map(model).collect::<Vec<_>>(), "has_more": false});
    }
    let model =
        |name: &&str| json!({"id": name, "object": "model", "created": 1_790_000_000, "owned_by": "sim"});
    json!({"object": "list", "data": names.iter().map(model).collect::<Vec<_>>()})
}

pub(crate) fn refuse((status, body): Refused) -> Response<Body> {
    json_response(status, &body)
}

fn json_response(status: u16, body: &Value) -> Response<Body> {
    typed(status, "application/json", Body::whole(body.to_string()))
}

pub(crate) fn typed(status: u16, kind: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert("x-ratelimit-remaining-requests", HeaderValue::from_static("99"));
    response
}

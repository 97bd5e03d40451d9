//! Connections to upstreams that this core keeps, and one exchange over one of them.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    future::Future,
    io,
    rc::Rc,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use tokio::time::timeout_at;

use super::{Address, Connector, Rest, UpstreamBody, h1::Connection, h2};

/// How long an idle connection is kept. Servers close theirs after 5 s (uvicorn) to 75 s (nginx).
const IDLE_MAX: Duration = Duration::from_secs(60);
/// The most idle connections that are kept to one address.
const IDLE_CONNECTIONS_MAX: usize = 256;

/// The connections of one core.
pub(crate) struct Pool {
    connector: Connector,
    shelves: RefCell<HashMap<Address, Rc<Shelf>>>,
}

/// The connections to one address.
struct Shelf {
    /// The latest is last: it is the one least likely to be closed.
    idle: RefCell<Vec<(Connection, Instant)>>,
    shared: RefCell<Option<h2::Sender>>,
    /// Connections in use over HTTP/1.1.
    busy: Cell<usize>,
}

/// One exchange over HTTP/1.1 counts as one busy connection for as long as it lasts.
pub(crate) struct Lease(Rc<Shelf>);

/// What is asked of an upstream.
pub(crate) struct Exchange<'a> {
    pub(crate) address: &'a Address,
    /// Path and query.
    pub(crate) path: &'a str,
    pub(crate) method: &'a Method,
    /// Header lines, each `name: value\r\n`, credential included.
    pub(crate) head: &'a [u8],
    pub(crate) body: &'a Bytes,
    /// What comes behind the body's beginning, and can be sent once.
    pub(crate) rest: Option<&'a Rest>,
    /// Whether doing it twice does no more than doing it once.
    pub(crate) repeatable: bool,
    pub(crate) connections_max: usize,
    pub(crate) connect: Duration,
    pub(crate) first_byte: Duration,
    /// When the whole call must have ended.
    pub(crate) deadline: tokio::time::Instant,
}

/// The beginning of an answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: UpstreamBody,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
    /// Whether the request may have reached the upstream.
    pub(crate) sent: bool,
}

#[derive(Debug)]
pub(crate) enum FailureKind {
    Connect(io::Error),
    /// The connection limit of this core to this upstream is reached.
    Busy,
    /// A connection that was kept was closed before a byte of an answer came.
    Stale,
    /// It broke before an answer began.
    Broken(io::Error),
    /// No byte of an answer in time.
    FirstByte,
    /// The call's own deadline passed.
    Deadline,
}

impl Pool {
    pub(crate) fn new(connector: Connector) -> Pool {
        Pool { connector, shelves: RefCell::default() }
    }

    /// Sends a request and waits for the head of the answer.
    pub(crate) async fn exchange(&self, exchange: &Exchange<'_>) -> Result<Answer, Failure> {
        let shelf = self.shelf(exchange.address);
        if let Some(sender) = shelf.shared() {
            return over_h2(sender, exchange).await;
        }
        if shelf.busy.get() >= exchange.connections_max {
            return Err(Failure { kind: FailureKind::Busy, sent: false });
        }
        // A kept connection may turn out to be closed, and then nobody knows whether the request was read: what is sent
        // as it comes cannot be sent again, and what is not repeatable must not be (RFC 9110, section 9.2.2).
        let once = exchange.rest.is_some() || !exchange.repeatable;
        let kept = if once { None } else { shelf.take() };
        if let Some(connection) = kept {
            match over_h1(connection, Lease::new(Rc::clone(&shelf)), exchange).await {
                // The other side closed it while the request was on its way: it was not read.
                Err(Failure { kind: FailureKind::Stale, .. }) => {}
                answered => return answered,
            }
        }
        let lease = Lease::new(Rc::clone(&shelf));
        let io = self
            .connector
            .connect(exchange.address, exchange.connect)
            .await
            .map_err(|error| Failure { kind: FailureKind::Connect(error), sent: false })?;
        if !io.is_h2() {
            return over_h1(Connection::new(io), lease, exchange).await;
        }
        let sender = h2::Sender::handshake(io)
            .await
            .map_err(|error| Failure { kind: FailureKind::Connect(error), sent: false })?;
        *shelf.shared.borrow_mut() = Some(sender.clone());
        over_h2(sender, exchange).await
    }

    /// Lets go of connections that were idle for too long or were closed by the other side.
    pub(crate) fn sweep(&self) {
        for shelf in self.shelves.borrow().values() {
            let stands = |(connection, since): &mut (Connection, Instant)| {
                since.elapsed() <= IDLE_MAX && !connection.is_stale()
            };
            shelf.idle.borrow_mut().retain_mut(stands);
        }
    }

    fn shelf(&self, address: &Address) -> Rc<Shelf> {
        if let Some(shelf) = self.shelves.borrow().get(address) {
            return Rc::clone(shelf);
        }
        let shelf =
            Rc::new(Shelf { idle: RefCell::default(), shared: RefCell::default(), busy: Cell::new(0) });
        self.shelves.borrow_mut().insert(address.clone(), Rc::clone(&shelf));
        shelf
    }
}

impl Shelf {
    fn put(&self, connection: Connection) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < IDLE_CONNECTIONS_MAX {
            idle.push((connection, Instant::now()));
        }
    }

    /// An idle connection that still stands.
    fn take(&self) -> Option<Connection> {
        let mut idle = self.idle.borrow_mut();
        while let Some((mut connection, since)) = idle.pop() {
            if since.elapsed() > IDLE_MAX {
                // Those below it are older still.
                idle.clear();
                return None;
            }
            if !connection.is_stale() {
                return Some(connection);
            }
        }
        None
    }

    fn shared(&self) -> Option<h2::Sender> {
        let mut shared = self.shared.borrow_mut();
        if shared.as_ref().is_some_and(|sender| !sender.is_open()) {
            *shared = None;
        }
        shared.clone()
    }
}

impl Exchange<'_> {
    /// Waits for the head of the answer no longer than the call allows.
    async fn in_time<T>(&self, answered: impl Future<Output = T>) -> Result<T, Failure> {
        let first_byte = tokio::time::Instant::now() + self.first_byte;
        let kind = if first_byte < self.deadline { FailureKind::FirstByte } else { FailureKind::Deadline };
        timeout_at(first_byte.min(self.deadline), answered).await.map_err(|_| Failure { kind, sent: true })
    }
}

impl Lease {
    fn new(shelf: Rc<Shelf>) -> Lease {
        shelf.busy.set(shelf.busy.get() + 1);
        Lease(shelf)
    }

    /// Keeps a connection for the next exchange.
    pub(crate) fn give_back(&self, connection: Connection) {
        self.0.put(connection);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.busy.set(self.0.busy.get().saturating_sub(1));
    }
}

async fn over_h1(
    mut connection: Connection,
    lease: Lease,
    exchange: &Exchange<'_>,
) -> Result<Answer, Failure> {
    let broken = |error| Failure { kind: FailureKind::Broken(error), sent: true };
    let head = h1_head(exchange);
    let sent = match exchange.rest {
        Some(rest) => {
            let sent = connection.send_coming(&head, exchange.body, rest);
            let deadline = |_| Failure { kind: FailureKind::Deadline, sent: true };
            timeout_at(exchange.deadline, sent).await.map_err(deadline)?
        }
        None => Ok(()),
    };
    let answered = async {
        let sent = match exchange.rest {
            Some(_) => sent,
            None => connection.send(&head, exchange.body).await,
        };
        // A server may answer (413, say) and close before it has read everything.
        match connection.head().await {
            Ok(head) => Ok(head),
            Err(error) => Err(sent.err().unwrap_or(error)),
        }
    };
    let mut head = match exchange.in_time(answered).await? {
        Ok(head) => head,
        Err(error) if connection.is_stale_end(&error) => {
            return Err(Failure { kind: FailureKind::Stale, sent: true });
        }
        Err(error) => return Err(broken(error)),
    };
    let (status, headers) = (head.status, std::mem::take(&mut head.headers));
    let body = Box::new(connection.body(&head));
    Ok(Answer { status, headers, body: UpstreamBody::H1 { body, lease } })
}

async fn over_h2(mut sender: h2::Sender, exchange: &Exchange<'_>) -> Result<Answer, Failure> {
    let headers = header_map(exchange.head);
    let body = h2::Body::new(exchange.body.clone(), exchange.rest.and_then(Rest::take));
    let answered = sender.send(exchange, headers, body);
    let response = exchange.in_time(answered).await?.map_err(|unsent| {
        let error = io::Error::from(io::ErrorKind::ConnectionReset);
        Failure { kind: FailureKind::Broken(error), sent: !unsent }
    })?;
    let (parts, body) = response.into_parts();
    let headers = h2::kept_headers(&parts.headers);
    Ok(Answer { status: parts.status.as_u16(), headers, body: UpstreamBody::H2(body) })
}

fn h1_head(exchange: &Exchange<'_>) -> BytesMut {
    let address = exchange.address;
    let mut head =
        BytesMut::with_capacity(exchange.head.len() + exchange.path.len() + address.authority.len() + 96);
    let mut number = itoa::Buffer::new();
    let length = match exchange.rest {
        None => Some(exchange.body.len() as u64),
        Some(rest) => rest.length().map(|length| length + exchange.body.len() as u64),
    };
    let framing = match length {
        // A request without a body says nothing of it, unless its method wants one.
        Some(0) if exchange.method != Method::POST && exchange.method != Method::PUT => ["", "", ""],
        Some(length) => ["content-length: ", number.format(length), "\r\n"],
        None => ["transfer-encoding: chunked", "", "\r\n"],
    };
    let line =
        [exchange.method.as_str(), " ", exchange.path, " HTTP/1.1\r\nhost: ", &address.authority, "\r\n"];
    for piece in line.into_iter().chain(framing) {
        head.extend_from_slice(piece.as_bytes());
    }
    head.extend_from_slice(exchange.head);
    head.extend_from_slice(b"\r\n");
    head
}

/// Header lines as a map.
pub(crate) fn header_map(lines: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines.split(|&byte| byte == b'\n') {
        let line = line.trim_ascii_end();
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
        let (name, value) = line.split_at(colon);
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    }
    headers
}

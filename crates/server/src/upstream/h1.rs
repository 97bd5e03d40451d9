//! HTTP/1.1 to an upstream, on one connection.
//!
//! hyper's client hands each chunk of a chunked body over as a message between two tasks; a stream of small
//! events costs several times what reading it costs. Here everything that one read brings is decoded at once,
//! in the task that wants it. Framing follows RFC 9112, sections 6 and 7.

use std::{
    future::poll_fn,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::AsyncWrite;
use tokio_util::io::poll_read_buf;

use super::{Rest, connect::Io};
use crate::headers;

/// The largest head of an answer.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// The most header lines of an answer.
const HEADER_LINES_MAX: usize = 128;
/// How much is read at once.
const READ_BYTES: usize = 8 << 10;
/// The longest line that may give a chunk's size, extensions included.
const CHUNK_LINE_BYTES_MAX: usize = 4 << 10;

/// One connection.
pub(crate) struct Connection {
    io: Io,
    input: BytesMut,
    /// Whether an exchange was completed on it before.
    pub(crate) reused: bool,
}

/// The head of an answer.
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    framing: Framing,
    keep_alive: bool,
}

/// How the end of a body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Length(u64),
    Chunked(Chunked),
    /// The body ends when the connection does.
    Close,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chunked {
    Size,
    Data(u64),
    DataEnd,
    Trailer,
    Done,
}

/// A body that is being read.
pub(crate) struct Body {
    connection: Connection,
    framing: Framing,
    keep_alive: bool,
}

impl Connection {
    pub(crate) fn new(io: Io) -> Connection {
        Connection { io, input: BytesMut::new(), reused: false }
    }

    /// Whether the other side has closed an idle connection, or sent something nobody asked for.
    pub(crate) fn is_stale(&mut self) -> bool {
        let Io::Plain(stream) = &self.io else {
            return self.io.is_closed();
        };
        let mut byte = [0; 1];
        !matches!(stream.try_read(&mut byte), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Writes a request, head and body in one go where the socket takes them.
    pub(crate) async fn send(&mut self, head: &[u8], body: &[u8]) -> io::Result<()> {
        let mut sent = 0;
        while sent < head.len() + body.len() {
            let slices = match head.get(sent..) {
                Some(rest) if !rest.is_empty() => [IoSlice::new(rest), IoSlice::new(body)],
                _ => [IoSlice::new(body.get(sent - head.len()..).unwrap_or_default()), IoSlice::new(&[])],
            };
            let count = poll_fn(|cx| Pin::new(&mut self.io).poll_write_vectored(cx, &slices)).await?;
            if count == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            sent += count;
        }
        poll_fn(|cx| Pin::new(&mut self.io).poll_flush(cx)).await
    }

    /// Writes a request whose body still comes.
    pub(crate) async fn send_coming(&mut self, head: &[u8], first: &[u8], rest: &Rest) -> io::Result<()> {
        let Some(mut coming) = rest.take() else {
            return Err(io::Error::other("the request's body was sent before"));
        };
        let chunked = coming.length.is_none();
        if chunked {
            self.send(head, &chunk(first)).await?;
        } else {
            self.send(head, first).await?;
        }
        while let Some(piece) = coming.next().await? {
            if chunked {
                self.send(&chunk(&piece), b"").await?;
            } else {
                self.send(&piece, b"").await?;
            }
        }
        if chunked { self.send(b"0\r\n\r\n", b"").await } else { Ok(()) }
    }

    /// Reads the head of the answer, past any interim (1xx) ones.
    pub(crate) async fn head(&mut self) -> io::Result<Head> {
        loop {
            if let Some(head) = self.parse_head()? {
                if head.status >= 200 {
                    return Ok(head);
                }
                continue;
            }
            if self.input.len() > HEAD_BYTES_MAX {
                return Err(invalid("the answer's head is too large"));
            }
            if poll_fn(|cx| self.poll_fill(cx)).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Whether a failed exchange only shows that the other side had closed a kept connection.
    pub(crate) fn is_stale_end(&self, error: &io::Error) -> bool {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
        let closed = matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof);
        self.reused && closed && self.input.is_empty()
    }

    pub(crate) fn body(self, head: &Head) -> Body {
        Body { connection: self, framing: head.framing, keep_alive: head.keep_alive }
    }

    fn parse_head(&mut self) -> io::Result<Option<Head>> {
        let mut lines = [httparse::EMPTY_HEADER; HEADER_LINES_MAX];
        let mut parsed = httparse::Response::new(&mut lines);
        let used = match parsed.parse(&self.input) {
            Ok(httparse::Status::Complete(used)) => used,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(invalid("the answer is not HTTP/1.1")),
        };
        let status = parsed.code.unwrap_or_default();
        let mut framing = Framing::Close;
        let mut keep_alive = parsed.version == Some(1);
        let mut kept = HeaderMap::new();
        for line in parsed.headers.iter() {
            read_header(line, &mut framing, &mut keep_alive)?;
            if headers::is_answer_header(line.name)
                && let Ok(name) = HeaderName::from_bytes(line.name.as_bytes())
                && let Ok(value) = HeaderValue::from_bytes(line.value)
            {
                kept.append(name, value);
            }
        }
        if status < 200 || status == 204 || status == 304 {
            framing = Framing::Length(0);
        }
        self.input.advance(used);
        keep_alive &= framing != Framing::Close;
        Ok(Some(Head { status, headers: kept, framing, keep_alive }))
    }

    /// Reads once; 0 is the end of the connection.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.input.reserve(READ_BYTES);
        poll_read_buf(Pin::new(&mut self.io), cx, &mut self.input)
    }
}

impl Body {
    /// More of the body: all that is there, as one piece. `None` at its end; an error when it breaks off.
    pub(crate) fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        loop {
            match self.decode() {
                Ok(Some(data)) if !data.is_empty() => return Poll::Ready(Some(Ok(data))),
                Ok(_) if self.is_done() => return Poll::Ready(None),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
            match ready!(self.connection.poll_fill(cx)) {
                Ok(0) if self.framing == Framing::Close => {
                    self.framing = Framing::Length(0);
                    return Poll::Ready(None);
                }
                Ok(0) => return Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into()))),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
    }

    /// The connection, for the next exchange, when this one ended as it should.
    pub(crate) fn into_idle(self) -> Option<Connection> {
        let mut connection = self.connection;
        let reusable = self.keep_alive
            && connection.input.is_empty()
            && matches!(self.framing, Framing::Length(0) | Framing::Chunked(Chunked::Done));
        connection.reused = true;
        // A buffer that grew for a large answer is not kept for an idle connection.
        connection.input = BytesMut::new();
        reusable.then_some(connection)
    }

    fn is_done(&self) -> bool {
        matches!(self.framing, Framing::Length(0) | Framing::Chunked(Chunked::Done))
    }

    /// Takes what is complete out of the input.
    fn decode(&mut self) -> io::Result<Option<Bytes>> {
        let input = &mut self.connection.input;
        match &mut self.framing {
            Framing::Close => Ok(Some(input.split().freeze())),
            Framing::Length(left) => {
                let count = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                *left -= count as u64;
                Ok(Some(input.split_to(count).freeze()))
            }
            Framing::Chunked(state) => decode_chunks(state, input).map(Some),
        }
    }
}

/// One chunk of a body; an empty one would end it.
fn chunk(data: &[u8]) -> Vec<u8> {
    if data.is_empty() {
        return Vec::new();
    }
    let mut chunk = format!("{:x}\r\n", data.len()).into_bytes();
    chunk.extend_from_slice(data);
    chunk.extend_from_slice(b"\r\n");
    chunk
}

/// Decodes all chunks that are there. One chunk's data is handed on without a copy.
fn decode_chunks(state: &mut Chunked, input: &mut BytesMut) -> io::Result<Bytes> {
    let mut whole: Option<Bytes> = None;
    let mut joined: Option<BytesMut> = None;
    while !input.is_empty() {
        match *state {
            Chunked::Size => {
                let Some(line) = take_line(input)? else { break };
                let size = chunk_size(&line)?;
                *state = if size == 0 { Chunked::Trailer } else { Chunked::Data(size) };
            }
            Chunked::Data(left) => {
                let count = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
                let piece = input.split_to(count);
                match (&mut joined, whole.take()) {
                    (Some(joined), _) => joined.extend_from_slice(&piece),
                    (None, None) => whole = Some(piece.freeze()),
                    (None, Some(first)) => {
                        let mut both = BytesMut::with_capacity(first.len() + piece.len() + input.len());
                        both.extend_from_slice(&first);
                        both.extend_from_slice(&piece);
                        joined = Some(both);
                    }
                }
                let left = left - count as u64;
                *state = if left == 0 { Chunked::DataEnd } else { Chunked::Data(left) };
            }
            Chunked::DataEnd => {
                let Some(line) = take_line(input)? else { break };
                if !line.is_empty() {
                    return Err(invalid("a chunk is longer than it says"));
                }
                *state = Chunked::Size;
            }
            Chunked::Trailer => {
                let Some(line) = take_line(input)? else { break };
                if line.is_empty() {
                    *state = Chunked::Done;
                }
            }
            Chunked::Done => break,
        }
    }
    Ok(joined.map(BytesMut::freeze).or(whole).unwrap_or_default())
}

/// A line without its end, once it is complete.
fn take_line(input: &mut BytesMut) -> io::Result<Option<BytesMut>> {
    let Some(at) = input.iter().take(CHUNK_LINE_BYTES_MAX).position(|&byte| byte == b'\n') else {
        if input.len() >= CHUNK_LINE_BYTES_MAX {
            return Err(invalid("a line of the chunked body is too long"));
        }
        return Ok(None);
    };
    let mut line = input.split_to(at + 1);
    line.truncate(at);
    if line.last() == Some(&b'\r') {
        line.truncate(at - 1);
    }
    Ok(Some(line))
}

fn chunk_size(line: &[u8]) -> io::Result<u64> {
    let digits = line.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
    std::str::from_utf8(digits)
        .ok()
        .filter(|digits| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .ok_or_else(|| invalid("a chunk has no size"))
}

/// What a header line says of the body's end and the connection's.
fn read_header(line: &httparse::Header<'_>, framing: &mut Framing, keep_alive: &mut bool) -> io::Result<()> {
    let value = line.value;
    if line.name.eq_ignore_ascii_case("content-length") {
        let length = std::str::from_utf8(value).ok().and_then(|text| text.trim().parse().ok());
        let length = length.ok_or_else(|| invalid("content-length is no number"))?;
        // A chunked body has no other length (RFC 9112, section 6.3).
        if !matches!(framing, Framing::Chunked(_)) {
            *framing = Framing::Length(length);
        }
    } else if line.name.eq_ignore_ascii_case("transfer-encoding") {
        if !value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
            return Err(invalid("transfer-encoding is not chunked"));
        }
        *framing = Framing::Chunked(Chunked::Size);
    } else if line.name.eq_ignore_ascii_case("connection") {
        if value.eq_ignore_ascii_case(b"close") {
            *keep_alive = false;
        } else if value.eq_ignore_ascii_case(b"keep-alive") {
            *keep_alive = true;
        }
    }
    Ok(())
}

fn invalid(message: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_joined_wherever_they_are_split() {
        let text = b"4;ext=1\r\nWiki\r\n6\r\npedia \r\nE\r\nin \r\n\r\nchunks.\r\n0\r\nx-trailer: 1\r\n\r\n";
        for split in 0..=text.len() {
            let (first, second) = text.split_at(split);
            let mut state = Chunked::Size;
            let mut input = BytesMut::from(first);
            let mut body = decode_chunks(&mut state, &mut input).unwrap().to_vec();
            input.extend_from_slice(second);
            body.extend_from_slice(&decode_chunks(&mut state, &mut input).unwrap());
            assert_eq!(body, b"Wikipedia in \r\n\r\nchunks.", "split at {split}");
            assert_eq!(state, Chunked::Done, "split at {split}");
        }
    }

    #[test]
    fn bad_chunks_are_refused() {
        for text in ["\r\n", "zz\r\n", "-1\r\n", "3\r\nabcd\r\n", "ffffffffffffffffff\r\n"] {
            let mut input = BytesMut::from(text.as_bytes());
            assert!(decode_chunks(&mut Chunked::Size.clone(), &mut input).is_err(), "{text:?}");
        }
    }
}

//! A provider that does as little as a provider can: fixed answers, on threads of this process.

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

/// Events of one streamed answer.
pub(crate) const EVENTS: u64 = 100;
/// Between two events of a paced stream.
const PACE: Duration = Duration::from_millis(5);

/// What the mock has served.
#[derive(Default)]
pub(crate) struct Served {
    pub(crate) requests: AtomicU64,
}

/// Starts the mock; it lives as long as this process.
pub(crate) fn start() -> io::Result<(u16, Arc<Served>)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    let served = Arc::new(Served::default());
    let counter = Arc::clone(&served);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let served = Arc::clone(&counter);
            // A connection that ends is the end of its thread.
            thread::spawn(move || serve(stream, &served));
        }
    });
    Ok((port, served))
}

fn serve(mut stream: TcpStream, served: &Served) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let whole = whole();
    let events = coalesced();
    let mut buffer = Vec::with_capacity(8192);
    loop {
        let Some(body) = request(&mut stream, &mut buffer)? else { return Ok(()) };
        served.requests.fetch_add(1, Relaxed);
        let has = |word: &str| body.windows(word.len()).any(|bytes| bytes == word.as_bytes());
        if !has("\"stream\":true") {
            stream.write_all(&whole)?;
        } else if has("paced") {
            stream.write_all(STREAM_HEAD)?;
            for number in 0..EVENTS {
                thread::sleep(PACE);
                stream.write_all(&chunk(&event(number)))?;
            }
            stream.write_all(&[chunk(b"data: [DONE]\n\n"), b"0\r\n\r\n".to_vec()].concat())?;
        } else {
            stream.write_all(&events)?;
        }
    }
}

/// Reads one request; `None` at the end of the connection.
fn request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
    let mut piece = [0; 8192];
    loop {
        if let Some(head) = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            let text = String::from_utf8_lossy(buffer.get(..head).unwrap_or_default()).to_ascii_lowercase();
            let length = text.split("content-length:").nth(1).and_then(|rest| rest.lines().next());
            let length: usize = length.and_then(|text| text.trim().parse().ok()).unwrap_or_default();
            let end = head + 4 + length;
            if buffer.len() >= end {
                let body = buffer.get(head + 4..end).unwrap_or_default().to_vec();
                buffer.drain(..end);
                return Ok(Some(body));
            }
        }
        match stream.read(&mut piece)? {
            0 => return Ok(None),
            count => buffer.extend(piece.iter().take(count)),
        }
    }
}

const STREAM_HEAD: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

/// About 900 bytes.
fn whole() -> Vec<u8> {
    let words = "Of all the gates of the city this one alone is never shut. ".repeat(8);
    let body = format!(
        "{{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"created\":1790000000,\"model\":\"m\",\"choices\":[{{\"index\":0,\
         \"message\":{{\"role\":\"assistant\",\"content\":\"{words}\",\"refusal\":null,\"annotations\":[]}},\"logprobs\":null,\
         \"finish_reason\":\"stop\"}}],\"usage\":{{\"prompt_tokens\":300,\"completion_tokens\":110,\"total_tokens\":410,\
         \"prompt_tokens_details\":{{\"cached_tokens\":0,\"audio_tokens\":0}},\"completion_tokens_details\":{{\"reasoning_tokens\":0,\
         \"audio_tokens\":0}}}},\"service_tier\":\"default\"}}"
    );
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    (head + &body).into_bytes()
}

fn coalesced() -> Vec<u8> {
    let mut bytes = STREAM_HEAD.to_vec();
    for number in 0..EVENTS {
        bytes.extend(chunk(&event(number)));
    }
    bytes.extend(chunk(b"data: [DONE]\n\n"));
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}

fn event(number: u64) -> Vec<u8> {
    let finish = if number + 1 == EVENTS { "\"stop\"" } else { "null" };
    format!(
        "data: {{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1790000000,\"model\":\"m\",\
         \"service_tier\":\"default\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\" word{number}\"}},\"logprobs\":null,\
         \"finish_reason\":{finish}}}]}}\n\n"
    )
    .into_bytes()
}

fn chunk(data: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", data.len()).as_bytes(), data, b"\r\n"].concat()
}

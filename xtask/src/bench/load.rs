//! Callers: blocking, one thread for each connection.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

/// One kind of call.
#[derive(Clone)]
pub(crate) struct Call {
    port: u16,
    /// For each key; calls take them by turns.
    bytes: Arc<[Vec<u8>]>,
}

impl Call {
    pub(crate) fn new(port: u16, path: &str, keys: &[String], body: &str) -> Call {
        let length = body.len();
        let bytes = keys.iter().map(|key| {
            let head = format!("POST {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {key}");
            format!("{head}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
                .into_bytes()
        });
        Call { port, bytes: bytes.collect() }
    }

    /// Calls over so many connections for so long; returns the number of calls that were answered.
    pub(crate) fn storm(&self, connections: usize, time: Duration) -> io::Result<u64> {
        let stop = Arc::new(AtomicBool::new(false));
        let threads: Vec<_> = (0..connections)
            .map(|number| {
                let (call, stop) = (self.clone(), Arc::clone(&stop));
                thread::spawn(move || -> io::Result<u64> {
                    let mut caller = Caller::connect(&call, number)?;
                    let mut count = 0;
                    while !stop.load(Relaxed) {
                        caller.call()?;
                        count += 1;
                    }
                    Ok(count)
                })
            })
            .collect();
        thread::sleep(time);
        stop.store(true, Relaxed);
        let mut sum = 0;
        for thread in threads {
            sum += thread.join().map_err(|_| io::Error::other("a caller ended in a panic"))??;
        }
        Ok(sum)
    }

    /// Calls one after the other over one connection: times to the whole answer and to its first byte, sorted.
    pub(crate) fn times(&self, count: usize) -> io::Result<(Vec<Duration>, Vec<Duration>)> {
        let mut caller = Caller::connect(self, 0)?;
        for _ in 0..count.min(20) {
            caller.call()?;
        }
        let timed: io::Result<Vec<_>> = (0..count).map(|_| caller.call()).collect();
        let (mut whole, mut first): (Vec<_>, Vec<_>) = timed?.into_iter().unzip();
        whole.sort_unstable();
        first.sort_unstable();
        Ok((whole, first))
    }
}

struct Caller<'c> {
    call: &'c Call,
    stream: TcpStream,
    /// Which key is next.
    turn: usize,
    buffer: Vec<u8>,
}

impl Caller<'_> {
    fn connect(call: &Call, turn: usize) -> io::Result<Caller<'_>> {
        let stream = TcpStream::connect(("127.0.0.1", call.port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        Ok(Caller { call, stream, turn, buffer: Vec::with_capacity(64 << 10) })
    }

    /// One call: how long it took, and how long until the first byte of its body.
    fn call(&mut self) -> io::Result<(Duration, Duration)> {
        let began = Instant::now();
        // Some way from the one before, so that callers do not follow each other.
        self.turn = (self.turn + 37) % self.call.bytes.len().max(1);
        self.stream.write_all(self.call.bytes.get(self.turn).map_or(&[], Vec::as_slice))?;
        self.buffer.clear();
        let mut first = None;
        let mut piece = [0; 32 << 10];
        loop {
            let count = self.stream.read(&mut piece)?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.buffer.extend(piece.iter().take(count));
            let Some(head) = self.buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { continue };
            if self.buffer.len() > head + 4 {
                first.get_or_insert_with(|| began.elapsed());
            }
            if self.is_whole(head)? {
                return Ok((began.elapsed(), first.unwrap_or_default()));
            }
        }
    }

    fn is_whole(&self, head: usize) -> io::Result<bool> {
        let (lines, body) = self.buffer.split_at(head + 4);
        if !lines.starts_with(b"HTTP/1.1 200") {
            return Err(io::Error::other(String::from_utf8_lossy(&self.buffer).into_owned()));
        }
        let lines = String::from_utf8_lossy(lines).to_ascii_lowercase();
        match lines
            .split("content-length:")
            .nth(1)
            .and_then(|rest| rest.lines().next()?.trim().parse::<usize>().ok())
        {
            Some(length) => Ok(body.len() >= length),
            None => Ok(body.ends_with(b"0\r\n\r\n")),
        }
    }
}

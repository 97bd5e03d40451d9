//! A way to a store that can be cut.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

/// Passes bytes on until it is told otherwise.
#[derive(Clone)]
pub(crate) struct Proxy {
    inner: Arc<Inner>,
}

struct Inner {
    target: String,
    way: Mutex<Way>,
    changed: Condvar,
}

#[derive(Default)]
struct Way {
    is_cut: bool,
    is_stalled: bool,
    streams: Vec<TcpStream>,
}

impl Proxy {
    /// A proxy to the store at an address, and the address at which the proxy is.
    pub(crate) fn to(address: &str) -> (Proxy, String) {
        let (scheme, rest) = address.split_once("://").expect("an address has a scheme");
        let (server, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, host) = server.rsplit_once('@').map_or(("", server), |(user, host)| (user, host));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("it listens").port();
        let inner = Inner { target: host.to_owned(), way: Mutex::default(), changed: Condvar::new() };
        let proxy = Proxy { inner: Arc::new(inner) };
        let passing = proxy.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                passing.pass(stream.expect("a connection is accepted"));
            }
        });
        let at = if user.is_empty() { "" } else { "@" };
        (proxy, format!("{scheme}://{user}{at}127.0.0.1:{port}/{path}"))
    }

    /// Ends all connections, and takes no new ones.
    pub(crate) fn cut(&self) {
        let mut way = self.way();
        way.is_cut = true;
        for stream in way.streams.drain(..) {
            // It may have ended by itself.
            let _ = stream.shutdown(Shutdown::Both);
        }
        self.inner.changed.notify_all();
    }

    /// Keeps connections, and what comes on them.
    pub(crate) fn stall(&self) {
        self.way().is_stalled = true;
    }

    pub(crate) fn open(&self) {
        let mut way = self.way();
        way.is_cut = false;
        way.is_stalled = false;
        self.inner.changed.notify_all();
    }

    fn pass(&self, near: TcpStream) {
        let mut way = self.way();
        if way.is_cut {
            return;
        }
        let Ok(far) = TcpStream::connect(&self.inner.target) else { return };
        for (from, to) in [(&near, &far), (&far, &near)] {
            let from = from.try_clone().expect("a socket is cloned");
            let to = to.try_clone().expect("a socket is cloned");
            let proxy = self.clone();
            thread::spawn(move || proxy.pump(from, to));
        }
        way.streams.extend([near, far]);
    }

    fn pump(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut bytes = [0; 65_536];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            let mut way = self.way();
            while way.is_stalled && !way.is_cut {
                way = self.inner.changed.wait(way).unwrap_or_else(PoisonError::into_inner);
            }
            drop(way);
            if to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        // The other side may be gone.
        let _ = to.shutdown(Shutdown::Both);
    }

    fn way(&self) -> MutexGuard<'_, Way> {
        self.inner.way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

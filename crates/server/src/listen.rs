//! Connections: taken in one place, carried by the core that has the least to do.

use std::{
    cell::RefCell,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto,
};
use policy::snapshot::Limits;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::{mpsc, watch},
    task::LocalSet,
};
use tokio_rustls::TlsAcceptor;

use crate::{
    access::ClientCertificate,
    call::Peer,
    core::Core,
    metrics::{CoreMetrics, Counter},
    pipeline, settle,
    tasks::{self, LocalExecutor},
    tls::Listening,
};

/// How often a core looks after what nobody waits for.
const SWEEP: Duration = Duration::from_secs(5);

/// Where a core's connections come from.
pub(crate) struct Lane {
    pub(crate) connections: mpsc::UnboundedSender<std::net::TcpStream>,
    pub(crate) open: Arc<AtomicUsize>,
    pub(crate) metrics: Arc<CoreMetrics>,
}

/// Takes connections and hands each to the least loaded core, until asked to stop.
pub(crate) async fn accept(
    listener: TcpListener,
    lanes: Vec<Lane>,
    connections_max: usize,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of file descriptors, say: taking more at once would not help.
                    tracing::warn!(%error, "a connection could not be taken");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            _ = stop.changed() => return,
        };
        let total: usize = lanes.iter().map(|lane| lane.open.load(Relaxed)).sum();
        let load = |lane: &&Lane| (lane.open.load(Relaxed), lane.metrics.value(Counter::CallsOpen));
        let Some(lane) = lanes.iter().min_by_key(load) else { return };
        if total >= connections_max {
            lane.metrics.add(Counter::ConnectionsRefused, 1);
            continue;
        }
        let Ok(stream) = stream.into_std() else { continue };
        lane.open.fetch_add(1, Relaxed);
        lane.metrics.add(Counter::ConnectionsAccepted, 1);
        if lane.connections.send(stream).is_err() {
            return;
        }
    }
}

/// One core: carries its connections until asked to stop, and then until they are done or time is up.
pub(crate) struct CoreLoop {
    pub(crate) core: Rc<Core>,
    pub(crate) connections: mpsc::UnboundedReceiver<std::net::TcpStream>,
    pub(crate) open: Arc<AtomicUsize>,
    pub(crate) tls: Option<Arc<Listening>>,
    pub(crate) stop: watch::Receiver<bool>,
}

thread_local! {
    /// The spool of this core's thread, so that entries are written when the thread is about to wait.
    static SPOOL: RefCell<Option<Rc<RefCell<store::spool::Writer>>>> = const { RefCell::new(None) };
}

/// Writes what the spool holds back. Runs whenever a core's thread has nothing left to do.
pub(crate) fn flush_spool() {
    SPOOL.with_borrow(|spool| {
        if let Some(spool) = spool
            && let Ok(mut spool) = spool.try_borrow_mut()
            && let Err(error) = spool.flush()
        {
            tracing::error!(%error, "the spool cannot be written");
        }
    });
}

impl CoreLoop {
    /// Runs on the thread of this core.
    pub(crate) fn run(self) -> std::io::Result<()> {
        SPOOL.set(Some(Rc::clone(&self.core.spool)));
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().on_thread_park(flush_spool).build()?;
        let core = Rc::clone(&self.core);
        let tasks = LocalSet::new();
        tasks.block_on(&runtime, self.carry());
        // What did not finish in time is cut off here, and settled.
        drop(tasks);
        settle::abandoned(&core);
        flush_spool();
        SPOOL.set(None);
        Ok(())
    }

    async fn carry(mut self) {
        let core = Rc::clone(&self.core);
        tasks::spawn_local("abandoned calls", settle_abandoned(Rc::clone(&core)));
        tasks::spawn_local("sweep", sweep(Rc::clone(&core)));
        let drain_time_max = loop {
            let stream = tokio::select! {
                stream = self.connections.recv() => stream,
                _ = self.stop.changed() => None,
            };
            let limits = core.world().snapshot.server.limits.clone();
            let Some(stream) = stream else { break limits.drain_time_max };
            self.take(stream, limits);
        };
        let deadline = tokio::time::Instant::now() + drain_time_max;
        while core.connections.get() > 0 && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn take(&self, stream: std::net::TcpStream, limits: Limits) {
        let (core, open) = (Rc::clone(&self.core), Arc::clone(&self.open));
        let (tls, stop) = (self.tls.clone(), self.stop.clone());
        core.connections.set(core.connections.get() + 1);
        core.metrics.add(Counter::ConnectionsOpen, 1);
        tasks::spawn_local("connection", async move {
            if let Err(error) = connection(Rc::clone(&core), stream, tls, &limits, stop).await {
                tracing::debug!(%error, "connection");
            }
            core.connections.set(core.connections.get() - 1);
            core.metrics.subtract(Counter::ConnectionsOpen, 1);
            open.fetch_sub(1, Relaxed);
        });
    }
}

async fn connection(
    core: Rc<Core>,
    stream: std::net::TcpStream,
    tls: Option<Arc<Listening>>,
    limits: &Limits,
    stop: watch::Receiver<bool>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    stream.set_nonblocking(true)?;
    stream.set_nodelay(true)?;
    let address = stream.peer_addr()?.ip().to_canonical();
    let stream = tokio::net::TcpStream::from_std(stream)?;
    match tls {
        None => serve(core, stream, Peer { address, certificate: None }, limits, stop).await,
        Some(listening) => {
            let loaded = listening.current();
            let acceptor = TlsAcceptor::from(Arc::clone(&loaded.config));
            let stream = tokio::time::timeout(limits.header_time_max, acceptor.accept(stream)).await??;
            let shown = stream.get_ref().1.peer_certificates();
            let certificate = ClientCertificate::shown(shown, &listening, loaded.number)?;
            serve(core, stream, Peer { address, certificate }, limits, stop).await
        }
    }
}

/// Serves HTTP/1.1 and HTTP/2 on one connection.
async fn serve<S: AsyncRead + AsyncWrite + Unpin + 'static>(
    core: Rc<Core>,
    stream: S,
    peer: Peer,
    limits: &Limits,
    mut stop: watch::Receiver<bool>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut builder = auto::Builder::new(LocalExecutor);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_time_max)
        .max_buf_size(limits.header_bytes_max);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(limits.header_bytes_max).unwrap_or(u32::MAX))
        .max_concurrent_streams(256)
        .keep_alive_interval(Duration::from_secs(20));
    let peer = Rc::new(peer);
    let service = service_fn(move |request| {
        let (core, peer) = (Rc::clone(&core), Rc::clone(&peer));
        async move { Ok::<_, std::convert::Infallible>(pipeline::answer(core, request, peer).await) }
    });
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return ended,
        _ = stop.changed() => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}

/// Settles calls whose callers went away.
async fn settle_abandoned(core: Rc<Core>) {
    loop {
        core.abandoned_wake.notified().await;
        settle::abandoned(&core);
    }
}

async fn sweep(core: Rc<Core>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        core.pool.sweep();
    }
}

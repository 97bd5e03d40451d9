//! `tollgate serve`.

use std::{io::IsTerminal, path::PathBuf, sync::Arc, time::Instant};

use anyhow::Context;
use clap::Args;
use policy::{
    Secret, Snapshot,
    key::Scope,
    pool::{Credential, Opens},
    snapshot::{Database, Provider},
};
use server::{Options, SecretStores, Server, Source};
use store::{DataDir, NewKey};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::{load, say};
use crate::welcome::{FirstKeys, Welcome};

#[derive(Args)]
pub(crate) struct Arguments {
    /// The configuration file. Without one, every provider whose usual environment variable is set is switched on.
    #[arg(long, short, env = "TOLLGATE_CONFIG")]
    config: Option<PathBuf>,
    /// Where to listen, in place of what the file says.
    #[arg(long)]
    listen: Option<std::net::SocketAddr>,
    /// The data directory, in place of what the file says.
    #[arg(long, env = "TOLLGATE_DATA_DIR")]
    data_dir: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let began = Instant::now();
    let secrets = SecretStores::serving(arguments.data_dir.clone());
    let mut snapshot = load(arguments.config.as_deref(), &secrets)?;
    if let Some(listen) = arguments.listen {
        snapshot.server.listen = listen;
    }
    if let Some(data_dir) = &arguments.data_dir {
        snapshot.data_dir.clone_from(data_dir);
    }
    log(&snapshot.server.log);
    let data = DataDir::open_with(&snapshot.data_dir, &snapshot.store)?;
    if snapshot.store.database == Database::Memory {
        tracing::warn!("store.database is memory: keys and history are forgotten when this process ends");
    }
    let first_keys = first_keys(&data, &snapshot)?;
    // One thread: it takes connections, answers the admin side, and waits.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let source = arguments.config.clone().map_or(Source::None, Source::File);
    runtime.block_on(serve(Options { snapshot, source, data, secrets }, first_keys, began))
}

async fn serve(mut options: Options, first_keys: FirstKeys, began: Instant) -> anyhow::Result<()> {
    if options.snapshot.providers.is_empty() && matches!(options.source, Source::None) {
        add_simulator(&mut options.snapshot).await?;
    }
    let welcome = Welcome::new(&options.snapshot, options.data.path(), first_keys);
    let started = Server::start(options).await;
    if started.is_err() && welcome.has_secrets() {
        // No later start shows them again.
        say(welcome.keys().trim_end());
    }
    let server = started?;
    let ready = server.ready();
    if std::io::stdout().is_terminal() || welcome.has_secrets() {
        say(&welcome.text(ready, began.elapsed()));
    }
    tracing::info!(address = %ready.address, threads = ready.threads, "ready");
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            _ = hang_up.recv() => server.reload(),
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    tracing::info!("stopping: calls in flight are finished");
    server.stop().await;
    Ok(())
}

/// Serves the bundled simulator on a port of its own, so that a newcomer sees an answer at once.
async fn add_simulator(snapshot: &mut Snapshot) -> anyhow::Result<()> {
    let sim = sim::Sim::bind(([127, 0, 0, 1], 0).into()).await.context("the simulator")?;
    let base = format!("http://{}/v1", sim.address());
    let draft = serde_json::json!({
        "name": "the bundled simulator",
        "dialect": "openai_chat", "base_url": base,
        "dialects": {"anthropic_messages": format!("{base}/messages")},
        "local": true,
        "models": {
            "echo": {"price": {"input": 0, "output": 0}},
            "reasoner": {"price": {"input": 0, "output": 0}},
            "claude-echo": {"price": {"input": 0, "output": 0}},
        },
    });
    let facts = catalog::Provider::build("sim", None, serde_json::from_value(draft)?);
    let facts = facts.map_err(|problems| anyhow::anyhow!("the simulator's entry: {problems:?}"))?;
    let deadlines = snapshot.deadlines;
    let provider = Provider::new(facts, vec![Credential::new(Opens::Key(Secret::new("sk-sim")))], deadlines);
    snapshot.providers.insert("sim".to_owned(), Arc::new(provider));
    spawn(sim.serve(std::future::pending()));
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the simulator lives as long as the process")]
fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(task);
}

/// The first start makes two keys; later ones show nothing. It asks the database, which threads that run tasks must not.
fn first_keys(data: &DataDir, snapshot: &Snapshot) -> anyhow::Result<FirstKeys> {
    let mut database = data.database()?;
    if !database.keys()?.is_empty() {
        return Ok(FirstKeys::default());
    }
    let mut make = |name: &str, scope| {
        // Nobody could tell it from the file's.
        if snapshot.keys.iter().any(|file| file.key.name == name) {
            return Ok(None);
        }
        let new = NewKey { name: name.to_owned(), models: Vec::new(), scope, expires_us: None };
        match database.create_key(&new, server::now_us()) {
            Ok((_, secret)) => Ok(Some(secret)),
            // Another replica was first, and has shown it.
            Err(store::Error::KeyExists(_)) => Ok(None),
            Err(error) => Err(error),
        }
    };
    let admin = make("admin", Scope::Admin)?;
    // A file with keys of its own says who may come in.
    let app = if snapshot.keys.is_empty() { make("app", Scope::Calls)? } else { None };
    Ok(FirstKeys { admin, app })
}

/// Lines for a person at a terminal, JSON for anything else.
fn log(filter: &str) {
    let filter = EnvFilter::try_from_env("TOLLGATE_LOG")
        .or_else(|_| EnvFilter::try_new(filter))
        .unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        builder.with_target(false).init();
    } else {
        builder.json().flatten_event(true).init();
    }
}

//! Keeps one identity's credential fresh, and hands it to requests.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use policy::identity::Identity;
use reqsign_aws_v4::Credential;
use tokio::{
    sync::{Notify, watch},
    task::AbortHandle,
    time::{Instant, timeout},
};
use zeroize::Zeroizing;

use super::{Fetcher, aws::Aws, azure::Azure, google::Google};
use crate::tasks;

/// A credential is fetched again when so much of its time is left, or a fifth of it, whichever is less.
const AHEAD: Duration = Duration::from_secs(300);
/// One that says no end may still be changed where it is kept.
const ENDLESS: Duration = Duration::from_secs(300);
/// However often a provider refuses it, it is not fetched more often than this.
const REFUSED_PAUSE: Duration = Duration::from_secs(10);
/// For one fetch in all: a chain asks in several places, and a program may hang.
const FETCH_TIME_MAX: Duration = Duration::from_secs(60);
/// Between attempts that fail: doubled each time.
const BACKOFF_MIN: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// Keeps an identity's credential.
pub(crate) struct Keeper {
    identity: Identity,
    shared: Arc<Shelf>,
    task: AbortHandle,
}

/// Where a request finds it.
struct Shelf {
    state: ArcSwap<State>,
    /// Says that the state is another; only those that wait for the first one listen.
    changed: watch::Sender<()>,
    /// A provider refused what is kept.
    refused: Notify,
}

enum State {
    /// The first one is on its way.
    Waiting,
    Kept(Arc<Opened>),
    /// Why there is none.
    Failed(String),
}

/// What opens a provider.
pub(crate) enum Opened {
    /// The header line with an access token: never logged.
    Bearer(Zeroizing<Vec<u8>>),
    /// What requests to AWS are signed with.
    Aws { credential: Credential, region: String, service: String },
}

/// A credential with its end.
pub(super) struct Granted {
    pub(super) opened: Opened,
    pub(super) until: Option<SystemTime>,
}

/// Where credentials come from.
pub(super) enum Source {
    Aws(Box<Aws>),
    Google(Google),
    Azure(Azure),
}

impl Keeper {
    /// Begins to fetch. Call it on the admin runtime.
    pub(crate) fn start(name: &str, identity: &Identity, fetcher: &Fetcher) -> Keeper {
        let source = Source::new(identity, fetcher);
        let shared = Arc::new(Shelf {
            state: ArcSwap::from_pointee(State::Waiting),
            changed: watch::channel(()).0,
            refused: Notify::new(),
        });
        let task = tasks::spawn("credential", keep(name.to_owned(), source, Arc::clone(&shared)));
        Keeper { identity: identity.clone(), shared, task: task.abort_handle() }
    }

    /// Whether it keeps this very identity, so that a new configuration goes on with it.
    pub(crate) fn keeps(&self, identity: &Identity) -> bool {
        self.identity == *identity
    }

    /// What is kept. Only before there was a first one does this wait, and no longer than `limit`.
    pub(crate) async fn opened(&self, limit: Duration) -> Result<Arc<Opened>, String> {
        let mut changed = self.shared.changed.subscribe();
        let deadline = Instant::now() + limit;
        loop {
            match &**self.shared.state.load() {
                State::Kept(opened) => return Ok(Arc::clone(opened)),
                State::Failed(why) => return Err(why.clone()),
                State::Waiting => {}
            }
            let waited = tokio::time::timeout_at(deadline, changed.changed()).await;
            if !matches!(waited, Ok(Ok(()))) {
                return Err("it is still being fetched".to_owned());
            }
        }
    }

    /// A provider refused what it was shown: it is fetched again.
    pub(crate) fn refused(&self) {
        self.shared.refused.notify_one();
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Source {
    pub(super) fn new(identity: &Identity, fetcher: &Fetcher) -> Source {
        match identity {
            Identity::Aws(identity) => Source::Aws(Box::new(Aws::new(identity, fetcher.clone()))),
            Identity::Google(identity) => Source::Google(Google::new(identity.clone(), fetcher.clone())),
            Identity::Azure(identity) => Source::Azure(Azure::new(identity.clone(), fetcher.clone())),
        }
    }

    pub(super) async fn fetch(&self) -> Result<Granted, String> {
        match self {
            Source::Aws(aws) => aws.fetch().await,
            Source::Google(google) => google.fetch().await,
            Source::Azure(azure) => azure.fetch().await,
        }
    }
}

impl Granted {
    /// An access token that is good for so long.
    pub(super) fn bearer(token: &str, lasts: Duration) -> Result<Granted, String> {
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("the token that was given is no token".to_owned());
        }
        let line = Zeroizing::new(format!("authorization: Bearer {token}\r\n").into_bytes());
        Ok(Granted { opened: Opened::Bearer(line), until: SystemTime::now().checked_add(lasts) })
    }
}

/// Fetches, waits until it is time again, and so on.
async fn keep(name: String, source: Source, shelf: Arc<Shelf>) {
    let mut backoff = BACKOFF_MIN;
    let mut until: Option<SystemTime> = None;
    loop {
        let fetched = timeout(FETCH_TIME_MAX, source.fetch()).await;
        let wait = match fetched.unwrap_or_else(|_| Err("it was not given in time".to_owned())) {
            Ok(granted) => {
                until = granted.until;
                let left = left(until);
                tracing::debug!(provider = name, seconds = left.as_secs(), "credential fetched");
                shelf.put(State::Kept(Arc::new(granted.opened)));
                backoff = BACKOFF_MIN;
                left - AHEAD.min(left / 5)
            }
            Err(error) => {
                tracing::warn!(provider = name, error, "the provider's credential could not be fetched");
                let kept = matches!(&**shelf.state.load(), State::Kept(_));
                // What is good still is used to its end.
                if !kept || until.is_some_and(|until| until <= SystemTime::now()) {
                    shelf.put(State::Failed(error));
                }
                let wait = backoff;
                backoff = (backoff * 2).min(BACKOFF_MAX);
                wait
            }
        };
        let pause = wait.min(REFUSED_PAUSE);
        tokio::time::sleep(pause).await;
        tokio::select! {
            () = tokio::time::sleep(wait - pause) => {}
            () = shelf.refused.notified() => {}
        }
    }
}

/// How long a credential is good still.
fn left(until: Option<SystemTime>) -> Duration {
    until.map_or(ENDLESS, |until| until.duration_since(SystemTime::now()).unwrap_or_default())
}

impl Shelf {
    fn put(&self, state: State) {
        self.state.store(Arc::new(state));
        self.changed.send_replace(());
    }
}

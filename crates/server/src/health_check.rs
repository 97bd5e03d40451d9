//! Asks providers from time to time whether they are well, where the configuration wants that, and tells all cores what came
//! of it. These questions stand in no journal: nobody's key asks them.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use policy::{
    health_check::{Asks, HealthCheck, Verdict, is_well},
    route::Target,
    snapshot::Provider,
};
use tokio::{sync::mpsc, time::Instant};
use wire::{Dialect, Encoding, Losses};

use crate::{
    core::Shared,
    credentials::{Fetcher, Signable},
    headers, tasks,
    upstream::header_map,
    world::{Endpoint, World},
};

/// How soon a new configuration is noticed.
const LOOK: Duration = Duration::from_secs(1);
/// The most answers that wait to be heard.
const ANSWERS: usize = 64;
/// What a model is asked. OpenAI's Responses take no smaller limit
/// (<https://platform.openai.com/docs/api-reference/responses/create>).
const QUESTION: &str = r#"{"model":"check","max_tokens":16,"messages":[{"role":"user","content":"ping"}]}"#;

/// Which of the providers that are asked are well.
#[derive(Default)]
pub(crate) struct Checked(Mutex<BTreeMap<String, bool>>);

impl Checked {
    pub(crate) fn all(&self) -> BTreeMap<String, bool> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, provider: &str, well: Option<bool>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match well {
            Some(well) => all.insert(provider.to_owned(), well),
            None => all.remove(provider),
        };
    }
}

/// Nobody's core: what stands on the board is news to all of them.
const NO_CORE: usize = usize::MAX;

/// One provider that is asked.
struct Round {
    due: Instant,
    /// A question is on its way.
    asking: bool,
    verdict: Verdict,
}

/// A provider's name, and why it is not well.
type Answer = (String, Result<(), String>);

/// Asks for as long as the process runs.
pub(crate) async fn run(shared: Arc<Shared>, fetcher: Fetcher) {
    let (sender, mut answers) = mpsc::channel::<Answer>(ANSWERS);
    let mut rounds: HashMap<String, Round> = HashMap::new();
    loop {
        let next = ask_all(&shared, &fetcher, &mut rounds, &sender);
        tokio::select! {
            Some((name, answer)) = answers.recv() => hear(&shared, &mut rounds, &name, answer),
            () = tokio::time::sleep_until(next) => {}
        }
    }
}

/// Asks those whose turn it is; tells when to look again.
fn ask_all(
    shared: &Arc<Shared>,
    fetcher: &Fetcher,
    rounds: &mut HashMap<String, Round>,
    sender: &mpsc::Sender<Answer>,
) -> Instant {
    let world = shared.world.load_full();
    let now = Instant::now();
    rounds.retain(|name, round| {
        let provider = world.snapshot.providers.get(name);
        let kept = provider.is_some_and(|provider| provider.check.is_some());
        if !kept {
            let id = policy::vitals::ProviderId::of(name);
            shared.board.post(NO_CORE, round.verdict.end(id));
            shared.checked.note(name, None);
        }
        kept
    });
    let mut next = now + LOOK;
    for (name, provider) in &world.snapshot.providers {
        let Some(check) = &provider.check else { continue };
        let first = || Round { due: now, asking: false, verdict: Verdict::default() };
        let round = rounds.entry(name.clone()).or_insert_with(first);
        if round.due <= now && !round.asking {
            (round.due, round.asking) = (now + check.every, true);
            let (world, fetcher) = (Arc::clone(&world), fetcher.clone());
            let (sender, name) = (sender.clone(), name.clone());
            tasks::spawn("health check", async move {
                let answer = ask(&world, &name, &fetcher).await;
                // Nobody listens only where everything ends.
                let _ = sender.send((name, answer)).await;
            });
        }
        if !round.asking {
            next = next.min(round.due);
        }
    }
    next
}

fn hear(shared: &Arc<Shared>, rounds: &mut HashMap<String, Round>, name: &str, answer: Result<(), String>) {
    let world = shared.world.load();
    let provider = world.snapshot.providers.get(name);
    let Some((provider, check)) = provider.and_then(|provider| Some((provider, provider.check.as_ref()?)))
    else {
        return;
    };
    let Some(round) = rounds.get_mut(name) else { return };
    round.asking = false;
    let was_down = round.verdict.is_down();
    shared.board.post(NO_CORE, round.verdict.hear(provider.number, answer.is_ok(), check));
    shared.checked.note(name, Some(!round.verdict.is_down()));
    match answer {
        Ok(()) if was_down => tracing::info!(provider = name, "the provider is well again"),
        Ok(()) => {}
        Err(error) if round.verdict.is_down() && !was_down => {
            tracing::warn!(provider = name, error, "the provider fails its health check: its targets rest");
        }
        Err(error) => tracing::debug!(provider = name, error, "a health check failed"),
    }
}

async fn ask(world: &World, name: &str, fetcher: &Fetcher) -> Result<(), String> {
    let provider = world.snapshot.providers.get(name).ok_or("it is not switched on")?;
    let check = provider.check.as_ref().ok_or("it is not to be asked")?;
    let question = Question::new(world, provider, check)?;
    let asked = question.request(name, check.timeout);
    let request = tokio::time::timeout(check.timeout, asked).await;
    let request = request.map_err(|_| "its credential is not there".to_owned())??;
    let answer = fetcher.send_within(request, check.timeout).await.map_err(|error| error.to_string())?;
    if is_well(answer.status().as_u16()) {
        return Ok(());
    }
    Err(format!("it answered with {}", answer.status().as_u16()))
}

/// What a provider is asked.
struct Question<'w> {
    endpoint: &'w Endpoint,
    method: Method,
    path: Cow<'w, str>,
    body: Bytes,
    /// The dialect of a completion.
    dialect: Option<Dialect>,
}

impl<'w> Question<'w> {
    fn new(
        world: &'w World,
        provider: &'w Arc<Provider>,
        check: &'w HealthCheck,
    ) -> Result<Question<'w>, String> {
        let name = &provider.facts.id;
        match &check.asks {
            Asks::Path(path) => {
                let endpoint = world.root(name).ok_or("it has no address")?;
                let root = endpoint.path.filled("", "");
                let path = format!("{}{path}", root.trim_end_matches('/')).into();
                Ok(Question { endpoint, method: Method::GET, path, body: Bytes::new(), dialect: None })
            }
            Asks::Model(model) => {
                let dialect = provider.facts.dialects.first().map(|(dialect, _)| *dialect);
                let dialect = dialect.ok_or("it has no dialect of chat")?;
                let target = Target::passed(Arc::clone(provider), model, dialect);
                let endpoint = world.endpoint(&target).ok_or("it has no address")?;
                let quirks = target.quirks();
                let path = endpoint.path.filled(model, quirks.hosting.method(dialect, false));
                let asked = Dialect::OpenaiChat.decode_request(QUESTION.as_bytes());
                let asked = asked.map_err(|fault| fault.to_string())?;
                let encoding = Encoding { model, quirks, output_tokens_max: None };
                let body = dialect.encode_request(&asked, &encoding, &mut Losses::default());
                let body = quirks.hosting.body(body.into());
                Ok(Question { endpoint, method: Method::POST, path, body, dialect: Some(dialect) })
            }
        }
    }

    /// With what opens the provider.
    async fn request(self, name: &str, limit: Duration) -> Result<Request<Bytes>, String> {
        let Question { endpoint, method, path, body, dialect } = self;
        let door = endpoint.doors.first().ok_or("it has no credential")?;
        let mut head = door.head.clone();
        if let Some(dialect) = dialect {
            head.extend_from_slice(b"content-type: application/json\r\n");
            for (name, value) in headers::forwarded(&HeaderMap::new(), dialect) {
                for piece in [name.as_bytes(), b": ", value, b"\r\n"] {
                    head.extend_from_slice(piece);
                }
            }
        }
        let path = door.opening.path(&path);
        let address = &endpoint.address;
        let signable = Signable { address, path: &path, method: &method, body: Some(&body) };
        let opened = door.opening.open_for(signable, limit, &mut head, name).await;
        opened.map_err(|fault| fault.to_string())?;
        let scheme = if address.tls { "https" } else { "http" };
        let request =
            Request::builder().method(method).uri(format!("{scheme}://{}{path}", address.authority));
        // What could not be put together may hold a credential: it is not told.
        let mut request = request.body(body).map_err(|_| "its path is no path".to_owned())?;
        *request.headers_mut() = header_map(&head);
        Ok(request)
    }
}

//! A call between its admission and its settlement.

use std::{borrow::Cow, collections::BTreeMap, net::IpAddr, rc::Rc, sync::Arc, time::Instant};

use bytes::Bytes;
use http::{HeaderMap, request};
use policy::{
    Money,
    principal::Principal,
    queue::Priority,
    route::{Plan, Target},
    snapshot::Deadlines,
};
use uuid::Uuid;
use wire::{Counting, Dialect, Fault, Form, Kind, Losses, Operation};

use crate::{
    access::ClientCertificate,
    authenticate,
    core::{Core, Held},
    gate::Permit,
    headers,
    limits::Claimed,
    meter::Meter,
    settle,
    shadow::Mirror,
    world::World,
};

/// What is known of a call from its arrival on.
pub(crate) struct Arrival {
    pub(crate) id: Uuid,
    pub(crate) at: Instant,
    pub(crate) started_us: i64,
    /// Who is at the other end of the connection.
    pub(crate) peer: Rc<Peer>,
}

/// Who is at the other end of a connection.
pub(crate) struct Peer {
    pub(crate) address: IpAddr,
    /// What it showed when it connected, where it showed one.
    pub(crate) certificate: Option<ClientCertificate>,
}

/// A call that was admitted. It is settled exactly once: by whoever brings it to its end, or, when the caller
/// goes away and everything that worked for it is dropped, by the task that its drop wakes.
pub(crate) struct Call {
    core: Rc<Core>,
    open: Option<Box<Open>>,
}

/// The facts of a call that is not settled yet.
pub(crate) struct Open {
    pub(crate) arrival: Arrival,
    pub(crate) world: Held<World>,
    pub(crate) principal: Arc<Principal>,
    /// The dialect in which the caller is talked to.
    pub(crate) dialect: Dialect,
    pub(crate) operation: Operation,
    /// What its use is counted as: for what is passed through, what its path stands for.
    pub(crate) counted_as: Operation,
    /// The form of an operation beside chat.
    pub(crate) form: Option<Form>,
    /// Whether nothing that is sold can be used.
    pub(crate) free: bool,
    pub(crate) model_asked: String,
    pub(crate) stream: bool,
    /// Whether the stream is told as one JSON array.
    pub(crate) as_array: bool,
    /// Whether the caller asked for usage on the stream.
    pub(crate) include_usage: bool,
    /// The request's body, or its beginning, for estimates of what it uses.
    pub(crate) prompt: Bytes,
    /// How long the body is, where it says so before it has come.
    pub(crate) body_bytes: u64,
    /// The target that is being asked, or was asked last.
    pub(crate) target: Option<Target>,
    /// How the target was chosen, and what was known of each when the call began.
    pub(crate) plan: Option<Rc<Plan>>,
    pub(crate) standing: Vec<Cow<'static, str>>,
    /// In the order in which they began; those without an end are under way.
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) losses: Losses,
    pub(crate) meter: Meter,
    pub(crate) status: u16,
    /// Whether the call stands in the spool, and so must come to a record.
    pub(crate) noted: bool,
    /// When the call must have ended, where its caller says so.
    pub(crate) hurried: Option<Instant>,
    /// Who is let in first, where calls wait for a place.
    pub(crate) priority: Priority,
    /// The most tokens to generate, where the caller says so.
    pub(crate) output_tokens_max: Option<u64>,
    /// The end user for whom the caller asks.
    pub(crate) end_user: Option<String>,
    /// What the caller marks its call with.
    pub(crate) tags: BTreeMap<String, String>,
    /// What the call holds of its limits.
    pub(crate) claimed: Option<Box<Claimed>>,
    /// What its caller is told of its limits, in headers.
    pub(crate) told: Vec<(&'static str, String)>,
    /// What is to be mirrored once the call was answered well.
    pub(crate) mirror: Option<Box<Mirror>>,
    /// The call that this one mirrors.
    pub(crate) shadow_of: Option<Uuid>,
}

/// One request to one target.
pub(crate) struct Attempt {
    pub(crate) target: Target,
    /// The number of the credential that opened it, where its provider has several.
    pub(crate) credential: usize,
    pub(crate) began: Instant,
    /// Nothing while it is under way.
    pub(crate) ended: Option<Instant>,
    /// The upstream's status, where it answered.
    pub(crate) status: Option<u16>,
    /// The kind of fault, where it failed.
    pub(crate) fault: Option<&'static str>,
    /// Whether the request may have reached the upstream.
    pub(crate) sent: bool,
    /// What it cost, where its answer is not the call's.
    pub(crate) cost: Option<Money>,
    /// Whether its answer had begun when it failed.
    pub(crate) broke: bool,
    /// How many characters of its answer the caller was told before another target went on with it.
    pub(crate) told_chars: Option<u64>,
    /// Its place at the provider, for as long as it lasts.
    pub(crate) permit: Option<Permit>,
}

impl Arrival {
    pub(crate) fn now(peer: Rc<Peer>) -> Arrival {
        Arrival { id: Uuid::now_v7(), at: Instant::now(), started_us: crate::world::now_us(), peer }
    }
}

impl Arrival {
    /// Where the call comes from.
    pub(crate) fn address(&self, parts: &request::Parts, world: &World) -> IpAddr {
        let trusted = &world.snapshot.server.trusted_proxies;
        authenticate::address(self.peer.address, &parts.headers, trusted)
    }
}

impl Open {
    /// A call of which nothing has happened yet.
    pub(crate) fn new(
        arrival: Arrival,
        world: Held<World>,
        principal: Arc<Principal>,
        dialect: Dialect,
    ) -> Open {
        Open {
            arrival,
            world,
            principal,
            dialect,
            operation: Operation::Chat,
            counted_as: Operation::Chat,
            form: None,
            free: false,
            model_asked: String::new(),
            stream: false,
            as_array: false,
            include_usage: false,
            prompt: Bytes::new(),
            body_bytes: 0,
            target: None,
            plan: None,
            standing: Vec::new(),
            attempts: Vec::with_capacity(1),
            losses: Losses::default(),
            meter: Meter::default(),
            status: 0,
            noted: false,
            hurried: None,
            priority: Priority::Default,
            output_tokens_max: None,
            end_user: None,
            tags: BTreeMap::new(),
            claimed: None,
            told: Vec::new(),
            mirror: None,
            shadow_of: None,
        }
    }

    /// What the call is marked with: what is set for its caller, and what it says itself of anything else.
    pub(crate) fn all_tags(&self) -> BTreeMap<String, String> {
        let mut tags = self.tags.clone();
        tags.extend(self.principal.tags.clone());
        tags
    }

    /// How its use is known where its provider does not report it.
    pub(crate) fn counting(&self) -> Counting {
        if self.free { Counting::Free } else { self.counted_as.counting() }
    }

    /// Takes a caller at its word that allows a call less time than is configured.
    pub(crate) fn hurry(&mut self, from: &HeaderMap) -> Result<(), Fault> {
        let Some(value) = headers::own(from, &headers::TIMEOUT) else { return Ok(()) };
        let span = value.to_str().ok().and_then(policy::config::span);
        let message = "is no duration; write a number with ms, s or m, as 30s";
        let span = span.ok_or_else(|| Fault::invalid(headers::TIMEOUT.as_str(), message))?;
        self.hurried = self.arrival.at.checked_add(span);
        Ok(())
    }

    /// When the whole call must have ended.
    pub(crate) fn until(&self, deadlines: &Deadlines) -> Instant {
        let configured = self.arrival.at + deadlines.total;
        self.hurried.map_or(configured, |hurried| hurried.min(configured))
    }

    /// Whether a fault only says that the caller's own time was over: one that is always in a hurry must not have targets
    /// rest for everybody.
    pub(crate) fn is_hasty(&self, fault: &Fault, now: Instant) -> bool {
        fault.kind == Kind::Timeout && self.hurried.is_some_and(|until| now >= until)
    }
}

impl Attempt {
    pub(crate) fn new(target: &Target, credential: usize, began: Instant, permit: Option<Permit>) -> Attempt {
        Attempt {
            target: target.clone(),
            credential,
            began,
            ended: None,
            status: None,
            fault: None,
            sent: true,
            cost: None,
            broke: false,
            told_chars: None,
            permit,
        }
    }
}

impl Call {
    pub(crate) fn new(core: &Rc<Core>, open: Open) -> Call {
        core.metrics.add(crate::metrics::Counter::CallsOpen, 1);
        Call { core: Rc::clone(core), open: Some(Box::new(open)) }
    }

    pub(crate) fn core(&self) -> &Rc<Core> {
        &self.core
    }

    pub(crate) fn open(&mut self) -> &mut Open {
        self.open.as_mut().expect("a call is taken apart only by settling it, which consumes it")
    }

    /// Ends the call: charge, journal, metrics.
    pub(crate) fn settle(mut self, ending: settle::Ending) -> settle::Receipt {
        let open = self.open.take().expect("a call is settled once: settling consumes it");
        settle::settle(&self.core, *open, ending)
    }

    /// Ends a call that the gateway has answered by itself.
    pub(crate) fn settle_here(mut self) {
        let open = self.open.take().expect("a call is settled once: settling consumes it");
        settle::here(&self.core, *open);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Some(open) = self.open.take() {
            self.core.abandoned.borrow_mut().push(*open);
            self.core.abandoned_wake.notify_one();
        }
    }
}

//! Calls that are mirrored to another target once they were answered well. Nobody waits for them, and what they say is
//! read and thrown away; only their records stay.

use std::{collections::BTreeMap, rc::Rc, sync::Arc, sync::atomic::Ordering::Relaxed};

use bytes::Bytes;
use http::request;
use http_body_util::BodyExt;
use policy::{
    principal::Principal,
    rollout::{Shadow, Throttle, plan_shadow},
    route::{Asking, Plan},
};
use uuid::Uuid;
use wire::{Dialect, Envelope};

use crate::{
    call::{Arrival, Call, Open, Peer},
    core::{Core, Held},
    drive,
    inbound::{Asks, Inbound},
    limits::{self, Turn},
    pipeline::admit,
    tasks,
    world::World,
};

/// A request that will be mirrored.
pub(crate) struct Mirror {
    shadow: Arc<Shadow>,
    throttle: Arc<Throttle>,
    parts: request::Parts,
    body: Bytes,
    envelope: Envelope,
}

/// Decides by chance whether a call will be mirrored, and keeps what that takes.
pub(crate) fn mirror(
    core: &Core,
    world: &World,
    plan: &Plan,
    parts: &request::Parts,
    (body, envelope): (&Bytes, &Envelope),
) -> Option<Box<Mirror>> {
    let shadow = Arc::clone(plan.shadow.as_ref()?);
    if core.vitals().chance().u32(..1_000) >= shadow.share {
        return None;
    }
    let throttle = Arc::clone(world.throttle(plan.route)?);
    let (parts, body, envelope) = (parts.clone(), body.clone(), envelope.clone());
    Some(Box::new(Mirror { shadow, throttle, parts, body, envelope }))
}

/// Mirrors a call that was answered well, unless too many are mirrored already.
pub(crate) fn follow(core: &Rc<Core>, open: &mut Open) {
    let Some(mirror) = open.mirror.take() else { return };
    let now_s = u32::try_from(core.shared.epoch.elapsed().as_secs()).unwrap_or(u32::MAX);
    if core.shared.draining.load(Relaxed) || !mirror.throttle.enter(&mirror.shadow, now_s) {
        return;
    }
    let through = Through(Arc::clone(&mirror.throttle));
    let original = Original {
        id: open.arrival.id,
        world: Rc::clone(&open.world),
        principal: Arc::clone(&open.principal),
        dialect: open.dialect,
        as_array: open.as_array,
        peer: Rc::clone(&open.arrival.peer),
        end_user: open.end_user.clone(),
        tags: open.tags.clone(),
    };
    let core = Rc::clone(core);
    tasks::spawn_local("shadow", async move {
        let _through = through;
        run(core, &mirror, original).await;
    });
}

/// The call that is mirrored.
struct Original {
    id: Uuid,
    world: Held<World>,
    principal: Arc<Principal>,
    dialect: Dialect,
    as_array: bool,
    peer: Rc<Peer>,
    end_user: Option<String>,
    tags: BTreeMap<String, String>,
}

/// A place behind the throttle, given back at the end.
struct Through(Arc<Throttle>);

impl Drop for Through {
    fn drop(&mut self) {
        self.0.leave();
    }
}

async fn run(core: Rc<Core>, mirror: &Mirror, original: Original) {
    let Original { id, world, principal, dialect, as_array, peer, end_user, tags } = original;
    let Some(mut plan) = plan_shadow(&world.snapshot, &mirror.shadow, Asking::Chat(dialect)) else { return };
    if admit(&core, world.snapshot.server.limits.calls_max).is_err() {
        return;
    }
    let mut open = Open::new(Arrival::now(peer), world, principal, dialect);
    open.shadow_of = Some(id);
    open.model_asked.clone_from(&mirror.envelope.model);
    (open.stream, open.as_array) = (mirror.envelope.stream, as_array);
    open.include_usage = mirror.envelope.include_usage;
    // It counts for whom, and as what, the call counts that it mirrors.
    (open.end_user, open.tags) = (end_user, tags);
    open.output_tokens_max = mirror.envelope.output_tokens_max;
    open.prompt = mirror.body.clone();
    let asks = Asks::Chat { body: mirror.body.clone(), envelope: mirror.envelope.clone() };
    let inbound = Inbound { parts: &mirror.parts, asks };
    let mut call = Call::new(&core, open);
    if let Err(fault) = limits::enter(&mut call, &mut plan, Turn::Only).await {
        return tracing::debug!(call = %id, fault = fault.message, "limits have no room for a call's mirror");
    }
    match drive::drive(call, &inbound, plan).await {
        Ok(response) => {
            let mut body = response.into_body();
            while let Some(Ok(_)) = body.frame().await {}
        }
        Err(fault) => tracing::debug!(call = %id, fault = fault.message, "a call could not be mirrored"),
    }
}

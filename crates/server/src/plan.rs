//! Plans a call: what its caller wishes, and what its request says where that matters.

use http::{HeaderMap, request};
use policy::{
    facts::RequestFacts,
    judge::Reader,
    key::Key,
    preference::Preferences,
    route::{self, Asked, Asking, Plan, Said},
    rule::{Headers, RuleFacts},
};
use wire::{Dialect, Envelope, Fault, Form};

use crate::{call::Arrival, core::Core, headers, world::World};

/// Who asks, and with which headers.
#[derive(Clone, Copy)]
pub(crate) struct Asker<'a> {
    pub(crate) core: &'a Core,
    pub(crate) world: &'a World,
    pub(crate) key: &'a Key,
    pub(crate) parts: &'a request::Parts,
    pub(crate) arrival: &'a Arrival,
}

impl Asker<'_> {
    /// Plans a chat. Its request is decoded only where the way of its model depends on what it says.
    pub(crate) fn chat(&self, dialect: Dialect, body: &[u8], envelope: &Envelope) -> Result<Plan, Fault> {
        let wishes = self.wishes()?;
        let (model, asking) = (envelope.model.as_str(), Asking::Chat(dialect));
        let snapshot = &self.world.snapshot;
        if !route::reads_request(snapshot, model, wishes.as_ref()) {
            return self.plan(&Asked { model, asking, wishes: wishes.as_ref(), said: None });
        }
        let chat = dialect.decode_request(body)?;
        let mut facts = RequestFacts::of_chat(&chat, body);
        (facts.model, facts.stream) = (model, envelope.stream);
        let (told, judge) = (Told(&self.parts.headers), self.judge(&facts));
        let said =
            Said { facts: self.facts(&facts, &told, &judge), chat: Some(&chat), session: self.session() };
        self.plan(&Asked { model, asking, wishes: wishes.as_ref(), said: Some(&said) })
    }

    /// Plans another operation.
    pub(crate) fn form(&self, form: Form, model: &str, body: &[u8]) -> Result<Plan, Fault> {
        let wishes = self.wishes()?;
        let asking = Asking::Form(form);
        let snapshot = &self.world.snapshot;
        if !route::reads_request(snapshot, model, wishes.as_ref()) {
            return self.plan(&Asked { model, asking, wishes: wishes.as_ref(), said: None });
        }
        let facts = RequestFacts::of_form(form, model, body);
        let (told, judge) = (Told(&self.parts.headers), self.judge(&facts));
        let said = Said { facts: self.facts(&facts, &told, &judge), chat: None, session: self.session() };
        self.plan(&Asked { model, asking, wishes: wishes.as_ref(), said: Some(&said) })
    }

    fn plan(&self, asked: &Asked<'_>) -> Result<Plan, Fault> {
        route::plan(&self.world.snapshot, self.key, asked, &self.core.vitals())
    }

    fn facts<'f>(
        &'f self,
        request: &'f RequestFacts<'f>,
        told: &'f Told<'f>,
        judge: &'f Reader<'f>,
    ) -> RuleFacts<'f> {
        RuleFacts { request, headers: told, key: self.key, judge, now_us: self.arrival.started_us }
    }

    fn judge<'f>(&'f self, request: &RequestFacts<'f>) -> Reader<'f> {
        Reader::new(request.last_user_text, self.world.snapshot.intents.as_deref())
    }

    fn wishes(&self) -> Result<Option<Preferences>, Fault> {
        let Some(value) = self.parts.headers.get(headers::ROUTE) else { return Ok(None) };
        let place = headers::ROUTE;
        let text = value.to_str().map_err(|_| Fault::invalid(place.as_str(), "is no text"))?;
        Preferences::parse(text, place.as_str()).map(Some)
    }

    fn session(&self) -> Option<&str> {
        self.parts.headers.get(headers::SESSION)?.to_str().ok()
    }
}

/// Headers as rules see them.
struct Told<'h>(&'h HeaderMap);

impl Headers for Told<'_> {
    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.to_str().ok()
    }
}

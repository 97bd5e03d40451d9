//! Plans a call: what its caller wishes, and what its request says where that matters.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, request};
use policy::{
    facts::RequestFacts,
    judge::Reader,
    preference::{Aside, Preferences},
    principal::Principal,
    route::{self, Asked, Asking, Plan, Said},
    rule::{Headers, RuleFacts, RuleTarget},
};
use wire::{Dialect, Envelope, Fault, Form, Operation};

use crate::{core::Core, headers, inbound::Sent, world::World};

/// Who asks, and with which headers.
#[derive(Clone, Copy)]
pub(crate) struct Asker<'a> {
    pub(crate) core: &'a Core,
    pub(crate) world: &'a World,
    pub(crate) principal: &'a Principal,
    pub(crate) parts: &'a request::Parts,
    /// Where the call comes from.
    pub(crate) address: IpAddr,
    /// Microseconds since 1970.
    pub(crate) now_us: i64,
}

impl Asker<'_> {
    /// Plans a chat. Its request is decoded only where the way of its model depends on what it says.
    pub(crate) fn chat(
        &self,
        (dialect, model): (Dialect, &str),
        body: &[u8],
        envelope: &Envelope,
    ) -> Result<Plan, Fault> {
        let Aside { route: wishes, session } = self.aside(envelope.gateway.as_deref())?;
        let asking = Asking::Chat(dialect);
        let snapshot = &self.world.snapshot;
        if !route::reads_request(snapshot, model, wishes.as_ref()) && !self.principal.reads_request() {
            let wishes = wishes.as_ref();
            let asked = Asked { model, asking, wishes, said: None, rules: None, wants: None };
            if !self.principal.has_rules() {
                return self.plan(&asked);
            }
            let mut facts = RequestFacts::of_envelope(Operation::Chat, dialect, model, body);
            facts.stream = envelope.stream;
            let (told, judge) = (Told(&self.parts.headers), self.judge(&facts));
            let facts = self.facts(&facts, &told, &judge);
            self.principal.may_call(&facts)?;
            return self.plan(&Asked { rules: Some(&facts), ..asked });
        }
        let chat = dialect.decode_request(body)?;
        let mut facts = RequestFacts::of_chat(&chat, body);
        (facts.model, facts.stream) = (model, envelope.stream);
        let (told, judge) = (Told(&self.parts.headers), self.judge(&facts));
        let facts = self.facts(&facts, &told, &judge);
        self.principal.may_call(&facts)?;
        let said = Said { facts, chat: Some(&chat), session: session.as_deref() };
        let (wishes, rules) = (wishes.as_ref(), Some(&said.facts));
        self.plan(&Asked { model, asking, wishes, said: Some(&said), rules, wants: None })
    }

    /// Plans another operation.
    pub(crate) fn form(&self, form: Form, model: &str, sent: &Sent) -> Result<Plan, Fault> {
        let gateway = sent.envelope().and_then(|envelope| envelope.gateway.as_deref());
        let Aside { route: wishes, session } = self.aside(gateway)?;
        let asking = Asking::Form(form);
        let snapshot = &self.world.snapshot;
        if !route::reads_request(snapshot, model, wishes.as_ref()) && !self.principal.has_rules() {
            let wishes = wishes.as_ref();
            return self.plan(&Asked { model, asking, wishes, said: None, rules: None, wants: None });
        }
        let body = sent.first();
        let facts = RequestFacts::of_form(form, model, &body);
        let (told, judge) = (Told(&self.parts.headers), self.judge(&facts));
        let facts = self.facts(&facts, &told, &judge);
        self.principal.may_call(&facts)?;
        let said = Said { facts, chat: None, session: session.as_deref() };
        let (wishes, rules) = (wishes.as_ref(), Some(&said.facts));
        self.plan(&Asked { model, asking, wishes, said: Some(&said), rules, wants: None })
    }

    /// Whether the caller's rules let a request through to a target that it names itself.
    pub(crate) fn may_call(&self, request: &RequestFacts<'_>, target: RuleTarget<'_>) -> Result<(), Fault> {
        if !self.principal.has_rules() {
            return Ok(());
        }
        let (told, judge) = (Told(&self.parts.headers), self.judge(request));
        let facts = self.facts(request, &told, &judge);
        self.principal.may_call(&facts)?;
        self.principal.may_ask(&facts, target)
    }

    fn plan(&self, asked: &Asked<'_>) -> Result<Plan, Fault> {
        route::plan(&self.world.snapshot, self.principal, asked, &self.core.vitals())
    }

    fn facts<'f>(
        &'f self,
        request: &'f RequestFacts<'f>,
        told: &'f Told<'f>,
        judge: &'f Reader<'f>,
    ) -> RuleFacts<'f> {
        RuleFacts {
            request,
            headers: told,
            principal: self.principal,
            judge,
            address: Some(self.address),
            target: None,
            now_us: self.now_us,
        }
    }

    fn judge<'f>(&'f self, request: &RequestFacts<'f>) -> Reader<'f> {
        Reader::new(request.last_user_text, self.world.snapshot.intents.as_deref())
    }

    /// What the caller says to the gateway: in headers, or else in the body.
    fn aside(&self, gateway: Option<&str>) -> Result<Aside, Fault> {
        let mut aside = gateway.map(Aside::parse).transpose()?.unwrap_or_default();
        let header = |name: HeaderName| {
            let text = |value: &HeaderValue| value.to_str().map(str::to_owned);
            let text = headers::own(&self.parts.headers, &name).map(text).transpose();
            text.map_err(|_| Fault::invalid(name.as_str(), "is no text"))
        };
        if let Some(text) = header(headers::ROUTE)? {
            aside.route = Some(Preferences::parse(&text, headers::ROUTE.as_str())?);
        }
        aside.session = header(headers::SESSION)?.or(aside.session);
        Ok(aside)
    }
}

/// Headers as rules see them.
struct Told<'h>(&'h HeaderMap);

impl Headers for Told<'_> {
    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.to_str().ok()
    }
}

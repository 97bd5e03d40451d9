//! A model at a provider, and how it is asked.

use std::sync::Arc;

use catalog::Capability;
use wire::{Dialect, Form, Prompts, Quirks};

use crate::{
    moment::Moment,
    pool,
    snapshot::{AliasTarget, Provider},
    vitals::{TargetId, Vitals},
};

/// A model at a provider, and how it will be asked.
#[derive(Clone)]
pub struct Target {
    pub id: TargetId,
    pub provider: Arc<Provider>,
    /// The model's name at the provider; empty where a request names none.
    pub model: Arc<str>,
    /// The dialect in which it is asked, or whose headers and errors its form has.
    pub dialect: Dialect,
    /// The form in which it is asked, for operations beside chat.
    pub form: Option<Form>,
}

/// How a caller asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asking {
    Chat(Dialect),
    Form(Form),
}

impl Target {
    /// Asks in the caller's own dialect or form where the provider speaks it, so that nothing needs translation.
    /// `None` where the provider cannot be asked so.
    pub(crate) fn new(named: &AliasTarget, asking: Asking) -> Option<Target> {
        let provider = &named.provider;
        let target = |dialect, form| Target {
            id: named.id,
            provider: Arc::clone(provider),
            model: Arc::clone(&named.model),
            dialect,
            form,
        };
        let caller = match asking {
            Asking::Chat(dialect) => dialect,
            Asking::Form(form) => {
                let form = Target::form(provider, form)?;
                let target = target(form.dialect(), Some(form));
                let chats = form.is_prompt() && target.quirks().prompts == Prompts::Chat;
                return (!chats).then_some(target);
            }
        };
        let spoken = &provider.facts.dialects;
        let own = spoken.iter().find(|(dialect, _)| *dialect == caller).or(spoken.first());
        Some(target(own.map(|(dialect, _)| *dialect)?, None))
    }

    /// A provider whose own path is asked; the model is empty where the request names none.
    pub fn passed(provider: Arc<Provider>, model: &str, dialect: Dialect) -> Target {
        let id = TargetId::of(&provider.facts.id, model);
        Target { id, provider, model: model.into(), dialect, form: None }
    }

    /// The form in which a provider takes requests of this one.
    pub(crate) fn form(provider: &Provider, asked: Form) -> Option<Form> {
        let forms = &provider.forms;
        forms
            .iter()
            .find(|form| **form == asked)
            .or_else(|| forms.iter().find(|form| asked.reaches(**form)))
            .copied()
    }

    pub fn facts(&self) -> Option<&catalog::Model> {
        self.provider.facts.model(&self.model).map(Arc::as_ref)
    }

    pub(crate) fn context_tokens(&self) -> Option<u64> {
        self.facts().and_then(|facts| facts.context_tokens)
    }

    /// Until when it is better left alone; `None` where it may be asked.
    pub fn resting(&self, vitals: &Vitals, now: Moment) -> Option<Moment> {
        {
            let own = vitals.resting(self.id, now, &self.provider.breaker);
            own.max(self.cooling(vitals, now)).max(vitals.down(self.provider.number, now))
        }
    }

    /// Until when its provider lets nobody ask it.
    pub(crate) fn cooling(&self, vitals: &Vitals, now: Moment) -> Option<Moment> {
        let credentials = pool::resting(&self.provider.credentials, self.id, &self.model, vitals, now);
        credentials.max(vitals.cooling(self.id, now))
    }

    /// Whether it may make pictures in a chat: nothing that is known of it says otherwise.
    pub(crate) fn may_draw(&self) -> bool {
        let can = self.facts().map(|model| model.can.as_slice()).unwrap_or_default();
        can.is_empty() || can.contains(&Capability::Images)
    }

    pub fn quirks(&self) -> &Quirks {
        self.facts().map_or(&self.provider.facts.quirks, |model| &model.quirks)
    }
}

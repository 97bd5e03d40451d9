//! Who calls, with everything that holds for them.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use uuid::Uuid;
use wire::{Fault, Kind, Operation, Origin};

use super::{Ancestor, CostMax, EntityKind, Grant, Stand, access::AccessRules, lineage::Lineage};
use crate::{
    authentication::Identified,
    key::{Key, Owner, Scope},
    limit::Limit,
    role::{self, RoleName},
    rule::{RuleFacts, RuleTarget},
};

/// Who calls. Made when keys and entities change, and not for each call.
#[derive(Clone, Debug, PartialEq)]
pub struct Principal {
    pub id: Uuid,
    pub name: String,
    pub proof: Proof,
    pub scope: Scope,
    /// What it may administer; nothing where it opens models.
    pub role: Option<RoleName>,
    pub owner: Owner,
    pub organization: Option<Uuid>,
    pub stand: Stand,
    /// What the caller belongs to, the nearest first.
    pub ancestors: Vec<Ancestor>,
    /// What each of those above allows, where it does not allow everything; the caller's own first.
    grants: Vec<Arc<Grant>>,
    access: Vec<Arc<AccessRules>>,
    pub limits: Vec<Arc<Limit>>,
    pub tags: BTreeMap<String, String>,
    /// Those that its token names, for rules.
    pub roles: Vec<String>,
    expires_us: Option<i64>,
    revoked_us: Option<i64>,
}

/// What a caller shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// A virtual key.
    Key,
    /// A token of an identity provider.
    Token,
    /// A client certificate.
    Certificate,
    /// Nothing: this is a dry run.
    Nothing,
}

impl Principal {
    pub(super) fn of_key(key: &Key, lineage: Lineage) -> Principal {
        Principal {
            id: key.id,
            name: key.name.clone(),
            proof: Proof::Key,
            scope: key.scope,
            role: role::of_key(key),
            owner: key.owner,
            organization: key.organization,
            stand: Stand::of(key.organization, &lineage.ancestors),
            ancestors: lineage.ancestors,
            grants: lineage.grants,
            access: lineage.access,
            limits: lineage.limits,
            tags: lineage.tags,
            roles: Vec::new(),
            expires_us: key.expires_us,
            revoked_us: key.revoked_us,
        }
    }

    pub(super) fn identified(
        found: &Identified,
        (proof, organization): (Proof, Option<Uuid>),
        lineage: Lineage,
    ) -> Principal {
        Principal {
            id: found.id,
            name: found.name.clone(),
            proof,
            scope: Scope::Calls,
            role: None,
            owner: Owner::Registry,
            organization,
            stand: Stand::of(organization, &lineage.ancestors),
            ancestors: lineage.ancestors,
            grants: lineage.grants,
            access: lineage.access,
            limits: lineage.limits,
            tags: lineage.tags,
            roles: found.roles.clone(),
            expires_us: None,
            revoked_us: None,
        }
    }

    /// One that may use everything, for dry runs: nobody can show it.
    pub fn unbound() -> Principal {
        Principal { proof: Proof::Nothing, ..Principal::of_key(&Key::unbound(), Lineage::default()) }
    }

    /// The same as it is at this moment, in microseconds since 1970: what was allowed for a time ends by itself.
    pub fn at(self: &Arc<Principal>, now_us: i64) -> Arc<Principal> {
        let lapses = self.grants.iter().filter_map(|grant| grant.lapses_us()).min();
        if lapses.is_none_or(|at| at > now_us) {
            return Arc::clone(self);
        }
        Arc::new(Principal::clone(self).without_lapsed(now_us))
    }

    /// The same for one that nobody else holds.
    pub fn without_lapsed(mut self, now_us: i64) -> Principal {
        for grant in self.grants.iter_mut().filter(|grant| grant.lapses_us().is_some()) {
            *grant = Arc::new(grant.without_lapsed(now_us));
        }
        self
    }

    /// Whether it is good at this moment.
    pub fn check(&self, now_us: i64) -> Result<(), Fault> {
        let refused =
            |message: &str, code| Err(Fault::new(Origin::Client, Kind::Unauthenticated, message).code(code));
        if self.revoked_us.is_some_and(|at| at <= now_us) {
            return refused("this key was revoked; ask for a new one", "key_revoked");
        }
        if self.expires_us.is_some_and(|at| at <= now_us) {
            return refused("this key has expired; ask for a new one", "key_expired");
        }
        Ok(())
    }

    /// Whether it may call from an address, and none of those above is disabled.
    pub fn may_come_from(&self, address: IpAddr) -> Result<(), Fault> {
        self.grants.iter().try_for_each(|grant| grant.may_come_from(address))
    }

    /// Whether it may ask for this model name.
    pub fn may_use(&self, model: &str) -> Result<(), Fault> {
        self.grants.iter().try_for_each(|grant| grant.may_use(model))
    }

    /// Whether it may ask a provider for anything, whatever the model.
    pub fn may_reach(&self, provider: &str) -> Result<(), Fault> {
        self.grants.iter().try_for_each(|grant| grant.may_reach(provider))
    }

    pub fn may_do(&self, operation: Operation) -> Result<(), Fault> {
        self.grants.iter().try_for_each(|grant| grant.may_do(operation))
    }

    /// Whether calls are held against rules.
    pub fn has_rules(&self) -> bool {
        !self.access.is_empty()
    }

    /// Whether its rules ask what requests say.
    pub fn reads_request(&self) -> bool {
        self.access.iter().any(|rules| rules.needs_decoding())
    }

    /// Whether its rules let a call through; a denial names the rule.
    pub fn may_call(&self, facts: &RuleFacts<'_>) -> Result<(), Fault> {
        self.access.iter().try_for_each(|rules| rules.check(facts))
    }

    /// Whether its rules let a call ask a target; a denial names the rule.
    pub fn may_ask(&self, facts: &RuleFacts<'_>, target: RuleTarget<'_>) -> Result<(), Fault> {
        if !self.access.iter().any(|rules| rules.asks_of_target()) {
            return Ok(());
        }
        self.may_call(&RuleFacts { target: Some(target), ..*facts })
    }

    /// The nearest part of an organization of this kind that it belongs to; empty where there is none.
    pub fn within(&self, kind: EntityKind) -> &str {
        self.ancestors.iter().find(|above| above.kind == kind).map_or("", |above| &above.name)
    }

    /// The most that one of its requests may be, and who says so.
    pub fn cost_max(&self) -> impl Iterator<Item = (&str, CostMax)> {
        let grants = self.grants.iter().filter(|grant| grant.cost_max != CostMax::default());
        grants.map(|grant| (&*grant.whose, grant.cost_max))
    }

    /// The model names that its own list allows; empty where it has none of its own.
    pub fn models(&self) -> &[String] {
        self.grants.first().map_or(&[], |grant| &grant.models)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::principal::{Directory, Settings};

    fn principal(models: &[&str]) -> Principal {
        let models = models.iter().map(|&model| model.to_owned()).collect();
        let settings = Settings { models, ..Settings::default() };
        Directory::default().principal(&Key { settings, expires_us: Some(100), ..Key::unbound() }).0
    }

    #[test]
    fn model_lists_allow_what_they_name() {
        let check = |models: &[&str], asked: &str, allowed: bool| {
            assert_eq!(principal(models).may_use(asked).is_ok(), allowed, "{models:?} {asked}");
        };
        check(&[], "any/model", true);
        check(&["fast"], "fast", true);
        check(&["fast"], "faster", false);
        check(&["house/*"], "house/llama", true);
        check(&["house/*"], "home/llama", false);
    }

    #[test]
    fn a_provider_is_open_to_keys_that_may_use_all_of_it() {
        let check = |models: &[&str], allowed: bool| {
            assert_eq!(principal(models).may_reach("house").is_ok(), allowed, "{models:?}");
        };
        check(&[], true);
        check(&["*"], true);
        check(&["house/*"], true);
        check(&["house/llama*"], false);
        check(&["house/llama"], false);
        check(&["home/*"], false);
    }

    #[test]
    fn keys_end_when_they_expire_or_are_revoked() {
        let mut expiring = principal(&[]);
        assert!(expiring.check(99).is_ok());
        assert!(expiring.check(100).is_err_and(|fault| fault.code.as_deref() == Some("key_expired")));
        expiring.revoked_us = Some(50);
        assert!(expiring.check(50).is_err_and(|fault| fault.code.as_deref() == Some("key_revoked")));
    }
}

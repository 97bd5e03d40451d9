//! Accounts whose requests are counted down, and how providers tell what is left.

use std::time::Duration;

use jiff::Timestamp;

/// So many calls in a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    pub(crate) calls: u64,
    pub(crate) window: Duration,
}

/// Where an account stands after a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) limit: u64,
    /// Calls of this window, this one among them.
    pub(crate) used: u64,
    pub(crate) resets_in: Duration,
}

/// Headers that tell of an account.
pub(crate) type Headers = Vec<(&'static str, String)>;

impl Account {
    /// Whether this call is one too many.
    pub(crate) fn is_exceeded(&self) -> bool {
        self.used > self.limit
    }

    fn remaining(&self) -> String {
        self.limit.saturating_sub(self.used).to_string()
    }
}

/// As OpenAI tells it (<https://platform.openai.com/docs/guides/rate-limits>).
pub(crate) fn openai(account: &Account) -> Headers {
    vec![
        ("x-ratelimit-limit-requests", account.limit.to_string()),
        ("x-ratelimit-remaining-requests", account.remaining()),
        ("x-ratelimit-reset-requests", format!("{}ms", account.resets_in.as_millis())),
    ]
}

/// As Anthropic tells it (<https://docs.anthropic.com/en/api/rate-limits>).
pub(crate) fn anthropic(account: &Account) -> Headers {
    let reset = Timestamp::now() + account.resets_in;
    vec![
        ("anthropic-ratelimit-requests-limit", account.limit.to_string()),
        ("anthropic-ratelimit-requests-remaining", account.remaining()),
        ("anthropic-ratelimit-requests-reset", reset.to_string()),
    ]
}

/// For providers that tell nothing before they refuse.
pub(crate) fn silent(_: &Account) -> Headers {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_told_in_each_providers_way() {
        let account = Account { limit: 5, used: 6, resets_in: Duration::from_millis(1_500) };
        assert!(account.is_exceeded());
        let reset = ("x-ratelimit-reset-requests", "1500ms".to_owned());
        assert!(openai(&account).contains(&reset), "{:?}", openai(&account));
        let [_, (_, left), (_, reset)] = &anthropic(&account)[..] else { panic!("three headers") };
        assert_eq!(left, "0");
        assert!(reset.parse::<Timestamp>().is_ok(), "{reset}");
    }
}

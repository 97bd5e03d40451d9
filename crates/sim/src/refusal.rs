//! Why a provider refuses a request: each API tells it with a status and a body of its own.

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The provider is over capacity.
    Overloaded,
    /// Too many requests in a while.
    RateLimit,
    /// The account's credit is used up.
    Quota,
    /// The prompt does not fit the model's context window.
    Context,
    /// The provider's content policy forbids it. Some APIs have no error for that.
    Policy,
    /// The credential opens nothing.
    Key,
    /// There is no such model.
    Model,
    /// The request is malformed.
    Invalid,
}

impl Refusal {
    pub(crate) const ALL: [(&'static str, Refusal); 8] = [
        ("overloaded", Refusal::Overloaded),
        ("rate-limit", Refusal::RateLimit),
        ("quota", Refusal::Quota),
        ("context", Refusal::Context),
        ("policy", Refusal::Policy),
        ("key", Refusal::Key),
        ("model", Refusal::Model),
        ("invalid", Refusal::Invalid),
    ];

    pub(crate) fn named(name: &str) -> Option<Refusal> {
        Refusal::ALL.iter().find(|(known, _)| *known == name).map(|(_, refusal)| *refusal)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::Refusal;
    use crate::{anthropic, bedrock, cohere, gemini, ollama, openai, responses};

    #[test]
    fn each_api_tells_reasons_apart() {
        let apis = [
            &anthropic::API,
            &bedrock::API,
            &cohere::API,
            &gemini::API,
            &ollama::API,
            &openai::API,
            &responses::API,
        ];
        for (at, api) in apis.iter().enumerate() {
            let told = Refusal::ALL.map(|(_, refusal)| {
                let (status, body) = (api.refuse)(refusal, "echo");
                assert!((400..600).contains(&status) || refusal == Refusal::Policy, "api {at}: {body}");
                format!("{status} {body}")
            });
            assert_eq!(HashSet::from(told).len(), Refusal::ALL.len(), "api {at}");
        }
    }
}

//! What other gateways call providers that the catalogue knows.

/// LiteLLM's prefixes (<https://docs.litellm.ai/docs/providers>) and the catalogue's names, where they differ.
pub(super) const LITELLM: [(&str, &str); 23] = [
    ("text-completion-openai", "openai"),
    ("azure_text", "azure"),
    ("anthropic_text", "anthropic"),
    ("bedrock_converse", "bedrock"),
    ("vertex_ai", "vertex"),
    ("vertex_ai_beta", "vertex"),
    ("cohere_chat", "cohere"),
    ("codestral", "mistral"),
    ("together_ai", "together"),
    ("fireworks_ai", "fireworks"),
    ("ollama_chat", "ollama"),
    ("hosted_vllm", "vllm"),
    ("nvidia_nim", "nvidia"),
    ("jina_ai", "jina"),
    ("github", "github-models"),
    ("lm_studio", "lmstudio"),
    ("dashscope", "alibaba"),
    ("meta_llama", "llama"),
    ("friendliai", "friendli"),
    ("lambda_ai", "lambda"),
    ("vercel_ai_gateway", "vercel"),
    ("xiaomi_mimo", "xiaomi"),
    ("amazon_nova", "nova"),
];

/// The catalogue's name of a provider that another gateway calls so; `None` where it is not in the catalogue.
pub(super) fn catalogued(differing: &[(&str, &str)], name: &str) -> Option<String> {
    let known = differing.iter().find(|(theirs, _)| *theirs == name).map_or(name, |(_, ours)| ours);
    let hyphened = known.replace('_', "-");
    [known, hyphened.as_str()].into_iter().find(|name| catalog::entry(name).is_some()).map(str::to_owned)
}

/// Whose model this is where only its name is written.
pub(super) fn maker(model: &str) -> Option<&'static str> {
    let openai = [
        "gpt-",
        "chatgpt-",
        "o1",
        "o3",
        "o4",
        "text-embedding-",
        "dall-e",
        "whisper",
        "tts-",
        "omni-moderation",
    ];
    let makers: [(&[&str], &str); 8] = [
        (&openai, "openai"),
        (&["claude"], "anthropic"),
        (&["gemini"], "gemini"),
        (&["command", "embed-english", "embed-multilingual", "rerank-"], "cohere"),
        (&["mistral-", "codestral", "ministral", "magistral", "pixtral"], "mistral"),
        (&["deepseek"], "deepseek"),
        (&["grok"], "xai"),
        (&["voyage"], "voyage"),
    ];
    makers
        .into_iter()
        .find(|(starts, _)| starts.iter().any(|start| model.starts_with(start)))
        .map(|(_, id)| id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_the_catalogue() {
        let check = |name: &str, expected: Option<&str>| {
            assert_eq!(catalogued(&LITELLM, name).as_deref(), expected, "{name}");
        };
        check("together_ai", Some("together"));
        check("groq", Some("groq"));
        check("sagemaker", None);
        // Whatever the list names is in the catalogue.
        for (theirs, ours) in LITELLM {
            assert!(catalog::entry(ours).is_some(), "{theirs}: {ours}");
        }
        assert_eq!(
            (maker("gpt-4o"), maker("claude-opus-4-8"), maker("x")),
            (Some("openai"), Some("anthropic"), None)
        );
    }
}

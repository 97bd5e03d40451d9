//! Drafts to providers, with every problem at once.

use std::{collections::HashMap, sync::Arc};

use serde_json::Value;
use wire::{Dialect, Form, Quirks};

use crate::{
    Auth, Capability, Cloud, LongContext, LongContextDraft, Model, ModelDraft, OneOrMany, Price, PriceDraft,
    Problem, Provider, ProviderDraft, Rates, UnitRates, price::parse_rate,
};

/// Collects problems below a path.
struct Problems<'p> {
    list: &'p mut Vec<Problem>,
    path: String,
}

impl Problems<'_> {
    fn add(&mut self, field: &str, message: impl Into<String>) {
        let path = join(&self.path, field);
        self.list.push(Problem { path, message: message.into() });
    }

    fn under(&mut self, field: &str) -> Problems<'_> {
        let path = join(&self.path, field);
        Problems { list: self.list, path }
    }
}

impl Provider {
    /// Lays a draft over a provider that is known already, or makes one of the draft alone.
    pub fn build(id: &str, base: Option<&Provider>, draft: ProviderDraft) -> Result<Provider, Vec<Problem>> {
        let mut list = Vec::new();
        let mut problems = Problems { list: &mut list, path: String::new() };
        let mut provider = base.cloned().unwrap_or_else(|| empty(id));
        provider.id = id.to_owned();
        addresses(&mut provider, &draft, &mut problems);
        for (field, value, place) in [
            ("region", draft.region, &mut provider.region),
            ("project", draft.project, &mut provider.project),
            ("resource", draft.resource, &mut provider.resource),
        ] {
            let Some(value) = value else { continue };
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            if value.is_empty() || !value.bytes().all(plain) {
                problems.add(
                    field,
                    format!("\"{value}\" holds more than letters, digits, \"-\", \"_\" and \".\""),
                );
            }
            *place = Some(value);
        }
        if let Some(name) = draft.name {
            provider.name = name;
        }
        if let Some(auth) = &draft.auth {
            match parse_auth(auth) {
                Some(auth) => provider.auth = auth,
                None => problems.add(
                    "auth",
                    format!(
                        "\"{auth}\" is no way to show a credential; use bearer, header: NAME, query: NAME, aws, google, azure or none"
                    ),
                ),
            }
        } else if base.is_none() {
            provider.auth = default_auth(&provider.dialects);
        }
        provider.local = draft.local.unwrap_or(provider.local);
        provider.docs = draft.docs.or(provider.docs);
        if let Some(env) = draft.env {
            provider.env = OneOrMany::into_vec(env);
        }
        if let Some(headers) = draft.headers {
            for (name, value) in headers {
                check_header(&name, &value, &mut problems);
                provider.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(&name));
                provider.headers.push((name.to_ascii_lowercase(), value));
            }
        }
        if let Some(quirks) = draft.quirks {
            provider.quirks = lay_over(&provider.quirks, &quirks, &mut problems.under("quirks"));
        }
        for (name, model) in draft.models.unwrap_or_default() {
            let known = provider.by_name.get(&name).cloned();
            let path = format!("models.{name}");
            let draft = model.unwrap_or_default();
            let model =
                build_model(&name, known.as_deref(), draft, &provider.quirks, &mut problems.under(&path));
            provider.models.retain(|known| known.id != name);
            provider.models.push(Arc::new(model));
        }
        provider.by_name = index(&provider.models);
        if list.is_empty() { Ok(provider) } else { Err(list) }
    }
}

fn empty(id: &str) -> Provider {
    Provider {
        id: id.to_owned(),
        name: id.to_owned(),
        dialects: Vec::new(),
        auth: Auth::Bearer,
        env: Vec::new(),
        headers: Vec::new(),
        base_url: None,
        region: None,
        project: None,
        resource: None,
        forms: Vec::new(),
        docs: None,
        local: false,
        quirks: Quirks::default(),
        models: Vec::new(),
        by_name: HashMap::new(),
    }
}

fn addresses(provider: &mut Provider, draft: &ProviderDraft, problems: &mut Problems<'_>) {
    let preferred = provider.dialects.first().map(|(dialect, _)| *dialect);
    let dialect = match &draft.dialect {
        Some(name) => dialect(name, "dialect", problems),
        None => preferred,
    };
    if let Some(base_url) = &draft.base_url {
        check_url(base_url, "base_url", problems);
        match dialect {
            Some(dialect) => {
                let url = format!("{}{}", base_url.trim_end_matches('/'), dialect.path());
                provider.dialects = vec![(dialect, url)];
                // Those that were named are elsewhere.
                provider.forms.clear();
                provider.base_url = Some(base_url.trim_end_matches('/').to_owned());
            }
            // A provider without chat has forms only.
            None if draft.dialect.is_none() && draft.forms.is_some() => {
                provider.base_url = Some(base_url.trim_end_matches('/').to_owned());
            }
            None if draft.dialect.is_none() => {
                problems.add("dialect", "is missing; write openai_chat, or another of the dialects");
            }
            None => {}
        }
    }
    for (name, url) in draft.dialects.iter().flatten() {
        let field = format!("dialects.{name}");
        check_url(url, &field, problems);
        if let Some(dialect) = dialect_named(name, &field, problems) {
            provider.dialects.retain(|(known, _)| *known != dialect);
            provider.dialects.push((dialect, url.clone()));
        }
    }
    for (name, url) in draft.forms.iter().flatten() {
        let field = format!("forms.{name}");
        check_url(url, &field, problems);
        match Form::from_name(name) {
            Some(form) => {
                provider.forms.retain(|(known, _)| *known != form);
                provider.forms.push((form, url.clone()));
            }
            None => {
                let known: Vec<&str> = Form::ALL.iter().map(|form| form.name()).collect();
                problems.add(&field, format!("\"{name}\" is no form; use one of: {}", known.join(", ")));
            }
        }
    }
    if provider.dialects.is_empty() && provider.forms.is_empty() && problems.list.is_empty() {
        problems.add(
            "base_url",
            "is missing; write where the provider's API begins, as https://api.example.com/v1",
        );
    }
}

fn dialect(name: &str, field: &str, problems: &mut Problems<'_>) -> Option<Dialect> {
    dialect_named(name, field, problems)
}

fn dialect_named(name: &str, field: &str, problems: &mut Problems<'_>) -> Option<Dialect> {
    let found = Dialect::from_name(name);
    if found.is_none() {
        let known: Vec<&str> = Dialect::ALL.iter().map(|dialect| dialect.name()).collect();
        let known = known.join(", ");
        problems.add(
            field,
            match Form::from_name(name) {
                Some(_) => format!(
                    "\"{name}\" is a form, not a dialect; write it under forms, and here one of: {known}"
                ),
                None => format!("\"{name}\" is no dialect; use one of: {known}"),
            },
        );
    }
    found
}

fn check_url(url: &str, field: &str, problems: &mut Problems<'_>) {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let host = rest.and_then(|rest| rest.split(['/', '?', '#']).next()).unwrap_or_default();
    let printable = url.bytes().all(|byte| byte.is_ascii_graphic());
    if host.is_empty() || host.contains('@') || !printable {
        problems.add(field, format!("\"{url}\" is no address; write it as https://api.example.com/v1"));
    }
}

fn check_header(name: &str, value: &str, problems: &mut Problems<'_>) {
    let named = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !named || value.bytes().any(|byte| byte.is_ascii_control()) {
        problems.add(&format!("headers.{name}"), "is no header that can be sent");
    }
}

fn parse_auth(text: &str) -> Option<Auth> {
    match text {
        "bearer" => Some(Auth::Bearer),
        "none" => Some(Auth::None),
        "aws" => Some(Auth::Cloud(Cloud::Aws)),
        "google" => Some(Auth::Cloud(Cloud::Google)),
        "azure" => Some(Auth::Cloud(Cloud::Azure)),
        other => {
            let (place, name) = other.split_once(':')?;
            let name = name.trim();
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            let valid = !name.is_empty() && name.bytes().all(plain);
            match place {
                "header" if valid => Some(Auth::Header(name.to_ascii_lowercase())),
                "query" if valid => Some(Auth::Query(name.to_owned())),
                _ => None,
            }
        }
    }
}

fn default_auth(dialects: &[(Dialect, String)]) -> Auth {
    match dialects.first().and_then(|(dialect, _)| dialect.key_header()) {
        Some(name) => Auth::Header(name.to_owned()),
        None => Auth::Bearer,
    }
}

fn build_model(
    id: &str,
    base: Option<&Model>,
    draft: ModelDraft,
    quirks: &Quirks,
    problems: &mut Problems<'_>,
) -> Model {
    let mut model = base.cloned().unwrap_or_else(|| Model {
        id: id.to_owned(),
        aliases: Vec::new(),
        context_tokens: None,
        output_tokens: None,
        can: Vec::new(),
        price: None,
        price_json: None,
        deprecated: None,
        quirks: quirks.clone(),
    });
    model.id = id.to_owned();
    model.aliases = draft.aliases.unwrap_or(model.aliases);
    model.context_tokens = draft.context_tokens.or(model.context_tokens);
    model.output_tokens = draft.output_tokens.or(model.output_tokens);
    if let Some(day) = draft.deprecated {
        if !is_day(&day) {
            problems.add("deprecated", format!("\"{day}\" is no day; write it as 2026-01-31"));
        }
        model.deprecated = Some(day);
    }
    if let Some(names) = draft.can {
        model.can = capabilities(&names, problems);
    }
    if let Some(price) = draft.price {
        let price = build_price(price, &mut problems.under("price"));
        model.price_json = serde_json::to_string(&price).ok();
        model.price = Some(price);
    }
    if let Some(own) = draft.quirks {
        model.quirks = lay_over(&model.quirks, &own, &mut problems.under("quirks"));
    }
    model
}

fn capabilities(names: &[String], problems: &mut Problems<'_>) -> Vec<Capability> {
    let mut can = Vec::new();
    for name in names {
        match Capability::from_name(name) {
            Some(capability) => can.push(capability),
            None => {
                let known: Vec<&str> = Capability::ALL.iter().map(|known| known.name()).collect();
                problems.add("can", format!("\"{name}\" is no capability; use one of: {}", known.join(", ")));
            }
        }
    }
    can
}

fn build_price(draft: PriceDraft, problems: &mut Problems<'_>) -> Price {
    let above = draft.above.clone().map(|above| long_context(above, &mut problems.under("above")));
    if let Some(since) = &draft.since
        && !is_day(since)
    {
        problems.add("since", format!("\"{since}\" is no day; write it as 2026-01-31"));
    }
    let rates = rates(
        [
            ("input", draft.input),
            ("cached", draft.cached),
            ("cache_write", draft.cache_write),
            ("cache_write_1h", draft.cache_write_1h),
            ("output", draft.output),
            ("reasoning", draft.reasoning),
            ("audio_input", draft.audio_input),
            ("audio_output", draft.audio_output),
            ("image_input", draft.image_input),
            ("image_output", draft.image_output),
        ],
        problems,
    );
    let mut rate = |field: &str, number: Option<serde_json::Number>| rate(field, number, problems);
    // A rate is read in millionths of a dollar.
    let each = |micros: Option<u64>, of: u64| micros.map(|micros| micros.saturating_mul(1_000_000 / of));
    let units = UnitRates {
        image: each(rate("per_image", draft.per_image), 1),
        minute: each(rate("per_minute", draft.per_minute), 1),
        character: each(rate("per_1m_characters", draft.per_1m_characters), 1_000_000),
        search: each(rate("per_1k_searches", draft.per_1k_searches), 1_000),
        request: each(rate("per_1k_requests", draft.per_1k_requests), 1_000),
    };
    let batch_permille = rate("batch", draft.batch).map(|micros| micros / 1_000);
    Price { rates, above, units, batch_permille, since: draft.since }
}

fn long_context(draft: LongContextDraft, problems: &mut Problems<'_>) -> LongContext {
    let rates = rates(
        [
            ("input", draft.input),
            ("cached", draft.cached),
            ("cache_write", draft.cache_write),
            ("cache_write_1h", draft.cache_write_1h),
            ("output", draft.output),
            ("reasoning", draft.reasoning),
            ("audio_input", draft.audio_input),
            ("audio_output", draft.audio_output),
            ("image_input", draft.image_input),
            ("image_output", draft.image_output),
        ],
        problems,
    );
    LongContext { tokens: draft.tokens, rates }
}

/// Rates in the order in which [`Rates`] has them.
fn rates(given: [(&str, Option<serde_json::Number>); 10], problems: &mut Problems<'_>) -> Rates {
    let [
        input,
        cached,
        cache_write,
        cache_write_1h,
        output,
        reasoning,
        audio_input,
        audio_output,
        image_input,
        image_output,
    ] = given.map(|(field, number)| rate(field, number, problems));
    Rates {
        input,
        cached,
        cache_write,
        cache_write_1h,
        output,
        reasoning,
        audio_input,
        audio_output,
        image_input,
        image_output,
    }
}

/// Whether a text has the shape of a day, as `2026-01-31`.
fn is_day(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let digits = |part: &&str, count| part.len() == count && part.bytes().all(|byte| byte.is_ascii_digit());
    matches!(parts.as_slice(), [year, month, day] if digits(year, 4) && digits(month, 2) && digits(day, 2))
}

fn rate(field: &str, number: Option<serde_json::Number>, problems: &mut Problems<'_>) -> Option<u64> {
    // The shortest decimal that reads back as the same number is what was typed, at up to six decimals.
    let text = decimal(&number?);
    match parse_rate(&text) {
        Ok(rate) => Some(rate),
        Err(message) => {
            problems.add(field, message);
            None
        }
    }
}

/// A number without an exponent.
fn decimal(number: &serde_json::Number) -> String {
    match number.as_f64() {
        Some(value) if number.is_f64() => format!("{value}"),
        Some(_) | None => number.to_string(),
    }
}

/// Members of `own` replace those of `base`.
fn lay_over(base: &Quirks, own: &Value, problems: &mut Problems<'_>) -> Quirks {
    let mut whole = serde_json::to_value(base).expect("quirks are plain data");
    if let (Value::Object(whole), Value::Object(own)) = (&mut whole, own) {
        for (name, value) in own {
            whole.insert(name.clone(), value.clone());
        }
    }
    match serde_json::from_value(whole) {
        Ok(quirks) => quirks,
        Err(error) => {
            problems.add("", error.to_string());
            base.clone()
        }
    }
}

fn index(models: &[Arc<Model>]) -> HashMap<String, Arc<Model>> {
    let mut by_name = HashMap::with_capacity(models.len());
    for model in models {
        for alias in &model.aliases {
            by_name.insert(alias.clone(), Arc::clone(model));
        }
    }
    for model in models {
        by_name.insert(model.id.clone(), Arc::clone(model));
    }
    by_name
}

fn join(path: &str, field: &str) -> String {
    match (path.is_empty(), field.is_empty()) {
        (true, _) => field.to_owned(),
        (false, true) => path.to_owned(),
        (false, false) => format!("{path}.{field}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse_yaml;

    fn draft(yaml: &str) -> ProviderDraft {
        serde_json::from_value(parse_yaml(yaml).unwrap()).unwrap()
    }

    #[test]
    fn a_short_entry_is_enough() {
        let yaml = "{ dialect: openai_chat, base_url: 'http://vllm.internal:8000/v1/', models: { llama: { context_tokens: 131072, price: { input: 0.20, output: 0.40 } } } }";
        let house = Provider::build("house", None, draft(yaml)).unwrap();
        let url = "http://vllm.internal:8000/v1/chat/completions".to_owned();
        assert_eq!(house.dialects, vec![(Dialect::OpenaiChat, url)]);
        assert_eq!(house.auth, Auth::Bearer);
        let price = house.model("llama").unwrap().price.clone().unwrap();
        assert_eq!((price.rates.input, price.rates.output), (Some(200_000), Some(400_000)));
    }

    #[test]
    fn an_entry_is_laid_over_what_is_known() {
        let base = Provider::build("a", None, draft("{ dialect: openai_chat, base_url: 'https://a.example/v1', quirks: { output_limit: max_completion_tokens }, models: { m: { context_tokens: 5, aliases: [n] } } }")).unwrap();
        let own = Provider::build(
            "a",
            Some(&base),
            draft("{ base_url: 'https://b.example/v1', models: { m: { price: { input: 1, output: 2 } } } }"),
        )
        .unwrap();
        assert_eq!(own.dialects[0].1, "https://b.example/v1/chat/completions");
        let model = own.model("n").unwrap();
        assert_eq!(model.context_tokens, Some(5));
        assert!(model.price.is_some());
        assert_eq!(model.quirks.output_limit, wire::OutputLimit::MaxCompletionTokens);
    }

    #[test]
    fn every_problem_is_reported() {
        let yaml = "{ dialect: openai, base_url: 'ftp://x', auth: magic, headers: { 'a b': c }, quirks: { odd: 1 }, models: { m: { can: [fly], price: { input: -1, output: 0.00000001 } } } }";
        let problems = Provider::build("x", None, draft(yaml)).unwrap_err();
        let paths: Vec<&str> = problems.iter().map(|problem| problem.path.as_str()).collect();
        let expected = [
            "dialect",
            "base_url",
            "auth",
            "headers.a b",
            "quirks",
            "models.m.can",
            "models.m.price.input",
            "models.m.price.output",
        ];
        assert_eq!(paths, expected);
    }
}

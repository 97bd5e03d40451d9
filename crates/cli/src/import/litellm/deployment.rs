//! An entry of `model_list`: a deployment, which is a target of the model that it names
//! (<https://docs.litellm.ai/docs/proxy/configs>).

use serde_json::{Map, Value};

use super::provider;
use crate::import::{
    fields::{Fields, Known, flag_of},
    prices,
    report::Grade,
    work::{Work, put},
};

/// What stands before the name of an environment variable.
pub(in crate::import) const VARIABLE: &str = "os.environ/";

/// One of the deployments of a group.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Deployment {
    /// The name that applications use.
    pub(super) group: String,
    /// `provider/model`.
    pub(super) target: String,
    pub(super) weight: Option<f64>,
    /// Requests and tokens per minute.
    pub(super) rpm: Option<f64>,
    pub(super) tpm: Option<f64>,
    /// The lowest is asked first.
    pub(super) order: Option<u64>,
    pub(super) tags: Vec<String>,
    /// Seconds.
    pub(super) timeout: Option<f64>,
    pub(super) stream_timeout: Option<f64>,
    pub(super) retries: Option<u64>,
    /// Groups by which keys may be allowed this model.
    pub(super) access_groups: Vec<String>,
}

/// What there is to say of further fields of `litellm_params`.
const PARAMS: [Known; 22] = [
    ("temperature", Grade::Unsupported, DEFAULTS),
    ("top_p", Grade::Unsupported, DEFAULTS),
    ("max_tokens", Grade::Unsupported, DEFAULTS),
    ("max_completion_tokens", Grade::Unsupported, DEFAULTS),
    ("seed", Grade::Unsupported, DEFAULTS),
    ("stop", Grade::Unsupported, DEFAULTS),
    ("n", Grade::Unsupported, DEFAULTS),
    ("response_format", Grade::Unsupported, DEFAULTS),
    ("reasoning_effort", Grade::Unsupported, DEFAULTS),
    ("thinking", Grade::Unsupported, DEFAULTS),
    ("tools", Grade::Unsupported, DEFAULTS),
    ("extra_body", Grade::Unsupported, DEFAULTS),
    ("guardrails", Grade::Unsupported, "there are no guardrails"),
    (
        "cache_control_injection_points",
        Grade::Unsupported,
        "no marks for prompt caches are added to requests",
    ),
    ("mock_response", Grade::Unsupported, "answers are not made up; `tollgate sim` simulates providers"),
    (
        "max_budget",
        Grade::Manual,
        "models have no budgets; write a budget with `models: [NAME]` at an organization or a key",
    ),
    ("budget_duration", Grade::Manual, "belongs to `max_budget`"),
    ("use_in_pass_through", Grade::Exact, "every provider's own paths are passed through"),
    (
        "merge_reasoning_content_in_choices",
        Grade::Unsupported,
        "thinking is told where the caller's dialect has it",
    ),
    (
        "configurable_clientside_auth_params",
        Grade::Unsupported,
        "callers cannot bring credentials of their own",
    ),
    (
        "drop_params",
        Grade::Approximate,
        "what a target cannot take is left out, unless `fidelity: strict` is written at a model",
    ),
    ("additional_drop_params", Grade::Manual, "write `quirks: { refused: [...] }` at the provider's model"),
];
const DEFAULTS: &str = "nothing is added to what callers send; let them send it";

const INFO: [Known; 7] = [
    ("id", Grade::Unsupported, "targets are known by `provider/model`"),
    (
        "mode",
        Grade::Approximate,
        "what a model does is told by the catalogue, or by `can` at the provider's model",
    ),
    ("description", Grade::Unsupported, "models have no descriptions"),
    (
        "team_id",
        Grade::Manual,
        "models belong to nobody; list this one in the `models` of those that may use it, and not in others'",
    ),
    ("db_model", Grade::Exact, "says where the model was kept, which makes no difference"),
    ("tier", Grade::Unsupported, "there are no tiers of models"),
    ("health_check_model", Grade::Manual, "write `health: { check: { model: NAME } }` at the provider"),
];

/// Reads an entry; `None` where nothing can be made of it, which the report says.
pub(super) fn read(
    path: &str,
    value: &Value,
    credentials: &Map<String, Value>,
    work: &mut Work,
) -> Option<Deployment> {
    let mut entry = Fields::of(path, value, &mut work.report)?;
    let params =
        with_credential(entry.take("litellm_params"), &entry.at("litellm_params"), credentials, work);
    let mut params = Fields::new(&entry.at("litellm_params"), &params);
    let Some(written) = params.text("model", &mut work.report) else {
        work.report.manual(
            &params.at("model"),
            "is missing, so that the entry says nothing; write `provider/model`",
        );
        return None;
    };
    let group = entry.text("model_name", &mut work.report).unwrap_or(written).to_owned();
    if !group.ends_with('*') {
        work.report.exact(&entry.at("model_name"), "is a name under `models`");
    }
    let place = provider::place(written, &mut params, work);
    let mut deployment = Deployment { group, ..Deployment::default() };
    routing(&mut deployment, &mut params, work);
    let mut facts = Map::new();
    let mut price = prices::read(&mut params, &mut work.report);
    if let Some(mut info) = entry.map("model_info", &mut work.report) {
        model_info(&mut info, &mut deployment, &mut facts, work);
        price.extend(prices::read(&mut info, &mut work.report));
        info.known(&INFO, &mut work.report);
        info.rest(&mut work.report);
    }
    if !price.is_empty() {
        put(&mut facts, "price", price);
    }
    params.known(&PARAMS, &mut work.report);
    params.rest(&mut work.report);
    entry.rest(&mut work.report);
    let (account, model) = place?;
    if model != "*" {
        work.draft.model(&account, &model, facts);
    }
    deployment.target = format!("{account}/{model}");
    Some(deployment)
}

/// The parameters with those of the credential that they name (`credential_list`); their own count.
fn with_credential(
    params: Option<&Value>,
    path: &str,
    credentials: &Map<String, Value>,
    work: &mut Work,
) -> Map<String, Value> {
    let mut params = params.and_then(Value::as_object).cloned().unwrap_or_default();
    let Some(name) = params.remove("litellm_credential_name") else { return params };
    let path = format!("{path}.litellm_credential_name");
    match name.as_str().and_then(|name| credentials.get(name)).and_then(Value::as_object) {
        Some(values) => {
            work.report.exact(&path, "the values of that credential were used");
            for (name, value) in values {
                params.entry(name).or_insert_with(|| value.clone());
            }
        }
        None => work
            .report
            .manual(&path, "names no credential of `credential_list`; write the provider's `api_key`"),
    }
    params
}

/// How the deployment stands beside the others of its group.
fn routing(deployment: &mut Deployment, params: &mut Fields<'_>, work: &mut Work) {
    let report = &mut work.report;
    deployment.weight = params.number("weight", report);
    deployment.rpm = params.number("rpm", report);
    deployment.tpm = params.number("tpm", report);
    deployment.order = params.count("order", report);
    deployment.tags = params.texts("tags", report).into_iter().map(str::to_owned).collect();
    deployment.timeout = params.number("timeout", report);
    deployment.stream_timeout = params.number("stream_timeout", report);
    let retries = params.count("max_retries", report);
    deployment.retries = params.count("num_retries", report).or(retries);
    let says = "is how often it is chosen next to the others of its name, as `simple-shuffle` does; as a limit it is not kept, \
                since providers' own limits are heeded as they are told";
    for (name, said) in [("rpm", deployment.rpm), ("tpm", deployment.tpm)] {
        if said.is_some() {
            report.approximate(&params.at(name), says);
        }
    }
    let notes = [
        ("weight", deployment.weight.is_some(), Grade::Exact, "is the target's `weight`"),
        (
            "order",
            deployment.order.is_some(),
            Grade::Approximate,
            "targets of a higher order have no weight: they are asked where no other is left",
        ),
        (
            "tags",
            !deployment.tags.is_empty(),
            Grade::Approximate,
            "are the target's `tags`; callers choose by them in the header `x-tollgate-route`",
        ),
        (
            "timeout",
            deployment.timeout.is_some(),
            Grade::Approximate,
            "is `deadlines.total` of the model, which holds for all attempts together",
        ),
        (
            "stream_timeout",
            deployment.stream_timeout.is_some(),
            Grade::Approximate,
            "is `deadlines.first_byte` of the model",
        ),
        ("num_retries", deployment.retries.is_some() && retries.is_none(), Grade::Approximate, RETRIES),
        ("max_retries", retries.is_some(), Grade::Approximate, RETRIES),
    ];
    for (name, is_said, grade, says) in notes {
        if is_said {
            report.note(&params.at(name), grade, says);
        }
    }
}

const RETRIES: &str =
    "is `retries.max` of the model: further attempts at one target, made once all targets were asked";

/// What the entry knows of its model.
fn model_info(
    info: &mut Fields<'_>,
    deployment: &mut Deployment,
    facts: &mut Map<String, Value>,
    work: &mut Work,
) {
    deployment.access_groups =
        info.texts("access_groups", &mut work.report).into_iter().map(str::to_owned).collect();
    if !deployment.access_groups.is_empty() {
        work.report.exact(
            &info.at("access_groups"),
            "keys and teams that name a group are allowed its models one by one",
        );
    }
    if let Some(base) = info.text("base_model", &mut work.report) {
        base_model(&info.at("base_model"), base, facts, work);
    }
    let output = info.count("max_tokens", &mut work.report);
    let output = info.count("max_output_tokens", &mut work.report).or(output);
    let input = info.count("max_input_tokens", &mut work.report);
    for (name, ours, value) in
        [("max_input_tokens", "context_tokens", input), ("max_output_tokens", "output_tokens", output)]
    {
        if let Some(value) = value {
            work.report.exact(&info.at(name), format!("is `{ours}` of the provider's model"));
            put(facts, ours, value);
        }
    }
    let abilities = [
        ("supports_function_calling", "tools"),
        ("supports_vision", "vision"),
        ("supports_pdf_input", "pdf"),
        ("supports_audio_input", "audio"),
        ("supports_reasoning", "reasoning"),
        ("supports_response_schema", "json_schema"),
        ("supports_prompt_caching", "caching"),
    ];
    let mut can: Vec<Value> = Vec::new();
    let mut says_any = false;
    for (name, ability) in abilities {
        let Some(flag) = info.take(name) else { continue };
        says_any = true;
        work.report.exact(&info.at(name), format!("is `{ability}` of the model's `can`"));
        if flag_of(flag) == Some(true) {
            can.push(ability.into());
        }
    }
    if says_any {
        put(facts, "can", can);
    }
}

/// A deployment with a name of its own is what its base model is.
fn base_model(path: &str, base: &str, facts: &mut Map<String, Value>, work: &mut Work) {
    let model = base.rsplit('/').next().unwrap_or(base);
    let known = ["azure", "openai", "anthropic", "gemini"]
        .into_iter()
        .find_map(|provider| catalog::entry(provider)?.get("models")?.get(model)?.as_object());
    match known {
        Some(known) => {
            work.report
                .exact(path, "limits, abilities and prices of that model were copied from the catalogue");
            facts.extend(known.clone());
        }
        None => work
            .report
            .manual(path, "the catalogue knows no such model; write `price` at the provider's model"),
    }
}

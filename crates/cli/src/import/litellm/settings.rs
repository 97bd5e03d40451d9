//! `router_settings`, `litellm_settings` and `general_settings` (<https://docs.litellm.ai/docs/proxy/config_settings>).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::groups::Routing;
use crate::import::{
    fields::{Fields, Known, span},
    report::Grade::{Approximate, Exact, Manual, Unsupported},
    work::{Work, put},
};

/// Strategies there and here, with how near they are.
const STRATEGIES: [(&str, &str, &str); 7] = [
    ("simple-shuffle", "weighted", ""),
    ("least-busy", "least_in_flight", ""),
    ("latency-based-routing", "latency", ""),
    ("cost-based-routing", "cheapest", ""),
    ("usage-based-routing", "least_in_flight", USAGE),
    ("usage-based-routing-v2", "least_in_flight", USAGE),
    ("provider-budget-routing", "weighted", "providers have no budgets"),
];
const USAGE: &str =
    "by calls in flight instead of tokens per minute; limits that providers tell of are heeded in any case";

const ROUTER: [Known; 19] = [
    (
        "enable_pre_call_checks",
        Exact,
        "targets that cannot take a request (its length, pictures, tools) are passed over",
    ),
    (
        "optional_pre_call_checks",
        Manual,
        "for prompt caches choose `strategy: cached`; for sessions `strategy: sticky`",
    ),
    ("model_group_affinity_config", Manual, "choose `strategy: sticky` at the models that are meant"),
    (
        "enable_tag_filtering",
        Approximate,
        "callers choose by tags in the header `x-tollgate-route`; write `only: { tags: [...] }` for demands",
    ),
    ("tag_filtering_match_any", Unsupported, "all tags that are asked for must be there"),
    ("redis_host", Manual, REDIS),
    ("redis_port", Manual, REDIS),
    ("redis_password", Manual, REDIS),
    ("redis_url", Manual, REDIS),
    ("redis_db", Manual, REDIS),
    ("cache_responses", Unsupported, CACHE),
    (
        "routing_strategy_args",
        Unsupported,
        "strategies learn without settings; see `strategy` for those there are",
    ),
    (
        "retry_policy",
        Manual,
        "whether a fault is tried again depends on its kind, and is not set; see docs/routing.md",
    ),
    ("allowed_fails_policy", Manual, "write `health` at the provider: `failures`, `failure_share`, `rest`"),
    (
        "provider_budget_config",
        Manual,
        "providers have no budgets; write a budget with `models: [\"PROVIDER/*\"]` at an organization",
    ),
    ("max_fallbacks", Approximate, "every target is asked once; `deadlines.total` bounds the whole call"),
    ("alerting_config", Unsupported, ALERTS),
    ("set_verbose", Unsupported, LOGS),
    ("debug_level", Unsupported, LOGS),
];
const REDIS: &str = "where several replicas are to share counters, write `store.shared: ${REDIS_URL}` (`redis://USER:PASSWORD@HOST:PORT`)";
const CACHE: &str = "answers are not cached by the gateway";
const ALERTS: &str = "no alerts are sent; Prometheus' metrics at `/metrics` are there to alert on";
const LOGS: &str = "write `server.log` for what is logged";
const CALLBACKS: &str = "calls are not sent to other programs; they are in the journal, and in `/metrics`";

const LITELLM: [Known; 25] = [
    ("cache", Unsupported, CACHE),
    ("cache_params", Unsupported, CACHE),
    ("enable_caching_on_provider_specific_optional_params", Unsupported, CACHE),
    ("success_callback", Unsupported, CALLBACKS),
    ("failure_callback", Unsupported, CALLBACKS),
    ("callbacks", Unsupported, CALLBACKS),
    ("service_callback", Unsupported, CALLBACKS),
    ("service_callbacks", Unsupported, CALLBACKS),
    ("audit_log_callbacks", Unsupported, CALLBACKS),
    ("langfuse_default_tags", Unsupported, CALLBACKS),
    ("turn_off_message_logging", Exact, "what is said in calls is never kept"),
    ("redact_user_api_key_info", Unsupported, CALLBACKS),
    ("set_verbose", Unsupported, LOGS),
    ("json_logs", Unsupported, LOGS),
    ("modify_params", Approximate, "requests are fitted to what the target's model takes, as its quirks say"),
    ("max_budget", Manual, "write a `budget` at an organization above all teams"),
    ("budget_duration", Manual, "belongs to `max_budget`"),
    ("default_team_settings", Unsupported, CALLBACKS),
    ("default_internal_user_params", Unsupported, "users are not made by themselves"),
    ("max_internal_user_budget", Unsupported, "users are not made by themselves"),
    ("default_key_generate_params", Unsupported, "keys have what is said when they are made"),
    ("upperbound_key_generate_params", Unsupported, "keys have what is said when they are made"),
    (
        "disable_end_user_cost_tracking",
        Approximate,
        "end users are counted only where a limit says `each: [end_user]`",
    ),
    ("forward_traceparent_to_llm_provider", Unsupported, "headers of callers are not sent on"),
    ("ssl_verify", Unsupported, "certificates of providers are always checked"),
];

const GENERAL: [Known; 30] = [
    ("master_key", Manual, "admin keys are Tollgate's own: `tollgate keys create NAME --admin` makes one"),
    (
        "database_url",
        Manual,
        "import keys and teams with `--database`; Tollgate's own database is `store.database`",
    ),
    ("database_connection_pool_limit", Unsupported, DATABASE),
    ("database_connection_timeout", Unsupported, DATABASE),
    ("database_connect_timeout", Unsupported, DATABASE),
    ("database_socket_timeout", Unsupported, DATABASE),
    ("allow_requests_on_db_unavailable", Exact, "calls go on while the database is away"),
    ("disable_spend_logs", Unsupported, "calls are always written to the journal"),
    ("disable_error_logs", Unsupported, "calls are always written to the journal"),
    ("store_prompts_in_spend_logs", Unsupported, "what is said in calls is never kept"),
    ("maximum_spend_logs_retention_period", Unsupported, "the journal keeps everything; see docs/storage.md"),
    ("proxy_batch_write_at", Exact, "records are written behind the calls, ten times a second"),
    (
        "store_model_in_db",
        Manual,
        "models stand in the configuration; those of the database are imported with `--database`",
    ),
    ("alerting", Unsupported, ALERTS),
    ("alert_types", Unsupported, ALERTS),
    ("alerting_threshold", Unsupported, ALERTS),
    ("alert_to_webhook_url", Unsupported, ALERTS),
    ("alerting_args", Unsupported, ALERTS),
    (
        "background_health_checks",
        Manual,
        "write `health: { check: { model: NAME } }` at the providers that are meant",
    ),
    ("health_check_interval", Manual, "is `every` of a health check"),
    (
        "enable_jwt_auth",
        Manual,
        "write `authentication.jwt` with the issuer and its claims; see docs/authentication.md",
    ),
    (
        "litellm_jwtauth",
        Manual,
        "write `authentication.jwt` with the issuer and its claims; see docs/authentication.md",
    ),
    (
        "custom_auth",
        Unsupported,
        "no code of one's own is run; `authentication.introspection` asks a server of one's own",
    ),
    ("key_management_system", Manual, "write secrets as `secret:` references"),
    ("key_management_settings", Manual, "write secrets as `secret:` references"),
    ("allowed_ips", Manual, "write `addresses` at an organization, a team or a key"),
    (
        "pass_through_endpoints",
        Manual,
        "paths of a provider are passed through below its name; write a provider for other addresses",
    ),
    ("ui_access_mode", Unsupported, "there is no such page"),
    (
        "infer_model_from_keys",
        Exact,
        "providers whose usual variable is set are switched on where `providers` is left out",
    ),
    ("use_x_forwarded_for", Manual, "write the proxies in front of the gateway as `server.trusted_proxies`"),
];
const DATABASE: &str = "connections to the database are not set";

/// What the settings say of groups; what they say of everything goes into the draft.
pub(super) fn read(root: &mut Fields<'_>, work: &mut Work) -> Routing {
    let mut routing = Routing::default();
    // The router's own settings count where both say something.
    if let Some(mut router) = root.map("router_settings", &mut work.report) {
        shared(&mut router, &mut routing, work);
        strategy(&mut router, &mut routing, work);
        aliases(&mut router, &mut routing, work);
        group_retries(&mut router, &mut routing, work);
        router.known(&ROUTER, &mut work.report);
        router.rest(&mut work.report);
    }
    if let Some(mut settings) = root.map("litellm_settings", &mut work.report) {
        shared(&mut settings, &mut routing, work);
        if let Some(drops) = settings.flag("drop_params", &mut work.report) {
            let path = settings.at("drop_params");
            if drops {
                work.report.exact(&path, "what a target cannot take is left out, and told in a header");
            } else {
                put(&mut work.draft.top, "fidelity", "strict");
                work.report.exact(&path, "is `fidelity: strict`");
            }
        }
        settings.known(&LITELLM, &mut work.report);
        settings.rest(&mut work.report);
    }
    if let Some(settings) = root.map("general_settings", &mut work.report) {
        general(settings, work);
    }
    routing
}

/// What may stand in `router_settings` and in `litellm_settings`.
fn shared(fields: &mut Fields<'_>, routing: &mut Routing, work: &mut Work) {
    let lists: [(&'static str, &mut BTreeMap<String, Vec<String>>); 3] = [
        ("fallbacks", &mut routing.fallbacks),
        ("context_window_fallbacks", &mut routing.context_too_long),
        ("content_policy_fallbacks", &mut routing.content_policy),
    ];
    for (name, list) in lists {
        let read = lists_of(fields.list(name, &mut work.report));
        if !read.is_empty() {
            routing.paths.entry(name).or_insert_with(|| fields.at(name));
        }
        for (group, others) in read {
            list.entry(group).or_insert(others);
        }
    }
    let default = fields.texts("default_fallbacks", &mut work.report);
    if !default.is_empty() {
        let says = "are further targets of every model that has no fallbacks of its own";
        work.report.exact(&fields.at("default_fallbacks"), says);
        let default = default.into_iter().map(str::to_owned).collect();
        routing.fallbacks.entry("*".to_owned()).or_insert(default);
    }
    if let Some(most) = fields.count("num_retries", &mut work.report) {
        let says = "is `retries.max`: further attempts at one target, made once all targets were asked";
        work.report.approximate(&fields.at("num_retries"), says);
        under(work, "retries", "max", most.into());
    }
    if let Some(seconds) = fields.number("retry_after", &mut work.report).filter(|seconds| *seconds > 0.0) {
        work.report.approximate(
            &fields.at("retry_after"),
            "is `retries.backoff`, the longest first wait; it doubles",
        );
        under(work, "retries", "backoff", span(seconds).into());
    }
    for name in ["timeout", "request_timeout"] {
        if let Some(seconds) = fields.number(name, &mut work.report) {
            work.report
                .approximate(&fields.at(name), "is `deadlines.total`, which holds for all attempts together");
            under(work, "deadlines", "total", span(seconds).into());
        }
    }
    if let Some(seconds) = fields.number("stream_timeout", &mut work.report) {
        work.report.approximate(&fields.at("stream_timeout"), "is `deadlines.first_byte`");
        under(work, "deadlines", "first_byte", span(seconds).into());
    }
    health(fields, work);
}

/// Failures that make a deployment rest.
fn health(fields: &mut Fields<'_>, work: &mut Work) {
    let allowed = fields.count("allowed_fails", &mut work.report);
    let rest = fields.number("cooldown_time", &mut work.report);
    let mut health = Map::new();
    if let Some(allowed) = allowed {
        work.report.approximate(
            &fields.at("allowed_fails"),
            "is `health.failures` of the providers, one more than that: failures in a row instead of those of a minute",
        );
        put(&mut health, "failures", allowed + 1);
    }
    if let Some(seconds) = rest.filter(|seconds| *seconds > 0.0) {
        work.report.approximate(
            &fields.at("cooldown_time"),
            "is `health.rest` of the providers, which doubles while they fail",
        );
        put(&mut health, "rest", span(seconds));
        put(&mut health, "rest_max", span(seconds.max(60.0)));
    }
    if fields.flag("disable_cooldowns", &mut work.report) == Some(true) {
        work.report.exact(
            &fields.at("disable_cooldowns"),
            "is `health: { failures: 0, failure_share: 0% }` of the providers",
        );
        put(&mut health, "failures", 0);
        put(&mut health, "failure_share", "0%");
    }
    if !health.is_empty() {
        work.draft.every_account("health", &health.into());
    }
}

fn strategy(router: &mut Fields<'_>, routing: &mut Routing, work: &mut Work) {
    let Some(named) = router.text("routing_strategy", &mut work.report) else { return };
    let path = router.at("routing_strategy");
    match STRATEGIES.iter().find(|(theirs, _, _)| *theirs == named) {
        Some((_, ours, differs)) => {
            routing.strategy = Some(ours);
            let says = format!("is `strategy: {ours}` of models with several targets");
            match *differs {
                "" => work.report.exact(&path, says),
                differs => work.report.approximate(&path, format!("{says}: {differs}")),
            }
        }
        None => work.report.manual(&path, "is no strategy that the importer knows; choose one at the models"),
    }
}

fn aliases(router: &mut Fields<'_>, routing: &mut Routing, work: &mut Work) {
    let Some(aliases) = router.take("model_group_alias").and_then(Value::as_object) else { return };
    let path = router.at("model_group_alias");
    for (alias, value) in aliases {
        let name = value.as_str().or_else(|| value.get("model")?.as_str());
        if value.get("hidden").and_then(Value::as_bool) == Some(true) {
            work.report.unsupported(
                &format!("{path}.{alias}.hidden"),
                "every model is listed to those who may use it",
            );
        }
        match name {
            Some(name) => routing.aliases.push((alias.clone(), name.to_owned())),
            None => work
                .report
                .manual(&format!("{path}.{alias}"), "names no group; write the alias under `models`"),
        }
    }
}

/// The most retries of each group's policy.
fn group_retries(router: &mut Fields<'_>, routing: &mut Routing, work: &mut Work) {
    let Some(policies) = router.take("model_group_retry_policy").and_then(Value::as_object) else { return };
    for (group, policy) in policies {
        let path = router.at(&format!("model_group_retry_policy.{group}"));
        let most = policy.as_object().and_then(|policy| policy.values().filter_map(Value::as_u64).max());
        match most {
            Some(most) => {
                routing.retries.insert(group.clone(), most);
                work.report.approximate(
                    &path,
                    "the most of them is `retries.max` of the model; which faults are tried again is not set",
                );
            }
            None => work.report.manual(&path, "says no number; write `retries` at the model"),
        }
    }
}

fn general(mut settings: Fields<'_>, work: &mut Work) {
    if let Some(megabytes) = settings.number("max_request_size_mb", &mut work.report) {
        work.report.exact(&settings.at("max_request_size_mb"), "is `server.limits.body`");
        let server = json!({"limits": {"body": format!("{}KiB", (megabytes * 1024.0).ceil())}});
        put(&mut work.draft.top, "server", server);
    }
    for name in ["max_parallel_requests", "global_max_parallel_requests"] {
        if settings.take(name).is_some() {
            let says =
                "write `server.limits.calls` for the gateway, or `limits: [{ concurrent: N }]` at a key";
            work.report.manual(&settings.at(name), says);
        }
    }
    settings.known(&GENERAL, &mut work.report);
    settings.rest(&mut work.report);
}

/// A list of maps from a group to those that it falls back on.
fn lists_of(list: &[Value]) -> Vec<(String, Vec<String>)> {
    let entries = list.iter().filter_map(Value::as_object).flatten();
    let names = |value: &Value| match value {
        Value::Array(items) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Value::String(name) => vec![name.clone()],
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    };
    entries.map(|(group, value)| (group.clone(), names(value))).collect()
}

/// Puts something below a section of the configuration, unless it is there.
fn under(work: &mut Work, section: &str, name: &str, value: Value) {
    let section = work.draft.top.entry(section).or_insert_with(|| json!({}));
    if let Some(section) = section.as_object_mut() {
        section.entry(name).or_insert(value);
    }
}

//! The configuration: what is good, what is wrong and where, and the pages made of it.

use std::{collections::HashMap, fs, io, path::Path};

use tollgate_policy::{
    config::{self, Sources},
    route::{self, Asked, Asking},
    vitals::Vitals,
};
use wire::Form;

/// Files, variables and commands that are only here.
#[derive(Default)]
struct Fake {
    files: HashMap<&'static str, String>,
}

impl Sources for Fake {
    fn read_file(&self, path: &Path) -> io::Result<String> {
        let found = self.files.get(path.to_str().unwrap_or_default()).cloned();
        found.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn variable(&self, name: &str) -> Option<String> {
        match name {
            "OPENAI_API_KEY" | "ANTHROPIC_API_KEY" => Some("sk-test".to_owned()),
            "SEARCH_KEY" => Some(format!("tg-{}", "s".repeat(43))),
            _ => None,
        }
    }

    fn command(&self, words: &[String]) -> Result<String, String> {
        Ok(format!("printed by {}", words.join(" ")))
    }
}

fn root(file: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file)
}

fn errors(files: &[(&'static str, &str)]) -> String {
    let files = files.iter().map(|(name, text)| (*name, (*text).to_owned())).collect();
    match config::load(Path::new("t.yaml"), &Fake { files }) {
        Ok(_) => String::new(),
        Err(problems) => problems.to_string(),
    }
}

#[test]
fn the_example_is_good() {
    let text = fs::read_to_string(root("deploy/tollgate.example.yaml")).unwrap();
    let loaded = config::load(Path::new("t.yaml"), &Fake { files: [("t.yaml", text)].into() });
    let loaded = loaded.unwrap_or_else(|problems| panic!("{problems}"));
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    assert_eq!(loaded.snapshot.providers.len(), 3);
    assert_eq!(loaded.snapshot.models["smart"].targets.len(), 2);
    assert_eq!(loaded.snapshot.server.limits.body_bytes_max, 32 << 20);
    assert_eq!(loaded.snapshot.keys[0].key.hint, "tg-sssss");
}

/// A file and the first line that is reported of it.
fn check(text: &str, expected: &str) {
    let found = errors(&[("t.yaml", text)]);
    assert_eq!(found.lines().next().unwrap_or_default(), expected, "{text}");
}

/// An issuer with this member, and the path and message that are reported of it.
fn jwt(rest: &str, expected: &str) {
    let text = format!("authentication:\n  jwt:\n    - issuer: https://a/\n      audience: x\n      {rest}");
    let found = errors(&[("t.yaml", &text)]);
    let first = found.lines().next().unwrap_or_default();
    let told = first.split_once("authentication.jwt[0]").map_or(first, |(_, told)| told);
    assert_eq!(told, expected, "{rest}");
}

/// An entry for certificates, and the path and message that are reported of it.
fn certificates(rest: &str, expected: &str) {
    let text = format!(
        "server: {{ tls: {{ certificate: a, key: b }} }}\nauthentication: {{ certificates: {{ ca: c, map: [ {rest} ] }} }}"
    );
    let found = errors(&[("t.yaml", &text)]);
    let first = found.lines().next().unwrap_or_default();
    let told = first.split_once("certificates.").map_or(first, |(_, told)| told);
    assert_eq!(told, expected, "{rest}");
}

#[test]
fn issuers_are_believed_by_what_is_written_well() {
    jwt("clock_skew: 5s", "");
    jwt("issuer2: x", ".issuer2  unknown key \"issuer2\"; did you mean \"issuer\"?");
    jwt(
        "clock_skew: 1h",
        ".clock_skew  is too long: tokens would be taken long after their end; the most is 10m",
    );
    jwt("algorithms: []", ".algorithms  is empty; leave it out for the usual ones");
    jwt(
        "algorithms: [none]",
        ".algorithms[0]  \"none\" is not allowed here; use one of: RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA, HS256, HS384, HS512",
    );
    jwt(
        "algorithms: [RS256, HS256]",
        ".algorithms  HS256, HS384 and HS512 need a secret that both sides know; write secret, or take them out",
    );
    let secret = format!("secret: {}", "s".repeat(32));
    jwt(&secret, "");
    jwt("secret: short", ".secret  must have at least 32 characters");
    jwt(
        &format!("{secret}\n      algorithms: [HS256, RS256]"),
        ".algorithms  a secret signs with HS256, HS384 or HS512; take the others out",
    );
    jwt(
        &format!("{secret}\n      jwks_url: https://a/keys"),
        ".jwks_url  and secret are two kinds of keys; write one",
    );
    jwt("jwks_url: 'http://127.0.0.1/keys'", "");
    jwt("jwks_url: 'http://a/keys'\n      allow_http: true", "");
    jwt(
        "jwks_url: 'http://a/keys'",
        ".jwks_url  must begin with https://, or write allow_http: true where the way to it is safe",
    );
    jwt("jwks_url: a", ".jwks_url  \"a\" is no address; write it as https://login.example.com/");
    jwt(
        "required_claims: { tenant: [] }",
        ".required_claims.tenant  has no values, so that no token could have one; write some",
    );
    jwt("token_types: []", ".token_types  is empty; leave it out for the usual ones");
    jwt("map: { team: '.' }", ".map.team  names no claim; write its path, as groups or realm_access.roles");
    jwt(
        "map: { team: { claim: a, value: b } }",
        ".map.team  comes from one place; write claim, or value for a name that all callers have",
    );
    jwt(
        "map: { team: { value: b, values: { a: b } } }",
        ".map.team  value is one name for all callers; leave out values, or name a claim",
    );
}

#[test]
fn issuers_introspection_and_certificates_are_checked() {
    let twice = "authentication:\n  jwt:\n    - { issuer: 'https://a/', audience: x }\n    - { issuer: 'https://a/', audience: y }";
    check(
        twice,
        "t.yaml:4:17  authentication.jwt[1].issuer  there are two entries for \"https://a/\"; join them",
    );
    check(
        "authentication:\n  introspection: { url: 'http://a/', client_id: a, client_secret: b }",
        "t.yaml:2:25  authentication.introspection.url  must begin with https://, or write allow_http: true where the way to it is safe",
    );
    certificates("{ subject_cn: a, team: b }", "");
    certificates(
        "{ team: b }",
        "map[0]  looks at one name: write one of subject_cn, san_dns, san_uri and san_email",
    );
    certificates(
        "{ subject_cn: a, san_dns: b }",
        "map[0]  looks at one name: write one of subject_cn, san_dns, san_uri and san_email",
    );
    certificates("{ san_dns: '*.*' }", "map[0].san_dns  has more than one *; write one");
    certificates("{ san_dns: '' }", "map[0].san_dns  is empty; write a name, with one * for anything");
    certificates("{ san_dns: a, models: [] }", "map[0].models  is empty; leave it out for all models");
    check(
        "authentication: { certificates: { ca: c } }",
        "t.yaml:1:33  authentication.certificates  certificates are shown over HTTPS only; write server.tls as well",
    );
}

#[test]
fn errors_say_where_and_what_to_do() {
    let house = "providers:\n  house: { dialect: openai_chat, base_url: 'http://h/v1', auth: none, models: { llama-3: {} } }\n";
    check("modles: {}", "t.yaml:1:1  modles  unknown key \"modles\"; did you mean \"models\"?");
    check("server:\n  lisen: x", "t.yaml:2:3  server.lisen  unknown key \"lisen\"; did you mean \"listen\"?");
    check(
        "deadlines: { total: 8 }",
        "t.yaml:1:21  deadlines.total  must be a text, not a number; write 8s, if seconds are meant",
    );
    check(
        "deadlines: { total: 8parsecs }",
        "t.yaml:1:21  deadlines.total  \"8parsecs\" is no duration; write a number with ms, s, m, h or d, as 8s",
    );
    check(
        "fidelity: strickt",
        "t.yaml:1:11  fidelity  \"strickt\" is not allowed here; did you mean \"strict\"? (one of: lenient, strict)",
    );
    check("server: [1]", "t.yaml:1:9  server  must be a map, not a list");
    check("a: 1\na: 2", "t.yaml:2:1  \"a\" stands twice here; keep one of them");
    check(
        "data_dir: ${NOWHERE}",
        "t.yaml:1:11  the environment variable NOWHERE is not set; set it, or write ${NOWHERE:-default}",
    );
    check(
        "providers: { opnai: {} }",
        "t.yaml:1:21  providers.opnai  the catalogue has no \"opnai\"; did you mean \"openai\"?",
    );
    check(
        "providers: { groq: {} }",
        "t.yaml:1:20  providers.groq  has no api_key; set GROQ_API_KEY, or write api_key here",
    );
    check(
        &format!("{house}models: {{ a: house/lama-3 }}"),
        "t.yaml:3:14  models.a  no model \"lama-3\" at provider \"house\"; did you mean \"llama-3\"?",
    );
    check(
        &format!("{house}models: {{ a: [ house/llama-3, hose/x ] }}"),
        "t.yaml:3:31  models.a[1]  no provider \"hose\" is switched on; did you mean \"house\"?",
    );
    check(
        "providers: { house: { dialect: openai_completions, base_url: 'http://h/v1' } }",
        "t.yaml:1:32  providers.house.dialect  \"openai_completions\" is a form, not a dialect; write it under forms, and here one of: openai_chat, openai_responses, anthropic_messages, bedrock_converse, cohere_v2, gemini, ollama",
    );
    check(
        "keys: [ { name: a, key: tg-short } ]",
        "t.yaml:1:25  keys[0].key  must begin with tg- and have at least 32 further characters; tollgate keys generate makes one",
    );
    check(
        "server: {",
        "t.yaml:2:1  is no valid YAML: while parsing a node, did not find expected node content",
    );
}

#[test]
fn errors_in_rollouts_and_shadows_say_where_and_what_to_do() {
    let house = "providers:\n  house: { dialect: openai_chat, base_url: 'http://h/v1', auth: none, models: { llama-3: {} } }\n";
    let rollout = |rollout: &str| {
        format!(
            "{house}models:\n  a:\n    targets: house/llama-3\n    rollout: {{ candidate: house/llama-4, {rollout} }}"
        )
    };
    check(
        &rollout("steps: [5%, 1%]"),
        "t.yaml:6:49  models.a.rollout.steps  must grow from step to step and begin above 0%, as [1%, 10%, 100%]",
    );
    check(
        &rollout("guard: { cost: 5 }"),
        "t.yaml:6:57  models.a.rollout.guard.cost  must be a text, not a number; write it with %, as +5%",
    );
    check(
        &rollout("guard: { cost: dear }"),
        "t.yaml:6:57  models.a.rollout.guard.cost  \"dear\" is no margin; write how much worse it may be with %, as +2%, or off",
    );
    check(
        &rollout("by: sesion"),
        "t.yaml:6:46  models.a.rollout.by  \"sesion\" is not allowed here; did you mean \"session\"? (one of: session, user, key, request)",
    );
    check(
        &format!(
            "{house}models: {{ a: {{ targets: house/llama-3, rollout: {{ candidate: house/llama-3 }} }} }}"
        ),
        "t.yaml:3:62  models.a.rollout.candidate  is what the name stands for already; name another",
    );
    check(
        &format!("{house}models: {{ a: {{ targets: house/llama-3, shadow: {{ to: hose/llama-3 }} }} }}"),
        "t.yaml:3:54  models.a.shadow.to  no provider \"hose\" is switched on; did you mean \"house\"?",
    );
}

/// Settings of a provider and what is reported of them.
#[test]
fn roles_say_what_they_may_do() {
    let permissions = |list: &str| format!("roles: {{ auditor: {{ permissions: {list} }} }}\n");
    let key = |role: &str| format!("keys: [{{ name: a, key: 'tg-{}', role: {role} }}]\n", "0".repeat(32));
    let check = |text: &str, expected: &str| {
        let found = errors(&[("t.yaml", text)]);
        let told = found.lines().next().unwrap_or_default().contains(expected);
        assert!(told && found.is_empty() == expected.is_empty(), "{text}: {found}");
    };
    check(&(permissions("[audit:read]") + &key("auditor")), "");
    check(&key("viewer"), "");
    check(
        &key("auditor"),
        "keys[0].role  there is no role \"auditor\"; there are: admin, analyst, developer, owner, viewer",
    );
    check(&key("onwer"), "keys[0].role  there is no role \"onwer\"; did you mean \"owner\"?");
    check(&permissions("[]"), "roles.auditor.permissions  is empty");
    check(&permissions("[audit:raed]"), "audit:read");
    check(
        "roles: { owner: { permissions: [audit:read] } }\n",
        "roles.owner  is a role that every gateway has",
    );
}

#[test]
fn what_is_for_others_is_refused_where_it_stands() {
    let found = |text: &str| errors(&[("t.yaml", text)]);
    let house = "providers: { house: { dialect: openai_chat, base_url: 'http://h/v1', auth: none, models: { m: {} } } }\n";
    let told = found(&format!(
        "{house}models: {{ a: {{ targets: house/m, route: [ {{ when: 'target.provider == \"x\"', to: house/m }} ] }} }}\n"
    ));
    assert!(told.contains("only access rules may"), "{told}");
    let told = found("teams: { a: { keep_calls: 1d } }\n");
    assert!(told.contains("teams.a.keep_calls  is for organizations only"), "{told}");
    assert_eq!(found("organizations: { a: { keep_calls: 1d } }\njournal: { keep: 30d }\n"), "");
}

#[test]
fn limits_that_mean_nothing_are_named() {
    let check = |settings: &str, expected: &str| {
        let provider = format!("{{ dialect: openai_chat, base_url: 'http://h/v1', auth: none, {settings} }}");
        let found = errors(&[("t.yaml", &format!("providers: {{ house: {provider} }}"))]);
        let first = found.lines().next().unwrap_or_default();
        let (_, message) = first.split_once("providers.house.").unwrap_or_default();
        assert_eq!(message, expected, "{settings}");
    };
    let queue = "is for calls that wait for a place; say how many there are with concurrency";
    check("queue: { max: 5 }", &format!("queue  {queue}"));
    check("concurrency: 0", "concurrency  must be at least 1; leave it out for no limit");
    check("concurrency: lots", "concurrency  must be a whole number or a map, not a text");
    check("concurrency: { max: 4, min: 8, adapt: aimd }", "concurrency.min  must be between 1 and max");
    check(
        "concurrency: { max: 4, min: 2 }",
        "concurrency.min  is for a learned limit; write adapt: gradient or aimd as well",
    );
    check(
        "health: { check: { every: 5s } }",
        "health.check.path  is missing; write path: /health, or model with the name of one",
    );
    check("health: { check: { path: health } }", "health.check.path  must begin with a slash, as /health");
    check(
        "health: { check: { path: /a, model: b } }",
        "health.check.model  and path are two ways to ask; write one",
    );
    check("concurrency: 4, queue: { max: 0 }, health: { check: { path: /health } }", "");
}

#[test]
fn all_errors_come_at_once_and_no_secret_is_told() {
    let text = "server: { listen: nowhere, threads: 0 }\nproviders: { x: { base_url: 'http://x', dialect: no, api_key: sk-secret } }\nkeys:\n  - { name: a, key: tg-secret-of-mine }\n  - { name: a, key: 'secret:file/missing' }";
    let found = errors(&[("t.yaml", text)]);
    assert!(found.ends_with("6 errors. Nothing was applied."), "{found}");
    assert!(!found.contains("sk-secret") && !found.contains("secret-of-mine"), "{found}");
}

/// What is wrong with a store is told without a part of its address or its secret.
#[test]
fn stores_are_named_and_their_secrets_are_not() {
    let check = |store: &str, expected: &str| {
        let found = errors(&[("t.yaml", &format!("store: {{ {store} }}"))]);
        let first = found.lines().next().unwrap_or_default();
        let (_, message) = first.split_once("store.").unwrap_or_default();
        assert_eq!(message, expected, "{store}");
        assert!(!found.contains("hush"), "{found}");
    };
    check("database: sqlite", "");
    check("database: memory", "");
    check("database: 'postgres://me:hush@db/tollgate'", "");
    check("database: '${SEARCH_KEY}', secret: '${SEARCH_KEY}'", ADDRESS);
    check("database: 'mysql://me:hush@db/tollgate'", ADDRESS);
    check("secret: hush", "secret  must have at least 32 characters; openssl rand -hex 32 makes some");
    const ADDRESS: &str = "database  must be sqlite, memory or postgres://USER:PASSWORD@HOST/DATABASE";
}

/// Which providers a prompt goes to, and in which form; `None` is a chat.
#[test]
fn prompts_go_where_their_form_is_taken_or_become_chats() {
    let text = "providers:\n  own: { dialect: openai_chat, base_url: 'http://o/v1', auth: none, models: { a: {}, b: { quirks: { prompts: chat } } } }\n  claude: { dialect: anthropic_messages, base_url: 'http://c/v1', auth: none, models: { a: {} } }\n  llama: { dialect: ollama, base_url: 'http://l/api', auth: none, models: { a: {} } }\n  vectors: { base_url: 'http://v/v1', auth: none, forms: { voyage_embeddings: 'http://v/v1/embeddings' }, models: { a: {} } }\nmodels: { mixed: [ claude/a, own/a ], chats: [ own/b, claude/a, llama/a ] }\nkeys: [ { name: a, key: '${SEARCH_KEY}' } ]";
    let files = [("t.yaml", text.to_owned())].into();
    let snapshot = config::load(Path::new("t.yaml"), &Fake { files })
        .unwrap_or_else(|problems| panic!("{problems}"))
        .snapshot;
    let principal = snapshot.caller("a").expect("the file has this key");
    let check = |form: Form, model: &str, expected: &[(&str, Option<Form>)]| {
        let asked =
            Asked { model, asking: Asking::Form(form), wishes: None, said: None, rules: None, wants: None };
        let planned = route::plan(&snapshot, &principal, &asked, &Vitals::new(1));
        let targets = planned.map(|plan| plan.targets).unwrap_or_default();
        let found: Vec<(&str, Option<Form>)> =
            targets.iter().map(|target| (target.provider.facts.id.as_str(), target.form)).collect();
        assert_eq!(found, expected, "{model}");
    };
    let (text, llama) = (Form::OpenaiCompletions, Form::OllamaGenerate);
    check(text, "own/a", &[("own", Some(text))]);
    check(text, "own/b", &[("own", None)]);
    check(text, "claude/a", &[("claude", None)]);
    check(text, "mixed", &[("own", Some(text))]);
    check(text, "chats", &[("own", None), ("claude", None), ("llama", None)]);
    check(llama, "chats", &[("llama", Some(llama))]);
    check(llama, "own/a", &[("own", None)]);
    check(text, "vectors/a", &[]);
}

#[test]
fn files_include_each_other() {
    let main = "include: [ a.yaml ]\nmodels: { m: house/x }";
    let house = "providers: { house: { dialect: openai_chat, base_url: 'http://h/v1', auth: none } }";
    assert_eq!(errors(&[("t.yaml", main), ("a.yaml", house)]), "");
    let found = errors(&[("t.yaml", main), ("a.yaml", "models:\n  m: other/x")]);
    assert!(
        found.starts_with("a.yaml:2:6  models.m  stands in t.yaml:2 as well; keep one of them"),
        "{found}"
    );
    let found = errors(&[("t.yaml", "include: a.yaml"), ("a.yaml", "include: a.yaml")]);
    assert!(found.contains("is included already"), "{found}");
    let found = errors(&[("t.yaml", "include: gone.yaml")]);
    assert!(found.starts_with("gone.yaml:1:1  cannot be read"), "{found}");
}

#[test]
fn odd_texts_end_in_errors_and_not_in_panics() {
    for text in [
        "\u{0}",
        "*a",
        "&a [*a]",
        "? [x]: y",
        "- - - -",
        "{{{{",
        "a: !!binary x",
        "%YAML 9",
        "---\n---\n",
        "\t",
        "a: *b",
    ] {
        let _ = errors(&[("t.yaml", text)]);
    }
}

/// The pages in the repository are what the program says now.
#[test]
fn made_pages_are_current() {
    let schema = serde_json::to_string_pretty(&config::schema()).unwrap() + "\n";
    for (file, made) in [("docs/configuration.md", config::reference()), ("tollgate.schema.json", schema)] {
        if std::env::var_os("TOLLGATE_UPDATE").is_some() {
            fs::write(root(file), &made).unwrap();
        }
        let stored = fs::read_to_string(root(file)).unwrap_or_default();
        assert!(stored == made, "{file} is old: run TOLLGATE_UPDATE=1 cargo test -p tollgate-policy");
    }
}

/// A store, and the path and message that are reported of it.
fn store(rest: &str, expected: &str) {
    let found = errors(&[("t.yaml", &format!("secrets:\n  s: {{ {rest} }}"))]);
    let first = found.lines().next().unwrap_or_default();
    let told = first.split_once("secrets.s").map_or(first, |(_, told)| told);
    assert_eq!(told, expected, "{rest}");
}

#[test]
fn stores_of_secrets_say_where_they_are_and_what_opens_them() {
    let vault = "kind: vault, address: 'https://v', auth: { token: 'secret:env/OPENAI_API_KEY' }";
    store(vault, "");
    store(&format!("{vault}, refresh: 1ms"), ".refresh  must be 1s at least");
    store(&format!("{vault}, version: 3"), ".version  must be 1 or 2");
    store(
        &format!("{vault}, region: a"),
        ".region  belongs to stores of kind aws_secrets_manager; take it out",
    );
    let away = "kind: vault, address: 'http://v', auth: { token: t }";
    store(away, ".address  must begin with https://, or write allow_http: true where the way to it is safe");
    store(&format!("{away}, allow_http: true"), "");
    store(
        "kind: vault, address: v, auth: { token: t }",
        ".address  is no address; write it as https://vault.example.com:8200",
    );
    store("kind: vault, address: 'https://v'", ".auth  must say one way in: token, approle or kubernetes");
    store(
        "kind: vault, address: 'https://v', auth: { token: 'secret:other/a#b' }",
        ".auth.token  opens a store and is in none; write secret:env/NAME, secret:file/PATH or secret:command/PROGRAM",
    );
    store("kind: aws_secrets_manager", ".region  is missing; signatures name it, as us-east-1");
    store("kind: google_secret_manager", ".project  is missing; it is the project that the secrets are in");
    store("kind: azure_key_vault, address: 'https://x.vault.azure.net'", "");
    check(
        "secrets: { env: { kind: azure_key_vault, address: 'https://x' } }",
        "t.yaml:1:17  secrets.env  is no name for a store: env, file and command are taken, and it has no / and no #",
    );
}

#[test]
fn what_seals_the_database_has_32_bytes() {
    let wrong = "must be 32 bytes in base64; tollgate secrets generate prints some";
    check("store: { encryption: { key: c2hvcnQ= } }", &format!("t.yaml:1:29  store.encryption.key  {wrong}"));
    let good = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=";
    check(&format!("store: {{ encryption: {{ key: {good} }} }}"), "");
    let path = "store.encryption.previous[0]";
    let found =
        errors(&[("t.yaml", &format!("store: {{ encryption: {{ key: {good}, previous: [ '*' ] }} }}"))]);
    assert!(found.contains(&format!("{path}  {wrong}")), "{found}");
}

/// What an unresolved configuration asks its stores, and what comes of the answers.
#[test]
fn references_to_stores_are_asked_for_before_anything_is_compiled() {
    let text = "secrets: { v: { kind: vault, address: 'https://v', auth: { token: t } } }\n\
                providers: { openai: { api_keys: [ 'secret:v/a#k', 'secret:v/a#k', 'secret:v/b' ] } }\n\
                keys: [ { name: app, key: 'secret:w/a' } ]";
    let fake = Fake { files: [("t.yaml", text.to_owned())].into() };
    let unresolved = config::read(Path::new("t.yaml"), &fake).unwrap_or_else(|problems| panic!("{problems}"));
    let wanted: Vec<String> = unresolved.wanted().iter().map(ToString::to_string).collect();
    assert_eq!(wanted, ["v/a#k", "v/b"]);
    let problems = unresolved.resolve(&fake).map_or_else(|problems| problems.to_string(), |_| String::new());
    let told: Vec<&str> = problems.lines().collect();
    let away = "its store was not asked";
    assert_eq!(told[0], format!("t.yaml:2:36  providers.openai.api_keys[0]  v/a#k: {away}"));
    assert_eq!(told[2], format!("t.yaml:2:68  providers.openai.api_keys[2]  v/b: {away}"));
    let unknown = "keys[0].key  there is no store \"w\" under secrets; known are v; or write secret:env/NAME";
    assert!(told[3].contains(unknown), "{}", told[3]);
}

/// Holds what is written of `sign_in` against what must be said of it.
fn sign_in(rest: &str, expected: &str) {
    let found = errors(&[("t.yaml", &format!("providers: {{}}\nsign_in: {{ {rest} }}\n"))]);
    let is_told = if expected.is_empty() { found.is_empty() } else { found.contains(expected) };
    assert!(is_told, "{rest}: {found}");
}

#[test]
fn ways_to_sign_in_say_what_they_need() {
    let with = |rest: &str, expected: &str| {
        let provider = format!("{{ issuer: \"https://a.example/\", client_id: gateway, {rest} }}");
        sign_in(&format!("url: \"https://b.example\", providers: {{ a: {provider} }}"), expected);
    };
    with("default_role: viewer", "");
    with("roles: [ { group: g, role: owner, organization: acme } ]", "");
    with("", "lets nobody in; write roles, or default_role");
    with("roles: [ { group: g, role: ownr } ]", "there is no role \"ownr\"; did you mean \"owner\"?");
    with("default_role: ruler", "there are: admin, analyst");
    with("default_role: viewer, scopes: [email]", "must have openid in it");
    with("roles: [ { group: g, role: owner } ], default_organization: acme", "is for default_role");
    with("default_role: viewer, client_secret: \"secret:env/NONE\"", "NONE is not set");
    with("default_role: viewer, required_claims: { hd: [] }", "has no values");
    let provider = "{ issuer: \"https://a.example\", client_id: c, default_role: viewer }";
    sign_in(&format!("providers: {{ a: {provider} }}"), "\"url\" is missing");
    sign_in(&format!("url: \"https://b.example\", providers: {{ \"a/b\": {provider} }}"), "stands in paths");
    let open = "{ issuer: \"http://a.example\", client_id: c, default_role: viewer }";
    sign_in(&format!("url: \"https://b.example\", providers: {{ a: {open} }}"), "must begin with https://");
    for url in
        ["https://b.example/console", "b.example", "https://", "https://u@b.example", "ftp://b.example"]
    {
        sign_in(&format!("url: \"{url}\""), "must be an address without a path");
    }
    sign_in("session: { idle: 1m }", "must be 5m at least");
    sign_in("session: { length: 31d }", "30d at most");
    sign_in("url: \"https://b.example/\", accounts: false, session: { idle: 5m, length: 8h }", "");
}

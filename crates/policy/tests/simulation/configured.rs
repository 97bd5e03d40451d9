//! Configurations as a person would write them, and the plans they make.

use std::{fmt::Write, io, path::Path};

use tollgate_policy::{
    Snapshot,
    config::{self, Sources},
    route::{self, Asked, Asking, Plan, Wants},
    vitals::Vitals,
};
use wire::Dialect;

/// One file, and nothing else.
struct One(String);

impl Sources for One {
    fn read_file(&self, path: &Path) -> io::Result<String> {
        if path == Path::new("t.yaml") { Ok(self.0.clone()) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn command(&self, _: &[String]) -> Result<String, String> {
        Err(String::new())
    }
}

/// A name `m` over as many targets as there are settings of providers. `model` are settings of the name.
pub(crate) fn snapshot(providers: &[&str], model: &str) -> Snapshot {
    let mut text = "providers:\n".to_owned();
    let mut targets = Vec::new();
    for (number, settings) in providers.iter().enumerate() {
        let comma = if settings.is_empty() { "" } else { ", " };
        writeln!(
            text,
            "  p{number}: {{ dialect: openai_chat, base_url: 'http://p/v1', auth: none{comma}{settings} }}"
        )
        .expect("a text takes all that is written");
        targets.push(format!("p{number}/m"));
    }
    let comma = if model.is_empty() { "" } else { ", " };
    writeln!(text, "models: {{ m: {{ targets: [ {} ]{comma}{model} }} }}", targets.join(", "))
        .expect("a text takes all that is written");
    text.push_str("keys: [ { name: a, key: 'tg-ssssssssssssssssssssssssssssssssssssssssssss' } ]");
    let loaded = config::load(Path::new("t.yaml"), &One(text));
    loaded.map_err(|problems| problems.to_string()).expect("the configuration is good").snapshot
}

/// How a chat for the name goes.
pub(crate) fn plan(snapshot: &Snapshot, wants: Option<&Wants>, vitals: &Vitals) -> Plan {
    let asking = Asking::Chat(Dialect::OpenaiChat);
    let principal = &snapshot.caller("a").expect("there is a key");
    let asked = Asked { model: "m", asking, wishes: None, said: None, rules: None, wants };
    route::plan(snapshot, principal, &asked, vitals).expect("the name has targets")
}

/// The plan of a name over so many targets with nothing special.
pub(crate) fn usual(targets: usize, model: &str) -> Plan {
    plan(&snapshot(&vec![""; targets], model), None, &Vitals::new(0))
}

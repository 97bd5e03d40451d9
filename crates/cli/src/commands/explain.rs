//! `tollgate explain`: where a request would go, and why.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use policy::{
    explain::{Explanation, Rehearsed, explain},
    moment::Moment,
    principal::Principal,
    vitals::Vitals,
};

use super::{load, say, table};

#[derive(Args)]
#[command(
    after_help = "Example: tollgate explain --config tollgate.yaml --request body.json --key search-backend"
)]
pub(crate) struct Arguments {
    /// The configuration file. Without one, every provider whose usual environment variable is set is switched on.
    #[arg(long, short, env = "TOLLGATE_CONFIG")]
    config: Option<PathBuf>,
    /// The file with the request's body; - reads it from standard input.
    #[arg(long, short)]
    request: PathBuf,
    /// The path that it would be sent to.
    #[arg(long, default_value = "/v1/chat/completions")]
    path: String,
    /// The name of the key that would be shown, of those in the configuration. Default: one that may use everything.
    #[arg(long)]
    key: Option<String>,
    /// A header, as `x-team: search`; may be repeated.
    #[arg(long = "header", value_parser = header)]
    headers: Vec<(String, String)>,
    /// Print as JSON.
    #[arg(long)]
    json: bool,
}

/// Plans the request with nothing learned yet: a serving gateway tells what it knows at `POST /admin/v1/explain`.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let snapshot = load(arguments.config.as_deref(), &server::SecretStores::default())?;
    let body = if arguments.request.as_os_str() == "-" {
        std::io::read_to_string(std::io::stdin())?
    } else {
        std::fs::read_to_string(&arguments.request)
            .with_context(|| arguments.request.display().to_string())?
    };
    let principal = match &arguments.key {
        None => Principal::unbound(),
        Some(name) => {
            let found = snapshot.caller(name).map(|found| found.without_lapsed(server::now_us()));
            found.with_context(|| format!("the configuration has no key named \"{name}\""))?
        }
    };
    let rehearsed = Rehearsed {
        path: &arguments.path,
        body: body.as_bytes(),
        headers: &arguments.headers,
        now_us: server::now_us(),
    };
    let explained = explain(&snapshot, &principal, &rehearsed, &Vitals::new(0), Moment(1));
    let explanation = explained.map_err(|fault| anyhow::anyhow!("the request would be refused: {fault}"))?;
    if arguments.json {
        say(&serde_json::to_string_pretty(&explanation)?);
    } else {
        show(&explanation);
    }
    Ok(())
}

fn show(explanation: &Explanation) {
    let read = &explanation.request;
    say(&format!(
        "{} of about {} tokens for \"{}\", asked in {}",
        read.operation, read.tokens, explanation.model, read.dialect
    ));
    if !read.needs.is_empty() {
        say(&format!("needs {}", read.needs.join(", ")));
    }
    if let Some(rule) = &explanation.rule {
        say(&format!("sent on by the rule {rule}"));
    }
    say(&format!(
        "strategy {}; each target is asked again up to {} times",
        explanation.strategy, explanation.attempts.retries_max
    ));
    if let Some(after) = &explanation.attempts.hedge_after {
        say(&format!("a second target is asked beside the first after {after}"));
    }
    let mut rows: Vec<Vec<String>> = Vec::new();
    for (at, target) in explanation.targets.iter().enumerate() {
        let cost = target.cost_usd.clone().unwrap_or_else(|| "unpriced".to_owned());
        let (place, asked_in) = ((at + 1).to_string(), target.asked_in.to_owned());
        let losses = target.losses.join(", ");
        rows.push(vec![place, target.target.clone(), asked_in, target.standing.clone(), cost, losses]);
    }
    for skipped in &explanation.skipped {
        rows.push(vec!["-".to_owned(), skipped.target.clone(), String::new(), skipped.why.clone()]);
    }
    say(&table(&["", "target", "asked in", "standing", "cost", "losses"], &rows));
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("is no header; write it as name: value")?;
    Ok((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
}

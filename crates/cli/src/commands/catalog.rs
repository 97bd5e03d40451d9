//! `tollgate providers` and `tollgate models`.

use anyhow::bail;
use catalog::{Auth, Capability, Model, Provider};
use serde_json::{Value, json};

use super::{say, table};

pub(crate) fn providers(as_json: bool) -> anyhow::Result<()> {
    if as_json {
        let all: Vec<Value> = catalog::known().iter().map(provider_json).collect();
        say(&json!(all).to_string());
        return Ok(());
    }
    let row = |provider: &Provider| {
        let dialects: Vec<&str> = provider.dialects.iter().map(|(dialect, _)| dialect.name()).collect();
        let identity = matches!(provider.auth, Auth::Cloud(_)).then_some("(identity)");
        let local = provider.local.then_some("(local)");
        let keys: Vec<&str> = provider.env.iter().map(String::as_str).chain(identity).chain(local).collect();
        vec![provider.id.clone(), keys.join(" or "), dialects.join(", "), provider.models().len().to_string()]
    };
    let rows: Vec<Vec<String>> = catalog::known().iter().map(row).collect();
    say(&table(&["provider", "variable", "dialects", "models"], &rows));
    Ok(())
}

/// Which models to list.
#[derive(clap::Args)]
pub(crate) struct Wish {
    /// Only this provider's.
    #[arg(long)]
    provider: Option<String>,
    /// Only those that can do all of these: tools, vision, pdf, audio, reasoning, json_schema, caching.
    #[arg(long, value_delimiter = ',', value_parser = capability)]
    can: Vec<Capability>,
    /// Only those whose input costs no more, in USD per million tokens; unpriced ones are left out.
    #[arg(long, value_name = "USD")]
    max_price: Option<f64>,
    /// Print as JSON.
    #[arg(long)]
    json: bool,
}

fn capability(name: &str) -> Result<Capability, String> {
    Capability::from_name(name).ok_or_else(|| {
        let known: Vec<&str> = Capability::ALL.into_iter().map(Capability::name).collect();
        format!("use {}", known.join(", "))
    })
}

impl Wish {
    fn wants(&self, model: &Model) -> bool {
        let rate = model.price.as_ref().and_then(|price| price.rates.input);
        let cheap = self.max_price.is_none_or(|most| rate.is_some_and(|rate| rate as f64 <= most * 1e6));
        cheap && self.can.iter().all(|can| model.can.contains(can))
    }
}

pub(crate) fn models(wish: &Wish) -> anyhow::Result<()> {
    let only = wish.provider.as_deref();
    let chosen: Vec<&Provider> =
        catalog::known().iter().filter(|provider| only.is_none_or(|only| provider.id == only)).collect();
    if chosen.is_empty() {
        bail!("the catalogue has no provider \"{}\"; see tollgate providers", only.unwrap_or_default());
    }
    let all = chosen
        .iter()
        .flat_map(|provider| provider.models().iter().map(|model| (provider.id.as_str(), model.as_ref())))
        .filter(|(_, model)| wish.wants(model));
    if wish.json {
        let all: Vec<Value> = all.map(|(provider, model)| model_json(provider, model)).collect();
        say(&json!(all).to_string());
        return Ok(());
    }
    let rows: Vec<Vec<String>> = all.map(|(provider, model)| model_row(provider, model)).collect();
    say(&table(&["model", "context", "input", "output", "can"], &rows));
    say("\nPrices in USD per million tokens.");
    Ok(())
}

fn model_row(provider: &str, model: &Model) -> Vec<String> {
    let rates = model.price.as_ref().map(|price| price.rates);
    let price = |rate: Option<u64>| rate.map_or_else(|| "unpriced".to_owned(), dollars);
    let can: Vec<&str> = model.can.iter().map(|can| can.name()).collect();
    vec![
        format!("{provider}/{}", model.id),
        model.context_tokens.map_or_else(String::new, |tokens| tokens.to_string()),
        price(rates.and_then(|rates| rates.input)),
        price(rates.and_then(|rates| rates.output)),
        can.join(" "),
    ]
}

fn dollars(micros: u64) -> String {
    let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn provider_json(provider: &Provider) -> Value {
    let dialects = provider.dialects.iter().map(|(dialect, url)| (dialect.name().to_owned(), json!(url)));
    json!({
        "id": provider.id, "name": provider.name, "env": provider.env, "local": provider.local,
        "dialects": dialects.collect::<serde_json::Map<_, _>>(), "docs": provider.docs,
        "models": provider.models().len(),
    })
}

fn model_json(provider: &str, model: &Model) -> Value {
    let can: Vec<&str> = model.can.iter().map(|can| can.name()).collect();
    json!({
        "id": format!("{provider}/{}", model.id), "context_tokens": model.context_tokens,
        "output_tokens": model.output_tokens, "can": can, "price_micro_usd_per_million": model.price,
    })
}

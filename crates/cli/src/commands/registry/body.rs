//! Bodies of things, from a command line.

use anyhow::{Context, bail};
use clap::Args;
use serde_json::{Map, Value, json};

/// Where a thing stands, and what it may do.
#[derive(Args, Default)]
pub(crate) struct Body {
    /// The organization it is a part of, by name or id.
    #[arg(long)]
    organization: Option<String>,
    /// The team it stands below, by name or id.
    #[arg(long)]
    team: Option<String>,
    /// The project it stands below, by name or id.
    #[arg(long)]
    project: Option<String>,
    /// How much money may be spent, in USD, as 100/month; without a period, credit that is paid for.
    #[arg(long = "budget", value_name = "USD/PERIOD")]
    budgets: Vec<String>,
    /// What its calls are marked with.
    #[arg(long = "tag", value_name = "NAME=VALUE")]
    tags: Vec<String>,
    /// Where its calls may come from, as 10.0.0.0/8.
    #[arg(long = "address")]
    addresses: Vec<String>,
    /// Any other setting by its path, as per_request.usd=0.50; without a value it is taken out.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    settings: Vec<String>,
}

impl Body {
    /// The members that the admin API takes.
    pub(crate) fn members(&self) -> anyhow::Result<Map<String, Value>> {
        let mut members = Map::new();
        let places = [("organization", &self.organization), ("team", &self.team), ("project", &self.project)];
        for (name, place) in places {
            members.extend(place.as_ref().map(|place| (name.to_owned(), place.as_str().into())));
        }
        let budgets: Vec<Value> = self.budgets.iter().map(|text| budget(text)).collect();
        match budgets.as_slice() {
            [] => {}
            [one] => drop(members.insert("budget".to_owned(), one.clone())),
            [_, _, ..] => drop(members.insert("budget".to_owned(), budgets.into())),
        }
        for tag in &self.tags {
            let (name, value) =
                tag.split_once('=').with_context(|| format!("--tag {tag}: write it as NAME=VALUE"))?;
            put(&mut members, &["tags", name], value.into())?;
        }
        if !self.addresses.is_empty() {
            members.insert("addresses".to_owned(), json!(self.addresses));
        }
        lay(&self.settings, &mut members)?;
        Ok(members)
    }
}

fn budget(text: &str) -> Value {
    match text.split_once('/') {
        Some((usd, period)) => json!({"usd": usd, "per": period}),
        None => json!({"usd": text}),
    }
}

/// A merge patch of settings such as `budget.usd=300`.
pub(super) fn patch(settings: &[String]) -> anyhow::Result<Map<String, Value>> {
    let mut members = Map::new();
    lay(settings, &mut members)?;
    Ok(members)
}

/// Puts settings in their places. Tags are texts; else what reads as JSON is that.
fn lay(settings: &[String], members: &mut Map<String, Value>) -> anyhow::Result<()> {
    for setting in settings {
        let (path, text) = setting
            .split_once('=')
            .with_context(|| format!("{setting}: write it as PATH=VALUE, as budget.usd=300"))?;
        if path.contains('[') {
            bail!("{setting}: a list is changed as a whole, as limits='[…]'");
        }
        let names: Vec<&str> = path.split('.').collect();
        let is_tag = names.first() == Some(&"tags") && names.len() > 1;
        let value = match text {
            "" => Value::Null,
            _ if is_tag => text.into(),
            _ => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
        };
        put(members, &names, value)?;
    }
    Ok(())
}

fn put(members: &mut Map<String, Value>, names: &[&str], value: Value) -> anyhow::Result<()> {
    let mut place = members;
    let Some((last, above)) = names.split_last() else { return Ok(()) };
    for name in above {
        let next = place.entry(*name).or_insert_with(|| json!({}));
        place = next.as_object_mut().with_context(|| format!("{name} is said twice, and not as a map"))?;
    }
    place.insert((*last).to_owned(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_patches() {
        let check = |settings: &[&str], expected: Option<Value>| {
            let settings: Vec<String> = settings.iter().map(|&text| text.to_owned()).collect();
            let found = patch(&settings).ok().map(Value::Object);
            assert_eq!(found, expected, "{settings:?}");
        };
        check(&["budget.usd=300", "budget.per=month"], Some(json!({"budget": {"usd": 300, "per": "month"}})));
        check(
            &["tags.floor=3", "disabled=true", "budget="],
            Some(json!({"tags": {"floor": "3"}, "disabled": true, "budget": null})),
        );
        check(&["models=[\"a\",\"b\"]", "name=x=y"], Some(json!({"models": ["a", "b"], "name": "x=y"})));
        check(&["disabled"], None);
        check(&["limits[0].per=day"], None);
        check(&["budget=3", "budget.usd=3"], None);
    }

    #[test]
    fn options_become_members() {
        let texts = |all: &[&str]| all.iter().map(|&text| text.to_owned()).collect::<Vec<String>>();
        let body = Body {
            team: Some("search".to_owned()),
            budgets: texts(&["100/month", "5"]),
            tags: texts(&["floor=3"]),
            addresses: texts(&["10.0.0.0/8"]),
            settings: texts(&["per_request.usd=0.5", "tags.wing=7"]),
            ..Body::default()
        };
        let expected = json!({
            "team": "search", "budget": [{"usd": "100", "per": "month"}, {"usd": "5"}], "tags": {"floor": "3", "wing": "7"},
            "addresses": ["10.0.0.0/8"], "per_request": {"usd": 0.5},
        });
        assert_eq!(Value::Object(body.members().unwrap()), expected);
        assert!(Body { tags: texts(&["floor"]), ..Body::default() }.members().is_err());
    }
}

//! What a caller wishes of the way its request goes, in the header `x-tollgate-route` or in the body's member `tollgate`:
//! JSON with the names that OpenRouter's users know (<https://openrouter.ai/docs/features/provider-routing>).

use serde::Deserialize;
use serde_json::{Map, Value};
use wire::Fault;

use crate::{label::MaxPrice, route::Target, strategy::Strategy};

/// What a caller wishes. Providers are named as `provider` or `provider/model`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Preferences {
    /// These first, in this order.
    pub order: Vec<String>,
    /// No others than these.
    pub only: Vec<String>,
    /// Not these.
    pub ignore: Vec<String>,
    /// How the others are chosen.
    pub sort: Option<Sort>,
    /// In USD per million tokens.
    pub max_price: Option<WishedPrice>,
    /// Whether another target may be asked where the first fails. Default: true.
    pub allow_fallbacks: Option<bool>,
    /// No target that lacks one of these tags.
    pub tags: Vec<String>,
}

/// What a caller says to the gateway in its body's member `tollgate`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Aside {
    pub route: Option<Preferences>,
    /// The session whose requests are to stay together.
    pub session: Option<String>,
}

impl Aside {
    pub fn parse(text: &str) -> Result<Aside, Fault> {
        #[derive(Default, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        struct Written {
            route: Option<Map<String, Value>>,
            session: Option<String>,
        }
        let object: Result<Map<String, Value>, _> = serde_json::from_str(text);
        let written = object.and_then(|object| serde_json::from_value::<Written>(Value::Object(object)));
        let written = written.map_err(|error| {
            let message = format!("is not understood: {error}; write an object with route or session");
            Fault::invalid("tollgate", message).code("invalid_route")
        })?;
        let route = written.route.map(|route| Preferences::read(route, "tollgate.route")).transpose()?;
        Ok(Aside { route, session: written.session })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sort {
    Price,
    Latency,
    Throughput,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WishedPrice {
    #[serde(alias = "prompt")]
    pub input: Option<f64>,
    #[serde(alias = "completion")]
    pub output: Option<f64>,
}

impl Preferences {
    /// Reads them; `place` is where they stood, for the fault.
    pub fn parse(text: &str, place: &str) -> Result<Preferences, Fault> {
        // Not a list, which serde would take for the values of the members in turn.
        let object: Map<String, Value> = serde_json::from_str(text).map_err(|error| unread(&error, place))?;
        Preferences::read(object, place)
    }

    fn read(object: Map<String, Value>, place: &str) -> Result<Preferences, Fault> {
        serde_json::from_value(Value::Object(object)).map_err(|error| unread(&error, place))
    }

    /// Whether the caller says itself which targets are asked.
    pub(crate) fn names_a_way(&self) -> bool {
        !self.order.is_empty() || !self.only.is_empty() || self.sort.is_some()
    }

    /// The strategy that is wished for in place of the configured one.
    pub(crate) fn strategy(&self) -> Option<Strategy> {
        let sorted = self.sort.map(|sort| match sort {
            Sort::Price => Strategy::Cheapest,
            Sort::Latency => Strategy::FirstToken,
            Sort::Throughput => Strategy::TokenRate,
        });
        // What is named in an order stands in it.
        if self.order.is_empty() { sorted } else { Some(Strategy::Ordered) }
    }

    pub(crate) fn max_price(&self) -> MaxPrice {
        let wished = self.max_price.unwrap_or_default();
        MaxPrice::of_usd(wished.input, wished.output)
    }

    /// Where a target stands in the order; those that are not named stand behind.
    pub(crate) fn place(&self, target: &Target) -> usize {
        self.order.iter().position(|name| names(name, target)).unwrap_or(self.order.len())
    }

    /// Why a target does not come into question.
    pub(crate) fn excludes(&self, target: &Target) -> Option<&'static str> {
        if !self.only.is_empty() && !self.only.iter().any(|name| names(name, target)) {
            return Some("not among those that the request names (only)");
        }
        self.ignore.iter().any(|name| names(name, target)).then_some("the request excludes it (ignore)")
    }
}

fn unread(error: &serde_json::Error, place: &str) -> Fault {
    let message = format!(
        "is no routing preference: {error}; write JSON with order, only, ignore, sort (price, latency or throughput), max_price, allow_fallbacks or tags"
    );
    Fault::invalid(place, message).code("invalid_route")
}

fn names(name: &str, target: &Target) -> bool {
    let provider = target.provider.facts.id.as_str();
    match name.strip_prefix(provider) {
        Some("") => true,
        Some(rest) => rest.strip_prefix('/') == Some(&*target.model),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_are_read_or_refused_by_name() {
        let wishes = Preferences::parse(r#"{"sort":"price","max_price":{"prompt":1.5}}"#, "x").unwrap();
        assert_eq!(wishes.strategy(), Some(Strategy::Cheapest));
        assert_eq!(wishes.max_price().input, Some(1_500_000));
        let aside = Aside::parse(r#"{"route":{"only":["a"]},"session":"s"}"#).unwrap();
        assert_eq!((aside.route.unwrap().only, aside.session), (vec!["a".to_owned()], Some("s".to_owned())));
        for bad in ["[]", r#"{"route":[]}"#, r#"{"rout":{}}"#, "7"] {
            assert_eq!(Aside::parse(bad).unwrap_err().param.as_deref(), Some("tollgate"), "{bad}");
        }
        let refused = Preferences::parse(r#"{"prefer":[]}"#, "x-tollgate-route").unwrap_err();
        assert!(refused.to_string().contains("x-tollgate-route") && refused.message.contains("prefer"));
        for bad in ["[]", r#"[["first"]]"#, "null", "{"] {
            assert!(Preferences::parse(bad, "x").is_err(), "{bad}");
        }
    }
}

//! What is promised of a target, and what is demanded.

use crate::route::Target;

/// What somebody who knows says of a provider or a target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    /// Where data is processed and kept, as `eu`.
    pub regions: Vec<String>,
    /// What is promised of data, as `no_training` or `zero_retention`.
    pub data: Vec<String>,
    /// Words of one's own.
    pub tags: Vec<String>,
}

/// What a target must be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demands {
    /// Data stays in these.
    pub regions: Vec<String>,
    /// All of these are promised.
    pub data: Vec<String>,
    /// It has all of these.
    pub tags: Vec<String>,
    pub price: MaxPrice,
}

/// The most that tokens may cost, in picodollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MaxPrice {
    pub input: Option<u64>,
    pub output: Option<u64>,
}

impl Labels {
    /// These and others; where a target says its own regions, they hold.
    #[must_use]
    pub fn joined(&self, own: &Labels) -> Labels {
        let both = |one: &[String], other: &[String]| [one, other].concat();
        Labels {
            regions: if own.regions.is_empty() { self.regions.clone() } else { own.regions.clone() },
            data: both(&self.data, &own.data),
            tags: both(&self.tags, &own.tags),
        }
    }
}

impl Demands {
    /// Which demand a target does not meet. What is not known of it is not promised.
    pub fn refuse(&self, target: &Target, labels: &Labels) -> Option<String> {
        if !self.regions.is_empty() {
            let inside = |region: &String| self.regions.contains(region);
            if labels.regions.is_empty() || !labels.regions.iter().all(inside) {
                let known = if labels.regions.is_empty() { "unknown" } else { &labels.regions.join(", ") };
                return Some(format!("its region is {known}, not {}", self.regions.join(" or ")));
            }
        }
        let missing = |wanted: &[String], known: &[String]| {
            wanted.iter().find(|wanted| !known.contains(wanted)).cloned()
        };
        if let Some(missing) = missing(&self.data, &labels.data) {
            return Some(format!("it does not promise {missing}"));
        }
        if let Some(missing) = missing(&self.tags, &labels.tags) {
            return Some(format!("it has no tag {missing}"));
        }
        self.price.refuse(target)
    }
}

impl MaxPrice {
    /// Of prices in USD per million tokens.
    pub(crate) fn of_usd(input: Option<f64>, output: Option<f64>) -> MaxPrice {
        // USD per million tokens are micro-USD per token, which are a million picodollars each.
        let rate = |usd: Option<f64>| usd.map(|usd| (usd * 1e6).clamp(0.0, 1e18) as u64);
        MaxPrice { input: rate(input), output: rate(output) }
    }

    pub(crate) fn refuse(self, target: &Target) -> Option<String> {
        if self == MaxPrice::default() {
            return None;
        }
        let Some(price) = target.facts().and_then(|facts| facts.price.as_ref()) else {
            return Some("its price is not known".to_owned());
        };
        let over =
            |rate: Option<u64>, most: Option<u64>| most.is_some_and(|most| rate.unwrap_or_default() > most);
        if over(price.rates.input, self.input) {
            return Some("its price of input is over the most".to_owned());
        }
        over(price.rates.output, self.output).then(|| "its price of output is over the most".to_owned())
    }
}

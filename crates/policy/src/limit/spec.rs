//! Limits and budgets as people write them, in the configuration and in the admin API.

use std::{borrow::Cow, collections::BTreeMap};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::Each;
use crate::{
    config::{Share, Span},
    ledger::OnFailure,
};

/// How much of something may be used, and over which time. One of `requests`, `tokens`, `input_tokens`, `output_tokens`,
/// `usd` and `concurrent` says what is counted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LimitSpec {
    /// What refusals, metrics and the admin API call it. Default: made from what it counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<Count>,
    /// Tokens of prompts and answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Count>,
    /// Tokens of prompts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<Count>,
    /// Tokens of answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<Count>,
    /// Money, in USD.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usd: Option<Usd>,
    /// Calls at a time; it has no `per`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrent: Option<Count>,
    /// `second`, `minute`, `hour`, `day`, `week`, `month`, `year`, or a duration such as `5h`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per: Option<String>,
    /// How it is counted. Default: `sliding_window`; `token_bucket` where there is a `burst`, `leaky_bucket` where there is
    /// a `wait`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<AlgorithmSpec>,
    /// How much may come at once where it is counted as a bucket. Default: the whole amount.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst: Option<Count>,
    /// How long a call waits for its turn, instead of being refused, where it is counted as a leaky bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait: Option<Span>,
    #[serde(flatten)]
    pub terms: Terms,
}

/// How much money may be spent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BudgetSpec {
    /// What refusals, metrics and the admin API call it. Default: made from its period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The amount in USD; of credit that is paid for, the amount at the beginning.
    pub usd: Usd,
    /// `day`, `week`, `month`, `year`, `hour`, or a duration such as `5h`. Left out, it is credit that is paid for and never
    /// renews by itself: `tollgate budgets top-up` adds to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per: Option<String>,
    /// Whether what was left of its amount in one period is added to the next, unless nothing was used. Default: false.
    #[serde(default, skip_serializing_if = "is_false")]
    pub carry_over: bool,
    #[serde(flatten)]
    pub terms: Terms,
}

/// What limits and budgets have in common.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Terms {
    /// In which time zone its periods begin, as `Europe/Berlin`. Default: `UTC`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Counted on its own for each of these. Default: all together.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub each: Vec<Each>,
    /// The model names it holds for, exact or with a trailing `*`. Default: all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// The operations it holds for, as `chat` or `embeddings`. Default: all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<OperationName>,
    /// The tags that a call must have for it to hold. Default: none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// Whether calls beyond it are refused, or only told of. Default: enforce.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<ModeSpec>,
    /// From which share on answers and metrics warn. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warn_at: Option<Share>,
    /// What becomes of a call beyond it. Default: refuse.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_exceeded: Option<ExceededSpec>,
    /// The model name that takes calls beyond it, where `on_exceeded` is `downgrade`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub downgrade_to: Option<String>,
    /// What becomes of calls to models whose price is not known, where money is counted. Default: refuse.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unpriced: Option<UnpricedSpec>,
    /// What becomes of calls while the store that replicas share cannot be reached. Default: share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_store_failure: Option<OnFailure>,
}

/// How something is counted over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlgorithmSpec {
    /// Begins anew with each minute, hour, day, … of the calendar.
    FixedWindow,
    /// The stretch of time that ends now.
    SlidingWindow,
    /// Fills at a steady rate, up to `burst`.
    TokenBucket,
    /// Lets calls go at a steady rate; those that come too soon wait.
    LeakyBucket,
}

/// Whether a limit refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModeSpec {
    Enforce,
    /// Counts, and tells what it would have refused.
    Shadow,
}

/// What becomes of a call beyond a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExceededSpec {
    Refuse,
    /// It waits until it fits, within its deadline.
    Queue,
    /// Another model takes it: `downgrade_to`.
    Downgrade,
}

/// What becomes of calls whose cost is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnpricedSpec {
    /// They go on, and cost nothing.
    Allow,
    Refuse,
}

/// What a caller asks a provider to do, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OperationName(pub wire::Operation);

/// One budget or several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Budgets {
    One(Box<BudgetSpec>),
    Many(Vec<BudgetSpec>),
}

/// A count such as `600`, `100k`, `2M` or `1.5G`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Count(pub i64);

/// An amount of money in USD, in picodollars here.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usd(pub crate::Money);

impl Budgets {
    pub fn list(&self) -> &[BudgetSpec] {
        match self {
            Budgets::One(budget) => std::slice::from_ref(budget),
            Budgets::Many(budgets) => budgets,
        }
    }
}

impl Serialize for OperationName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.name())
    }
}

impl<'de> Deserialize<'de> for OperationName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<OperationName, D::Error> {
        let name = String::deserialize(deserializer)?;
        let known = wire::Operation::ALL.into_iter().find(|operation| operation.name() == name);
        let unknown = || serde::de::Error::custom(format!("\"{name}\" is no operation"));
        known.map(OperationName).ok_or_else(unknown)
    }
}

impl JsonSchema for OperationName {
    fn schema_name() -> Cow<'static, str> {
        "Operation".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "enum": wire::Operation::ALL.map(wire::Operation::name)})
    }
}

/// A number as people write it, with or without quotes.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Whole(i64),
    Number(f64),
    Text(String),
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Count, D::Error> {
        let parsed = match Written::deserialize(deserializer)? {
            Written::Whole(count) => Ok(count),
            Written::Number(number) => Err(format!("{number} is no whole number")),
            Written::Text(text) => parse_count(&text),
        };
        parsed.map(Count).map_err(serde::de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Usd {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Usd, D::Error> {
        let text = match Written::deserialize(deserializer)? {
            Written::Whole(dollars) => dollars.to_string(),
            Written::Number(dollars) => format!("{dollars}"),
            Written::Text(text) => text,
        };
        parse_usd(&text).map(Usd).map_err(serde::de::Error::custom)
    }
}

impl Serialize for Usd {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_string())
    }
}

impl JsonSchema for Count {
    fn schema_name() -> Cow<'static, str> {
        "Count".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["integer", "string"], "minimum": 0, "format": "tollgate-count", "examples": [600, "100k", "2M"],
        })
    }
}

impl JsonSchema for Usd {
    fn schema_name() -> Cow<'static, str> {
        "Usd".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["number", "string"], "minimum": 0, "format": "tollgate-usd", "examples": [3000, "0.05"],
        })
    }
}

pub(crate) fn parse_count(text: &str) -> Result<i64, String> {
    let remedy = || format!("\"{text}\" is no count; write a number, or one with k, M or G, as 100k");
    let (digits, unit) = match text.trim().split_at_checked(text.trim().len().saturating_sub(1)) {
        Some((digits, "k")) => (digits, 1_000),
        Some((digits, "M")) => (digits, 1_000_000),
        Some((digits, "G")) => (digits, 1_000_000_000),
        Some(_) | None => (text.trim(), 1),
    };
    decimal(digits, unit).ok_or_else(remedy)
}

/// USD in decimals, exactly.
pub fn parse_usd(text: &str) -> Result<crate::Money, String> {
    let remedy = || {
        format!(
            "\"{text}\" is no amount in USD; write a number of at most 9 million with at most 12 decimals"
        )
    };
    decimal(text.trim(), 1_000_000_000_000).map(crate::Money).ok_or_else(remedy)
}

/// A decimal number that comes to a whole number of units.
fn decimal(text: &str, unit: i64) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    let mut amount = whole.parse::<i64>().ok()?.checked_mul(unit)?;
    let mut place = unit;
    for digit in fraction.bytes() {
        let digit = i64::from(digit - b'0');
        if place % 10 != 0 {
            if digit != 0 {
                return None;
            }
            continue;
        }
        place /= 10;
        amount = amount.checked_add(digit.checked_mul(place)?)?;
    }
    Some(amount)
}

fn is_false(flag: &bool) -> bool {
    !flag
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_amounts_are_exact() {
        let count =
            |text: &str, expected: Option<i64>| assert_eq!(parse_count(text).ok(), expected, "{text}");
        count("600", Some(600));
        count("100k", Some(100_000));
        count("1.5M", Some(1_500_000));
        count("2G", Some(2_000_000_000));
        count("1.5", None);
        count("-1", None);
        count("k", None);
        count("1.0001k", None);
        count("", None);
        count("9999999999999G", None);
        let usd = |text: &str, expected: Option<i64>| {
            assert_eq!(parse_usd(text).ok().map(crate::Money::picodollars), expected, "{text}");
        };
        usd("3000", Some(3_000_000_000_000_000));
        usd("0.05", Some(50_000_000_000));
        usd("0.000000000001", Some(1));
        usd("0.0000000000001", None);
        usd("9000000", Some(9_000_000_000_000_000_000));
        usd("10000000", None);
        usd("1e3", None);
    }

    #[test]
    fn what_is_kept_reads_as_it_was_written() {
        let texts = [
            r#"{"requests":600,"per":"minute","wait":"1500ms","warn_at":"80%"}"#,
            r#"{"usd":"0.50","per":"day","each":["end_user"],"mode":"shadow"}"#,
        ];
        for text in texts {
            let spec: LimitSpec = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&spec).unwrap(), text);
        }
        let budget: Budgets =
            serde_json::from_str(r#"{"usd":3000,"per":"month","carry_over":true}"#).unwrap();
        assert_eq!(
            serde_json::to_string(&budget).unwrap(),
            r#"{"usd":"3000.00","per":"month","carry_over":true}"#
        );
    }
}

//! Filters: which resources, or which values of one, are meant (<https://www.rfc-editor.org/rfc/rfc7644#section-3.4.2.2>).

use jiff::Timestamp;
use serde_json::Value as Json;

use super::attribute::{Attribute, Kind};

/// A filter whose names are those of attributes.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Filter {
    Present(Steps),
    Compare(Comparison),
    /// Of the values of one attribute, some are meant.
    Within(Steps, Box<Filter>),
    All(Vec<Filter>),
    Any(Vec<Filter>),
    Not(Box<Filter>),
}

/// An attribute, with those that it is a part of before it; nothing where there is none of its name.
pub(super) type Steps = Vec<&'static Attribute>;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Comparison {
    pub(super) steps: Steps,
    pub(super) operator: Operator,
    pub(super) literal: Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Contains,
    StartsWith,
    EndsWith,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl Operator {
    pub(super) fn named(name: &str) -> Option<Operator> {
        let operators = [
            ("eq", Operator::Equal),
            ("ne", Operator::NotEqual),
            ("co", Operator::Contains),
            ("sw", Operator::StartsWith),
            ("ew", Operator::EndsWith),
            ("gt", Operator::Greater),
            ("ge", Operator::GreaterOrEqual),
            ("lt", Operator::Less),
            ("le", Operator::LessOrEqual),
        ];
        let found = operators.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, operator)| *operator)
    }

    /// Whether truth values and bytes can be compared so.
    pub(super) fn is_equality(self) -> bool {
        match self {
            Operator::Equal | Operator::NotEqual => true,
            Operator::Contains
            | Operator::StartsWith
            | Operator::EndsWith
            | Operator::Greater
            | Operator::GreaterOrEqual
            | Operator::Less
            | Operator::LessOrEqual => false,
        }
    }
}

impl Filter {
    /// Whether it holds of a resource, or of one value of an attribute.
    pub(super) fn holds(&self, of: &Json) -> bool {
        match self {
            Filter::Present(steps) => values(steps, of).into_iter().any(is_present),
            Filter::Compare(comparison) => comparison.holds(of),
            Filter::Within(steps, filter) => values(steps, of).into_iter().any(|value| filter.holds(value)),
            Filter::All(filters) => filters.iter().all(|filter| filter.holds(of)),
            Filter::Any(filters) => filters.iter().any(|filter| filter.holds(of)),
            Filter::Not(filter) => !filter.holds(of),
        }
    }

    /// Letters that the values of this attribute must have wherever the filter holds.
    pub(super) fn letters(&self, attribute: &str) -> Option<&str> {
        match self {
            Filter::Compare(Comparison { steps, operator, literal }) => {
                let text = literal.as_str().filter(|text| text.is_ascii() && !text.is_empty())?;
                let names = matches!(steps.as_slice(), [only] if only.name == attribute);
                let has = match operator {
                    Operator::Equal | Operator::Contains | Operator::StartsWith | Operator::EndsWith => true,
                    Operator::NotEqual
                    | Operator::Greater
                    | Operator::GreaterOrEqual
                    | Operator::Less
                    | Operator::LessOrEqual => false,
                };
                (names && has).then_some(text)
            }
            Filter::All(filters) => filters.iter().find_map(|filter| filter.letters(attribute)),
            Filter::Present(_) | Filter::Within(..) | Filter::Any(_) | Filter::Not(_) => None,
        }
    }

    /// The values that a new element would have of which this holds; nothing where it cannot be told.
    pub(super) fn example(&self) -> Option<Vec<(&'static str, Json)>> {
        match self {
            Filter::Compare(Comparison { steps, operator: Operator::Equal, literal }) => {
                let [only] = steps.as_slice() else { return None };
                Some(vec![(only.name, literal.clone())])
            }
            Filter::All(filters) => {
                let each: Option<Vec<_>> = filters.iter().map(Filter::example).collect();
                each.map(|each| each.into_iter().flatten().collect())
            }
            Filter::Compare(_)
            | Filter::Present(_)
            | Filter::Within(..)
            | Filter::Any(_)
            | Filter::Not(_) => None,
        }
    }
}

impl Comparison {
    /// What has several values is met by one of them; what has none is equal to nothing.
    fn holds(&self, of: &Json) -> bool {
        let Some(last) = self.steps.last() else { return self.operator == Operator::NotEqual };
        let attribute = compared(last);
        let found = values(&self.steps, of);
        let found = found.into_iter().filter_map(|value| match value {
            Json::Object(members) => members.get(attribute.name),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => Some(value),
        });
        let mut found = found.peekable();
        if self.literal.is_null() {
            return found.peek().is_none() == (self.operator == Operator::Equal);
        }
        match self.operator {
            Operator::NotEqual => !found.any(|value| self.meets(attribute, Operator::Equal, value)),
            operator => found.any(|value| self.meets(attribute, operator, value)),
        }
    }

    fn meets(&self, attribute: &Attribute, operator: Operator, value: &Json) -> bool {
        match (value, &self.literal) {
            (Json::Bool(value), Json::Bool(wanted)) => value == wanted,
            (Json::Bool(value), Json::String(wanted)) => wanted.eq_ignore_ascii_case(&value.to_string()),
            (Json::String(value), Json::String(wanted)) => {
                if let (Kind::Moment, Ok(value), Ok(wanted)) =
                    (attribute.kind, value.parse::<Timestamp>(), wanted.parse::<Timestamp>())
                {
                    return ordered(operator, &value, &wanted);
                }
                if attribute.exact {
                    return compares(operator, value, wanted);
                }
                compares(operator, &value.to_lowercase(), &wanted.to_lowercase())
            }
            _ => false,
        }
    }
}

fn compares(operator: Operator, value: &str, wanted: &str) -> bool {
    match operator {
        Operator::Contains => value.contains(wanted),
        Operator::StartsWith => value.starts_with(wanted),
        Operator::EndsWith => value.ends_with(wanted),
        Operator::Equal
        | Operator::NotEqual
        | Operator::Greater
        | Operator::GreaterOrEqual
        | Operator::Less
        | Operator::LessOrEqual => ordered(operator, &value, &wanted),
    }
}

fn ordered<T: PartialOrd>(operator: Operator, value: &T, wanted: &T) -> bool {
    match operator {
        Operator::Equal => value == wanted,
        Operator::NotEqual => value != wanted,
        Operator::Greater => value > wanted,
        Operator::GreaterOrEqual => value >= wanted,
        Operator::Less => value < wanted,
        Operator::LessOrEqual => value <= wanted,
        Operator::Contains | Operator::StartsWith | Operator::EndsWith => false,
    }
}

/// What is compared where an attribute with parts is named: its value.
fn compared(attribute: &'static Attribute) -> &'static Attribute {
    Attribute::find(attribute.parts, "value").unwrap_or(attribute)
}

/// All values that an attribute has.
pub(super) fn values<'j>(steps: &[&Attribute], of: &'j Json) -> Vec<&'j Json> {
    if steps.is_empty() {
        return Vec::new();
    }
    let mut found = vec![of];
    for step in steps {
        let members = found.into_iter().filter_map(|value| value.get(step.name));
        found = members
            .flat_map(|member| match member {
                Json::Array(values) => values.iter().collect(),
                Json::Null => Vec::new(),
                Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Object(_) => vec![member],
            })
            .collect();
    }
    found
}

fn is_present(value: &Json) -> bool {
    match value {
        Json::Null => false,
        Json::String(text) => !text.is_empty(),
        Json::Object(members) => members.values().any(is_present),
        Json::Array(values) => values.iter().any(is_present),
        Json::Bool(_) | Json::Number(_) => true,
    }
}

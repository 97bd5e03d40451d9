//! JSON in one spelling, so that equal meanings are equal texts.

use std::collections::BTreeMap;

use serde_json::{Number, Value};

/// JSON with its keys sorted and its numbers by value, over several lines; `None` when it is none.
pub(crate) fn canonical(json: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(json).ok()?;
    serde_json::to_string_pretty(&sorted(value)).ok()
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let members: BTreeMap<String, Value> =
                members.into_iter().map(|(name, value)| (name, sorted(value))).collect();
            Value::Object(members.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        Value::Number(number) => Value::Number(by_value(number)),
        Value::Null | Value::Bool(_) | Value::String(_) => value,
    }
}

/// `1.0` and `1e0` are `1`, as far as a double tells whole numbers apart.
fn by_value(number: Number) -> Number {
    let float = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < 9e15);
    match float {
        Some(float) if number.is_f64() => Number::from(float as i64),
        Some(_) | None => number,
    }
}

//! Rows that came out of the database.

use uuid::Uuid;

use super::Value;
use crate::Error;

/// One row; its values are taken by their place.
#[derive(Debug)]
pub(crate) struct Row(pub(super) Vec<Value<'static>>);

/// What a value can be read as.
pub(crate) trait Read: Sized {
    /// The word for messages.
    const KIND: &'static str;

    fn read(value: &Value<'static>) -> Option<Self>;
}

impl Row {
    /// The value at a place, counted from 0.
    pub(crate) fn get<T: Read>(&self, column: usize) -> Result<T, Error> {
        let value = self.0.get(column);
        value.and_then(T::read).ok_or_else(|| Error::Column {
            column,
            found: value.map_or("no such column", Value::kind),
            wanted: T::KIND,
        })
    }
}

impl Read for i64 {
    const KIND: &'static str = "a whole number";

    fn read(value: &Value<'static>) -> Option<i64> {
        match value {
            Value::Int(number) => Some(*number),
            Value::Null
            | Value::Real(_)
            | Value::Text(_)
            | Value::Bytes(_)
            | Value::Uuid(_)
            | Value::Bool(_) => None,
        }
    }
}

impl Read for u64 {
    const KIND: &'static str = "a count";

    fn read(value: &Value<'static>) -> Option<u64> {
        i64::read(value).and_then(|number| number.try_into().ok())
    }
}

impl Read for u16 {
    const KIND: &'static str = "a small count";

    fn read(value: &Value<'static>) -> Option<u16> {
        i64::read(value).and_then(|number| number.try_into().ok())
    }
}

impl Read for f64 {
    const KIND: &'static str = "a number";

    fn read(value: &Value<'static>) -> Option<f64> {
        match value {
            Value::Real(number) => Some(*number),
            Value::Int(number) => Some(*number as f64),
            Value::Null | Value::Text(_) | Value::Bytes(_) | Value::Uuid(_) | Value::Bool(_) => None,
        }
    }
}

/// SQLite keeps truth as 0 and 1.
impl Read for bool {
    const KIND: &'static str = "true or false";

    fn read(value: &Value<'static>) -> Option<bool> {
        match value {
            Value::Bool(value) => Some(*value),
            Value::Int(number) => Some(*number != 0),
            Value::Null | Value::Real(_) | Value::Text(_) | Value::Bytes(_) | Value::Uuid(_) => None,
        }
    }
}

impl Read for String {
    const KIND: &'static str = "a text";

    fn read(value: &Value<'static>) -> Option<String> {
        match value {
            Value::Text(text) => Some(text.clone().into_owned()),
            Value::Null
            | Value::Int(_)
            | Value::Real(_)
            | Value::Bytes(_)
            | Value::Uuid(_)
            | Value::Bool(_) => None,
        }
    }
}

/// SQLite keeps ids as their bytes.
impl Read for Uuid {
    const KIND: &'static str = "an id";

    fn read(value: &Value<'static>) -> Option<Uuid> {
        match value {
            Value::Uuid(id) => Some(*id),
            Value::Bytes(bytes) => Uuid::from_slice(bytes).ok(),
            Value::Null | Value::Int(_) | Value::Real(_) | Value::Text(_) | Value::Bool(_) => None,
        }
    }
}

impl Read for [u8; 32] {
    const KIND: &'static str = "a hash";

    fn read(value: &Value<'static>) -> Option<[u8; 32]> {
        match value {
            Value::Bytes(bytes) => bytes.as_ref().try_into().ok(),
            Value::Null
            | Value::Int(_)
            | Value::Real(_)
            | Value::Text(_)
            | Value::Uuid(_)
            | Value::Bool(_) => None,
        }
    }
}

impl<T: Read> Read for Option<T> {
    const KIND: &'static str = T::KIND;

    fn read(value: &Value<'static>) -> Option<Option<T>> {
        if matches!(value, Value::Null) { Some(None) } else { T::read(value).map(Some) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_an_error() {
        let row = Row(vec![Value::Int(-1), Value::Null, Value::Text("a".into())]);
        assert_eq!(row.get::<i64>(0).unwrap(), -1);
        assert_eq!(row.get::<Option<i64>>(1).unwrap(), None);
        assert!(row.get::<u64>(0).is_err());
        assert!(row.get::<String>(1).is_err());
        let message = row.get::<Uuid>(2).unwrap_err().to_string();
        assert_eq!(message, "the database: column 2 holds a text where an id is expected");
        assert!(row.get::<i64>(3).is_err());
    }
}

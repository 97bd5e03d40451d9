//! YAML as JSON. The build script reads the catalogue's files with it as well.

use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Number, Value};

/// The first document of a YAML text as JSON, or what is wrong with it.
pub fn parse_yaml(text: &str) -> Result<Value, String> {
    let documents = Yaml::load_from_str(text).map_err(|error| error.to_string())?;
    documents.first().map_or(Ok(Value::Null), to_json)
}

fn to_json(node: &Yaml<'_>) -> Result<Value, String> {
    match node {
        Yaml::Value(scalar) => Ok(match scalar {
            Scalar::Null => Value::Null,
            Scalar::Boolean(value) => Value::Bool(*value),
            Scalar::Integer(value) => Value::Number((*value).into()),
            Scalar::FloatingPoint(value) => {
                let number = Number::from_f64(value.into_inner());
                Value::Number(number.ok_or("a number is not finite")?)
            }
            Scalar::String(text) => Value::String(text.clone().into_owned()),
        }),
        Yaml::Sequence(items) => items.iter().map(to_json).collect::<Result<_, _>>().map(Value::Array),
        Yaml::Mapping(members) => {
            let mut object = Map::new();
            for (name, value) in members {
                let name = match to_json(name)? {
                    Value::String(name) => name,
                    other => other.to_string(),
                };
                object.insert(name, to_json(value)?);
            }
            Ok(Value::Object(object))
        }
        other => Err(format!("{other:?} has no place here")),
    }
}

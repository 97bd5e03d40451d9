//! Arguments of a call that come in pieces, each with the path of its place
//! (<https://docs.cloud.google.com/vertex-ai/generative-ai/docs/multimodal/function-calling#streaming-fc>).

use serde_json::{Map, Value, value::RawValue};

use crate::Fault;

/// The most steps of a path, and the largest place in a list.
const STEPS_MAX: usize = 64;
const PLACE_MAX: usize = 10_000;

/// The arguments so far.
pub(super) struct Partial {
    /// The number of the call's part.
    pub(super) index: u32,
    value: Value,
}

/// A step of a path.
enum Step {
    Member(String),
    Place(usize),
}

impl Partial {
    pub(super) fn new(index: u32) -> Partial {
        Partial { index, value: Value::Object(Map::new()) }
    }

    /// Adds pieces.
    pub(super) fn take(&mut self, args: Option<&RawValue>, pieces: &[&RawValue]) -> Result<(), Fault> {
        if let Some(Ok(Value::Object(args))) = args.map(|raw| serde_json::from_str(raw.get())) {
            self.value = Value::Object(args);
        }
        for raw in pieces {
            let piece: Value = serde_json::from_str(raw.get()).unwrap_or_default();
            self.piece(&piece)
                .ok_or_else(|| Fault::invalid("partialArgs", "has a path that is not understood"))?;
        }
        Ok(())
    }

    /// The arguments as JSON text.
    pub(super) fn text(&self) -> String {
        self.value.to_string()
    }

    fn piece(&mut self, piece: &Value) -> Option<()> {
        let path = piece["jsonPath"].as_str()?;
        let mut place = &mut self.value;
        for step in steps(path)? {
            place = match step {
                Step::Member(name) => {
                    if !place.is_object() {
                        *place = Value::Object(Map::new());
                    }
                    place.as_object_mut()?.entry(name).or_insert(Value::Null)
                }
                Step::Place(at) => {
                    if !place.is_array() {
                        *place = Value::Array(Vec::new());
                    }
                    let list = place.as_array_mut()?;
                    if list.len() <= at {
                        list.resize(at + 1, Value::Null);
                    }
                    list.get_mut(at)?
                }
            };
        }
        match (place, &piece["stringValue"]) {
            (Value::String(known), Value::String(more)) => known.push_str(more),
            (place, Value::String(text)) => *place = Value::String(text.clone()),
            (place, _) => {
                let given = ["numberValue", "boolValue"].into_iter().find_map(|name| piece.get(name));
                *place = given.cloned().unwrap_or(Value::Null);
            }
        }
        Some(())
    }
}

/// `$.a.b[0]['c d']`.
fn steps(path: &str) -> Option<Vec<Step>> {
    let mut rest = path.strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() && steps.len() < STEPS_MAX {
        if let Some(inside) = rest.strip_prefix('[') {
            let (step, after) = inside.split_once(']')?;
            let quoted = step.strip_prefix(['\'', '"']).and_then(|step| step.strip_suffix(['\'', '"']));
            steps.push(match quoted {
                Some(name) => Step::Member(name.to_owned()),
                None => Step::Place(step.parse().ok().filter(|at| *at < PLACE_MAX)?),
            });
            rest = after;
        } else {
            let name = rest.strip_prefix('.')?;
            let end = name.find(['.', '[']).unwrap_or(name.len());
            let (name, after) = name.split_at(end);
            steps.push(Step::Member(name.to_owned()));
            rest = after;
        }
    }
    rest.is_empty().then_some(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_up_arguments() {
        let mut partial = Partial::new(0);
        let pieces = [
            r#"{"jsonPath":"$.place","stringValue":"New ","willContinue":true}"#,
            r#"{"jsonPath":"$.place","stringValue":"York"}"#,
            r#"{"jsonPath":"$.days[1].light['lux level']","numberValue":0.5}"#,
            r#"{"jsonPath":"$.sure","boolValue":true}"#,
        ];
        for piece in pieces {
            let raw = RawValue::from_string(piece.to_owned()).unwrap();
            partial.take(None, &[&raw]).unwrap();
        }
        let expected = r#"{"place":"New York","days":[null,{"light":{"lux level":0.5}}],"sure":true}"#;
        assert_eq!(partial.text(), expected);
        let bad = RawValue::from_string(r#"{"jsonPath":"$[99999999]"}"#.to_owned()).unwrap();
        assert!(partial.take(None, &[&bad]).is_err());
    }
}

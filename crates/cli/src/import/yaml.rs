//! Writes a configuration as people would: blocks, with small maps on one line.

use serde_json::{Map, Value};

/// The most characters of a map that stands on one line.
const LINE_CHARS_MAX: usize = 100;

pub(crate) fn write(members: &Map<String, Value>) -> String {
    let mut text = String::new();
    block_map(&mut text, members, 0);
    text
}

fn block_map(text: &mut String, members: &Map<String, Value>, indent: usize) {
    for (name, value) in members {
        text.push_str(&" ".repeat(indent));
        text.push_str(&scalar_text(name));
        text.push(':');
        behind(text, value, indent + 2);
    }
}

/// What stands behind a name.
fn behind(text: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(members) if !members.is_empty() && !fits_a_line(value) => {
            text.push('\n');
            block_map(text, members, indent);
        }
        Value::Array(items) if !items.is_empty() && !fits_a_line(value) => {
            text.push('\n');
            for item in items {
                text.push_str(&" ".repeat(indent));
                text.push_str("- ");
                text.push_str(&flow(item));
                text.push('\n');
            }
        }
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_) => {
            text.push(' ');
            text.push_str(&flow(value));
            text.push('\n');
        }
    }
}

fn fits_a_line(value: &Value) -> bool {
    let nested = match value {
        Value::Object(members) => members.values().any(|member| member.is_object() && !is_small(member)),
        Value::Array(items) => items.iter().any(Value::is_object) && items.len() > 1,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    };
    !nested && flow(value).chars().count() <= LINE_CHARS_MAX
}

fn is_small(value: &Value) -> bool {
    flow(value).chars().count() <= LINE_CHARS_MAX / 2
}

fn flow(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => scalar_text(text),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(flow).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(members) if members.is_empty() => "{}".to_owned(),
        Value::Object(members) => {
            let members: Vec<String> = members
                .iter()
                .map(|(name, value)| format!("{}: {}", scalar_text(name), flow(value)))
                .collect();
            format!("{{ {} }}", members.join(", "))
        }
    }
}

/// A text without quotes where it can be read as nothing else; otherwise as JSON writes it, which YAML reads alike.
fn scalar_text(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    let words = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(plain)
        && !words.contains(&text.to_ascii_lowercase().as_str());
    if is_plain { text.to_owned() } else { Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let value = json!({
            "providers": {
                "openai": {"api_key": "${KEY}", "models": {"a:b": {"price": {"input": 0.15, "output": 0.6}}}},
                "empty": {}, "nothing": null,
            },
            "models": {
                "no": ["x/y", "z/\"w\""],
                "long": {"targets": [
                    {"model": "openai/gpt-4o", "weight": 3}, {"model": "azure/gpt-4o: x # y", "weight": 0},
                ], "retries": {"max": 2}},
            },
            "text": "line\nline\u{1F600}", "number": "30", "flag": true, "list": [],
        });
        let text = write(value.as_object().unwrap());
        assert_eq!(catalog::parse_yaml(&text).unwrap(), value, "{text}");
        assert!(text.contains("\n      - { model: openai/gpt-4o, weight: 3 }\n"), "{text}");
    }
}

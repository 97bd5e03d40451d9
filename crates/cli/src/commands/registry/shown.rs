//! Plans and changes as people read them.

use std::io::{IsTerminal, stdout};

use serde_json::Value;
use server::registry::{Difference, Doing, Plan, Step};

/// The most things that are left alone and named.
const NAMED_MAX: usize = 20;

/// A plan, in colours where a person reads it.
pub(super) fn plan(plan: &Plan) -> String {
    let colours = stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    written(plan, colours)
}

fn written(plan: &Plan, colours: bool) -> String {
    let mut lines = Vec::new();
    for step in &plan.changes {
        lines.push(coloured(step.action, &title(step), colours));
        lines.extend(step.differences.iter().map(|one| format!("    {}", difference(one))));
    }
    lines.extend(plan.notes.iter().map(|note| format!("! {note}")));
    if !plan.left_alone.is_empty() {
        let named = plan.left_alone.iter().take(NAMED_MAX);
        let named: Vec<String> =
            named.map(|one| format!("{} \"{}\"", one.kind.replace('_', " "), one.name)).collect();
        let more = plan.left_alone.len() - named.len();
        let more = if more > 0 { format!(", and {more} more") } else { String::new() };
        lines.push(format!("left alone, since the file has no such entry: {}{more}", named.join(", ")));
    }
    lines.push(summary(plan));
    lines.join("\n")
}

fn summary(plan: &Plan) -> String {
    let count = |doing: Doing| plan.changes.iter().filter(|step| step.action == doing).count();
    let said = [
        (Doing::Create, "to create"),
        (Doing::Change, "to change"),
        (Doing::Revive, "to bring back"),
        (Doing::End, "to end"),
    ];
    let said: Vec<String> = said
        .into_iter()
        .filter(|(doing, _)| count(*doing) > 0)
        .map(|(doing, text)| format!("{} {text}", count(doing)))
        .collect();
    if said.is_empty() { "nothing to do".to_owned() } else { said.join(", ") }
}

fn title(step: &Step) -> String {
    let of = step.organization.as_ref().map(|name| format!(" of organization \"{name}\""));
    format!("{} \"{}\"{}", step.kind.replace('_', " "), step.name, of.unwrap_or_default())
}

/// One member.
pub(super) fn difference(difference: &Difference) -> String {
    let Difference { path, before, after } = difference;
    match (before, after) {
        (None, Some(after)) => format!("{path}: {}", value(after)),
        (Some(before), None) => format!("{path}: {} → (none)", value(before)),
        (Some(before), Some(after)) => format!("{path}: {} → {}", value(before), value(after)),
        (None, None) => path.clone(),
    }
}

/// A text without quotes where it is one word. What would move a terminal's cursor is written as JSON writes it.
fn value(value: &Value) -> String {
    let plain =
        |text: &&str| !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control());
    if let Some(text) = value.as_str().filter(plain) {
        return text.to_owned();
    }
    let mut shown = String::new();
    for letter in value.to_string().chars() {
        if letter.is_control() {
            shown.push_str(&format!("\\u{:04x}", u32::from(letter)));
        } else {
            shown.push(letter);
        }
    }
    shown
}

/// The sign of what is done.
pub(super) fn sign(doing: Doing) -> char {
    match doing {
        Doing::Create | Doing::Revive => '+',
        Doing::Change => '~',
        Doing::End => '-',
    }
}

fn coloured(doing: Doing, text: &str, colours: bool) -> String {
    let colour = match doing {
        Doing::Create | Doing::Revive => 32,
        Doing::Change => 33,
        Doing::End => 31,
    };
    let line = format!("{} {text}", sign(doing));
    if colours { format!("\u{1b}[{colour}m{line}\u{1b}[0m") } else { line }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_leave_the_terminal_alone() {
        let check = |of: Value, expected: &str| assert_eq!(value(&of), expected);
        check(json!("300.00"), "300.00");
        check(json!("two words"), "\"two words\"");
        check(json!(""), "\"\"");
        check(json!("\u{1b}[2J"), "\"\\u001b[2J\"");
        check(json!(["\u{9b}2J"]), "[\"\\u009b2J\"]");
        check(Value::Null, "null");
    }

    #[test]
    fn plans_read_line_by_line() {
        let step = |action, name: &str, differences| Step {
            action,
            kind: "service_account",
            id: None,
            name: name.to_owned(),
            organization: Some("acme".to_owned()),
            differences,
        };
        let one = |path: &str, before, after| Difference { path: path.to_owned(), before, after };
        let changes = vec![
            step(Doing::Create, "bot", vec![one("models", None, Some(json!(["fast"])))]),
            step(Doing::Change, "ci", vec![one("budget.usd", Some(json!("1.00")), Some(json!("3.00")))]),
            step(Doing::End, "old", vec![]),
        ];
        let shown = Plan { clock: 7, changes, left_alone: vec![], notes: vec!["a note".to_owned()] };
        let expected = "+ service account \"bot\" of organization \"acme\"\n    models: [\"fast\"]\n\
                        ~ service account \"ci\" of organization \"acme\"\n    budget.usd: 1.00 → 3.00\n\
                        - service account \"old\" of organization \"acme\"\n! a note\n\
                        1 to create, 1 to change, 1 to end";
        assert_eq!(written(&shown, false), expected);
        assert!(written(&shown, true).contains("\u{1b}[31m- service account"));
        let nothing = Plan { changes: vec![], notes: vec![], ..shown };
        assert_eq!(written(&nothing, true), "nothing to do");
    }
}

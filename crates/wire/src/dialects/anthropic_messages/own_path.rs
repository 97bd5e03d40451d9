//! Where a field stood in the caller's own body.

use crate::{
    ir::{Form, Request, Role},
    paths::{Place, renamed},
};

const FIRST: [(&str, &str); 9] = [
    ("tools[].schema", "tools[].input_schema"),
    ("reasoning.effort", "output_config.effort"),
    ("reasoning.enabled", "thinking.type"),
    ("reasoning", "thinking"),
    ("output.type", "output_config.format"),
    ("output", "output_config.format"),
    ("stop", "stop_sequences"),
    ("user", "metadata.user_id"),
    ("parallel_tool_calls", "tool_choice.disable_parallel_tool_use"),
];
const LAST: [(&str, &str); 4] = [
    ("cache", "cache_control"),
    ("annotations", "citations"),
    ("arguments", "input"),
    ("call_id", "tool_use_id"),
];

/// Tells a place in the representation in this dialect's words. Instructions that stand apart are the first message
/// there.
pub(super) fn own_path(request: &Request, path: &str) -> String {
    let place = Place::of(path);
    let message = place.as_ref().and_then(|place| request.messages.get(place.message));
    let (Some(Place { message: at, part, rest }), Some(message)) = (place, message) else {
        return renamed(path, &FIRST, &LAST);
    };
    let apart = request.messages.first();
    let apart = apart.is_some_and(|first| first.role == Role::System && first.ext.get("role").is_none());
    let (base, list) = match at.checked_sub(usize::from(apart)) {
        Some(at) => (format!("messages[{at}]"), ".content"),
        None => ("system".to_owned(), ""),
    };
    let path = match part {
        Some(_) if message.content.form == Form::Bare => format!("{base}{list}{rest}"),
        Some(part) => format!("{base}{list}[{part}]{rest}"),
        None => format!("{base}{rest}"),
    };
    renamed(&path, &[], &LAST)
}

//! Messages of any dialect in this one's order: instructions apart, results of tools in the user's turn.

use crate::{
    Dialect, Losses, crossing,
    ir::{Form, Message, Part, PartKind, Request, Role},
};

/// A request's instructions and its turns.
pub(super) struct Turns<'r> {
    /// What `system` says.
    pub(super) system: Option<Spoken<'r>>,
    pub(super) turns: Vec<Turn<'r>>,
}

/// One turn; its parts may come from several messages.
pub(super) struct Turn<'r> {
    pub(super) role: &'static str,
    pub(super) spoken: Spoken<'r>,
    /// The message it comes from, or the last of them.
    pub(super) message: &'r Message,
}

/// Parts, and how their list was spelled.
pub(super) struct Spoken<'r> {
    pub(super) form: Form,
    pub(super) parts: Vec<Placed<'r>>,
}

/// A part, and where it stood in the caller's body.
pub(super) struct Placed<'r> {
    pub(super) path: String,
    pub(super) part: &'r Part,
}

/// Splits a request into what stands where in this dialect.
pub(super) fn turns<'r>(request: &'r Request, losses: &mut Losses) -> Turns<'r> {
    if request.dialect == Dialect::AnthropicMessages {
        return own(request);
    }
    let mut system: Option<Spoken<'r>> = None;
    let mut turns: Vec<Turn<'r>> = Vec::new();
    for (at, message) in request.messages.iter().enumerate() {
        let path = format!("messages[{at}]");
        losses.ext(&path, &crossing::unread(message));
        let mut spoken = Spoken {
            form: message.content.form,
            parts: placed(of_message(message, at), &message.content.parts),
        };
        let role = match message.role {
            Role::System | Role::Developer => {
                if !turns.is_empty() {
                    losses.approximated(path, "instructions within a conversation move to its beginning");
                }
                match &mut system {
                    None => system = Some(spoken),
                    Some(known) => {
                        known.form = Form::List;
                        known.parts.append(&mut spoken.parts);
                    }
                }
                continue;
            }
            Role::User | Role::Tool => "user",
            Role::Assistant => "assistant",
        };
        // All results of one round of calls must stand in one turn.
        let before = turns.last_mut().filter(|last| is_results(message) && is_results(last.message));
        match before {
            Some(last) => last.spoken.parts.append(&mut spoken.parts),
            None => turns.push(Turn { role, spoken, message }),
        }
    }
    Turns { system, turns }
}

/// Where the parts of a message stand.
fn of_message(message: &Message, at: usize) -> Vec<String> {
    (0..message.content.parts.len()).map(|part| format!("messages[{at}].content[{part}]")).collect()
}

/// A request of this dialect, as it stood.
fn own(request: &Request) -> Turns<'_> {
    let mut list = request.messages.as_slice();
    let mut system = None;
    if let [first, rest @ ..] = list
        && first.role == Role::System
        && first.ext.get("role").is_none()
    {
        system = Some(as_it_stood(first));
        list = rest;
    }
    let turns = list.iter().map(|message| {
        let role = match message.role {
            Role::System | Role::Developer => "system",
            Role::User | Role::Tool => "user",
            Role::Assistant => "assistant",
        };
        Turn { role, spoken: as_it_stood(message), message }
    });
    Turns { system, turns: turns.collect() }
}

fn as_it_stood(message: &Message) -> Spoken<'_> {
    Spoken { form: message.content.form, parts: placed(Vec::new(), &message.content.parts) }
}

/// Parts with their paths; without a path where nothing can be lost.
pub(super) fn placed(paths: Vec<String>, parts: &[Part]) -> Vec<Placed<'_>> {
    let paths = paths.into_iter().chain(std::iter::repeat(String::new()));
    parts.iter().zip(paths).map(|(part, path)| Placed { path, part }).collect()
}

fn is_results(message: &Message) -> bool {
    let results = |part: &Part| matches!(part.kind, PartKind::ToolResult { .. });
    message.role == Role::Tool && message.content.parts.iter().all(results)
}

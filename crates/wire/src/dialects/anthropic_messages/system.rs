//! Messages of other dialects in this one's order: instructions apart, results of tools in the user's turn.

use std::borrow::Cow;

use crate::{
    Dialect, Losses,
    ir::{Content, Form, Message, Part, Request, Role},
};

/// A request's instructions and its turns.
pub(super) struct Turns<'r> {
    /// The content of `system`, and how it was spelled.
    pub(super) system: Option<Cow<'r, Content>>,
    pub(super) turns: Vec<Turn<'r>>,
}

/// One turn; its parts may come from several messages.
pub(super) struct Turn<'r> {
    pub(super) role: &'static str,
    pub(super) form: Form,
    /// Each part with its place in the message it comes from.
    pub(super) parts: Vec<(usize, &'r Part)>,
    /// The message it comes from, or the first of them.
    pub(super) message: &'r Message,
    pub(super) path: String,
}

/// Splits a request into what stands where in this dialect.
pub(super) fn turns<'r>(request: &'r Request, losses: &mut Losses) -> Turns<'r> {
    let own = request.dialect == Dialect::AnthropicMessages;
    let mut system: Option<Cow<'r, Content>> = None;
    let mut turns: Vec<Turn<'r>> = Vec::new();
    for (at, message) in request.messages.iter().enumerate() {
        let path = format!("messages[{at}]");
        let role = match message.role {
            // Only the first stands apart where the request is of this dialect.
            Role::System if own && (at > 0 || !is_apart(message)) => "system",
            Role::System | Role::Developer => {
                if !turns.is_empty() {
                    let why = "instructions in the middle of a conversation move to its beginning";
                    losses.approximated(path.clone(), why);
                }
                losses.ext(&path, if own { &EMPTY } else { &message.ext });
                add_instructions(&mut system, &message.content);
                continue;
            }
            Role::User | Role::Tool => "user",
            Role::Assistant => "assistant",
        };
        let parts = message.content.parts.iter().enumerate();
        // All results of one round of calls must stand in one turn.
        let joined =
            message.role == Role::Tool && turns.last().is_some_and(|last| last.message.role == Role::Tool);
        match turns.last_mut().filter(|_| joined) {
            Some(last) => last.parts.extend(parts),
            None => {
                let form = message.content.form;
                turns.push(Turn { role, form, parts: parts.collect(), message, path });
            }
        }
    }
    Turns { system, turns }
}

static EMPTY: crate::ir::Ext = crate::ir::Ext(Vec::new());

/// Whether a message was read from the member `system`: messages among the others keep members of their own.
fn is_apart(message: &Message) -> bool {
    message.ext.is_empty()
}

fn add_instructions<'r>(system: &mut Option<Cow<'r, Content>>, content: &'r Content) {
    match system {
        None => *system = Some(Cow::Borrowed(content)),
        Some(known) => {
            let known = known.to_mut();
            known.form = Form::List;
            known.parts.extend(content.parts.iter().cloned());
        }
    }
}

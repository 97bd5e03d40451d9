//! Where instructions stand, and in which order turns come.

use std::borrow::Cow;

use super::fitted::Origin;
use crate::{
    Dialect, Losses, Quirks, SystemRole, TurnOrder,
    ir::{Content, Ext, Form, Message, Part, PartKind, Request, Role},
};

/// What the user is taken to say where a conversation must begin or end with the user's turn.
const GREETING: &str = "Hello.";
const GO_ON: &str = "Continue.";
/// What the assistant is taken to say where it must speak after the results of its tools.
const UNDERSTOOD: &str = "Understood.";

/// Brings messages in the order that the target takes; none where they are in it already.
pub(super) fn arrange(
    request: &mut Cow<'_, Request>,
    to: Dialect,
    quirks: &Quirks,
    losses: &mut Losses,
) -> Option<Vec<Origin>> {
    let placed = matches!(quirks.system_role, SystemRole::First | SystemRole::User);
    let order = match (quirks.turns, to) {
        // https://docs.aws.amazon.com/bedrock/latest/userguide/conversation-inference.html
        (TurnOrder::Any, Dialect::BedrockConverse) => TurnOrder::UserFirst,
        (order, _) => order,
    };
    let begins_well = || request.messages.iter().find(|message| !instructs(message.role)).map(|m| m.role);
    if !placed
        && (order == TurnOrder::Any
            || (order == TurnOrder::UserFirst && begins_well() != Some(Role::Assistant)))
    {
        return None;
    }
    let mut turns: Vec<Turn> = request.messages.iter().enumerate().map(Turn::of).collect();
    match quirks.system_role {
        SystemRole::System | SystemRole::Developer => {}
        SystemRole::First => instructions_first(&mut turns, losses),
        SystemRole::User => instructions_to_user(&mut turns, losses),
    }
    let turns = ordered(turns, order, losses);
    let (messages, origins) = turns.into_iter().map(Turn::told).unzip();
    request.to_mut().messages = messages;
    Some(origins)
}

/// A message on its way to its place.
struct Turn {
    role: Role,
    /// Parts, and where each stood.
    parts: Vec<(Part, (usize, usize))>,
    form: Form,
    ext: Ext,
    /// The message it comes from; none where it was added.
    from: Option<usize>,
}

impl Turn {
    fn of((at, message): (usize, &Message)) -> Turn {
        let parts = message.content.parts.iter().cloned().enumerate();
        Turn {
            role: message.role,
            parts: parts.map(|(part_at, part)| (part, (at, part_at))).collect(),
            form: message.content.form,
            ext: message.ext.clone(),
            from: Some(at),
        }
    }

    fn added(role: Role, text: &str) -> Turn {
        let parts = vec![(Part::text(text), (0, 0))];
        Turn { role, parts, form: Form::Bare, ext: Ext::default(), from: None }
    }

    fn told(self) -> (Message, Origin) {
        let (parts, stood) = self.parts.into_iter().unzip();
        let message = Message { role: self.role, content: Content { parts, form: self.form }, ext: self.ext };
        (message, Origin { message: self.from, parts: stood })
    }

    fn join(&mut self, later: Turn) {
        self.form = if self.parts.is_empty() { later.form } else { Form::List };
        self.parts.extend(later.parts);
        self.ext.0.extend(later.ext.0);
        self.from = self.from.or(later.from);
    }

    fn place(&self) -> String {
        self.from.map_or_else(|| "messages".to_owned(), |at| format!("messages[{at}]"))
    }
}

fn instructs(role: Role) -> bool {
    match role {
        Role::System | Role::Developer => true,
        Role::User | Role::Assistant | Role::Tool => false,
    }
}

/// Takes all instructions out, as one turn.
fn instructions(turns: &mut Vec<Turn>, losses: &mut Losses) -> Option<Turn> {
    let mut instructions: Option<Turn> = None;
    let mut others = Vec::with_capacity(turns.len());
    for turn in turns.drain(..) {
        if !instructs(turn.role) {
            others.push(turn);
            continue;
        }
        if !others.is_empty() {
            losses.approximated(turn.place(), "instructions within a conversation move to its beginning");
        }
        match &mut instructions {
            Some(known) => known.join(turn),
            None => instructions = Some(turn),
        }
    }
    *turns = others;
    instructions
}

fn instructions_first(turns: &mut Vec<Turn>, losses: &mut Losses) {
    if let Some(mut instructions) = instructions(turns, losses) {
        instructions.role = Role::System;
        turns.insert(0, instructions);
    }
}

fn instructions_to_user(turns: &mut Vec<Turn>, losses: &mut Losses) {
    let Some(mut instructions) = instructions(turns, losses) else { return };
    losses.approximated(instructions.place(), "the model takes instructions only as words of the user");
    instructions.role = Role::User;
    if turns.first().is_some_and(|first| first.role == Role::User) {
        instructions.join(turns.remove(0));
    }
    turns.insert(0, instructions);
}

fn ordered(turns: Vec<Turn>, order: TurnOrder, losses: &mut Losses) -> Vec<Turn> {
    let (alternate, after_tools) = match order {
        TurnOrder::Any | TurnOrder::UserFirst => (false, false),
        TurnOrder::AssistantAfterTools => (false, true),
        TurnOrder::Alternate | TurnOrder::AlternateUserLast => (true, true),
    };
    let turns = if after_tools { turns.into_iter().flat_map(results_apart).collect() } else { turns };
    let mut ordered: Vec<Turn> = Vec::with_capacity(turns.len());
    let mut begun = !alternate && order != TurnOrder::UserFirst;
    for turn in turns {
        if !begun && !instructs(turn.role) {
            begun = true;
            if turn.role == Role::Assistant {
                losses.approximated(
                    turn.place(),
                    "a conversation begins with the user there: a greeting is added",
                );
                ordered.push(Turn::added(Role::User, GREETING));
            }
        }
        let last = ordered.last().map(|last| last.role);
        if after_tools && last == Some(Role::Tool) && turn.role == Role::User {
            losses.approximated(
                turn.place(),
                "the assistant answers tools there before the user speaks: a word is added",
            );
            ordered.push(Turn::added(Role::Assistant, UNDERSTOOD));
        }
        let joins = alternate && matches!(turn.role, Role::User | Role::Assistant) && last == Some(turn.role);
        match ordered.last_mut().filter(|_| joins) {
            Some(last) => last.join(turn),
            None => ordered.push(turn),
        }
    }
    if order == TurnOrder::AlternateUserLast
        && ordered.last().is_some_and(|last| last.role == Role::Assistant)
    {
        losses.approximated("messages", "a conversation ends with the user there: a word is added");
        ordered.push(Turn::added(Role::User, GO_ON));
    }
    ordered
}

/// The results of tools in a user's turn as a turn of their own, which some dialects make of them.
fn results_apart(turn: Turn) -> Vec<Turn> {
    let is_result = |part: &Part| matches!(part.kind, PartKind::ToolResult { .. });
    if turn.role != Role::User || !turn.parts.iter().any(|(part, _)| is_result(part)) {
        return vec![turn];
    }
    let Turn { parts, form, ext, from, .. } = turn;
    let (results, words): (Vec<_>, Vec<_>) = parts.into_iter().partition(|(part, _)| is_result(part));
    let results = Turn { role: Role::Tool, parts: results, form: Form::List, ext, from };
    let words = Turn { role: Role::User, parts: words, form, ext: Ext::default(), from };
    if words.parts.is_empty() { vec![results] } else { vec![results, words] }
}

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

/// Why pictures in the results of tools follow as words of the user.
pub(crate) const ONLY_TEXT: &str =
    "a tool's message takes only text: the rest follows as a message of the user";

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
    let turns = ordered(turns, order, to, losses);
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

    /// Takes pictures and files out of results, for a message of the user behind `earlier` ones.
    fn shown(&mut self, earlier: Option<Turn>, losses: &mut Losses) -> Option<Turn> {
        let mut parts = Vec::new();
        for (part, stood) in &mut self.parts {
            let PartKind::ToolResult { content, .. } = &mut part.kind else { continue };
            let is_text = |part: &Part| matches!(part.kind, PartKind::Text { .. });
            let (texts, others): (Vec<_>, Vec<_>) = content.parts.drain(..).partition(is_text);
            content.parts = texts;
            if !others.is_empty() {
                let (message, part) = *stood;
                losses.approximated(format!("messages[{message}].content[{part}].content"), ONLY_TEXT);
            }
            parts.extend(others.into_iter().map(|other| (other, *stood)));
        }
        if parts.is_empty() {
            return earlier;
        }
        let turn = Turn { role: Role::User, parts, form: Form::List, ext: Ext::default(), from: self.from };
        Some(match earlier {
            Some(mut earlier) => {
                earlier.join(turn);
                earlier
            }
            None => turn,
        })
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

fn ordered(turns: Vec<Turn>, order: TurnOrder, to: Dialect, losses: &mut Losses) -> Vec<Turn> {
    let mut line = Line { order, turns: Vec::with_capacity(turns.len()), begun: false, losses };
    if !line.after_tools() {
        turns.into_iter().for_each(|turn| line.push(turn));
        return line.turns;
    }
    let mut shown: Option<Turn> = None;
    for mut turn in turns.into_iter().flat_map(results_apart) {
        if turn.role == Role::Tool && to == Dialect::OpenaiChat {
            shown = turn.shown(shown, line.losses);
        } else if let Some(mut shown) = shown.take() {
            if turn.role == Role::User {
                shown.join(turn);
                turn = shown;
            } else {
                line.push(shown);
            }
        }
        line.push(turn);
    }
    shown.into_iter().for_each(|shown| line.push(shown));
    if order == TurnOrder::AlternateUserLast && line.last() == Some(Role::Assistant) {
        line.losses.approximated("messages", "a conversation ends with the user there: a word is added");
        line.turns.push(Turn::added(Role::User, GO_ON));
    }
    line.turns
}

/// Turns in their order, as far as they have come.
struct Line<'l> {
    order: TurnOrder,
    turns: Vec<Turn>,
    /// A turn that instructs nobody has come.
    begun: bool,
    losses: &'l mut Losses,
}

impl Line<'_> {
    fn after_tools(&self) -> bool {
        match self.order {
            TurnOrder::Any | TurnOrder::UserFirst => false,
            TurnOrder::AssistantAfterTools | TurnOrder::Alternate | TurnOrder::AlternateUserLast => true,
        }
    }

    fn alternates(&self) -> bool {
        match self.order {
            TurnOrder::Any | TurnOrder::UserFirst | TurnOrder::AssistantAfterTools => false,
            TurnOrder::Alternate | TurnOrder::AlternateUserLast => true,
        }
    }

    fn last(&self) -> Option<Role> {
        self.turns.last().map(|last| last.role)
    }

    fn push(&mut self, turn: Turn) {
        let user_first = self.alternates() || self.order == TurnOrder::UserFirst;
        if user_first && !self.begun && turn.role == Role::Assistant {
            let why = "a conversation begins with the user there: a greeting is added";
            self.losses.approximated(turn.place(), why);
            self.turns.push(Turn::added(Role::User, GREETING));
        }
        self.begun |= !instructs(turn.role);
        if self.after_tools() && self.last() == Some(Role::Tool) && turn.role == Role::User {
            let why = "the assistant answers tools there before the user speaks: a word is added";
            self.losses.approximated(turn.place(), why);
            self.turns.push(Turn::added(Role::Assistant, UNDERSTOOD));
        }
        let joins = self.alternates()
            && matches!(turn.role, Role::User | Role::Assistant)
            && self.last() == Some(turn.role);
        match self.turns.last_mut().filter(|_| joins) {
            Some(last) => last.join(turn),
            None => self.turns.push(turn),
        }
    }
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

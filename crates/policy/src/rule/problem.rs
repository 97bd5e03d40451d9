//! What is wrong with a rule, and where.

use std::fmt;

use cel::{ParseErrors, common::ast::SourceInfo};

/// How much of a rule is shown in an error, in characters.
const SHOWN_MAX: usize = 60;

pub(super) const TOO_DEEP: &str = "is nested too deeply; make it several rules";

/// One error of a rule's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleProblem {
    /// Line and column of the rule's text, counted from 1, where they are known.
    pub at: Option<(usize, usize)>,
    /// What is wrong and how to mend it.
    pub message: String,
}

impl RuleProblem {
    pub(super) fn new(message: impl Into<String>) -> RuleProblem {
        RuleProblem { at: None, message: message.into() }
    }

    /// A problem with the part of the rule that has this id in its tree.
    pub(super) fn of(id: u64, source: &SourceInfo, message: impl Into<String>) -> RuleProblem {
        let start = source.offset_for(id).and_then(|(start, _)| usize::try_from(start).ok());
        RuleProblem { at: start.map(|start| place(&source.source, start)), message: message.into() }
    }

    /// The first of the parser's errors: those that follow it are mostly of its making.
    pub(super) fn of_syntax(errors: ParseErrors) -> RuleProblem {
        let Some(first) = errors.errors.into_iter().next() else {
            return RuleProblem::new("is no valid CEL");
        };
        if first.msg.contains("Recursion limit") {
            return RuleProblem::new(TOO_DEEP);
        }
        let at = usize::try_from(first.pos.0).ok().zip(usize::try_from(first.pos.1).ok());
        let at = at.filter(|(line, column)| *line > 0 && *column > 0);
        RuleProblem { at, message: format!("is no valid CEL: {}", told(&first.msg)) }
    }
}

/// The parser's error in our words. What else might have stood in a place is a list of all that there is.
fn told(error: &str) -> String {
    let error = error.split(" expecting ").next().unwrap_or(error).trim_start_matches("Syntax error: ");
    let kinds = [
        "mismatched input ",
        "extraneous input ",
        "no viable alternative at input ",
        "token recognition error at: ",
    ];
    let Some(input) = kinds.iter().find_map(|kind| error.strip_prefix(kind)) else { return error.to_owned() };
    let input = input.strip_prefix('\'').and_then(|input| input.strip_suffix('\'')).unwrap_or(input).trim();
    let written = [("=", "=="), ("and", "&&"), ("or", "||"), ("not", "!"), ("&", "&&"), ("|", "||")];
    if input == "<EOF>" {
        return "it ends too early".to_owned();
    }
    // A wrong operator may be reported with what follows it.
    let word = input.split_whitespace().next().unwrap_or(input);
    match written.iter().find(|(wrong, _)| *wrong == word) {
        Some((wrong, right)) => format!("write {right} for \"{wrong}\""),
        None => format!("\"{}\" cannot stand here", shortened(input)),
    }
}

/// A part of a rule as error messages show it.
pub(super) fn shortened(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN_MAX).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

/// Line and column of the character that begins at this byte.
fn place(text: &str, start: usize) -> (usize, usize) {
    let before = text.get(..text.floor_char_boundary(start)).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or(before);
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}

impl fmt::Display for RuleProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some((1, column)) => write!(f, "{} (at character {column})", self.message),
            Some((line, column)) => write!(f, "{} (at line {line}, character {column})", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for RuleProblem {}

//! A condition: compiled once, asked of every request.

use cel::{Context, ExecutionError, IdedExpr, Value, common::types::CelBool, parser::Parser};

use super::{
    RuleFacts, RuleProblem, Variable,
    check::check,
    functions::{self, Pattern},
    values::Scope,
};

/// The longest text of a rule.
const TEXT_BYTES_MAX: usize = 4 * 1024;
/// How deeply the parser goes into a text.
const NESTING_MAX: u16 = 32;

/// A condition that was checked: its variables and functions are known, and it can be true.
#[derive(Clone, Debug)]
pub struct Rule {
    text: String,
    pub(super) tree: IdedExpr,
    /// What it mentions, each once.
    used: Vec<Variable>,
    /// The regular expressions in it, by number.
    pub(super) patterns: Vec<Pattern>,
}

impl Rule {
    /// Reads a rule. This costs far more than asking it, and is for text from a configuration only.
    pub fn compile(text: &str) -> Result<Rule, RuleProblem> {
        if text.trim().is_empty() {
            return Err(RuleProblem::new("is empty; write a condition, as request.tokens > 1000"));
        }
        if text.len() > TEXT_BYTES_MAX {
            let message =
                format!("has {} bytes, {TEXT_BYTES_MAX} at most; make it several rules", text.len());
            return Err(RuleProblem::new(message));
        }
        let parser = Parser::new().max_recursion_depth(NESTING_MAX);
        let (tree, source) = parser.parse_with_source_info(text).map_err(RuleProblem::of_syntax)?;
        let checked = check(tree, &source)?;
        Ok(Rule { text: text.to_owned(), tree: checked.tree, used: checked.used, patterns: checked.patterns })
    }

    /// Whether it holds of a request. An error says what could not be found out, such as a header that is not there; a
    /// rule that ends in one does not hold.
    pub fn holds(&self, facts: &RuleFacts<'_>) -> Result<bool, String> {
        let scope = Scope { rule: self, facts };
        let mut context = Context::with_env(functions::environment());
        context.set_variable_resolver(&scope);
        let value = Value::resolve_val(&self.tree, &context).map_err(told)?;
        let held = value.downcast_ref::<CelBool>().map(|held| *held.inner());
        held.ok_or_else(|| format!("it came to a {}, not to true or false", value.get_type().name()))
    }

    /// Whether it mentions a variable.
    pub fn uses(&self, variable: Variable) -> bool {
        self.used.contains(&variable)
    }

    /// Whether it can be asked only of a request that is decoded.
    pub fn needs_decoding(&self) -> bool {
        self.used.iter().any(|variable| variable.is_decoded())
    }

    /// Whether it can be asked only of a target.
    pub fn asks_of_target(&self) -> bool {
        self.used.iter().any(|variable| variable.is_of_target())
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl PartialEq for Rule {
    fn eq(&self, other: &Rule) -> bool {
        self.text == other.text
    }
}

impl Eq for Rule {}

fn told(error: ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(name) => format!("the request has no {name}"),
        ExecutionError::UndeclaredReference(name) => format!("{name} is not known of this request"),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            "division by zero".to_owned()
        }
        ExecutionError::IndexOutOfBounds(_) => "a list has no such element".to_owned(),
        error => error.to_string(),
    }
}

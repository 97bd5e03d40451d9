//! What rules can call, beside operators and macros.

use std::{any::Any, sync::Arc};

use cel::{
    Env, ExecutionError,
    common::{
        types::{CelBool, CelString, STRING_TYPE, Type as CelType},
        value::{CowVal, StaticVal, Val},
    },
};
use regex::{Regex, RegexBuilder};

use super::variable::Type;

/// The most memory that a regular expression takes, in bytes.
const PATTERN_BYTES_MAX: usize = 256 * 1024;

/// Functions of one value, called as `f(x)`: what they take, and what they give.
pub(super) const GLOBALS: [(&str, &[Type], Type); 5] = [
    ("size", &[Type::Text, Type::List], Type::Int),
    ("int", &[Type::Int, Type::Double, Type::Text], Type::Int),
    ("double", &[Type::Int, Type::Double, Type::Text], Type::Double),
    ("string", &[Type::Bool, Type::Int, Type::Double, Type::Text], Type::Text),
    ("bool", &[Type::Bool, Type::Text], Type::Bool),
];

/// Functions of two texts, called as `x.f(y)`, which are true or false.
pub(super) const MEMBERS: [&str; 4] = ["contains", "startsWith", "endsWith", "matches"];

/// A regular expression of a rule, compiled with it.
#[derive(Clone, Debug)]
pub(super) struct Pattern(Regex);

static PATTERN: CelType = CelType::new_unspecified_type("pattern");

impl Pattern {
    pub(super) fn compile(text: &str) -> Result<Pattern, String> {
        let compiled =
            RegexBuilder::new(text).size_limit(PATTERN_BYTES_MAX).dfa_size_limit(PATTERN_BYTES_MAX).build();
        compiled.map(Pattern).map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => {
                format!("takes more than {PATTERN_BYTES_MAX} bytes; make it simpler")
            }
            error => {
                error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
            }
        })
    }
}

impl Val for Pattern {
    fn get_type(&self) -> &CelType {
        &PATTERN
    }

    fn cel_type() -> &'static CelType {
        &PATTERN
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for Pattern {}

/// The standard library and `matches` over compiled patterns. Each thread has its own, so that no counter is shared.
pub(super) fn environment() -> Arc<Env> {
    thread_local! {
        static ENVIRONMENT: Arc<Env> = Arc::new(standard());
    }
    ENVIRONMENT.with(Arc::clone)
}

fn standard() -> Env {
    let mut env = Env::stdlib();
    let known = env.add_member_overload(
        "matches",
        "string_matches_pattern",
        STRING_TYPE,
        vec![PATTERN.to_owned()],
        matches,
    );
    known.expect("the library is built without a function of this name");
    env
}

fn matches<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let text = arguments.first().and_then(|text| text.downcast_ref::<CelString<'_>>());
    let pattern = arguments.get(1).and_then(|pattern| pattern.downcast_ref::<Pattern>());
    let (text, Pattern(pattern)) = text.zip(pattern).ok_or(ExecutionError::MissingArgumentOrTarget)?;
    Ok(truth(pattern.is_match(text.inner())))
}

/// A truth value that is kept, not made.
pub(super) fn truth<'b, 'v>(holds: bool) -> CowVal<'b, 'v> {
    CowVal::Borrowed(if holds { &CelBool::TRUE } else { &CelBool::FALSE })
}

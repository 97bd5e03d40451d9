//! Conditions over requests, written in CEL (<https://cel.dev>) and checked when they are loaded.

mod check;
mod compiled;
mod functions;
mod problem;
mod typing;
mod values;
mod variable;

pub use compiled::Rule;
pub use problem::RuleProblem;
pub use values::{Headers, Judge, RuleFacts, RuleTarget};
pub use variable::{Variable, reference};

//! `cargo xtask train-difficulty`: the weights by which the gateway tells how hard a prompt is.
//!
//! What is measured of a text is the gateway's own code, taken by its path: the task builds nothing else of it.

mod command;
#[expect(dead_code, reason = "what only the gateway's own measurement reads")]
mod curve;
#[path = "../../../crates/policy/src/classify/excerpt.rs"]
mod excerpt;
#[path = "../../../crates/policy/src/classify/features.rs"]
mod features;
#[path = "../../../crates/policy/src/classify/model.rs"]
mod model;
mod ridge;
mod sets;
mod weights;

pub(crate) use command::run;

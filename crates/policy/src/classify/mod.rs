//! What a text is about and how hard it is: the part of routing that reads what a caller says.
//!
//! Everything here is local, needs no model of its own to be asked, and reads long texts only in part.

pub mod difficulty;
mod excerpt;
mod features;
pub mod intents;
mod model;
mod ngrams;
pub mod vector;

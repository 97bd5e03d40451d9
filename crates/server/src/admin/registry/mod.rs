//! The registry as a whole: as a file, and what is to be changed so that it says what a file says, or what it once said.

mod apply;
mod back;
mod desk;
mod difference;
mod export;
mod file;
mod history;
mod order;
mod plan;
mod rotate;
mod routes;
mod side;
mod state;

pub use desk::{Desk, Refused, Wanted};
pub use difference::Difference;
pub use history::{Event, Happening};
pub use plan::{Doing, Done, LeftAlone, NewSecret, Plan, Step};
pub(super) use routes::{Action, routes};

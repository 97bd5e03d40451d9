//! Ways to choose among the targets of a name, one file each. A strategy picks one of those that are left, again and again:
//! the first is asked first, and each further one where those before it failed.

pub mod adaptive;
mod cached;
mod cheapest;
mod first_token;
mod latency;
mod least_in_flight;
mod ordered;
mod round_robin;
mod sticky;
mod strategies;
mod token_rate;
mod weighted;

pub use strategies::{Choice, Contender, Strategy};

//! A new model behind a name, by steps: who gets it, how it does next to the one that is there, and when it is
//! promoted or rolled back.

mod bucket;
mod design;
mod evidence;
mod label;
mod measure;
mod plan;
mod progress;
mod reason;
mod sample;
mod shadow;
mod shown;
mod stages;
mod tally;

use bucket::bucket;
pub use design::{Guard, Least, PromoteWhen, Rollout, StickyBy, VerdictMode};
pub use label::{Experiment, rollout_label, rollout_of, shadow_label};
pub use measure::{Measure, Side};
pub use plan::plan_shadow;
pub(crate) use plan::with_candidate;
pub use progress::{Action, Advice, Phase, Progress, Turn};
pub use sample::{Sample, Score};
pub use shadow::{Shadow, Throttle};
pub use shown::Kept;
pub use stages::{Stage, Stages};
pub use tally::{Amounts, Shares, Tally};

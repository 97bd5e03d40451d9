//! Limits and budgets: what people write, what it means, and what of it a call claims.

mod adjust;
mod claims;
mod compile;
mod refusal;
mod spec;
mod terms;
mod window;

pub use adjust::{AdjustmentKind, Adjustments};
pub use claims::{Called, Expected, Used, claims, holding};
pub(crate) use compile::{Holder, budget, limit};
pub use refusal::{Over, refusal, unpriced};
pub(crate) use spec::parse_count;
pub use spec::parse_usd;
pub use spec::{
    AlgorithmSpec, BudgetSpec, Budgets, Count, ExceededSpec, LimitSpec, ModeSpec, OperationName, Terms,
    UnpricedSpec, Usd,
};
pub use terms::{Each, Exceeded, Limit, Meter, Only};
pub use window::{Period, Window, zone};

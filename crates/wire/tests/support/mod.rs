//! What the law tests and the corpus test share.

pub(crate) mod canonical;
pub(crate) mod exchange;
pub(crate) mod json;

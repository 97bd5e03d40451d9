//! What can go wrong with a ledger.

/// A ledger that was asked for something it cannot do. A reservation never fails for a store's sake: its claims say what
/// is to happen then.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    #[error("a bucket stands twice among the claims of one call; claim it once")]
    Twice,
    #[error("a call has {0} claims, {most} at most", most = super::handle::CLAIMS_MAX)]
    TooMany(usize),
    #[error("the ledger holds its most of {0} buckets")]
    Full(usize),
    #[error("the shared ledger does not answer")]
    Away,
}

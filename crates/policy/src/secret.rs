//! Secrets have a type of their own, so that none is printed or stored by mistake.

use zeroize::Zeroizing;

/// A secret in the clear. It has no `Debug`, no `Display` and no `Serialize`, and its memory is wiped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(Zeroizing::new(text.into()))
    }

    /// The text, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

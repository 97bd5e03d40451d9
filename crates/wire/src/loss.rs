//! What could not be carried from one dialect to another, as values.

use std::fmt;

/// How much of a field survived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossKind {
    /// The target has nothing for it: it was left out.
    Dropped,
    /// The target has something near it: its meaning changed a little.
    Approximated,
    /// Without it the request means something else: it is refused, however lenient its caller is.
    Vital,
}

/// One field that the target dialect could not carry as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Where it stood in the caller's body, as `messages[2].content[0].cache_control`.
    pub path: String,
    pub kind: LossKind,
    /// Why, in a few words for a person.
    pub why: &'static str,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            LossKind::Dropped | LossKind::Vital => f.write_str(&self.path),
            LossKind::Approximated => write!(f, "~{}", self.path),
        }
    }
}

/// Why a member was dropped that only its own dialect has.
const UNKNOWN: &str = "the target has no such field";

/// Collects losses while something is encoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    list: Vec<Loss>,
}

impl Losses {
    /// The most that are kept for one exchange; more of them tell a reader nothing new.
    pub const MAX: usize = 64;

    pub fn dropped(&mut self, path: impl Into<String>, why: &'static str) {
        self.push(Loss { path: path.into(), kind: LossKind::Dropped, why });
    }

    pub fn vital(&mut self, path: impl Into<String>, why: &'static str) {
        self.push(Loss { path: path.into(), kind: LossKind::Vital, why });
    }

    pub fn approximated(&mut self, path: impl Into<String>, why: &'static str) {
        self.push(Loss { path: path.into(), kind: LossKind::Approximated, why });
    }

    /// Every member that only another dialect knows, except those that are
    /// `null` or empty. What is left of an object
    /// whose other members were carried is named member by member.
    pub fn ext(&mut self, path: &str, ext: &crate::ir::Ext) {
        let dot = if path.is_empty() { "" } else { "." };
        let says_nothing = |name: &str, value: &crate::json::Raw| match value.text() {
            "null" | "[]" => true,
            "{}" => crate::ir::is_remainder(name),
            _ => false,
        };
        let told =
            |name: &str, value: &crate::json::Raw| !says_nothing(name, value) && !crate::ir::is_hint(name);
        for (name, value) in ext.0.iter().filter(|(name, value)| told(name, value)) {
            match crate::json::Object::from_raw(value.value()) {
                Ok(nested) if crate::ir::is_remainder(name) => {
                    for (member, _) in nested.iter() {
                        self.dropped(format!("{path}{dot}{name}.{member}"), UNKNOWN);
                    }
                }
                Ok(_) | Err(_) => self.dropped(format!("{path}{dot}{name}"), UNKNOWN),
            }
        }
    }

    /// Members of another dialect's answer that say something: not the name of its kind or its place in a list, and
    /// nothing empty.
    pub fn answer_ext(&mut self, path: &str, ext: &crate::ir::Ext) {
        let named = ["object", "index", "member"];
        let says = |name: &str, text: &str| !named.contains(&name) && !matches!(text, "[]" | "\"\"" | "{}");
        let said = ext.0.iter().filter(|(name, raw)| says(name, raw.text())).cloned().collect();
        self.ext(path, &crate::ir::Ext(said));
    }

    /// Members of another dialect's usage that have no class of their own and say something: a sum or a zero does not.
    pub fn usage_ext(&mut self, ext: &crate::ir::Ext) {
        for (name, value) in ext.0.iter().filter(|(name, _)| name != "total_tokens") {
            let Ok(details) = crate::json::Object::from_raw(value.value()) else {
                let one = crate::ir::Ext(vec![(name.clone(), value.clone())]);
                self.ext("response.usage", &one);
                continue;
            };
            if !crate::ir::is_remainder(name) {
                self.dropped(format!("response.usage.{name}"), UNKNOWN);
                continue;
            }
            for (member, _) in details.iter().filter(|(_, value)| !matches!(value.get(), "0" | "null")) {
                self.dropped(format!("response.usage.{name}.{member}"), UNKNOWN);
            }
        }
    }

    /// Adds one, unless the same path is listed already. A vital one has the request refused: it finds a place in a
    /// list that is full, and before a lesser one of the same path.
    pub fn push(&mut self, loss: Loss) {
        let is_vital = loss.kind == LossKind::Vital;
        let is_full = self.list.len() >= Self::MAX;
        let known = match self.list.iter().position(|known| known.path == loss.path) {
            Some(known) => self.list.get_mut(known),
            None if is_full => self.list.last_mut(),
            None => return self.list.push(loss),
        };
        if let Some(known) = known.filter(|_| is_vital) {
            *known = loss;
        }
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Loss> {
        self.list.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vital_loss_is_never_left_out() {
        let is_vital = |losses: &Losses| losses.iter().any(|loss| loss.kind == LossKind::Vital);
        let mut same = Losses::default();
        same.dropped("input", "");
        same.vital("input", "");
        same.approximated("input", "");
        assert_eq!((same.iter().count(), is_vital(&same)), (1, true));
        let mut full = Losses::default();
        for at in 0..=Losses::MAX {
            full.dropped(format!("m{at}"), "");
        }
        assert!(!is_vital(&full));
        full.vital("input", "");
        assert_eq!((full.iter().count(), is_vital(&full)), (Losses::MAX, true));
    }
}

//! As they stand.

use super::Choice;

pub(super) fn pick(choice: &Choice<'_>) -> usize {
    choice.left.iter().copied().min().unwrap_or_default()
}

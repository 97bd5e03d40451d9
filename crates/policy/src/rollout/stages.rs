//! How far each rollout is, as the data plane is told.

use std::collections::HashMap;

use crate::vitals::RouteId;

/// How far one rollout is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage {
    /// The definition that this is about: another one has not begun yet.
    pub design: u64,
    pub run: u64,
    /// The candidate's share, in thousandths.
    pub share: u32,
    /// Whether calls are still compared.
    pub compares: bool,
}

/// All rollouts that have begun.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stages(pub HashMap<u64, Stage>);

impl Stages {
    pub fn of(&self, route: RouteId) -> Option<&Stage> {
        self.0.get(&route.0)
    }
}

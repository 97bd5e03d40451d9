//! Targets that come into question by what is asked, and not by what is allowed.

use crate::route::{Plan, Skipped, Target};

impl Plan {
    /// Takes out the targets for which there is a reason. Those that stay keep their order.
    pub fn leave_out(&mut self, mut why: impl FnMut(&Target) -> Option<String>) {
        let mut stay = Vec::with_capacity(self.targets.len());
        for target in &self.targets {
            let why = why(target);
            stay.push(why.is_none());
            let (provider, model) = (target.provider.facts.id.clone(), target.model.clone());
            self.skipped.extend(why.map(|why| Skipped { provider, model, why }));
        }
        self.own = stay.iter().take(self.own).filter(|stays| **stays).count();
        keep(&mut self.targets, &stay);
        keep(&mut self.contenders, &stay);
        keep(&mut self.purposes, &stay);
        // A side of which nothing is left shows nothing.
        self.experiment = self.experiment.take().filter(|_| self.own > 0);
        if let Some(experiment) = &mut self.experiment {
            experiment.own = self.own;
        }
    }
}

fn keep<T>(all: &mut Vec<T>, stay: &[bool]) {
    let mut stay = stay.iter();
    all.retain(|_| stay.next().copied().unwrap_or(true));
}

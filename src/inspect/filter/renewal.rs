//! The rules that a direction goes by, which a reload may change between two messages.

use super::route::FilterContext;
use super::{MessageFilter, glances};
use crate::inspect::Interest;
use crate::inspect::rules::Glance;
use crate::wire::frame::Opcode;
use std::sync::Arc;

impl MessageFilter {
    /// Takes over the rules of a reload.
    pub(super) fn renew(&mut self) {
        let generation = self.fixed.inspector.generation();
        if generation == self.generation {
            return;
        }
        self.generation = generation;
        let current = self.fixed.inspector.current();
        if !Arc::ptr_eq(&current, &self.inspection) {
            self.inspection = Arc::clone(&current);
            self.session.renew(self.inspection.rules.clone());
            let budgets = &self.inspection.budgets;
            self.session.limit(budgets.message, budgets.inflated);
            self.glances = glances(&self.session, self.fixed.direction);
            self.looks_at_controls = self.session.looks_at_controls(self.fixed.direction);
        }
        let mut glances = self.glances.iter();
        let looks = self.looks_at_controls || glances.any(|glance| glance.interest > Interest::None);
        self.is_needless = !looks && !self.is_recorded();
    }

    /// Whether the messages of this WebSocket are recorded or watched now.
    pub(super) fn is_recorded(&self) -> bool {
        let FilterContext {
            recorded,
            inspector,
            facts,
            ..
        } = &self.fixed;
        !recorded.by(inspector, facts).is_none()
    }

    pub(super) fn glance(&self, opcode: Opcode) -> Glance {
        let [text, binary] = self.glances;
        if opcode == Opcode::Text { text } else { binary }
    }
}

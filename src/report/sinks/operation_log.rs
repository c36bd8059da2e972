//! The few events that an operator must see even if nobody reads metrics or the access log.

use crate::report::Event;

/// Writes through `tracing`.
#[derive(Debug)]
pub(in crate::report) struct OperationLog;

impl OperationLog {
    pub(super) fn state(&self, event: &Event<'_>) {
        match event {
            Event::AcceptFailed(error) => tracing::warn!(%error, "cannot accept a connection"),
            Event::Reloaded(Ok(())) => tracing::info!("configuration reloaded"),
            Event::Reloaded(Err(error)) => {
                tracing::error!(
                    error,
                    "configuration not reloaded; the previous one stays in force"
                );
            }
            _ => {}
        }
    }
}

//! What happened: the events that the stages state, and the sinks that hear them. Sinks alone know metric names and log
//! wording. A new sink is a file in `sinks/` and a line in its `open`.

mod act;
pub mod admin;
mod config;
mod dispatch;
mod ending;
mod event;
mod instance;
mod service;
mod sink;
mod sinks;

pub use act::OperatorAct;
pub use config::{AccessLog, AuditConfig, LoggedFindings, Per, RecordConfig, ReportConfig, ReportError};
pub use dispatch::Report;
pub use ending::Ending;
pub use event::{ConnectionRecord, Event, OpenWebSocket, Topic};
pub use service::ServiceMeter;

#[cfg(test)]
mod tests;

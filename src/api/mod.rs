//! The programming interface for those who look at a running proxy and act on it: `/api/v1/`, JSON over HTTP/1.1. It is
//! served on a socket in the file system, to programs of the user that the proxy runs as.
//!
//! Rights stand on the handlers, not on paths. What changes something is asked for by POST with a body in JSON, which no
//! form of a web page can send. Content leaves only behind a line of the audit log.

mod answer;
mod asked;
mod connections;
mod context;
mod events;
mod explain;
mod exports;
mod kept;
mod lately;
mod logins;
mod operate;
mod policy;
mod rights;
mod router;
mod serve;
mod socket;
mod state;
mod stream;
mod unlocking;
mod unlocks;
mod wanted;

pub use context::{ApiContext, Operator};
pub use explain::{ExplainQuestion, NotAQuestion, Question, as_json};
pub use rights::{Caller, Right, StillMay};
pub use router::router;
pub use serve::serve;
pub use socket::{ApiSocket, SocketError};

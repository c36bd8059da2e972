//! Requests and responses: the front door at which they are asked for, the road that each exchange takes, and what carries
//! them.

mod context;
mod error;
mod exchange;
mod fallback;
mod h1;
mod h2;
mod inspected;
mod message;
mod pages;
mod request_id;
mod watch;

pub use context::{ExchangeContext, Requester};
pub use error::HttpError;
pub use exchange::{
    AbsoluteForm, Allowed, Judge, JudgedRequest, Pace, RefusedConnection, ServeError, Served, ServedTunnel,
    UpgradeHandler, UpgradeKind, Upgraded, WebSocketInfo,
};
pub use fallback::{Fallback, Http1Only};
pub use h1::{Door, DoorStep, Origins, Reached, Unasked, refuse, serve};
pub use h2::{
    StreamLimits, StreamRequest, StreamsEnd, TunnelStream, answer_stream, refuse_h2, serve_h2, streams,
};
pub use message::beginning;
pub use pages::{ErrorResponse, Pages, PagesConfig, negotiate};
pub use request_id::RequestId;
pub use watch::{Flood, RequestDone, Watch};

//! The road of every request, whatever carries it: what it is held against, and what is stated of it.

pub(in crate::http) mod absolute;
pub(in crate::http) mod check;
pub(in crate::http) mod destination;
pub(in crate::http) mod endless;
pub(in crate::http) mod hop;
pub(in crate::http) mod judge;
pub(in crate::http) mod pace;
pub(in crate::http) mod record;
pub(in crate::http) mod road;
pub(in crate::http) mod served;

pub use absolute::AbsoluteForm;
pub use judge::{Allowed, Judge, JudgedRequest};
pub use pace::Pace;
pub use served::{
    RefusedConnection, ServeError, Served, ServedTunnel, UpgradeHandler, UpgradeKind, Upgraded, WebSocketInfo,
};

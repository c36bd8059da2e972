//! Who is served, as every log says it.

use crate::identity::Identity;
use std::net::IpAddr;
use std::sync::Arc;

/// Who is served. Each line of a log has it, so that each can be led back to its client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    /// The connection's id, unique in this process.
    pub connection: u64,
    /// The client's address.
    pub client: IpAddr,
    /// Who the client has shown to be, where that is known.
    pub user: Option<Arc<Identity>>,
}

//! A request for the operator's pages that is not answered, as logs have it.

use super::access::AdminRefusal;
use super::peer::AdminPeer;
use crate::error::words;

words! {
    /// Which pages were asked for; also the word in logs.
    pub enum AdminPages {
        /// Those of `listen.admin`.
        Admin = "admin",
        /// The console.
        Console = "console",
    }
}

/// A request that was refused. Everything but why is what its sender says.
#[derive(Debug, Clone, Copy)]
pub struct RefusedAdmin<'a> {
    /// Why.
    pub why: AdminRefusal,
    /// What for.
    pub pages: AdminPages,
    /// Whose.
    pub peer: AdminPeer,
    /// Its method.
    pub method: &'a str,
    /// Its path, without the query.
    pub path: &'a str,
    /// The host that it is for: the name by which a page of somebody else's has got here.
    pub host: Option<&'a [u8]>,
}

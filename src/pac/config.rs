//! What clients are told of the proxy.

use crate::decide::List;
use crate::error::words;
use crate::wire::names::Authority;
use std::sync::Arc;

words! {
    /// How a client speaks to the proxy, in the words of PAC.
    pub enum PacProtocol {
        /// HTTP/1.1 in the open.
        Http = "PROXY",
        /// HTTP/1.1 or HTTP/2 in TLS. The client has to trust the listener's certificate.
        Https = "HTTPS",
        /// SOCKS of version 5.
        Socks5 = "SOCKS5",
    }
}

/// What clients are told.
#[derive(Debug, Clone)]
pub struct PacConfig {
    /// Where the proxies are, as clients reach them; the first that answers is used.
    pub proxies: Vec<(PacProtocol, Authority)>,
    /// What is in one of these is reached without a proxy.
    pub direct: Vec<Arc<List>>,
    /// Names without a dot are reached without a proxy.
    pub plain_hosts: bool,
    /// If no proxy answers, clients go without one.
    pub may_go_direct: bool,
}

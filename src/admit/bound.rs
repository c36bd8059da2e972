//! Who a connection was proven to be.

use crate::identity::Identity;
use arc_swap::ArcSwapOption;
use std::sync::Arc;

/// Who an HTTP/1.1 connection was proven to be by a scheme that binds it, as Negotiate does in many clients (RFC 4559
/// section 6 has why that is dangerous). Of one connection with one client, never of a stream or of another connection.
#[derive(Debug, Default)]
pub struct Bound(ArcSwapOption<Identity>);

impl Bound {
    /// Who it is.
    pub(super) fn identity(&self) -> Option<Arc<Identity>> {
        self.0.load_full()
    }

    /// It is nobody any more: credentials were shown that have to be proven by themselves.
    pub(super) fn loosen(&self) {
        self.0.store(None);
    }

    /// It is this user from now on.
    #[cfg(test)]
    pub(super) fn bind(&self, identity: Arc<Identity>) {
        self.0.store(Some(identity));
    }
}

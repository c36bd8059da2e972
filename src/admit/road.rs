//! The way to servers that the configuration names, such as an issuer of tokens. Which one it is, is for whoever dials to say.

use crate::accept::{Prefixed, Socket};
use crate::wire::names::Authority;
use std::fmt;
use std::pin::Pin;
use std::sync::{OnceLock, Weak};

/// Leads to servers that the configuration names.
pub trait Road: Send + Sync {
    /// A connection to `to`. How long that takes is for the caller to bound.
    fn open<'a>(&'a self, to: &'a Authority) -> Opening<'a>;
}

/// A connection, or in words why there is none.
pub type Opening<'a> = Pin<Box<dyn Future<Output = Result<Prefixed<Socket>, String>> + Send + 'a>>;

/// A road that is laid later: whoever leads it is built from the same configuration.
#[derive(Default)]
pub struct LaterRoad(OnceLock<Weak<dyn Road>>);

impl LaterRoad {
    /// From now on `road` leads. The first one counts.
    pub fn lay(&self, road: Weak<dyn Road>) {
        // There is one proxy in a process.
        let _ = self.0.set(road);
    }
}

impl Road for LaterRoad {
    fn open<'a>(&'a self, to: &'a Authority) -> Opening<'a> {
        Box::pin(async move {
            match self.0.get().and_then(Weak::upgrade) {
                Some(road) => road.open(to).await,
                None => Err("the proxy is not running".to_owned()),
            }
        })
    }
}

impl fmt::Debug for LaterRoad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LaterRoad").field(&self.0.get().is_some()).finish()
    }
}

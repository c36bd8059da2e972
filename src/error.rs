//! The words that every stage shares to say where something went wrong.

use std::fmt;

/// One end of a proxied connection, as seen from the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The client that asked for the connection.
    Client,
    /// The server that the client wants to reach.
    Origin,
}

impl Side {
    /// The metric label and log word of this side.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Origin => "origin",
        }
    }

    /// The end on the other side of the proxy.
    pub const fn other(self) -> Self {
        match self {
            Self::Client => Self::Origin,
            Self::Origin => Self::Client,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

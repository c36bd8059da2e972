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

/// A closed set of words, each with its label: a word that is added here is in `ALL` too, and so in the metrics.
macro_rules! words {
    ($(#[$about:meta])* $vis:vis enum $name:ident { $($(#[$meaning:meta])* $word:ident = $label:literal,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        $vis enum $name {
            $($(#[$meaning])* $word,)+
        }

        impl $name {
            /// Every word, for metrics that start at zero.
            $vis const ALL: &[Self] = &[$(Self::$word),+];

            /// The metric label and log word.
            $vis const fn label(self) -> &'static str {
                match self {
                    $(Self::$word => $label,)+
                }
            }
        }
    };
}
pub(crate) use words;

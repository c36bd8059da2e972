//! The two directions of a connection.

/// Which way a frame travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the client to the origin: masked.
    ToOrigin,
    /// From the origin to the client: unmasked.
    ToClient,
}

impl Direction {
    /// Both, in the order of [`Direction::index`].
    pub const ALL: [Self; 2] = [Self::ToOrigin, Self::ToClient];

    /// The metric label and log word.
    pub const fn label(self) -> &'static str {
        match self {
            Self::ToOrigin => "to_origin",
            Self::ToClient => "to_client",
        }
    }

    /// A dense index for arrays.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The direction that answers go.
    pub const fn other(self) -> Self {
        match self {
            Self::ToOrigin => Self::ToClient,
            Self::ToClient => Self::ToOrigin,
        }
    }
}

//! Words for messages that several commands take.

use clap::ValueEnum;

/// Which way a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum MessageWay {
    /// From the client to the origin
    ToOrigin,
    /// From the origin to the client
    ToClient,
}

/// The kinds of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MessageKind {
    /// UTF-8 text
    Text,
    /// Any bytes
    Binary,
}

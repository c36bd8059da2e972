//! wsbump: a forward proxy for full TLS inspection that never breaks a WebSocket.
//!
//! The modules are the stages of one connection, and their alphabetical order is the order in which a
//! connection meets them. A stage may use the stages that sort before its own name and the rooms below them ([`error`],
//! [`wire`], [`tls`]); [`http`] also asks [`inspect`], which is pure; only [`journey`], [`settings`] and the command
//! line ([`cli`]) reach across all of them.

pub mod accept;
pub mod classify;
pub mod cli;
pub mod decide;
pub mod dial;
pub mod drain;
pub mod error;
pub mod handshake;
pub mod http;
pub mod inspect;
pub mod journey;
pub mod relay;
pub mod report;
pub mod scan;
pub mod settings;
pub mod tls;
pub mod wire;

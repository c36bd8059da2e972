//! wsbump: a forward proxy for full TLS inspection that never breaks a WebSocket.
//!
//! The modules are rooms that stand on each other: a room uses only rooms below it, never one that a connection meets
//! later. Only [`journey`], [`settings`] and the command line ([`cli`]) reach across all of them. docs/architecture.md
//! tells what happens where; `tests/it/house_rules.rs` lists which room may use which.

pub mod accept;
pub mod admit;
pub mod api;
pub mod breaker;
pub mod classify;
pub mod cli;
pub mod console;
pub mod decide;
pub mod dial;
pub mod doctor;
pub mod drain;
pub mod error;
pub mod fetch;
pub mod handshake;
pub mod http;
pub mod identity;
pub mod import;
pub mod inspect;
pub mod journey;
mod kerberos;
pub mod live;
pub mod pac;
pub mod portal;
pub mod relay;
pub mod report;
pub mod scan;
pub mod service_manager;
pub mod settings;
pub mod tls;
pub mod wire;

//! Parents: other proxies that lead to origins.

mod asked;
mod config;
mod connect;
mod outcome;
mod socks;

pub use asked::{Parent, ParentWatch, Parents};
pub use config::{ParentConfig, ParentLogin, ParentProtocol, ParentTickets, PlainForm, TokenSource};
pub use outcome::ParentOutcome;

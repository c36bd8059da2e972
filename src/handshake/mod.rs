//! Both TLS handshakes: the origin's first, then the client's.
//!
//! [`origin`] verifies the origin and learns its ALPN, [`forge`] mints a leaf that looks like the origin's
//! certificate, [`client`] presents it. [`ca`] is the authority that signs. [`ListenerTls`] is for clients that speak
//! TLS with the proxy itself, [`ServiceTls`] for servers that the proxy asks on its own behalf.

mod aia;
pub mod ca;
mod ca_create;
pub mod client;
mod der;
pub mod forge;
mod intermediates;
mod judge;
mod key_log;
mod leaf_key;
mod listener;
mod mimic;
mod mint;
mod notes;
mod ocsp;
pub mod origin;
mod outcome;
mod own_certificate;
mod public_key;
mod reasons;
mod service;
mod sessions;
#[cfg(test)]
pub(crate) mod testing;
mod verify;

pub use intermediates::{Completed, FetchFailure, FetchOutcome, Fetcher, Fetching};
pub use judge::{Revocation, RevocationMode, unusable_crl};
pub use key_log::{log_keys_to, logs_keys, lost_keys};
pub use leaf_key::LeafKey;
pub use listener::{ListenerTls, Presented};
pub use outcome::Outcome;
pub use own_certificate::OwnCertificate;
pub use service::{ServiceTls, late_refusal};

//! Both TLS handshakes: the origin's first, then the client's.
//!
//! [`origin`] verifies the origin and learns its ALPN, [`forge`] mints a leaf that looks like the origin's
//! certificate, [`client`] presents it. [`ca`] is the authority that signs. [`ListenerTls`] is for clients that speak
//! TLS with the proxy itself, [`ServiceTls`] for servers that the proxy asks on its own behalf.

mod aia;
pub mod ca;
mod ca_create;
mod ca_crl;
mod ca_doubts;
pub mod client;
mod client_auth;
mod client_name;
mod crls;
mod der;
pub mod forge;
mod intermediates;
mod issuer;
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
mod shown;
mod signed;
mod site;
#[cfg(test)]
pub(crate) mod testing;
mod trust;
mod verify;

pub use client_auth::{ClientAuth, ClientAuthConfig};
pub use client_name::NamedBy;
pub use crls::{Crl, CrlShelf, FetchedCrls, Taken};
pub use der::certificate_pem;
pub use intermediates::{Completed, FetchFailure, FetchOutcome, Fetcher, Fetching};
pub use issuer::issuer;
pub use judge::{Revocation, RevocationMode};
pub use key_log::{log_keys_to, logs_keys, lost_keys};
pub use leaf_key::LeafKey;
pub use listener::{ListenerTls, Presented};
pub use outcome::HandshakeOutcome;
pub use own_certificate::OwnCertificate;
pub use service::{ServiceTls, connect_once, late_refusal};
pub use site::SiteTls;

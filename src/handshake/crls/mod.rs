//! Certificate revocation lists (RFC 5280 section 5): what is read of one, who has signed it, and those that are fetched.

mod crl;
mod issuers;
mod shelf;

pub use crl::Crl;
pub(super) use issuers::Issuers;
pub use shelf::{CrlShelf, FetchedCrls, Taken};

#[cfg(test)]
mod tests;

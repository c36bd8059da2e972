//! Who has a ticket, for whom, and the ticket.

use crate::kerberos::Key;

/// A name of a service and its host.
const SERVICE: u32 = 3;
/// Somebody in a realm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Principal {
    pub(super) kind: u32,
    pub(super) realm: String,
    pub(super) parts: Vec<String>,
}

impl Principal {
    /// The service of HTTP on a host, as it is called in a realm.
    pub(super) fn http(host: &str, realm: &str) -> Self {
        Self {
            kind: SERVICE,
            realm: realm.to_owned(),
            parts: vec!["HTTP".to_owned(), host.to_owned()],
        }
    }

    /// Whether it is the same, whatever it is said to be.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.realm == other.realm && self.parts == other.parts
    }
}

/// A ticket, and what is needed to show it.
#[derive(Debug, Clone)]
pub(super) struct Ticket {
    pub(super) client: Principal,
    pub(super) server: Principal,
    /// What the ticket's owner and the server share.
    pub(super) key: Key,
    /// When it ends, in seconds since 1970.
    pub(super) end: i64,
    /// As the server reads it.
    pub(super) bytes: Vec<u8>,
}

//! Somebody in a realm, and a ticket for somebody there.

use super::crypto::Key;

/// Kinds of names (RFC 4120 section 6.2).
const NT_PRINCIPAL: u32 = 1;
const NT_SRV_INST: u32 = 2;
const NT_SRV_HST: u32 = 3;
/// The service of a realm that gives tickets.
const GRANTING: &str = "krbtgt";

/// Somebody in a realm, or a service there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Principal {
    /// What kind of name it is said to be.
    pub(crate) kind: u32,
    /// The parts of the name.
    pub(crate) parts: Vec<String>,
    pub(crate) realm: String,
}

impl Principal {
    /// `ada@CORP.EXAMPLE`, `HTTP/proxy.corp.example@CORP.EXAMPLE`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (name, realm) = text.rsplit_once('@')?;
        let parts: Vec<_> = name.split('/').map(str::to_owned).collect();
        let is_usable = |text: &str| !text.is_empty() && !text.contains(|c: char| c.is_control() || c == '@');
        (is_usable(realm) && parts.iter().all(|part| is_usable(part))).then(|| Self {
            kind: match parts.len() {
                1 => NT_PRINCIPAL,
                _ => NT_SRV_INST,
            },
            parts,
            realm: realm.to_owned(),
        })
    }

    /// The service of HTTP on a host, as it is called in a realm.
    pub(crate) fn http(host: &str, realm: &str) -> Self {
        Self {
            kind: NT_SRV_HST,
            realm: realm.to_owned(),
            parts: vec!["HTTP".to_owned(), host.to_owned()],
        }
    }

    /// What gives tickets for the services of a realm to those in `realm`.
    pub(crate) fn granting(of: &str, realm: &str) -> Self {
        Self {
            kind: NT_SRV_INST,
            realm: realm.to_owned(),
            parts: vec![GRANTING.to_owned(), of.to_owned()],
        }
    }

    /// Whether it gives tickets.
    pub(crate) fn grants(&self) -> bool {
        self.parts.first().is_some_and(|part| part == GRANTING)
    }

    /// Whether it is the same, whatever it is said to be.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.realm == other.realm && self.parts == other.parts
    }
}

/// A ticket, and what is needed to show it.
#[derive(Debug, Clone)]
pub(crate) struct Ticket {
    /// Whose it is.
    pub(crate) client: Principal,
    /// Who it is for.
    pub(crate) server: Principal,
    /// What both of them know.
    pub(crate) key: Key,
    /// When it ends, in seconds since 1970.
    pub(crate) end: i64,
    /// As it came: only who it is for can open it.
    pub(crate) whole: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_parts_and_a_realm() {
        let name = Principal::parse("HTTP/a.example@R").unwrap();
        assert_eq!(
            (&name.parts[..], &*name.realm),
            (&["HTTP".into(), "a.example".into()][..], "R")
        );
        assert!(name.is(&Principal::http("a.example", "R")) && !name.grants());
        assert!(Principal::granting("S", "R").grants());
        for text in ["", "ada", "@R", "ada@", "a//b@R", "a\n@R"] {
            assert_eq!(Principal::parse(text), None, "{text:?}");
        }
    }
}

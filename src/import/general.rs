//! What is so of a configuration as a whole, and of no line of it alone.

use super::access::{Access, Permit};
use super::document;
use super::note::{LineOutcome, Notes, Place};
use super::policy::Table;

/// What it hangs on.
#[derive(Debug)]
pub(super) struct General {
    /// A port decrypts.
    pub(super) bumps: bool,
    /// Nothing is said of X-Forwarded-For.
    pub(super) tells_nobody: bool,
    /// What is refused here unless it is named is refused there too.
    pub(super) denies_special: bool,
    /// Lists of addresses, to which no name belongs.
    pub(super) of_addresses: Vec<String>,
}

/// Private networks, which Squid reaches where nothing forbids it.
const PRIVATE: [&str; 3] = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"];

/// Whether nobody gets to private networks, this machine and its link by Squid.
pub(super) fn denies_special(lines: &[Access<Permit>], networks: &[String]) -> bool {
    let has = |network: &str| networks.iter().any(|known| known == network);
    let denies = |name: &str| {
        let mut lines = lines
            .iter()
            .take_while(|line| line.action == Permit::Deny)
            .map(|line| &line.acls[..]);
        lines.any(|acls| matches!(acls, [(false, known)] if known == name))
    };
    PRIVATE.into_iter().all(has)
        && (has("127.0.0.0/8") || denies("to_localhost"))
        && (has("169.254.0.0/16") || denies("to_linklocal"))
}

impl General {
    /// Says it.
    pub(super) fn say(&self, table: &Table, first: &Place, notes: &mut Notes) {
        let mut note = |directive: &str, text: &str| notes.add(first, directive, LineOutcome::Changed, text);
        let mut rules = table.rules.iter();
        if rules.any(|rule| document::lists(&rule.term).any(|list| !self.of_addresses.contains(list))) {
            note(
                "ssl_bump",
                "what is spliced or allowed by name needs both names: the CONNECT target and the name in the ClientHello (SNI), where an address counts as the names that resolve to it; what is denied by name is denied by either. Squid goes by the SNI alone for ssl::server_name, so that whoever lies in it walks around the list, and by the CONNECT target alone for the others. policy.sni = \"believed\" has it as Squid's ssl::server_name",
            );
        }
        if self.bumps {
            note(
                "ssl_bump",
                "a denial is a 403 to the CONNECT where it is known early enough, or else the end of the tunnel; Squid says 200 first and shows a page inside, or closes. A certificate that does not verify is a page with 502, where Squid has 503. Where a ClientHello names nobody, the origin is asked for the CONNECT target, and Squid asks it for no name",
            );
        }
        if self.tells_nobody {
            note(
                "forwarded_for",
                "servers are not told their clients' addresses; Squid tells every one of them in X-Forwarded-For unless forwarded_for says otherwise. tell_client of a setting does it",
            );
        }
        if !self.denies_special {
            note(
                "http_access",
                "private and other special addresses are not reached unless network.allow names them; Squid reaches them all",
            );
        }
    }
}

//! `tcp_outgoing_address` and `tcp_outgoing_tos`: how connections leave this machine.

use super::access::Access;
use super::document::array;
use super::headers::Setting;
use super::meaning::{Meanings, Moment, Unknown};
use super::note::{LineOutcome, Notes};
use super::read::Line;
use std::net::IpAddr;

/// What is said of connections that go out.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    addresses: Vec<(Vec<IpAddr>, Access<()>)>,
    marks: Vec<(u8, Access<()>)>,
}

impl Leaving {
    /// Takes a line in; false if it is about something else.
    pub(super) fn add(&mut self, line: &Line, notes: &mut Notes) -> bool {
        let first = line.word(0).unwrap_or_default();
        let access = super::access::access(line, 0, ());
        let mut wrong = |text: &str| notes.add(&line.place, &*line.directive, LineOutcome::Changed, text);
        match &*line.directive {
            "tcp_outgoing_address" => match first.trim_matches(['[', ']']).parse::<IpAddr>() {
                // One line for each family, with the same ACLs, is one setting.
                Ok(address) => match self.addresses.last_mut() {
                    Some((known, before))
                        if before.acls == access.acls
                            && known.iter().all(|known| known.is_ipv4() != address.is_ipv4()) =>
                    {
                        known.push(address);
                        before.text = format!("{}; {}", before.text, access.text);
                        let text = "in one setting with the line above, which is of the other family";
                        notes.add(&line.place, &*line.directive, LineOutcome::Taken, text);
                    }
                    _ => self.addresses.push((vec![address], access)),
                },
                Err(_) => wrong("names no address, and is left out"),
            },
            "tcp_outgoing_tos" | "tcp_outgoing_ds" | "tcp_outgoing_dscp" => match byte(first) {
                Some(tos) => self.marks.push((tos, access)),
                None => wrong("has no byte such as 0x20, and is left out"),
            },
            _ => return false,
        }
        true
    }

    /// The settings; of those that hold, Squid takes the first and settings the last.
    pub(super) fn settings(&self, meanings: &mut Meanings<'_>) -> Vec<Setting> {
        let mut found = Vec::new();
        for (tos, access) in self.marks.iter().rev() {
            let text = "as dscp, the upper six bits of the byte";
            let says = format!("dscp = {}", tos >> 2);
            setting(
                "tcp_outgoing_tos",
                access,
                (LineOutcome::Taken, text),
                says,
                meanings,
                &mut found,
            );
        }
        for (addresses, access) in self.addresses.iter().rev() {
            let told = match &addresses[..] {
                [one] => (
                    LineOutcome::Changed,
                    match one {
                        IpAddr::V4(_) => {
                            "as source; with no IPv6 address beside it, IPv6 destinations are not dialled, where Squid lets the system choose"
                        }
                        IpAddr::V6(_) => {
                            "as source; with no IPv4 address beside it, IPv4 destinations are not dialled, where Squid lets the system choose"
                        }
                    },
                ),
                _ => (LineOutcome::Taken, "as source, an address for each family"),
            };
            let texts: Vec<_> = addresses.iter().map(IpAddr::to_string).collect();
            let says = format!("source = {}", array(texts.iter().map(String::as_str)));
            setting("tcp_outgoing_address", access, told, says, meanings, &mut found);
        }
        found
    }
}

fn setting(
    directive: &str,
    access: &Access<()>,
    (outcome, told): (LineOutcome, &str),
    says: String,
    meanings: &mut Meanings<'_>,
    found: &mut Vec<Setting>,
) {
    let place = &access.place;
    match meanings.all(&access.acls, Moment::Treatment) {
        Ok(formula) => {
            meanings.notes.add(place, directive, outcome, told);
            for term in formula.0 {
                found.push(Setting {
                    about: vec![format!("{place}: {}", access.text)],
                    term,
                    says: vec![says.clone()],
                });
            }
        }
        Err(Unknown(why)) => {
            let text = format!("{why}; the line is left out, and the system chooses");
            meanings.notes.add(place, directive, LineOutcome::Lost, text);
        }
    }
}

/// A byte, decimal or `0x` hexadecimal.
fn byte(text: &str) -> Option<u8> {
    match text.strip_prefix("0x") {
        Some(digits) => u8::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

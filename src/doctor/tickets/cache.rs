//! The tickets that a login has left in a file: MIT's credential cache, version 4, which Heimdal writes too.

use crate::kerberos::{Etype, Key, Principal, Ticket};

/// Whose tickets they are, and all that can be used; `None` if it is no such file.
pub(super) fn read(bytes: &[u8]) -> Option<(Principal, Vec<Ticket>)> {
    let mut rest = Reader(bytes);
    if rest.take(2)? != [5, 4] {
        return None;
    }
    let header = usize::from(rest.short()?);
    rest.take(header)?;
    let owner = rest.principal()?;
    let mut tickets = Vec::new();
    while !rest.0.is_empty() {
        // What is stored beside tickets, such as settings, has keys of no kind.
        tickets.extend(rest.ticket()?);
    }
    Some((owner, tickets))
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn short(&mut self) -> Option<u16> {
        self.take(2)?.try_into().ok().map(u16::from_be_bytes)
    }

    fn long(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_be_bytes)
    }

    fn data(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.long()?).ok()?;
        self.take(length)
    }

    fn text(&mut self) -> Option<String> {
        String::from_utf8(self.data()?.to_vec()).ok()
    }

    fn principal(&mut self) -> Option<Principal> {
        let kind = self.long()?;
        let count = self.long()?;
        let realm = self.text()?;
        // Each part takes four bytes at least.
        if usize::try_from(count).ok()? > self.0.len() / 4 {
            return None;
        }
        let parts = (0..count).map(|_| self.text()).collect::<Option<Vec<_>>>()?;
        Some(Principal { kind, realm, parts })
    }

    /// The next entry; `None` inside if it is of no use here.
    fn ticket(&mut self) -> Option<Option<Ticket>> {
        let (client, server) = (self.principal()?, self.principal()?);
        let etype = Etype::from_number(self.short()?.into());
        let key = self.data()?;
        let (_auth, _start, end, _renew) = (self.long()?, self.long()?, self.long()?, self.long()?);
        let (_for_another, _flags) = (self.byte()?, self.long()?);
        // Addresses, and authorization data: each a kind and bytes.
        for _ in 0..2 {
            for _ in 0..self.long()? {
                self.short()?;
                self.data()?;
            }
        }
        let bytes = self.data()?.to_vec();
        self.data()?;
        let key = etype.and_then(|etype| Key::new(etype, key));
        Some(key.map(|key| Ticket {
            client,
            server,
            key,
            end: end.into(),
            whole: bytes,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(bytes: &[u8]) -> Vec<u8> {
        [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
    }

    fn principal(parts: &[&str]) -> Vec<u8> {
        let parts: Vec<_> = parts.iter().flat_map(|part| data(part.as_bytes())).collect();
        let count = if parts.is_empty() { 0 } else { 1 };
        [
            &1_u32.to_be_bytes()[..],
            &(count as u32).to_be_bytes(),
            &data(b"CORP.EXAMPLE"),
            &parts,
        ]
        .concat()
    }

    fn entry(etype: u16, key: &[u8], server: &str) -> Vec<u8> {
        [
            &principal(&["ada"])[..],
            &principal(&[server]),
            &etype.to_be_bytes(),
            &data(key),
            &[0; 8],
            &2_000_000_000_u32.to_be_bytes(),
            &[0; 4 + 1 + 4],
            // One address of four bytes, no authorization data.
            &1_u32.to_be_bytes(),
            &2_u16.to_be_bytes(),
            &data(&[127, 0, 0, 1]),
            &0_u32.to_be_bytes(),
            &data(b"the ticket"),
            &data(b""),
        ]
        .concat()
    }

    fn file() -> Vec<u8> {
        let header = [5, 4, 0, 4, 1, 2, 3, 4];
        let entries = [
            entry(18, &[7; 32], "krbtgt"),
            entry(0, b"a setting", "X-CACHECONF:"),
            entry(17, &[8; 16], "HTTP"),
        ];
        [&header[..], &principal(&["ada"]), &entries.concat()].concat()
    }

    #[test]
    fn tickets_are_read_and_settings_passed_over() {
        let (owner, tickets) = read(&file()).unwrap();
        assert_eq!(
            (owner.realm.as_str(), owner.parts),
            ("CORP.EXAMPLE", vec!["ada".to_owned()])
        );
        let servers: Vec<_> = tickets
            .iter()
            .map(|ticket| ticket.server.parts[0].as_str())
            .collect();
        assert_eq!(servers, ["krbtgt", "HTTP"]);
        assert_eq!(
            (tickets[1].whole.as_slice(), tickets[1].end),
            (&b"the ticket"[..], 2_000_000_000)
        );
    }

    #[test]
    fn what_is_cut_or_changed_is_no_cache_and_no_panic() {
        let whole = file();
        for end in 0..whole.len() {
            let cut = read(&whole[..end]);
            assert!(
                cut.is_none() || cut.is_some_and(|(_, tickets)| tickets.len() < 2),
                "{end}"
            );
            let mut bytes = whole.clone();
            bytes[end] ^= 0xff;
            let _ = read(&bytes);
        }
        assert!(read(b"\x05\x03").is_none());
    }
}

//! The keys of the proxy's own account: a keytab file in MIT's format 0x0502
//! (<https://web.mit.edu/kerberos/krb5-latest/doc/formats/keytab_file_format.html>), which ktpass, ktutil, msktutil, samba-tool
//! and adcli write.

use crate::kerberos::{Etype, Key};
use std::collections::BTreeSet;
use std::fmt;

/// Keys beyond this number are not read; a keytab of one proxy has a few.
const MAX_KEYS: usize = 256;
/// How many keys are tried on one ticket: those of its number first.
const MAX_TRIED: usize = 32;

/// One key of the file.
#[derive(Debug, PartialEq, Eq)]
struct KeytabEntry {
    key: Key,
    version: Version,
    principal: String,
}

/// The number of a key. Old files have its last eight bits alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    Short(u8),
    Full(u32),
}

impl Version {
    const fn number(self) -> u32 {
        match self {
            Self::Short(short) => short as u32,
            Self::Full(full) => full,
        }
    }

    fn is(self, number: u32) -> bool {
        match self {
            Self::Short(short) => u32::from(short) == number & 0xff,
            Self::Full(full) => full == number,
        }
    }
}

/// The keys that tickets for this proxy may be made with, whatever principals they belong to: clients differ on which of a
/// proxy's names they ask for.
#[derive(Debug, PartialEq, Eq)]
pub struct Keytab {
    entries: Vec<KeytabEntry>,
    /// What the keys are for, each once: `HTTP/proxy.corp.example@CORP.EXAMPLE`.
    principals: BTreeSet<String>,
}

/// Why a file is no keytab that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeytabError {
    /// It is something else, or cut short.
    Broken(&'static str),
    /// It has no AES key; the types that it has are these.
    NoAes(BTreeSet<u16>),
}

impl fmt::Display for KeytabError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(how) => write!(f, "is no keytab: {how}"),
            Self::NoAes(types) if types.is_empty() => write!(f, "is a keytab without keys"),
            Self::NoAes(types) => {
                let names: Vec<_> = types.iter().map(|number| type_name(*number)).collect();
                write!(
                    f,
                    "has no AES key, only {}; set msDS-SupportedEncryptionTypes of its account to 24, set the password \
                     again, and export the keytab anew",
                    names.join(", ")
                )
            }
        }
    }
}

/// What people call an encryption type.
fn type_name(number: u16) -> String {
    match number {
        1..=3 => "DES".into(),
        16 => "triple DES".into(),
        17 => "AES128".into(),
        18 => "AES256".into(),
        19 => "AES128 with SHA256".into(),
        20 => "AES256 with SHA384".into(),
        23 | 24 => "RC4".into(),
        other => format!("type {other}"),
    }
}

/// Reads numbers and counted bytes from the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn u8(&mut self) -> Option<u8> {
        self.bytes(1)?.first().copied()
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.bytes(2)?.try_into().ok()?))
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.bytes(4)?.try_into().ok()?))
    }

    fn counted(&mut self) -> Option<&'a [u8]> {
        let length = self.u16()?;
        self.bytes(length.into())
    }
}

impl Keytab {
    /// Reads a file.
    ///
    /// # Errors
    /// Why there is no key in it that can be used.
    pub fn read(file: &[u8]) -> Result<Self, KeytabError> {
        let mut reader = Reader(file);
        match reader.u16() {
            Some(0x0502) => {}
            Some(0x0501) => {
                return Err(KeytabError::Broken(
                    "it is of format 0x0501, which nobody writes any more",
                ));
            }
            _ => return Err(KeytabError::Broken("it does not begin with 0x0502")),
        }
        let mut keytab = Self {
            entries: Vec::new(),
            principals: BTreeSet::new(),
        };
        let mut other = BTreeSet::new();
        while !reader.0.is_empty() {
            const CUT: KeytabError = KeytabError::Broken("its end is missing");
            let length = reader.u32().ok_or(CUT)?.cast_signed();
            let entry = reader.bytes(length.unsigned_abs() as usize).ok_or(CUT)?;
            // A negative length is the hole that a removed entry left, zero is the end.
            match length {
                0 => break,
                ..0 => continue,
                _ => keytab.add(entry, &mut other).ok_or(CUT)?,
            }
            if keytab.entries.len() > MAX_KEYS {
                return Err(KeytabError::Broken("it has more than 256 keys"));
            }
        }
        if keytab.entries.is_empty() {
            return Err(KeytabError::NoAes(other));
        }
        Ok(keytab)
    }

    fn add(&mut self, entry: &[u8], other: &mut BTreeSet<u16>) -> Option<()> {
        let mut reader = Reader(entry);
        let components = reader.u16()?;
        let realm = String::from_utf8_lossy(reader.counted()?);
        let names: Option<Vec<_>> = (0..components)
            .map(|_| reader.counted().map(String::from_utf8_lossy))
            .collect();
        let principal = format!("{}@{realm}", names?.join("/"));
        let _name_type_and_time = reader.bytes(8)?;
        let short = reader.u8()?;
        let number = reader.u16()?;
        let key = reader.counted()?;
        // What stands behind the key is its number again, in full, if it is there and not zero.
        let version = match reader.u32() {
            None | Some(0) => Version::Short(short),
            Some(full) => Version::Full(full),
        };
        match Etype::from_number(number.into()).and_then(|etype| Key::new(etype, key)) {
            Some(key) => {
                self.entries.push(KeytabEntry {
                    key,
                    version,
                    principal: principal.clone(),
                });
                self.principals.insert(principal);
            }
            None => {
                other.insert(number);
            }
        }
        Some(())
    }

    /// What the keys are for.
    pub fn principals(&self) -> impl Iterator<Item = &str> {
        self.principals.iter().map(String::as_str)
    }

    /// The newest key of a principal; of several of one version the one that every domain takes.
    pub(super) fn key_of(&self, principal: &str) -> Option<&Key> {
        let of_it = self.entries.iter().filter(|entry| entry.principal == principal);
        let rank = |etype| match etype {
            Etype::Aes256Sha1 => 3,
            Etype::Aes256Sha384 => 2,
            Etype::Aes128Sha1 => 1,
            Etype::Aes128Sha256 => 0,
        };
        let newest = of_it.max_by_key(|entry| (entry.version.number(), rank(entry.key.etype())));
        newest.map(|entry| &entry.key)
    }

    /// The realms that they belong to.
    pub fn realms(&self) -> impl Iterator<Item = &str> {
        let parts = self
            .principals()
            .filter_map(|principal| principal.rsplit_once('@'));
        parts.map(|(_, realm)| realm)
    }

    /// The keys to try on a ticket, those of its number first, each once. The others follow since files are copied from one
    /// domain controller's idea of a number to another's; a wrong key cannot decrypt anything.
    pub(super) fn candidates(&self, etype: Etype, number: Option<u32>) -> Vec<&Key> {
        let of_type = || self.entries.iter().filter(|entry| entry.key.etype() == etype);
        let matches = |entry: &&KeytabEntry| number.is_none_or(|number| entry.version.is(number));
        let mut found: Vec<&Key> = Vec::new();
        for entry in of_type().filter(matches).chain(of_type()) {
            if found.len() < MAX_TRIED && !found.contains(&&entry.key) {
                found.push(&entry.key);
            }
        }
        found
    }

    /// Whether there is a key of this type and number.
    pub(super) fn has(&self, etype: Etype, number: Option<u32>) -> bool {
        let matches = |entry: &KeytabEntry| {
            entry.key.etype() == etype && number.is_none_or(|number| entry.version.is(number))
        };
        self.entries.iter().any(matches)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{entry, file};
    use super::*;

    const NAME: &[&str] = &["HTTP", "proxy.corp.example"];

    #[test]
    fn keys_of_a_ticket_come_by_type_and_number() {
        let hole = [&(-7_i32).to_be_bytes()[..], &[9; 7]].concat();
        let file = file(&[
            entry(NAME, 3, 23, &[1; 16], None),
            entry(NAME, 3, 18, &[3; 32], None),
            hole,
            entry(NAME, 4, 18, &[4; 32], Some(0x1_0004)),
            entry(&["HTTP", "alias"], 4, 17, &[5; 16], Some(4)),
            entry(&["HTTP", "alias"], 4, 18, &[4; 32], Some(4)),
        ]);
        let keytab = Keytab::read(&file).unwrap();
        let tried = |etype, number| {
            let found = keytab.candidates(etype, number);
            found
                .iter()
                .map(|key| {
                    (1..9)
                        .find(|n| Key::new(etype, &vec![*n; etype.key_length()]).as_ref() == Some(key))
                        .unwrap()
                })
                .collect::<Vec<u8>>()
        };
        assert_eq!(tried(Etype::Aes256Sha1, Some(3)), [3, 4]);
        assert_eq!(
            tried(Etype::Aes256Sha1, Some(0x103)),
            [3, 4],
            "eight bits are all that is known"
        );
        assert_eq!(tried(Etype::Aes256Sha1, Some(4)), [4, 3]);
        assert_eq!(tried(Etype::Aes256Sha1, Some(9)), [3, 4]);
        assert_eq!(tried(Etype::Aes256Sha1, None), [3, 4]);
        assert_eq!(tried(Etype::Aes128Sha1, Some(4)), [5]);
        assert_eq!(tried(Etype::Aes128Sha256, Some(4)), [0; 0]);
        assert!(keytab.has(Etype::Aes256Sha1, Some(0x1_0004)));
        assert!(!keytab.has(Etype::Aes256Sha1, Some(5)));
        assert!(keytab.has(Etype::Aes128Sha1, None));
        let names: Vec<_> = keytab.principals().collect();
        assert_eq!(
            names,
            ["HTTP/alias@CORP.EXAMPLE", "HTTP/proxy.corp.example@CORP.EXAMPLE"]
        );
    }

    #[test]
    fn the_newest_key_of_a_principal_is_the_one_to_log_in_with() {
        let file = file(&[
            entry(&["ada"], 2, 18, &[1; 32], Some(2)),
            entry(&["ada"], 3, 17, &[2; 16], Some(3)),
            entry(&["ada"], 3, 18, &[3; 32], Some(3)),
            entry(&["max"], 9, 18, &[4; 32], Some(9)),
        ]);
        let keytab = Keytab::read(&file).unwrap();
        let wanted = Key::new(Etype::Aes256Sha1, &[3; 32]).unwrap();
        assert_eq!(keytab.key_of("ada@CORP.EXAMPLE"), Some(&wanted));
        assert_eq!(keytab.key_of("nobody@CORP.EXAMPLE"), None);
    }

    #[test]
    fn what_cannot_be_used_is_told() {
        let told = |file: &[u8]| Keytab::read(file).unwrap_err().to_string();
        let rc4 = file(&[
            entry(NAME, 3, 23, &[1; 16], None),
            entry(NAME, 3, 3, &[1; 8], None),
        ]);
        assert_eq!(
            told(&rc4),
            "has no AES key, only DES, RC4; set msDS-SupportedEncryptionTypes of its account to 24, set the password \
             again, and export the keytab anew"
        );
        assert_eq!(told(&file(&[])), "is a keytab without keys");
        assert!(told(b"-----BEGIN").contains("does not begin with 0x0502"));
        assert!(told(&[5, 1, 0]).contains("0x0501"));
        assert!(told(&[]).contains("does not begin"));
        let whole = file(&[entry(NAME, 3, 18, &[1; 32], Some(3))]);
        for end in 3..whole.len() {
            assert!(told(&whole[..end]).contains("end is missing"), "{end}");
        }
        let many = vec![entry(NAME, 3, 18, &[1; 32], Some(3)); 257];
        assert!(told(&file(&many)).contains("more than 256"));
    }

    #[test]
    fn any_bytes_are_read_without_a_panic() {
        let whole = file(&[
            entry(NAME, 3, 18, &[1; 32], Some(3)),
            entry(NAME, 3, 17, &[1; 16], None),
        ]);
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut bad = whole.clone();
                bad[at] ^= 1 << bit;
                let _ = Keytab::read(&bad);
            }
        }
    }
}

//! The entries of a password file, with the groups of a group file.

use super::hash::Hash;
use crate::admit::login::Verified;
use crate::admit::names::Names;
use std::collections::HashMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher};

/// The users of one file, by the names that everything else calls them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct HtpasswdTable {
    users: HashMap<String, UserEntry>,
    /// The slowest of all: what a name is checked against that is not there, so that it takes as long.
    decoy: Option<Hash>,
}

#[derive(Clone, PartialEq, Eq)]
struct UserEntry {
    hash: Hash,
    groups: Vec<String>,
    /// Changes with the entry.
    version: u64,
}

/// A line that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong with it and what to do. Nothing of a password is in it.
    pub message: String,
}

impl HtpasswdTable {
    /// Reads `NAME:HASH` in each line. Empty lines and those that begin with `#` are no entries.
    ///
    /// # Errors
    /// Every line that cannot be used.
    pub fn read(text: &str, names: &Names) -> Result<Self, Vec<Wrong>> {
        let (mut users, mut wrong) = (HashMap::<String, UserEntry>::new(), Vec::new());
        for (line, text) in entries(text) {
            let mut note = |message: String| wrong.push(Wrong { line, message });
            let Some((name, rest)) = text.split_once(':') else {
                note("is no entry; write NAME:HASH, as `htpasswd -B` does".into());
                continue;
            };
            let Some(login) = names.login(name) else {
                note(format!("{name:?} cannot be a user's name"));
                continue;
            };
            // Some tools write more fields.
            let hash = rest.split(':').next().unwrap_or_default().trim_end();
            match Hash::read(hash) {
                Err(message) => note(format!("the password of {name:?} {message}")),
                Ok(_) if users.contains_key(&login.canonical) => note(format!(
                    "{name:?} stands here before: case and domain do not tell users apart"
                )),
                Ok(hash) => {
                    let entry = UserEntry {
                        hash,
                        groups: Vec::new(),
                        version: 0,
                    };
                    users.insert(login.canonical, entry);
                }
            }
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let slowest = users.values().max_by_key(|entry| entry.hash.slowness());
        let decoy = slowest.map(|entry| entry.hash.clone());
        let mut table = Self { users, decoy };
        table.stamp();
        Ok(table)
    }

    /// Adds the groups of `GROUP: USER USER ...`, as Apache's `AuthGroupFile` has them. Says which of its users are not in the
    /// password file.
    ///
    /// # Errors
    /// Every line that cannot be used.
    pub fn add_groups(&mut self, text: &str, names: &Names) -> Result<Vec<String>, Vec<Wrong>> {
        let (mut strangers, mut wrong) = (Vec::new(), Vec::new());
        for (line, text) in entries(text) {
            let (group, members) = match text.split_once(':') {
                Some((group, members)) if !group.trim().is_empty() => (group.trim(), members),
                _ => {
                    let message = "is no group; write GROUP: USER USER".to_owned();
                    wrong.push(Wrong { line, message });
                    continue;
                }
            };
            for member in members.split_whitespace() {
                let login = names.login(member);
                match login.and_then(|login| self.users.get_mut(&login.canonical)) {
                    Some(entry) if entry.groups.iter().any(|known| known == group) => {}
                    Some(entry) => entry.groups.push(group.to_owned()),
                    None => strangers.push(member.to_owned()),
                }
            }
        }
        self.stamp();
        strangers.sort_unstable();
        strangers.dedup();
        if wrong.is_empty() {
            Ok(strangers)
        } else {
            Err(wrong)
        }
    }

    /// How many users there are.
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// Whether nobody can log in.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// Whether this is the user's password. Takes as long for one who is not there.
    pub(super) fn verify(&self, canonical: &str, password: &[u8]) -> Option<Verified> {
        let Some(entry) = self.users.get(canonical) else {
            if let Some(decoy) = &self.decoy {
                decoy.verify(password);
            }
            return None;
        };
        entry.hash.verify(password).then(|| Verified {
            name: canonical.to_owned(),
            groups: entry.groups.clone(),
        })
    }

    /// What tells one state of the user's entry from the next.
    pub(super) fn version(&self, canonical: &str) -> u64 {
        self.users.get(canonical).map_or(0, |entry| entry.version)
    }

    fn stamp(&mut self) {
        for entry in self.users.values_mut() {
            let mut hasher = DefaultHasher::new();
            entry.hash.as_str().hash(&mut hasher);
            entry.groups.hash(&mut hasher);
            entry.version = hasher.finish();
        }
    }
}

impl fmt::Debug for HtpasswdTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HtpasswdTable")
            .field("users", &self.users.len())
            .finish_non_exhaustive()
    }
}

/// The lines that say something, with their numbers.
fn entries(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.trim_start_matches('\u{feff}').lines().enumerate();
    lines
        .map(|(at, line)| (at + 1, line.trim_end()))
        .filter(|(_, line)| !line.trim_start().is_empty() && !line.trim_start().starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/";
    const OTHER: &str = "$apr1$salt$42GgRr8OmikkTsNrO.jqf0";

    fn names() -> Names {
        Names::of(["corp.example"])
    }

    fn table(text: &str) -> HtpasswdTable {
        HtpasswdTable::read(text, &names()).unwrap()
    }

    #[test]
    fn users_are_found_by_their_one_name() {
        let table = table(&format!(
            "\u{feff}# staff\r\n\r\nAda@corp.example:{SECRET}\r\n  \ngrace@other.example:{SECRET}:more\n"
        ));
        assert_eq!(table.len(), 2);
        let verified = table.verify("ada", b"secret").unwrap();
        assert_eq!(verified.name, "ada");
        assert!(verified.groups.is_empty());
        assert!(table.verify("ada", b"wrong").is_none());
        assert!(table.verify("grace", b"secret").is_none());
        assert!(table.verify("grace@other.example", b"secret").is_some());
        assert!(!format!("{table:?}").contains("ada"));
    }

    #[test]
    fn every_wrong_line_is_told_with_its_number() {
        let text = format!("ada:{SECRET}\nno entry\n# fine\n:x\nbob:plain\nADA:{SECRET}\n");
        let wrong = HtpasswdTable::read(&text, &names()).unwrap_err();
        let lines: Vec<_> = wrong.iter().map(|wrong| wrong.line).collect();
        assert_eq!(lines, [2, 4, 5, 6]);
        assert!(wrong[2].message.contains("htpasswd -B"));
        assert!(!wrong[2].message.contains("plain\""), "no password is told");
        assert!(wrong[3].message.contains("stands here before"));
    }

    #[test]
    fn groups_are_those_of_every_line_that_names_the_user() {
        let mut table = table(&format!("ada:{SECRET}\nbob:{SECRET}\n"));
        let groups = "# who\nweb-full: ada carol\nweb-full: ADA bob\nstaff:ada@corp.example\n";
        assert_eq!(table.add_groups(groups, &names()).unwrap(), ["carol"]);
        let of = |name| table.verify(name, b"secret").unwrap().groups;
        assert_eq!(of("ada"), ["web-full", "staff"]);
        assert_eq!(of("bob"), ["web-full"]);
        let wrong = table.clone().add_groups("a: b\nno group\n : x\n", &names());
        let lines: Vec<_> = wrong.unwrap_err().iter().map(|wrong| wrong.line).collect();
        assert_eq!(lines, [2, 3]);
    }

    #[test]
    fn a_version_changes_with_its_own_entry_only() {
        let first = table(&format!("ada:{SECRET}\nbob:{SECRET}\n"));
        let second = table(&format!("bob:{OTHER}\nada:{SECRET}\n"));
        assert_eq!(first.version("ada"), second.version("ada"));
        assert_ne!(first.version("bob"), second.version("bob"));
        assert_ne!(first.version("ada"), first.version("carol"));
        let mut third = second.clone();
        third.add_groups("staff: ada", &names()).unwrap();
        assert_ne!(third.version("ada"), second.version("ada"));
        assert_eq!(third.version("bob"), second.version("bob"));
    }
}

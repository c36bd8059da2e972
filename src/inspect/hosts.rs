//! Which hosts something is about, whatever a client calls them.
//!
//! A client names the host that it talks to in several places: in its CONNECT, in the SNI, and in each request's Host or
//! `:authority`. It need not say the same everywhere, and which of them the origin heeds is the origin's affair. So what
//! guards a host has to hold for all that call it by any name, and what exempts one only for those who call it by no other.

use crate::decide::List;
use crate::wire::names::Authority;
use std::sync::Arc;

/// Lists of hosts, and lists of exceptions from them.
#[derive(Debug, Clone, Default)]
pub struct HostScope {
    /// The hosts; without any list, all are.
    pub hosts: Vec<Arc<List>>,
    /// Hosts that are left out.
    pub except: Vec<Arc<List>>,
}

impl HostScope {
    /// Whether a host of these names is meant by what guards it: one of its names is in a list, and not all of them are
    /// left out.
    pub fn guards<'n>(&self, names: impl Iterator<Item = &'n Authority> + Clone) -> bool {
        (self.hosts.is_empty() || names.clone().any(|name| is_in(&self.hosts, name)))
            && !are_all_in(&self.except, names)
    }

    /// Whether a host of these names is meant by what lets it off: all of its names are in a list, and none of them is left
    /// out.
    pub fn exempts<'n>(&self, names: impl Iterator<Item = &'n Authority> + Clone) -> bool {
        (self.hosts.is_empty() || are_all_in(&self.hosts, names.clone()))
            && !names.clone().any(|name| is_in(&self.except, name))
    }
}

/// Whether all of these names are in a list.
pub(super) fn are_all_in<'n>(lists: &[Arc<List>], mut names: impl Iterator<Item = &'n Authority>) -> bool {
    names.all(|name| is_in(lists, name))
}

fn is_in(lists: &[Arc<List>], name: &Authority) -> bool {
    lists.iter().any(|list| list.find(name).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::Format;
    use proptest::prelude::*;

    fn lists(names: &str) -> Vec<Arc<List>> {
        let list = List::parse("list", names, Format::Domains, false).unwrap();
        if list.is_empty() {
            Vec::new()
        } else {
            vec![Arc::new(list)]
        }
    }

    fn names(of: &str) -> Vec<Authority> {
        of.split_whitespace()
            .map(|name| Authority::parse(name, Some(443)).unwrap())
            .collect()
    }

    #[test]
    fn what_guards_looks_at_every_name_and_what_lets_off_wants_all() {
        for (hosts, except, called, guards, exempts) in [
            ("", "", "a.test", true, true),
            ("a.test", "", "a.test", true, true),
            ("a.test", "", "b.test", false, false),
            ("a.test", "", "a.test b.test", true, false),
            ("a.test", "", "b.test a.test", true, false),
            ("a.test", "", "192.0.2.1 a.test", true, false),
            ("192.0.2.0/24", "", "192.0.2.1 b.test", true, false),
            ("a.test\nb.test", "", "b.test a.test", true, true),
            ("", "a.test", "a.test", false, false),
            ("", "a.test", "b.test", true, true),
            ("", "a.test", "a.test b.test", true, false),
            ("", "a.test\nb.test", "a.test b.test", false, false),
            (".test", "a.test", "a.test b.test", true, false),
            (".test", "a.test", "a.test", false, false),
        ] {
            let scope = HostScope {
                hosts: lists(hosts),
                except: lists(except),
            };
            let called_by = names(called);
            let said = (scope.guards(called_by.iter()), scope.exempts(called_by.iter()));
            assert_eq!(said, (guards, exempts), "{hosts:?} but {except:?}: {called}");
        }
    }

    proptest! {
        #[test]
        fn another_name_takes_nobody_out_of_a_guard_and_lets_nobody_off(
            hosts in "(a\\.test\n)?(b\\.test\n)?",
            except in "(a\\.test\n)?(c\\.test\n)?",
            first in "[abcd]\\.test",
            more in prop::collection::vec("[abcd]\\.test", 0..3),
        ) {
            let scope = HostScope { hosts: lists(&hosts), except: lists(&except) };
            let all = names(&format!("{first} {}", more.join(" ")));
            let alone = &all[..1];
            prop_assert!(scope.guards(all.iter()) || !scope.guards(alone.iter()));
            prop_assert!(scope.exempts(alone.iter()) || !scope.exempts(all.iter()));
            // By one name alone both are the same.
            prop_assert_eq!(scope.guards(alone.iter()), scope.exempts(alone.iter()));
        }
    }
}

//! Many lists asked at once about one host.
//!
//! A policy names hundreds of lists of domains. Their tables are joined into one, so that a host costs one walk over its
//! labels, whatever the number of lists. Lists of expressions are asked one by one, and only when somebody wants to know.

use super::domains::Domains;
use super::domains::entry::covers;
use super::hosts::{List, Matcher};
use super::patterns::Patterns;
use super::subject::{Searched, subject};
use super::verdict::Matched;
use crate::wire::names::Host;
use smallvec::SmallVec;
use std::cell::{Cell, OnceCell};
use std::sync::Arc;

/// Lists in an order, compiled to be asked together.
#[derive(Debug)]
pub struct ListSet {
    lists: Vec<Arc<List>>,
    /// Where the entries of each list begin among those of all.
    bases: Vec<u32>,
    domains: Domains,
    /// For each list of expressions its place among those; nothing for a list of domains.
    expressions: Vec<Option<usize>>,
    has_expressions: bool,
}

impl ListSet {
    /// A set of these lists; they are asked for by their place here. A list may occur twice.
    pub fn new(lists: &[Arc<List>]) -> Self {
        let mut bases = Vec::with_capacity(lists.len());
        let mut expressions = Vec::with_capacity(lists.len());
        let (mut base, mut count) = (0_u32, 0);
        for list in lists {
            bases.push(base);
            expressions.push(match &list.matcher {
                Matcher::Patterns(..) => {
                    count += 1;
                    Some(count - 1)
                }
                Matcher::Domains(_) => {
                    // A list has fewer than 2^31 entries, since its texts take less than 4 GiB.
                    base = base.saturating_add(u32::try_from(list.len()).unwrap_or(u32::MAX));
                    None
                }
            });
        }
        let tables = lists
            .iter()
            .zip(&bases)
            .filter_map(|(list, &base)| match &list.matcher {
                Matcher::Domains(domains) => Some((domains, base)),
                Matcher::Patterns(..) => None,
            });
        Self {
            domains: Domains::join(tables),
            lists: lists.to_vec(),
            bases,
            expressions,
            has_expressions: count > 0,
        }
    }

    /// The lists, in their order.
    pub fn lists(&self) -> &[Arc<List>] {
        &self.lists
    }

    /// Whether the list at this place is one of expressions.
    pub(super) fn is_of_expressions(&self, list: usize) -> bool {
        self.expressions.get(list).is_some_and(Option::is_some)
    }

    /// Which of the lists hold `host` at `port`. Lists of expressions are asked when the answer is.
    pub fn matches(&self, host: &Host, port: u16) -> Matches<'_> {
        let mut hits = SmallVec::new();
        self.domains.each(host, port, |id| {
            if let Some((list, id)) = self.entry(id)
                && covers(self.lists[list].entries.text(id), host, port)
            {
                hits.push((list, id));
            }
        });
        hits.sort_unstable();
        // The lowest line of each list is the one that is told.
        hits.dedup_by_key(|(list, _)| *list);
        Matches {
            set: self,
            host: self.has_expressions.then(|| host.clone()),
            port,
            hits,
            subject: OnceCell::new(),
            asked: OnceCell::new(),
        }
    }

    /// The list of an entry of the joined table, and its number there.
    fn entry(&self, id: u32) -> Option<(usize, u32)> {
        // Lists without entries of domains share their base with the next: the last is the one that has it.
        let list = self.bases.partition_point(|&base| base <= id).checked_sub(1)?;
        Some((list, id - self.bases[list]))
    }
}

/// What the lists of a [`ListSet`] say of one host.
#[derive(Debug)]
pub struct Matches<'a> {
    set: &'a ListSet,
    /// What expressions are searched in is made of it; nothing where there are none.
    host: Option<Host>,
    port: u16,
    /// Lists of domains that hold the host, rising, each with the number of the entry.
    hits: SmallVec<[(usize, u32); 2]>,
    /// What expressions are searched in.
    subject: OnceCell<String>,
    /// For each list of expressions what it said, once it was asked.
    asked: OnceCell<Box<[Cell<Option<Answer>>]>>,
}

/// The entry that matches, if one does.
type Answer = Option<u32>;

impl Matches<'_> {
    /// Whether the list at this place holds the host; a place that no list has holds nothing.
    pub fn has(&self, list: usize) -> bool {
        self.entry(list).is_some()
    }

    /// The places of the lists of domains that hold the host, rising.
    pub(super) fn of_domains(&self) -> impl Iterator<Item = usize> {
        self.hits.iter().map(|(list, _)| *list)
    }

    /// The first line of the list at this place that covers the host.
    pub fn find(&self, list: usize) -> Option<Matched> {
        let id = self.entry(list)?;
        Some(self.set.lists[list].matched(id))
    }

    fn entry(&self, list: usize) -> Answer {
        match (
            &self.set.lists.get(list)?.matcher,
            *self.set.expressions.get(list)?,
        ) {
            (Matcher::Patterns(searched, _, patterns), Some(at)) => self.ask(*searched, patterns, at),
            _ => {
                let at = self.hits.binary_search_by_key(&list, |(list, _)| *list).ok()?;
                Some(self.hits[at].1)
            }
        }
    }

    /// Asks the list of expressions at this place among those, once.
    fn ask(&self, searched: Searched, patterns: &Patterns, at: usize) -> Answer {
        let asked = self.asked.get_or_init(|| {
            let count = self.set.expressions.iter().flatten().count();
            vec![Cell::new(None); count].into()
        });
        let known = asked.get(at)?;
        known.get().unwrap_or_else(|| {
            let host = self.host.as_ref();
            let subject =
                (self.subject).get_or_init(|| host.map_or_else(String::new, |host| subject(host, self.port)));
            let answer = patterns.first(searched.part(subject));
            known.set(Some(answer));
            answer
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::hosts::Format;
    use crate::wire::names::Authority;
    use proptest::prelude::*;

    fn list(name: &str, text: &str, format: Format) -> Arc<List> {
        Arc::new(List::parse(name, text, format, true).unwrap())
    }

    /// Asks the set and each list by itself.
    fn agree(lists: &[Arc<List>], set: &ListSet, target: &Authority) -> usize {
        let matches = set.matches(&target.host, target.port);
        let mut found = 0;
        for (at, list) in lists.iter().enumerate() {
            let alone = list.find(target);
            found += usize::from(alone.is_some());
            assert_eq!(matches.has(at), alone.is_some(), "{at} on {target}");
            assert_eq!(matches.find(at), alone, "{at} on {target}");
        }
        assert!(!matches.has(lists.len()) && matches.find(lists.len()).is_none());
        found
    }

    fn host() -> impl Strategy<Value = Host> {
        let labels = prop::collection::vec(prop::sample::select(vec!["a", "b", "ab", "A"]), 1..5);
        prop_oneof![
            4 => (labels, prop::sample::select(vec!["", ".", ".."]))
                .prop_map(|(labels, dots)| Host::Name(labels.join(".") + dots)),
            1 => any::<bool>().prop_flat_map(|v6| (0..4_u8, 0..4_u8).prop_map(move |(a, b)| match v6 {
                false => Host::Ip([10, 0, a, b].into()),
                true => Host::Ip([0x2001, 0xdb8, 0, 0, 0, 0, a.into(), b.into()].into()),
            })),
            1 => Just(Host::Ip("::ffff:10.0.1.1".parse().unwrap())),
        ]
    }

    fn entry() -> impl Strategy<Value = String> {
        let name = prop::collection::vec(prop::sample::select(vec!["a", "b", "ab", "B"]), 1..4)
            .prop_map(|labels| labels.join("."));
        let port = prop::sample::select(vec!["", "", "", ":1", ":2"]);
        let dot = prop::sample::select(vec!["", "."]);
        let end = prop::sample::select(vec!["", "", "."]);
        prop_oneof![
            6 => (dot, name, end, port).prop_map(|(dot, name, end, port)| format!("{dot}{name}{end}{port}")),
            1 => (0..4_u8, 0..4_u8).prop_map(|(a, b)| format!("10.0.{a}.{b}")),
            1 => (0..4_u8, 0..4_u8).prop_map(|(a, b)| format!("[2001:db8::{a}:{b}]:1")),
            1 => prop::sample::select(vec!["10.0.0.0/8", "10.0.1.0/24", "2001:db8::/32", "2001:db8::2:0/112", "0.0.0.0/0"])
                .prop_map(str::to_owned),
        ]
    }

    fn text() -> impl Strategy<Value = (Format, String)> {
        let expression = prop::sample::select(vec![
            "^a",
            "b:1$",
            "(^|\\.)ab\\.",
            "^10\\.",
            "a[a-b]+:2",
            "^\\[2001",
            "-i",
            "+i",
            "A",
            "# none",
        ]);
        prop_oneof![
            3 => prop::collection::vec(entry(), 0..12).prop_map(|lines| (Format::Domains, lines.join("\n"))),
            1 => (any::<bool>(), prop::collection::vec(expression, 0..4)).prop_map(|(port, lines)| {
                (if port { Format::UrlRegex } else { Format::HostRegex }, lines.join("\n"))
            }),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

        #[test]
        fn the_set_says_what_each_list_says(
            texts in prop::collection::vec(text(), 0..8),
            hosts in prop::collection::vec((host(), 1..4_u16), 8),
        ) {
            let lists: Vec<_> = texts
                .iter()
                .enumerate()
                .map(|(at, (format, text))| list(&format!("list{at}"), text, *format))
                .collect();
            let set = ListSet::new(&lists);
            prop_assert_eq!(set.lists().len(), lists.len());
            for (host, port) in hosts {
                agree(&lists, &set, &Authority { host, port });
            }
        }
    }

    #[test]
    fn two_hundred_lists_answer_as_one() {
        let mut lists: Vec<_> = (0..200)
            .map(|at| {
                let names: String = (0..50).map(|name| format!(".d{name}.l{at}.example\n")).collect();
                list(
                    &at.to_string(),
                    &format!("{names}.all.example\n"),
                    Format::Domains,
                )
            })
            .collect();
        lists.push(lists[7].clone());
        let set = ListSet::new(&lists);
        for (name, found) in [
            ("www.d3.l150.example", 1),
            ("d49.l7.example", 2),
            ("x.all.example", 201),
            ("example", 0),
            ("l3.example", 0),
        ] {
            let target = Authority {
                host: Host::Name(name.to_owned()),
                port: 443,
            };
            assert_eq!(agree(&lists, &set, &target), found, "{name}");
        }
    }

    #[test]
    fn a_list_of_expressions_is_asked_when_somebody_wants_to_know() {
        let lists = [
            list("domains", "a.example", Format::Domains),
            list("expressions", "^a", Format::UrlRegex),
        ];
        let set = ListSet::new(&lists);
        let host = Host::Name("a.example".to_owned());
        let matches = set.matches(&host, 443);
        assert!(matches.has(0) && matches.subject.get().is_none());
        assert!(matches.has(1) && matches.has(1) && matches.subject.get().is_some());
    }
}

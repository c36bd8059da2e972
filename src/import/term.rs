//! What ACLs ask for, as sums of products: each term is a set of tests that all have to hold, and one term is enough.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::ops::RangeInclusive;

/// Beyond so many terms of one line it is not taken over.
const MAX_TERMS: usize = 128;

/// Addresses from one to another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Range {
    pub(super) first: IpAddr,
    pub(super) last: IpAddr,
    /// As it is written in a configuration.
    pub(super) text: String,
}

/// One question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Test {
    /// The client is in one of these.
    Clients(Vec<Range>),
    /// The host is in one of these lists.
    Hosts(BTreeSet<String>),
    /// The port is one of these.
    Ports(Vec<RangeInclusive<u16>>),
    /// The method is one of these.
    Methods(BTreeSet<String>),
    /// The user is one of these; `*` is anyone who is known.
    Users(BTreeSet<String>),
    /// The user is in one of these groups.
    Groups(BTreeSet<String>),
    /// It came by one of these listeners.
    Listeners(BTreeSet<String>),
    /// The time is one of these.
    Time(Vec<String>),
    /// The path matches.
    Path(String),
    /// The URL matches.
    Url(String),
    /// A field matches.
    Header(String, String),
    /// What the client asks its connection to become.
    Upgrade(String),
    /// The response's media type begins with one of these.
    ContentType(BTreeSet<String>),
}

impl Test {
    /// Only a request answers it.
    pub(super) fn needs_request(&self) -> bool {
        matches!(
            self,
            Self::Methods(_) | Self::Path(_) | Self::Url(_) | Self::Header(..) | Self::Upgrade(_)
        )
    }

    /// One test for both of two of one kind, either of which is enough.
    fn union(&self, other: &Self) -> Option<Self> {
        fn sets(one: &BTreeSet<String>, two: &BTreeSet<String>) -> BTreeSet<String> {
            one | two
        }
        Some(match (self, other) {
            (one, two) if one == two => one.clone(),
            (Self::Clients(one), Self::Clients(two)) => {
                let mut all = one.clone();
                all.extend(two.iter().filter(|range| !one.contains(range)).cloned());
                Self::Clients(all)
            }
            (Self::Ports(one), Self::Ports(two)) => {
                let mut all = one.clone();
                all.extend(two.iter().filter(|ports| !one.contains(ports)).cloned());
                Self::Ports(all)
            }
            (Self::Hosts(one), Self::Hosts(two)) => Self::Hosts(sets(one, two)),
            (Self::Methods(one), Self::Methods(two)) => Self::Methods(sets(one, two)),
            (Self::Users(one), Self::Users(two)) => Self::Users(sets(one, two)),
            (Self::Groups(one), Self::Groups(two)) => Self::Groups(sets(one, two)),
            (Self::Listeners(one), Self::Listeners(two)) => Self::Listeners(sets(one, two)),
            (Self::ContentType(one), Self::ContentType(two)) => Self::ContentType(sets(one, two)),
            (Self::Time(one), Self::Time(two)) => Self::Time([&one[..], two].concat()),
            _ => return None,
        })
    }
}

impl Test {
    /// One test for both of two of one kind, both of which have to hold, where that can be said.
    fn intersection(&self, other: &Self) -> Option<Self> {
        Some(match (self, other) {
            (Self::Clients(one), Self::Clients(two)) => {
                let pairs = one.iter().flat_map(|one| two.iter().map(move |two| (one, two)));
                Self::Clients(pairs.filter_map(|(one, two)| one.intersection(two)).collect())
            }
            (Self::Ports(one), Self::Ports(two)) => {
                let pairs = one.iter().flat_map(|one| two.iter().map(move |two| (one, two)));
                let both = pairs.map(|(one, two)| *one.start().max(two.start())..=*one.end().min(two.end()));
                Self::Ports(both.filter(|ports| !ports.is_empty()).collect())
            }
            (Self::Listeners(one), Self::Listeners(two)) => Self::Listeners(one & two),
            (Self::Methods(one), Self::Methods(two)) => Self::Methods(one & two),
            _ => return None,
        })
    }

    /// No value satisfies it.
    fn is_impossible(&self) -> bool {
        match self {
            Self::Clients(ranges) => ranges.is_empty(),
            Self::Ports(ports) => ports.is_empty(),
            Self::Listeners(names) | Self::Methods(names) => names.is_empty(),
            _ => false,
        }
    }
}

impl Range {
    fn intersection(&self, other: &Self) -> Option<Self> {
        if self.first.is_ipv4() != other.first.is_ipv4() {
            return None;
        }
        let (first, last) = (self.first.max(other.first), self.last.min(other.last));
        let text = [self, other]
            .into_iter()
            .find(|range| (range.first, range.last) == (first, last));
        (first <= last).then(|| Self {
            first,
            last,
            text: text.map_or_else(|| format!("{first}-{last}"), |range| range.text.clone()),
        })
    }
}

/// One part of a term.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// It holds.
    Is(Test),
    /// Not all of these hold.
    Not(Vec<Test>),
}

/// All of these hold.
pub(super) type Term = Vec<Part>;

/// One of the terms holds. Without terms nothing does; a term without parts always holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Formula(pub(super) Vec<Term>);

/// It would have too many terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLarge;

impl Formula {
    pub(super) fn never() -> Self {
        Self(Vec::new())
    }

    pub(super) fn always() -> Self {
        Self(vec![Vec::new()])
    }

    pub(super) fn of(test: Test) -> Self {
        Self(vec![vec![Part::Is(test)]])
    }

    pub(super) fn constant(holds: bool) -> Self {
        if holds { Self::always() } else { Self::never() }
    }

    pub(super) fn is_never(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn is_always(&self) -> bool {
        self.0.iter().any(Vec::is_empty)
    }

    /// Only a request answers it.
    pub(super) fn needs_request(&self) -> bool {
        let mut parts = self.0.iter().flatten();
        parts.any(|part| match part {
            Part::Is(test) => test.needs_request(),
            Part::Not(tests) => tests.iter().any(Test::needs_request),
        })
    }

    /// The same without terms that hold only where one of these does.
    pub(super) fn without<'f>(self, earlier: impl Iterator<Item = &'f Self>) -> Self {
        let earlier: Vec<_> = earlier.flat_map(|formula| &formula.0).collect();
        let is_new = |term: &Term| {
            !earlier
                .iter()
                .any(|known| known.iter().all(|part| term.contains(part)))
        };
        Self(self.0.into_iter().filter(is_new).collect())
    }

    /// Both.
    pub(super) fn and(&self, other: &Self) -> Result<Self, TooLarge> {
        if self.0.len().saturating_mul(other.0.len()) > MAX_TERMS {
            return Err(TooLarge);
        }
        let pairs = self
            .0
            .iter()
            .flat_map(|one| other.0.iter().map(move |two| (one, two)));
        let terms = pairs.filter_map(|(one, two)| {
            let mut term = one.clone();
            for part in two.iter().filter(|part| !one.contains(part)) {
                let narrowed = term.iter_mut().find_map(|known| match (known, part) {
                    (Part::Is(known), Part::Is(part)) => Some((known.intersection(part)?, known)),
                    _ => None,
                });
                match narrowed {
                    Some((both, known)) => *known = both,
                    None => term.push(part.clone()),
                }
            }
            (!contradicts(&term)).then_some(term)
        });
        Ok(Self(terms.collect()).merged())
    }

    /// Either.
    pub(super) fn or(mut self, other: Self) -> Result<Self, TooLarge> {
        self.0.extend(other.0);
        let merged = self.merged();
        if merged.0.len() > MAX_TERMS {
            Err(TooLarge)
        } else {
            Ok(merged)
        }
    }

    /// Neither of its terms.
    pub(super) fn not(&self) -> Result<Self, TooLarge> {
        let mut all = Self::always();
        for term in &self.0 {
            let tests: Vec<_> = term
                .iter()
                .filter_map(|part| match part {
                    Part::Is(test) => Some(test.clone()),
                    Part::Not(_) => None,
                })
                .collect();
            let mut spared = Self::never();
            // An exception has one test of a kind.
            let kinds: Vec<_> = tests.iter().map(std::mem::discriminant).collect();
            if kinds
                .iter()
                .enumerate()
                .any(|(at, kind)| kinds[..at].contains(kind))
            {
                spared
                    .0
                    .extend(tests.into_iter().map(|test| vec![Part::Not(vec![test])]));
            } else if !tests.is_empty() {
                spared.0.push(vec![Part::Not(tests)]);
            }
            for part in term {
                if let Part::Not(tests) = part {
                    spared.0.push(tests.iter().cloned().map(Part::Is).collect());
                }
            }
            all = all.and(&spared)?;
        }
        Ok(all)
    }

    /// The same with fewer terms: those that differ in one test of a kind of which several values can be named are one.
    pub(super) fn merged(mut self) -> Self {
        if self.is_always() {
            return Self::always();
        }
        let mut at = 0;
        while at < self.0.len() {
            let mut next = at + 1;
            while next < self.0.len() {
                match self
                    .0
                    .get(at)
                    .zip(self.0.get(next))
                    .and_then(|(one, two)| merge(one, two))
                {
                    Some(both) => {
                        self.0.remove(next);
                        if let Some(term) = self.0.get_mut(at) {
                            *term = both;
                        }
                        next = at + 1;
                    }
                    None => next += 1,
                }
            }
            at += 1;
        }
        self
    }
}

/// One term for two that differ in one test.
fn merge(one: &Term, two: &Term) -> Option<Term> {
    let differs: Vec<_> = one.iter().filter(|part| !two.contains(part)).collect();
    let other: Vec<_> = two.iter().filter(|part| !one.contains(part)).collect();
    match (&differs[..], &other[..]) {
        // The shorter one holds whenever the longer one does.
        ([], _) => Some(one.clone()),
        (_, []) => Some(two.clone()),
        ([Part::Is(this)], [Part::Is(that)]) => {
            let both = this.union(that)?;
            Some(
                one.iter()
                    .map(|part| {
                        if *part == Part::Is(this.clone()) {
                            Part::Is(both.clone())
                        } else {
                            part.clone()
                        }
                    })
                    .collect(),
            )
        }
        _ => None,
    }
}

/// Whether a term asks for something and for its contrary, or for what no value satisfies.
fn contradicts(term: &Term) -> bool {
    let is = |wanted: &Test| {
        term.iter()
            .any(|part| matches!(part, Part::Is(test) if test == wanted))
    };
    term.iter().any(|part| match part {
        Part::Is(test) => test.is_impossible(),
        Part::Not(tests) => tests.iter().all(is),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn method(name: &str) -> Test {
        Test::Path(name.into())
    }

    /// Whether a formula holds where those tests do.
    fn holds(formula: &Formula, known: &[&str]) -> bool {
        let is = |test: &Test| match test {
            Test::Path(name) => known.contains(&&**name),
            Test::Hosts(names) => names.iter().any(|name| known.contains(&&**name)),
            _ => false,
        };
        formula.0.iter().any(|term| {
            term.iter().all(|part| match part {
                Part::Is(test) => is(test),
                Part::Not(tests) => !tests.iter().all(is),
            })
        })
    }

    #[derive(Debug, Clone)]
    enum Tree {
        Leaf(usize),
        And(Box<Tree>, Box<Tree>),
        Or(Box<Tree>, Box<Tree>),
        Not(Box<Tree>),
    }

    const NAMES: [&str; 4] = ["a", "b", "c", "d"];

    fn tree() -> impl Strategy<Value = Tree> {
        (0..4_usize)
            .prop_map(Tree::Leaf)
            .prop_recursive(4, 16, 2, |inner| {
                prop_oneof![
                    (inner.clone(), inner.clone()).prop_map(|(a, b)| Tree::And(a.into(), b.into())),
                    (inner.clone(), inner.clone()).prop_map(|(a, b)| Tree::Or(a.into(), b.into())),
                    inner.prop_map(|a| Tree::Not(a.into())),
                ]
            })
    }

    fn formula(tree: &Tree) -> Result<Formula, TooLarge> {
        Ok(match tree {
            // Two of them can be merged.
            Tree::Leaf(at @ 0..2) => Formula::of(Test::Hosts([NAMES[*at].to_owned()].into())),
            Tree::Leaf(at) => Formula::of(method(NAMES[*at])),
            Tree::And(a, b) => formula(a)?.and(&formula(b)?)?,
            Tree::Or(a, b) => formula(a)?.or(formula(b)?)?,
            Tree::Not(a) => formula(a)?.not()?,
        })
    }

    fn truth(tree: &Tree, known: &[&str]) -> bool {
        match tree {
            Tree::Leaf(at) => known.contains(&NAMES[*at]),
            Tree::And(a, b) => truth(a, known) && truth(b, known),
            Tree::Or(a, b) => truth(a, known) || truth(b, known),
            Tree::Not(a) => !truth(a, known),
        }
    }

    proptest! {
        #[test]
        fn a_formula_holds_when_what_it_was_made_of_does(tree in tree()) {
            let Ok(formula) = formula(&tree) else { return Ok(()) };
            for bits in 0..16_usize {
                let known: Vec<_> = (0..4).filter(|at| bits & (1 << at) != 0).map(|at| NAMES[at]).collect();
                prop_assert_eq!(holds(&formula, &known), truth(&tree, &known), "{:?} {:?}", formula, known);
            }
        }
    }

    #[test]
    fn values_of_one_kind_become_one_test() {
        let clients = |text: &str| {
            Formula::of(Test::Clients(vec![Range {
                first: text.parse().unwrap(),
                last: text.parse().unwrap(),
                text: text.into(),
            }]))
        };
        let both = clients("10.0.0.1").or(clients("10.0.0.2")).unwrap();
        assert_eq!(both.0.len(), 1);
        let none = Formula::of(method("a"))
            .and(&Formula::of(method("a")).not().unwrap())
            .unwrap();
        assert!(none.is_never());
    }
}

//! Which names a name stands for: itself and, below the search domains, others (resolv.conf(5)).

use super::answer::Failure;
use std::borrow::Cow;

/// The longest name that can be asked for (RFC 1035 section 2.3.4).
const LONGEST: usize = 253;

/// The names that `name` may stand for, in the order in which they are asked for: with `ndots` dots and more, itself first.
pub(super) fn candidates<'a>(
    name: &'a str,
    search: &'a [String],
    ndots: usize,
) -> impl Iterator<Item = Cow<'a, str>> {
    let first = name.bytes().filter(|byte| *byte == b'.').count() >= ndots;
    let itself = |wanted: bool| wanted.then_some(Cow::Borrowed(name)).into_iter();
    let below = search
        .iter()
        .map(move |domain| format!("{name}.{domain}"))
        .filter(|name| name.len() <= LONGEST)
        .map(Cow::Owned);
    itself(first).chain(below).chain(itself(!first))
}

/// What can be said of a name without asking anybody.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Special {
    /// It is this machine (RFC 6761 section 6.3).
    Loopback,
    /// It is in no DNS: `invalid` (RFC 6761 section 6.4) and `onion` (RFC 7686 section 2), which must not be asked for.
    None(Failure),
}

/// Whether `name`, which is in lower case, is one that no server may be asked for.
pub(super) fn special(name: &str) -> Option<Special> {
    match name.rsplit('.').next()? {
        "localhost" => Some(Special::Loopback),
        "invalid" | "onion" => Some(Special::None(Failure::NoSuchName)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(name: &str, search: &[&str], ndots: usize) -> Vec<String> {
        let search: Vec<_> = search.iter().map(|&domain| domain.to_owned()).collect();
        candidates(name, &search, ndots).map(Cow::into_owned).collect()
    }

    #[test]
    fn dots_decide_what_comes_first() {
        let search = ["corp.test", "lab.test"];
        assert_eq!(all("www", &search, 1), ["www.corp.test", "www.lab.test", "www"]);
        assert_eq!(
            all("www.a.test", &search, 1),
            ["www.a.test", "www.a.test.corp.test", "www.a.test.lab.test"]
        );
        // As in Kubernetes.
        assert_eq!(
            all("www.a.test", &search[..1], 5),
            ["www.a.test.corp.test", "www.a.test"]
        );
        assert_eq!(all("www", &[], 1), ["www"]);
        assert_eq!(all("www", &search[..1], 0), ["www", "www.corp.test"]);
    }

    #[test]
    fn a_name_that_grows_too_long_is_left_out() {
        let long = vec!["a23456789"; 25].join(".");
        assert_eq!(
            all(&long, &["corp.test", "x"], 1),
            [long.clone(), format!("{long}.x")]
        );
    }

    #[test]
    fn some_names_are_nobodys_to_ask() {
        for name in ["localhost", "a.localhost"] {
            assert_eq!(special(name), Some(Special::Loopback), "{name}");
        }
        for name in ["invalid", "a.b.invalid", "x.onion"] {
            assert_eq!(special(name), Some(Special::None(Failure::NoSuchName)), "{name}");
        }
        for name in ["localhost.test", "notinvalid", "onion.example", "local"] {
            assert_eq!(special(name), None, "{name}");
        }
    }
}

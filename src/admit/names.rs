//! One name for one user, however it is written.

use super::login::{Login, Verified};
use crate::identity::{Identity, Proof};
use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};

/// The longest name of a user with its domain, or of a group, in bytes.
const MAX_NAME: usize = 256;

/// The domains whose users are called by their names alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// In lower case; DNS names and NetBIOS names.
    ours: Vec<Box<str>>,
}

impl Names {
    /// With these domains, DNS or NetBIOS.
    pub fn of<'a>(domains: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            ours: domains.into_iter().map(|domain| folded(domain).into()).collect(),
        }
    }

    /// These domains are ours too.
    pub fn add<'a>(&mut self, domains: impl IntoIterator<Item = &'a str>) {
        self.ours.extend(Self::of(domains).ours);
    }

    /// Reads `ada`, `CORP\ada` or `ada@corp.example`; `None` for what cannot be a user's name.
    pub(crate) fn login(&self, text: &str) -> Option<Login> {
        if text.len() > MAX_NAME || text.contains(char::is_control) {
            return None;
        }
        let text = composed(text);
        let (domain, name) = match (text.split_once('\\'), text.split_once('@')) {
            (Some((domain, name)), None) => (Some(domain), name),
            (None, Some((name, domain))) => (Some(domain), name),
            (None, None) => (None, &*text),
            // Two domains.
            (Some(_), Some(_)) => return None,
        };
        let (domain, name) = (domain.map(str::trim), name.trim());
        let is_one = |part: &str| !part.is_empty() && !part.contains(['\\', '@']);
        if !is_one(name) || !domain.is_none_or(is_one) {
            return None;
        }
        let canonical = match domain.map(folded) {
            Some(domain) if !self.is_ours(&domain) => format!("{}@{domain}", folded(name)),
            _ => folded(name),
        };
        Some(Login {
            name: name.to_owned(),
            domain: domain.map(str::to_owned),
            canonical,
        })
    }

    /// What a user is called whom somebody else calls so; `None` for what cannot be a user's name.
    pub fn user(&self, text: &str) -> Option<String> {
        self.login(text).map(|login| login.canonical)
    }

    fn is_ours(&self, domain: &str) -> bool {
        self.ours.iter().any(|ours| **ours == *domain)
    }

    /// Whom a directory knows; `None` if its name cannot be one.
    pub(crate) fn identity(&self, verified: &Verified, proof: Proof) -> Option<Identity> {
        let groups = verified.groups.iter().map(|group| group_name(group).into());
        Some(Identity {
            name: self.login(&verified.name)?.canonical.into(),
            groups: groups.collect(),
            proof: Some(proof),
        })
    }
}

/// What a group is called, in the policy, in rules and in every log.
pub fn group_name(text: &str) -> String {
    folded(&composed(text))
}

/// In composed form (NFC), with the white space that directories do not see: none around it, one within.
fn composed(text: &str) -> String {
    let text = ComposingNormalizerBorrowed::new_nfc().normalize(text);
    let mut words = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(word);
    }
    words
}

/// In lower case. Lower case may come decomposed, as that of `İ` does.
fn folded(text: &str) -> String {
    let lower = text.to_lowercase();
    ComposingNormalizerBorrowed::new_nfc()
        .normalize(&lower)
        .into_owned()
}

/// What directories may take for the same name. Some see neither accents nor white space: who counts guesses must not be
/// walked around with them.
pub(super) fn skeleton(canonical: &str) -> String {
    let is_mark = |c: char| ('\u{300}'..='\u{36f}').contains(&c) || c.is_whitespace();
    let apart = DecomposingNormalizerBorrowed::new_nfkd().normalize(canonical);
    let bare: String = apart.chars().filter(|&c| !is_mark(c)).collect();
    bare.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names() -> Names {
        Names::of(["corp.example", "CORP"])
    }

    fn canonical(text: &str) -> Option<String> {
        names().login(text).map(|login| login.canonical)
    }

    #[test]
    fn one_user_has_one_name() {
        for text in [
            "ada",
            "ADA",
            r"CORP\ada",
            r"corp\Ada",
            "ada@corp.example",
            "Ada@CORP.EXAMPLE",
            r"corp.example\ada",
            "ada@corp",
            " ada ",
            r"CORP \ ada",
        ] {
            assert_eq!(canonical(text).as_deref(), Some("ada"), "{text}");
        }
        let login = names().login(r"CORP\Ada").unwrap();
        assert_eq!(login.name, "Ada");
        assert_eq!(login.domain.as_deref(), Some("CORP"));
    }

    #[test]
    fn another_domain_is_another_user() {
        assert_eq!(
            canonical("Ada@Other.Example").as_deref(),
            Some("ada@other.example")
        );
        assert_eq!(canonical(r"OTHER\ada").as_deref(), Some("ada@other"));
        assert_eq!(
            canonical("ada@corp.example.other").as_deref(),
            Some("ada@corp.example.other")
        );
        let nothing_is_ours = Names::default().login("ada@corp.example").unwrap();
        assert_eq!(nothing_is_ours.canonical, "ada@corp.example");
    }

    #[test]
    fn what_cannot_be_a_name_is_none() {
        for text in [
            "",
            " ",
            "@",
            "\\",
            "@corp.example",
            r"CORP\",
            r"\ada",
            "ada@",
            "ada@b@corp.example",
            r"CORP\ada@corp.example",
            r"CORP\B\ada",
            "a\0da",
            "a\nda",
            "ada\u{85}",
            &"a".repeat(257),
        ] {
            assert_eq!(canonical(text), None, "{text:?}");
        }
        assert!(canonical(&"a".repeat(256)).is_some());
    }

    #[test]
    fn composed_and_decomposed_are_the_same() {
        assert_eq!(canonical("Jo\u{308}rg").as_deref(), Some("j\u{f6}rg"));
        assert_eq!(canonical("J\u{d6}RG").as_deref(), Some("j\u{f6}rg"));
        assert_eq!(canonical("ada  van \u{a0} b").as_deref(), Some("ada van b"));
    }

    #[test]
    fn what_a_directory_spells_is_normalised() {
        let verified = Verified {
            name: "ADA@CORP.EXAMPLE".into(),
            groups: vec!["Domain  Users".into(), "VPN".into()],
        };
        let identity = names().identity(&verified, Proof::Basic).unwrap();
        assert_eq!(&*identity.name, "ada");
        let groups: Vec<_> = identity.groups.iter().map(|group| &**group).collect();
        assert_eq!(groups, ["domain users", "vpn"]);
    }

    #[test]
    fn guesses_count_for_what_a_directory_takes_for_the_same() {
        for text in ["ad\u{e1}", "a d a", "\u{ff41}da", "\u{e5}da"] {
            assert_eq!(skeleton(text), "ada", "{text}");
        }
        assert_ne!(skeleton("ada"), skeleton("ada@other.example"));
    }

    proptest! {
        #[test]
        fn a_name_is_its_own_name(text in "\\PC{1,40}") {
            if let Some(once) = canonical(&text) {
                prop_assert_eq!(canonical(&once), Some(once));
            }
        }

        #[test]
        fn case_does_not_tell_users_apart(name in "[a-zA-Z0-9._-]{1,20}", domain in "[a-zA-Z0-9.]{1,20}") {
            for text in [name.clone(), format!("{name}@{domain}"), format!(r"{domain}\{name}")] {
                prop_assert_eq!(canonical(&text.to_uppercase()), canonical(&text.to_lowercase()));
            }
            prop_assert_eq!(
                canonical(&format!("{name}@{domain}")),
                canonical(&format!(r"{domain}\{name}"))
            );
        }

        #[test]
        fn no_foreign_user_has_the_name_of_one_of_ours(text in "\\PC{1,40}", domain in "[a-z]{1,9}\\.test") {
            if let Some(foreign) = canonical(&format!("{text}@{domain}")) {
                let end = format!("@{domain}");
                prop_assert!(foreign.ends_with(&end));
            }
            if let Some(ours) = canonical(&format!("{text}@corp.example")) {
                prop_assert!(!ours.contains('@'));
            }
        }
    }
}

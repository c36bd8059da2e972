//! Texts with places for what a client has written: they are filled in so that nothing in it can mean more than itself.

use ldap3::{dn_escape, ldap_escape};
use std::borrow::Cow;

/// What may stand in a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Name,
    Principal,
    Domain,
    Dn,
}

const FIELDS: [(&str, Field); 4] = [
    ("name", Field::Name),
    ("principal", Field::Principal),
    ("domain", Field::Domain),
    ("dn", Field::Dn),
];

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Place(Field),
}

/// A text with places such as `{name}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    text: String,
    parts: Vec<Part>,
}

/// What the places are filled with.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Values<'a> {
    pub(super) name: &'a str,
    pub(super) domain: &'a str,
    pub(super) dn: &'a str,
}

impl<'a> Values<'a> {
    fn of(self, field: Field) -> Cow<'a, str> {
        match field {
            Field::Name => self.name.into(),
            Field::Principal if self.domain.is_empty() => self.name.into(),
            Field::Principal => format!("{}@{}", self.name, self.domain).into(),
            Field::Domain => self.domain.into(),
            Field::Dn => self.dn.into(),
        }
    }
}

impl Template {
    /// Reads the DN or the name that a user binds with, such as `uid={name},ou=people,dc=example` or
    /// `{name}@corp.example`.
    ///
    /// # Errors
    /// The text says what is wrong.
    pub fn bind_name(text: &str) -> Result<Self, String> {
        let template = Self::parse(text, &[Field::Name, Field::Principal, Field::Domain])?;
        if !template.has(&[Field::Name, Field::Principal]) {
            return Err(format!(
                "{text:?} is the same for everybody; write {{name}} where the name belongs"
            ));
        }
        Ok(template)
    }

    /// Reads the filter that finds a user (RFC 4515), such as `(uid={name})`.
    ///
    /// # Errors
    /// The text says what is wrong.
    pub fn user_filter(text: &str) -> Result<Self, String> {
        let template = Self::parse(text, &[Field::Name, Field::Principal, Field::Domain])?;
        if !template.has(&[Field::Name, Field::Principal]) {
            return Err(format!(
                "{text:?} finds the same for everybody; write {{name}} where the name belongs"
            ));
        }
        template.checked()
    }

    /// Reads the filter that finds the groups which have a member, such as `(member={dn})`.
    ///
    /// # Errors
    /// The text says what is wrong.
    pub fn group_filter(text: &str) -> Result<Self, String> {
        let template = Self::parse(text, &[Field::Name, Field::Dn])?;
        if !template.has(&[Field::Name, Field::Dn]) {
            return Err(format!(
                "{text:?} finds the same for everybody; write {{dn}} where the member's DN belongs, or {{name}}"
            ));
        }
        template.checked()
    }

    fn parse(text: &str, known: &[Field]) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let word = after.split_once('}');
            let place = word.and_then(|(word, after)| {
                let (_, field) = FIELDS.iter().find(|(name, _)| *name == word)?;
                known.contains(field).then_some((*field, after))
            });
            let Some((field, after)) = place else {
                let names = FIELDS.iter().filter(|(_, field)| known.contains(field));
                let names: Vec<_> = names.map(|(name, _)| format!("{{{name}}}")).collect();
                return Err(format!(
                    "{text:?} has a place that is not known; known here: {}",
                    names.join(", ")
                ));
            };
            parts.push(Part::Text(before.to_owned()));
            parts.push(Part::Place(field));
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self {
            text: text.to_owned(),
            parts,
        })
    }

    fn has(&self, fields: &[Field]) -> bool {
        self.parts
            .iter()
            .any(|part| matches!(part, Part::Place(field) if fields.contains(field)))
    }

    /// The filter, if it is one once it is filled in.
    fn checked(self) -> Result<Self, String> {
        let sample = Values {
            name: "a",
            domain: "b",
            dn: "c",
        };
        match ldap3::parse_filter(self.filter(sample)) {
            Ok(_) => Ok(self),
            Err(()) => Err(format!(
                "{:?} is no search filter (RFC 4515); write one such as (uid={{name}})",
                self.text
            )),
        }
    }

    /// Whether it is the form of a DN: each value is then escaped (RFC 4514 section 2.4).
    pub fn is_dn(&self) -> bool {
        self.text.contains('=')
    }

    /// The name to bind with.
    pub(super) fn bind(&self, values: Values<'_>) -> String {
        match self.is_dn() {
            true => self.fill(values, dn_escape),
            false => self.fill(values, |value| value),
        }
    }

    /// The filter, with each value escaped (RFC 4515 section 3).
    pub(super) fn filter(&self, values: Values<'_>) -> String {
        self.fill(values, ldap_escape)
    }

    fn fill<'v>(&self, values: Values<'v>, escape: impl Fn(Cow<'v, str>) -> Cow<'v, str>) -> String {
        let mut filled = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => filled.push_str(text),
                Part::Place(field) => filled.push_str(&escape(values.of(*field))),
            }
        }
        filled
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn named(name: &str) -> Values<'_> {
        Values {
            name,
            ..Values::default()
        }
    }

    #[test]
    fn what_a_client_writes_means_only_itself_in_a_filter() {
        let filter = Template::user_filter("(&(objectClass=person)(uid={name}))").unwrap();
        assert_eq!(
            filter.filter(named("a*)(uid=\\\0é")),
            "(&(objectClass=person)(uid=a\\2a\\29\\28uid=\\5c\\00é))"
        );
    }

    #[test]
    fn what_a_client_writes_means_only_itself_in_a_dn() {
        let dn = Template::bind_name("uid={name},ou=people,dc=example").unwrap();
        assert_eq!(
            dn.bind(named(" ada,ou=x+y=\"<>;\\#\0 ")),
            "uid=\\20ada\\2cou\\3dx\\2by\\3d\\22\\3c\\3e\\3b\\5c#\\00\\20,ou=people,dc=example"
        );
        assert_eq!(dn.bind(named("#é")), "uid=\\23é,ou=people,dc=example");
    }

    #[test]
    fn principals_have_a_domain_if_the_client_gave_one() {
        let upn = Template::bind_name("{name}@corp.example").unwrap();
        assert_eq!(upn.bind(named("ada")), "ada@corp.example");
        let principal = Template::user_filter("(userPrincipalName={principal})").unwrap();
        let both = Values {
            name: "ada",
            domain: "other.example",
            ..Values::default()
        };
        assert_eq!(principal.filter(both), "(userPrincipalName=ada@other.example)");
        assert_eq!(principal.filter(named("ada")), "(userPrincipalName=ada)");
        let old = Template::bind_name("{domain}\\{name}").unwrap();
        assert_eq!(old.bind(both), "other.example\\ada");
    }

    #[test]
    fn a_template_that_cannot_work_is_refused_with_advice() {
        for (said, word) in [
            (
                Template::bind_name("uid=ada,dc=example"),
                "the same for everybody",
            ),
            (
                Template::bind_name("uid={user}"),
                "known here: {name}, {principal}, {domain}",
            ),
            (Template::bind_name("uid={name"), "not known"),
            (Template::bind_name("uid={dn}"), "not known"),
            (Template::user_filter("(uid=*)"), "the same for everybody"),
            (Template::user_filter("(uid={name}"), "no search filter"),
            (Template::user_filter("uid={name})"), "no search filter"),
            (
                Template::group_filter("(objectClass=group)"),
                "the same for everybody",
            ),
            (
                Template::group_filter("(member={principal})"),
                "known here: {name}, {dn}",
            ),
        ] {
            let said = said.unwrap_err();
            assert!(said.contains(word), "{said}");
        }
    }

    /// The value that the library reads out of a filter.
    fn value_of(filter: &str) -> Vec<u8> {
        use ldap3::asn1::{ASNTag as _, PL};
        let tag = ldap3::parse_filter(filter).unwrap().into_structure();
        let PL::C(parts) = tag.payload else {
            panic!("{filter}")
        };
        assert_eq!((tag.id, parts.len()), (3, 2), "an equality: {filter}");
        match &parts[1].payload {
            PL::P(value) => value.clone(),
            PL::C(_) => panic!("{filter}"),
        }
    }

    proptest! {
        #[test]
        fn any_name_arrives_as_it_is(name in any::<String>()) {
            prop_assume!(!name.is_empty());
            let filter = Template::user_filter("(uid={name})").unwrap();
            prop_assert_eq!(value_of(&filter.filter(named(&name))), name.as_bytes());
        }
    }
}

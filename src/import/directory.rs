//! The directory that Squid's helpers ask, as their options name it.

use std::collections::BTreeMap;

/// The options of Squid's helpers that ask a directory.
#[derive(Debug, Default, Clone)]
pub(super) struct Directory {
    pub(super) options: BTreeMap<char, String>,
    hosts: Vec<String>,
}

impl Directory {
    /// Of the words behind the helper's name.
    pub(super) fn parse(words: &[&str]) -> Self {
        const FLAGS: &str = "ZRPdKSgi";
        let mut it = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut chars = word.chars();
            match (chars.next(), chars.next()) {
                (Some('-'), Some(option)) if FLAGS.contains(option) => {
                    for flag in word.chars().skip(1) {
                        it.options.insert(flag, String::new());
                    }
                }
                (Some('-'), Some(option)) => {
                    let attached: String = chars.collect();
                    let value = if attached.is_empty() {
                        words.next().copied().unwrap_or_default().to_owned()
                    } else {
                        attached
                    };
                    it.options.insert(option, value);
                }
                _ => it.hosts.push((*word).to_owned()),
            }
        }
        it
    }

    pub(super) fn get(&self, option: char) -> Option<&str> {
        self.options.get(&option).map(String::as_str)
    }

    /// The servers' addresses, and whether they are asked unencrypted.
    pub(super) fn urls(&self) -> (Vec<String>, bool) {
        let port = self.get('p').map(|port| format!(":{port}")).unwrap_or_default();
        let named = self.get('H').or(self.get('h')).into_iter().map(str::to_owned);
        let mut urls: Vec<String> = named
            .chain(self.hosts.iter().cloned())
            .flat_map(|text| {
                text.split_ascii_whitespace()
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            })
            .map(|host| {
                if host.contains("://") {
                    host.trim_end_matches('/').to_owned()
                } else {
                    format!("ldap://{host}{port}")
                }
            })
            .collect();
        if urls.is_empty() {
            urls.push(format!("ldap://127.0.0.1{port}"));
        }
        let is_plain = !self.options.contains_key(&'Z') && urls.iter().any(|url| url.starts_with("ldap://"));
        (urls, is_plain)
    }
}

/// `%s` is the name.
pub(super) fn user_filter(filter: &str) -> String {
    filter
        .replace("%s", "{name}")
        .replace("%u", "{name}")
        .replace("%v", "{name}")
}

/// The attribute that is compared with the name.
pub(super) fn attribute_of(filter: &str) -> Option<String> {
    let at = filter
        .find("=%s")
        .or_else(|| filter.find("=%u"))
        .or_else(|| filter.find("=%v"))?;
    let before = filter.get(..at)?;
    let from = before.rfind('(').map_or(0, |at| at + 1);
    before
        .get(from..)
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
}

/// The attribute that is compared with the group's name.
pub(super) fn group_attribute(filter: &str) -> Option<String> {
    let at = filter.find("=%g").or_else(|| filter.find("=%a"))?;
    let before = filter.get(..at)?;
    let from = before.rfind('(').map_or(0, |at| at + 1);
    before
        .get(from..)
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
}

/// What finds the groups of a member: the filter without the part that names one group.
pub(super) fn group_filter(filter: &str, by_dn: bool) -> Option<String> {
    let at = filter.find("=%g").or_else(|| filter.find("=%a"))?;
    let from = filter.get(..at)?.rfind('(')?;
    let until = at + filter.get(at..)?.find(')')? + 1;
    let rest = format!("{}{}", filter.get(..from)?, filter.get(until..)?);
    // What is left of an "and" of two is the other one.
    let inner = rest.strip_prefix("(&").and_then(|rest| rest.strip_suffix(')'));
    let rest = match inner {
        Some(inner) if inner.matches('(').count() == 1 => inner.to_owned(),
        _ => rest,
    };
    let member = if by_dn { "{dn}" } else { "{name}" };
    (!rest.is_empty()).then(|| rest.replace("%u", member).replace("%v", member))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_find_all_groups_and_not_one() {
        for (filter, by_dn, wanted) in [
            ("(&(cn=%g)(member=%u))", true, Some("(member={dn})")),
            (
                "(&(objectClass=posixGroup)(cn=%g)(memberUid=%u))",
                false,
                Some("(&(objectClass=posixGroup)(memberUid={name}))"),
            ),
            ("(&(memberUid=%v)(cn=%a))", false, Some("(memberUid={name})")),
            ("(member=%u)", true, None),
            ("(cn=%g", true, None),
        ] {
            assert_eq!(group_filter(filter, by_dn).as_deref(), wanted, "{filter}");
        }
        assert_eq!(
            attribute_of("(&(objectClass=person)(uid=%s))").as_deref(),
            Some("uid")
        );
        assert_eq!(group_attribute("(&(cn=%g)(member=%u))").as_deref(), Some("cn"));
    }

    #[test]
    fn the_helpers_options_are_read() {
        let of = |text: &str| Directory::parse(&text.split(' ').collect::<Vec<_>>());
        let it = of("-R -b dc=x -D cn=y -W /etc/pw -f (uid=%s) -h ldap.example");
        assert_eq!(it.get('b'), Some("dc=x"));
        assert_eq!(it.urls(), (vec!["ldap://ldap.example".to_owned()], true));
        assert_eq!(
            of("-b dc=x -ZZ -H ldap://a.example:3389").urls(),
            (vec!["ldap://a.example:3389".to_owned()], false)
        );
        assert_eq!(of("-b dc=x -v 3 one.example two.example").urls().0.len(), 2);
        assert_eq!(
            of("-H ldaps://a.example/").urls(),
            (vec!["ldaps://a.example".to_owned()], false)
        );
        assert_eq!(of("-b dc=x -p 390 a.example").urls().0, ["ldap://a.example:390"]);
    }
}

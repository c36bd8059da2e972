//! Names with addresses, in the format of hosts(5).

use super::answer::Family;
use std::collections::HashMap;
use std::net::IpAddr;

/// A hosts file that was read.
#[derive(Debug, Default)]
pub(super) struct HostsFile {
    names: HashMap<Box<str>, Vec<IpAddr>>,
}

impl HostsFile {
    /// Reads `text`. As in glibc, a line that makes no sense says nothing: what it was meant to say cannot be known.
    pub(super) fn read(text: &str) -> Self {
        let mut names: HashMap<Box<str>, Vec<IpAddr>> = HashMap::new();
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_ascii_whitespace();
            let Some(Ok(ip)) = words.next().map(str::parse::<IpAddr>) else {
                continue;
            };
            for name in words {
                let name = name.trim_end_matches('.').to_ascii_lowercase();
                let known = names.entry(name.into()).or_default();
                if !known.contains(&ip) {
                    known.push(ip);
                }
            }
        }
        Self { names }
    }

    /// The addresses of `name`, which is in lower case, those of the family `first` before the others. `None` if the file
    /// does not name it.
    pub(super) fn find(&self, name: &str, first: Family) -> Option<Vec<IpAddr>> {
        let mut found = self.names.get(name)?.clone();
        found.sort_by_key(|ip| !first.holds(ip));
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_as_systems_have_it() {
        let file = HostsFile::read(
            "127.0.0.1\tlocalhost\n::1 localhost ip6-localhost # loopback\n# 10.0.0.1 no.test\n\n\
             192.0.2.7 Build.Test. build\n192.0.2.8   build\nfe80::1%eth0 scoped\nnonsense here\n192.0.2.9\n",
        );
        let find = |name, first| {
            file.find(name, first)
                .map(|found| found.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(find("localhost", Family::V6).unwrap(), ["::1", "127.0.0.1"]);
        assert_eq!(find("localhost", Family::V4).unwrap(), ["127.0.0.1", "::1"]);
        assert_eq!(find("build.test", Family::V6).unwrap(), ["192.0.2.7"]);
        assert_eq!(find("build", Family::V6).unwrap(), ["192.0.2.7", "192.0.2.8"]);
        for name in ["no.test", "scoped", "here", "nonsense", ""] {
            assert_eq!(find(name, Family::V4), None, "{name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_can_be_read(text in "[ -~\t\n#é]{0,200}") {
            HostsFile::read(&text);
        }

        #[test]
        fn what_is_written_is_found(
            names in proptest::collection::vec("[a-z]{1,8}\\.[a-z]{2,3}", 1..20),
            ip in proptest::prelude::any::<[u8; 4]>(),
        ) {
            let ip = IpAddr::from(ip);
            let file = HostsFile::read(&format!("{ip} {}", names.join(" ")));
            for name in names {
                proptest::prop_assert_eq!(file.find(&name, Family::V4), Some(vec![ip]));
            }
        }
    }
}

//! Where a domain is asked: the few lines of krb5.conf that say so.

use std::collections::HashMap;

/// What a krb5.conf says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Config {
    /// The servers of each realm, as they are written.
    servers: HashMap<String, Vec<String>>,
    /// The realms of domains; a name that begins with a dot stands for all below it.
    realms: HashMap<String, String>,
}

/// Where key distribution centres listen.
const PORT: u16 = 88;

impl Config {
    pub(super) fn read(text: &str) -> Self {
        let mut config = Self::default();
        let (mut section, mut realm) = (String::new(), String::new());
        for line in text.lines() {
            let line = line.trim();
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            if let Some(name) = line.strip_prefix('[') {
                section = name.trim_end_matches(['*', ']']).trim().to_owned();
                realm.clear();
                continue;
            }
            if line.starts_with('}') {
                realm.clear();
                continue;
            }
            let Some((key, value)) = line.split_once('=') else {
                continue;
            };
            let (key, value) = (key.trim(), value.trim());
            match (&*section, value) {
                ("realms", value) if value.starts_with('{') => realm = key.to_owned(),
                ("realms", server) if key == "kdc" && !realm.is_empty() => {
                    config
                        .servers
                        .entry(realm.clone())
                        .or_default()
                        .push(server.to_owned());
                }
                ("domain_realm", value) => {
                    config.realms.insert(key.to_ascii_lowercase(), value.to_owned());
                }
                _ => {}
            }
        }
        config
    }

    /// The realm of a host, if one is written.
    pub(super) fn realm(&self, host: &str) -> Option<&str> {
        let host = host.to_ascii_lowercase();
        let mut rest = host.as_str();
        let mut found = self.realms.get(rest);
        while let (None, Some(dot)) = (found, rest.find('.')) {
            found = self.realms.get(&rest[dot..]);
            rest = &rest[dot + 1..];
        }
        found.map(String::as_str)
    }

    /// Where a realm is asked: its servers; without any, what its name resolves to, as Active Directory's does.
    pub(super) fn servers(&self, realm: &str) -> Vec<(String, u16)> {
        let written = self.servers.get(realm).into_iter().flatten();
        let mut servers: Vec<_> = written.map(|server| server_of(server)).collect();
        if servers.is_empty() {
            servers.push((realm.to_ascii_lowercase(), PORT));
        }
        servers
    }
}

/// `HOST`, `HOST:PORT`, `[ADDRESS]:PORT`, with or without `tcp/` in front.
fn server_of(text: &str) -> (String, u16) {
    let text = text.strip_prefix("tcp/").unwrap_or(text);
    let bare = |host: &str| host.trim_start_matches('[').trim_end_matches(']').to_owned();
    match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            (bare(host), port.parse().unwrap_or(PORT))
        }
        _ => (bare(text), PORT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_and_realms_are_found() {
        let config = Config::read(
            "# of the tests\n[libdefaults]\n default_realm = CORP.EXAMPLE\n[realms]\n CORP.EXAMPLE = {\n  kdc = dc1.corp.example:1088\n\
             \tkdc=tcp/dc2.corp.example\n  kdc = [2001:db8::1]:89\n kdc = 2001:db8::2\n  admin_server = a\n }\n OTHER = {\n }\n\
             [domain_realm]\n .corp.example = CORP.EXAMPLE\n proxy.example = OTHER\n",
        );
        let servers = config.servers("CORP.EXAMPLE");
        let wanted = [
            ("dc1.corp.example", 1088),
            ("dc2.corp.example", 88),
            ("2001:db8::1", 89),
            ("2001:db8::2", 88),
        ];
        assert_eq!(servers, wanted.map(|(host, port)| (host.to_owned(), port)));
        assert_eq!(config.servers("OTHER"), [("other".to_owned(), 88)]);
        for (host, realm) in [
            ("a.b.corp.example", Some("CORP.EXAMPLE")),
            ("proxy.example", Some("OTHER")),
            ("corp.example", None),
            ("localhost", None),
        ] {
            assert_eq!(config.realm(host), realm, "{host}");
        }
        assert_eq!(Config::read("}\n= x\n[realms\nkdc = a\n"), Config::default());
    }
}

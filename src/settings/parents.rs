//! Parents, from their tables to what they are built from.

use super::certificates::{own_certificate, roots_in};
use super::problem::{Diagnostics, FileSpan, nearest};
use super::reader::{At, Section};
use super::secret::secret;
use super::ticket::{TicketKeys, tickets};
use super::words;
use crate::breaker::Thresholds;
use crate::dial::{ParentConfig, ParentLogin, ParentProtocol, PlainForm};
use crate::handshake::ServiceTls;
use crate::wire::names::Authority;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Where a SOCKS server listens if nothing else is said (RFC 1928 section 3).
const SOCKS_PORT: u16 = 1080;
/// The most that RFC 1929 has room for.
const SOCKS_TEXT: usize = 255;

const FORMS: [(&str, PlainForm); 2] = [("connect", PlainForm::Connect), ("absolute", PlainForm::Absolute)];

/// Every `[[parent]]` as written.
#[derive(Debug)]
pub(super) struct ParentTables(Vec<ParentTable>);

/// One `[[parent]]` as written.
#[derive(Debug)]
struct ParentTable {
    name: At<String>,
    /// Absent only where its absence or mistake has been stated.
    url: Option<At<ParentUrl>>,
    user: Option<At<String>>,
    password_file: Option<At<PathBuf>>,
    password_env: Option<At<String>>,
    ca: Option<At<PathBuf>>,
    cert: Option<At<PathBuf>>,
    key: Option<At<PathBuf>>,
    plain: Option<At<PlainForm>>,
    tickets: TicketKeys,
    connect: Duration,
    answer: Duration,
    breaker: Thresholds,
    check: Option<Duration>,
    check_target: Option<At<Authority>>,
}

/// What the URL of a parent says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ParentUrl {
    protocol: ParentProtocol,
    is_tls: bool,
    address: Authority,
}

impl ParentTables {
    pub(super) fn read(root: &mut Section<'_, '_>, probe: bool) -> Self {
        Self(root.tables("parent", "parent", probe, ParentTable::read))
    }

    /// The names of those that are written, by which settings call them.
    pub(super) fn names(&self) -> Vec<String> {
        self.0.iter().map(|table| table.name.value.clone()).collect()
    }

    /// Opens what they name; what is wrong is stated. `used` says which of them a setting names.
    pub(super) fn resolve(self, used: impl Fn(&str) -> bool, notes: &mut Diagnostics) -> Vec<ParentConfig> {
        let mut found: Vec<ParentConfig> = Vec::new();
        for table in self.0 {
            let name = table.name.value.clone();
            if found.iter().any(|other| *other.name == *name) {
                let message = format!("there are two parents named {name:?}; give each its own");
                notes.add(&table.name.span, "parent.name", message);
            }
            if !used(&name) {
                let warning =
                    format!("nothing goes by {name:?}: no [[policy.setting]] has it in its parents");
                notes.warn_at(&table.name.span, "parent.name", &warning);
            }
            found.extend(table.resolve(notes));
        }
        found
    }
}

impl ParentTable {
    /// Reads one table; without a name there is no parent, which is stated.
    fn read(section: &mut Section<'_, '_>) -> Option<Self> {
        let name = section.parsed("name", |text| words::name(text, "parent"));
        let url = section.parsed("url", ParentUrl::parse);
        for key in ["name", "url"] {
            if !section.has(key) {
                let span = section.span();
                section.note(
                    &span,
                    key,
                    format!("is missing; each [[parent]] needs {key} = \"...\""),
                );
            }
        }
        let plain = section.spans().into_iter().find(|(key, _)| key == "plain_http");
        let form = section.choice_if_any("plain_http", &FORMS);
        let check = section.duration_if_any("check_interval").map(|at| at.value);
        let breaker = Thresholds {
            failures: u32::try_from(section.number("breaker_failures", 1..=1_000_000, 3)).unwrap_or(u32::MAX),
            rest: section.duration("breaker_rest", Duration::from_secs(10)),
        };
        let table = |name| Self {
            name,
            url,
            user: section.text("user"),
            password_file: section.path_to("password_file"),
            password_env: section.text("password_env"),
            ca: section.path_to("ca"),
            cert: section.path_to("cert"),
            key: section.path_to("key"),
            tickets: TicketKeys {
                keytab: section.path_to("keytab"),
                principal: section.text("principal"),
                kdc: section.texts("kdc"),
                service: section.text("service"),
            },
            plain: form.map(|value| At {
                value,
                span: plain.and_then(|(_, span)| span),
            }),
            connect: section.duration("connect_timeout", Duration::from_secs(5)),
            answer: section.duration("answer_timeout", Duration::from_secs(30)),
            breaker,
            check,
            check_target: section.parsed("check_target", |text| {
                Authority::parse(text, None).ok_or_else(|| {
                    format!("{text:?} is no destination; write HOST:PORT, such as \"example.com:443\"")
                })
            }),
        };
        let unnamed = name.is_none();
        let table = table(name.unwrap_or_else(|| String::new().into()));
        (!unnamed).then_some(table)
    }

    fn resolve(self, notes: &mut Diagnostics) -> Option<ParentConfig> {
        let before = notes.problems.len();
        let At { value: url, span } = self.url.clone()?;
        if let (ParentProtocol::Socks5, Some(plain)) = (url.protocol, &self.plain) {
            let message = "is for parents that speak HTTP, and this one speaks SOCKS; leave it out";
            notes.add(&plain.span, "parent.plain_http", message);
        }
        if let (None, Some(target)) = (self.check, &self.check_target) {
            let message = "is never asked for; write check_interval = \"10s\" too";
            notes.warn_at(&target.span, "parent.check_target", message);
        }
        let tls = self.tls(&url, &span, notes);
        let login = self.login(&url, notes);
        let is_absolute = self
            .plain
            .as_ref()
            .is_some_and(|at| at.value == PlainForm::Absolute);
        let others = match (url.protocol, &self.user, is_absolute) {
            (ParentProtocol::Socks5, ..) => {
                Some("is for parents that speak HTTP, and this one speaks SOCKS; leave it out")
            }
            (_, Some(_), _) => Some("is there beside user; leave one of them out"),
            (.., true) => Some(
                "is for CONNECT alone: a token is for one tunnel; write plain_http = \"connect\", or leave it out",
            ),
            _ => None,
        };
        let tickets = tickets(
            &self.tickets,
            &url.address.host.to_string(),
            self.connect,
            others,
            notes,
        );
        if notes.problems.len() > before {
            return None;
        }
        Some(ParentConfig {
            name: self.name.value.into(),
            protocol: url.protocol,
            address: url.address,
            tls,
            login,
            tickets,
            plain: self.plain.map(|at| at.value).unwrap_or_default(),
            connect: self.connect,
            answer: self.answer,
            breaker: self.breaker,
            check: self.check,
            check_target: self.check_target.map(|at| at.value),
        })
    }

    /// How it is verified, and what it is shown; `None` where nothing is encrypted.
    fn tls(&self, url: &ParentUrl, span: &FileSpan, notes: &mut Diagnostics) -> Option<Arc<ServiceTls>> {
        if !url.is_tls {
            for (key, at) in [("ca", &self.ca), ("cert", &self.cert), ("key", &self.key)] {
                if let Some(at) = at {
                    let message = "is for https:// parents, and this is none; leave it out";
                    notes.add(&at.span, format!("parent.{key}"), message);
                }
            }
            return None;
        }
        let before = notes.problems.len();
        let roots = self.ca.as_ref();
        let roots = roots.map(|at| roots_in(&at.value, &at.span, "parent.ca", notes));
        let shown = own_certificate(
            ("parent.cert", self.cert.as_ref()),
            ("parent.key", self.key.as_ref()),
            notes,
        );
        if notes.problems.len() > before {
            return None;
        }
        match ServiceTls::new(roots, shown) {
            Ok(tls) => Some(Arc::new(tls)),
            Err(error) => {
                let message = format!("{error}; name a file with the CA of the parent: ca = \"...\"");
                notes.add(span, "parent.url", message);
                None
            }
        }
    }

    /// Who the proxy is to it.
    fn login(&self, url: &ParentUrl, notes: &mut Diagnostics) -> Option<ParentLogin> {
        let (key, span, password) = match (&self.password_file, &self.password_env) {
            (None, None) => {
                if let Some(user) = &self.user {
                    let message =
                        "has no password; write password_file = \"FILE\" or password_env = \"NAME\"";
                    notes.add(&user.span, "parent.user", message);
                }
                return None;
            }
            (file, env) => {
                let keys = ["parent.password_file", "parent.password_env"];
                secret(file.as_ref(), env.as_ref(), keys, notes)?
            }
        };
        let Some(user) = &self.user else {
            notes.add(span, key, "is of nobody; write user = \"NAME\" too");
            return None;
        };
        // A colon ends the user (RFC 7617 section 2), and a line break would end the header.
        let is_odd = |text: &str| text.chars().any(char::is_control);
        if user.value.contains(':') || is_odd(&user.value) {
            let message = "has a colon or a control character, which no user of a proxy can have";
            notes.add(&user.span, "parent.user", message);
        }
        if password.is_empty() || is_odd(&password) {
            notes.add(
                span,
                key,
                "is empty or has a control character: that is no password",
            );
        }
        let is_long = |text: &str| text.len() > SOCKS_TEXT;
        if url.protocol == ParentProtocol::Socks5 && (is_long(&user.value) || is_long(&password)) {
            notes.add(span, key, "is too long: SOCKS has room for 255 bytes of each");
        }
        if !url.is_tls {
            let warning = "user and password go to the parent unencrypted: whoever is on the way reads them";
            notes.warn_at(&user.span, "parent.user", warning);
        }
        Some(ParentLogin::new(user.value.clone(), password))
    }
}

impl ParentUrl {
    fn parse(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        let (protocol, is_tls, port) = match scheme {
            "http" => (ParentProtocol::Http, false, None),
            "https" => (ParentProtocol::Http, true, None),
            "socks5" | "socks5h" => (ParentProtocol::Socks5, false, Some(SOCKS_PORT)),
            other => {
                let usual = "write http://HOST:PORT, https://HOST:PORT or socks5://HOST:PORT";
                let advice = match nearest(other, ["http", "https", "socks5"]) {
                    Some(near) => format!("did you mean {near}://{rest}?"),
                    None if other.is_empty() && Authority::parse(rest, None).is_some() => {
                        format!("write http://{rest}, or https:// or socks5:// before it")
                    }
                    None => usual.to_owned(),
                };
                return Err(format!("{text:?} is no parent; {advice}"));
            }
        };
        let address = rest.strip_suffix('/').unwrap_or(rest);
        if address.contains('@') {
            return Err(
                "has a user in it; write user = \"NAME\" and password_file = \"FILE\" beside it".into(),
            );
        }
        let address = Authority::parse(address, port)
            .ok_or_else(|| format!("{text:?} has no host and port; write {scheme}://HOST:PORT"))?;
        Ok(Self {
            protocol,
            is_tls,
            address,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_a_parent() {
        for (text, protocol, is_tls, address) in [
            (
                "http://proxy.example:3128",
                ParentProtocol::Http,
                false,
                "proxy.example:3128",
            ),
            (
                "https://proxy.example:443/",
                ParentProtocol::Http,
                true,
                "proxy.example:443",
            ),
            (
                "socks5://192.0.2.1",
                ParentProtocol::Socks5,
                false,
                "192.0.2.1:1080",
            ),
            (
                "socks5h://[2001:db8::1]:9",
                ParentProtocol::Socks5,
                false,
                "[2001:db8::1]:9",
            ),
        ] {
            let url = ParentUrl::parse(text).unwrap();
            assert_eq!(
                (url.protocol, url.is_tls, url.address.to_string().as_str()),
                (protocol, is_tls, address),
                "{text}"
            );
        }
        for (text, hint) in [
            ("proxy.example:3128", "write http://proxy.example:3128"),
            ("http://proxy.example", "no host and port"),
            ("htps://proxy.example:1", "did you mean https://proxy.example:1?"),
            ("http://u:p@proxy.example:1", "password_file"),
            ("socks4://proxy.example:1", "socks5"),
            ("http://proxy.example:1/path", "no host and port"),
        ] {
            let error = ParentUrl::parse(text).unwrap_err();
            assert!(error.contains(hint), "{text}: {error}");
        }
    }
}

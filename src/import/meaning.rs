//! What an ACL asks for, at each of the moments at which Squid asks it.

use super::acl::{Acl, Acls};
use super::lists::ListFiles;
use super::note::{LineOutcome, Notes, Place};
use super::term::{Formula, Test, TooLarge};
use super::values::{expression, hours, media_types, ports, ranges};
use crate::decide::Format;
use std::collections::{BTreeMap, BTreeSet};

/// ACLs of ACLs are followed so deep.
const MAX_DEPTH: usize = 16;

/// When an ACL is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// About a CONNECT.
    Connect,
    /// About a request, plain or inside of a tunnel that is decrypted.
    Request,
    /// About what is done with TLS, at this step.
    Step(u8),
    /// About how something is treated: of a request its destination is known, and whose it is.
    Treatment,
    /// About a response.
    Reply,
}

/// What an external ACL's helper answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Helper {
    /// Whether a user is in groups.
    Groups,
    /// Something that nothing here can.
    Other(String),
}

/// Why an ACL has no meaning here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unknown(pub(super) String);

impl From<TooLarge> for Unknown {
    fn from(_: TooLarge) -> Self {
        Self("it combines too many ACLs to be written out".to_owned())
    }
}

/// What ACLs mean.
#[derive(Debug)]
pub(super) struct Meanings<'n> {
    pub(super) acls: Acls,
    pub(super) lists: ListFiles,
    pub(super) notes: &'n mut Notes,
    /// The configuration as a whole.
    pub(super) first: Place,
    /// External types, by name.
    pub(super) helpers: BTreeMap<String, Helper>,
    /// Whether there are parents, which resolve the names of what goes by them.
    pub(super) by_parents: bool,
    /// Listeners by the names and ports that `myportname` and `localport` may say.
    pub(super) listeners: BTreeMap<String, String>,
}

impl Meanings<'_> {
    /// What a line's ACLs ask for together.
    pub(super) fn all(&mut self, acls: &[(bool, String)], moment: Moment) -> Result<Formula, Unknown> {
        self.conjunction(acls, moment, 0)
    }

    fn conjunction(
        &mut self,
        acls: &[(bool, String)],
        moment: Moment,
        depth: usize,
    ) -> Result<Formula, Unknown> {
        let mut formula = Formula::always();
        let mut unknown = None;
        for (negated, name) in acls {
            let one = self.named(name, moment, depth).and_then(|one| {
                if *negated {
                    one.not().map_err(Unknown::from)
                } else {
                    Ok(one)
                }
            });
            match one {
                Ok(one) => formula = formula.and(&one)?,
                // What never holds does so whatever the others say.
                Err(why) => unknown = unknown.or(Some(why)),
            }
        }
        match unknown {
            Some(why) if !formula.is_never() => Err(why),
            _ => Ok(formula),
        }
    }

    fn named(&mut self, name: &str, moment: Moment, depth: usize) -> Result<Formula, Unknown> {
        let Some(acl) = self.acls.get(name).cloned() else {
            return Err(Unknown(format!("there is no acl {name}; Squid would not start")));
        };
        if depth > MAX_DEPTH {
            return Err(Unknown(format!("the ACL {name} is made of itself")));
        }
        let nested = |line: &Vec<super::acl::Value>| {
            let names = line.iter().map(|value| match value.text.strip_prefix('!') {
                Some(name) => (true, name.to_owned()),
                None => (false, value.text.clone()),
            });
            names.collect::<Vec<_>>()
        };
        match &*acl.kind {
            "any-of" => {
                let mut formula = Formula::never();
                for one in acl.lines.iter().flat_map(nested) {
                    formula = formula.or(self.conjunction(&[one], moment, depth + 1)?)?;
                }
                Ok(formula)
            }
            "all-of" => {
                let mut formula = Formula::never();
                for line in acl.lines.iter().map(nested) {
                    formula = formula.or(self.conjunction(&line, moment, depth + 1)?)?;
                }
                Ok(formula)
            }
            _ => self.flat(&acl, moment),
        }
    }

    fn hosts(&mut self, acl: &Acl, format: Format) -> Formula {
        match self.lists.of(acl, format, self.notes) {
            Some(list) => Formula::of(Test::Hosts([list].into())),
            None => Formula::never(),
        }
    }

    fn flat(&mut self, acl: &Acl, moment: Moment) -> Result<Formula, Unknown> {
        let texts = || {
            acl.values()
                .map(|value| value.text.clone())
                .collect::<BTreeSet<_>>()
        };
        let search = |acl: &Acl| {
            let values = acl.values().map(|value| (&*value.text, value.ignore_case));
            expression(values).map_err(Unknown)
        };
        let is_request = moment == Moment::Request;
        // A CONNECT has neither path nor, here, fields; what a rule says of those is asked about the requests inside.
        let of_request = |test: Test| match moment {
            Moment::Request => Ok(Formula::of(test)),
            Moment::Reply => Err(Unknown(
                "what a request says is not asked about its response".into(),
            )),
            Moment::Treatment => Err(Unknown(format!(
                "how something is treated cannot hang on {} of its requests",
                acl.kind
            ))),
            _ => Ok(Formula::never()),
        };
        match &*acl.kind {
            "src" => self.clients(acl),
            "dst" => Ok(self.hosts(acl, Format::Domains)),
            "dstdomain" | "ssl::server_name" => {
                if acl.values().any(|value| value.text == "none") {
                    let text = "\"none\" (no name at all) has no counterpart and is read as a name";
                    self.notes.add(&acl.place, "acl", LineOutcome::Changed, text);
                }
                Ok(self.hosts(acl, Format::Domains))
            }
            "dstdom_regex" | "ssl::server_name_regex" => Ok(self.hosts(acl, Format::HostRegex)),
            "url_regex" if is_request => Ok(Formula::of(Test::Url(search(acl)?))),
            "url_regex" if moment == Moment::Reply => Err(Unknown(
                "URLs are not asked about responses; write the hosts, or the path".into(),
            )),
            "url_regex" => {
                if moment == Moment::Treatment {
                    let text = "where it says how something is treated, it is searched in host:port alone, and not in the URLs of requests";
                    self.notes.add(&acl.place, "acl", LineOutcome::Changed, text);
                }
                Ok(self.hosts(acl, Format::UrlRegex))
            }
            "urlpath_regex" if moment == Moment::Reply => Ok(Formula::of(Test::Path(search(acl)?))),
            "urlpath_regex" => of_request(Test::Path(search(acl)?)),
            "port" => {
                let mut found = Vec::new();
                for value in acl.values() {
                    match ports(&value.text) {
                        Some(ports) => found.push(ports),
                        None => {
                            let text = format!("{:?} is no port and left out", value.text);
                            self.notes.add(&acl.place, "acl", LineOutcome::Changed, text);
                        }
                    }
                }
                Ok(if found.is_empty() {
                    Formula::never()
                } else {
                    Formula::of(Test::Ports(found))
                })
            }
            "method" => {
                let mut names: BTreeSet<_> = texts().iter().map(|name| name.to_ascii_uppercase()).collect();
                names.retain(|name| {
                    let is_method = http::Method::from_bytes(name.as_bytes()).is_ok();
                    if !is_method {
                        let text = format!("{name:?} is no method and left out");
                        self.notes.add(&acl.place, "acl", LineOutcome::GuardLost, text);
                    }
                    is_method
                });
                match moment {
                    Moment::Treatment | Moment::Reply => Err(Unknown(
                        "how something is treated cannot hang on its method".into(),
                    )),
                    Moment::Request => {
                        names.remove("CONNECT");
                        // Squid's own, about its cache.
                        names.remove("PURGE");
                        Ok(if names.is_empty() {
                            Formula::never()
                        } else {
                            Formula::of(Test::Methods(names))
                        })
                    }
                    _ => Ok(Formula::constant(names.contains("CONNECT"))),
                }
            }
            "proto" => {
                let schemes: Vec<_> = texts().iter().map(|name| name.to_ascii_lowercase()).collect();
                let carried: Vec<_> = schemes
                    .into_iter()
                    .filter(|scheme| matches!(&**scheme, "http" | "https"))
                    .collect();
                match (&carried[..], moment) {
                    ([], _) => Ok(Formula::never()),
                    (_, Moment::Request) => {
                        Ok(Formula::of(Test::Url(format!("^(?:{})://", carried.join("|")))))
                    }
                    (_, Moment::Treatment | Moment::Reply) => Err(Unknown(
                        "how something is treated cannot hang on its scheme".into(),
                    )),
                    _ => Ok(Formula::never()),
                }
            }
            "myportname" | "localport" => {
                let found = texts()
                    .iter()
                    .filter_map(|name| self.listeners.get(name).cloned())
                    .collect::<BTreeSet<_>>();
                Ok(if found.is_empty() {
                    Formula::never()
                } else {
                    Formula::of(Test::Listeners(found))
                })
            }
            "at_step" => match moment {
                Moment::Step(step) => {
                    Ok(Formula::constant(texts().iter().any(|name| {
                        name.eq_ignore_ascii_case(&format!("SslBump{step}"))
                    })))
                }
                // Outside of ssl_bump Squid asks about the step that a request is in.
                Moment::Connect => Ok(Formula::constant(
                    texts().iter().any(|name| name.eq_ignore_ascii_case("SslBump1")),
                )),
                _ => Ok(Formula::never()),
            },
            "proxy_auth" => {
                let names = texts();
                let is_anyone = names.contains("REQUIRED");
                let names = if is_anyone {
                    ["*".to_owned()].into()
                } else {
                    names.iter().map(|name| name.to_lowercase()).collect()
                };
                Ok(Formula::of(Test::Users(names)))
            }
            "proxy_auth_regex" => self.users(acl),
            "external" => self.external(acl),
            "browser" => of_request(Test::Header("User-Agent".into(), search(acl)?)),
            "referer_regex" => of_request(Test::Header("Referer".into(), search(acl)?)),
            "req_mime_type" => of_request(Test::Header("Content-Type".into(), search(acl)?)),
            "req_header" => {
                let name = acl.of.clone().unwrap_or_default();
                if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
                    return Err(Unknown(format!("{name:?} is no name of a header")));
                }
                of_request(Test::Header(name, search(acl)?))
            }
            "time" => {
                let words: Vec<_> = acl.values().map(|value| &*value.text).collect();
                let is_span =
                    |word: &&str| word.contains('-') && !word.starts_with(|c: char| c.is_ascii_digit());
                if words.iter().any(is_span) {
                    let text = "a hyphen between two days means nothing to Squid: M-F is Monday and Friday, and D is Monday to Friday";
                    self.notes.add(&acl.place, "acl", LineOutcome::Surprise, text);
                }
                let hours = hours(&words).map_err(Unknown)?;
                Ok(if hours.is_empty() {
                    Formula::never()
                } else {
                    Formula::of(Test::Time(hours))
                })
            }
            "rep_mime_type" if moment == Moment::Reply => {
                let types = media_types(acl.values().map(|value| &*value.text)).map_err(Unknown)?;
                Ok(if types.is_empty() {
                    Formula::never()
                } else {
                    Formula::of(Test::ContentType(types))
                })
            }
            "http_status" | "rep_header" | "rep_mime_type" => Err(Unknown(format!(
                "{} asks about responses, which the policy does not",
                acl.kind
            ))),
            // All that is asked about here is asked by clients: certificates that are missing are fetched without a rule.
            "transaction_initiator" => Ok(Formula::constant(texts().contains("client"))),
            "ssl_error" => Err(Unknown("errors of certificates are not told apart".into())),
            "maxconn" | "max_user_ip" => Err(Unknown(format!(
                "{} has no counterpart in rules: see [limits.client] in docs/configuration.md",
                acl.kind
            ))),
            "arp" | "eui64" => Err(Unknown(
                "clients are known by their addresses, not by their cards'".into(),
            )),
            "srcdomain" | "srcdom_regex" => Err(Unknown(
                "names of clients are not looked up; write their addresses".into(),
            )),
            "dst_as" | "src_as" => Err(Unknown(
                "networks are not known by the numbers of autonomous systems; write the networks".into(),
            )),
            "ident" | "ident_regex" => Err(Unknown(
                "nobody is asked by ident (RFC 1413); see docs/authentication.md".into(),
            )),
            "random" => Err(Unknown("nothing here goes by chance".into())),
            other => Err(Unknown(format!("ACLs of type {other} have no counterpart"))),
        }
    }

    fn clients(&mut self, acl: &Acl) -> Result<Formula, Unknown> {
        let mut found = Vec::new();
        for value in acl.values() {
            match ranges(&value.text) {
                Ok(ranges) => found.extend(ranges),
                Err(message) => {
                    let text = format!(
                        "{message}, and is left out: names of clients are not resolved; write the address"
                    );
                    self.notes.add(&acl.place, "acl", LineOutcome::GuardLost, text);
                }
            }
        }
        let has = |text: &str| found.iter().any(|range| range.text == text);
        if has("0.0.0.0/0") && (has("::/0") || acl.name == "all") {
            return Ok(Formula::always());
        }
        Ok(if found.is_empty() {
            Formula::never()
        } else {
            Formula::of(Test::Clients(found))
        })
    }

    /// Expressions that can only be one name each.
    fn users(&mut self, acl: &Acl) -> Result<Formula, Unknown> {
        let mut names = BTreeSet::new();
        for value in acl.values() {
            let inside = value
                .text
                .strip_prefix('^')
                .and_then(|text| text.strip_suffix('$'));
            let inside = inside.map(|text| text.trim_start_matches('(').trim_end_matches(')'));
            let plain = |name: &str| {
                !name.is_empty()
                    && name
                        .chars()
                        .all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '@'))
            };
            match (&*value.text, inside) {
                (".*" | ".", _) => _ = names.insert("*".to_owned()),
                (_, Some(inside)) if inside.split('|').all(plain) => {
                    names.extend(inside.split('|').map(str::to_lowercase));
                }
                (text, _) => {
                    return Err(Unknown(format!(
                        "{text:?} is searched for in names of users; rules here have whole names, or groups"
                    )));
                }
            }
        }
        Ok(if names.is_empty() {
            Formula::never()
        } else {
            Formula::of(Test::Users(names))
        })
    }

    fn external(&mut self, acl: &Acl) -> Result<Formula, Unknown> {
        let kind = acl.of.clone().unwrap_or_default();
        match self.helpers.get(&kind) {
            Some(Helper::Groups) => {
                let names = acl.values().filter(|value| !value.text.starts_with('-'));
                let names: BTreeSet<_> = names.map(|value| group(&value.text)).collect();
                Ok(if names.is_empty() {
                    Formula::never()
                } else {
                    Formula::of(Test::Groups(names))
                })
            }
            Some(Helper::Other(what)) => Err(Unknown(format!(
                "the helper {what} is asked, and nothing here can ask it"
            ))),
            None => Err(Unknown(format!(
                "there is no external_acl_type {kind}; Squid would not start"
            ))),
        }
    }
}

/// A group's name: encoded blanks are blanks, and neither a realm nor a domain counts.
fn group(text: &str) -> String {
    let text = text.replace("%20", " ").replace('+', " ");
    let name = text.rsplit('\\').next().unwrap_or_default();
    name.split('@').next().unwrap_or_default().to_lowercase()
}

//! `auth_param` and `external_acl_type`: who clients are, and what they are in.

use super::directory::{Directory, attribute_of, group_attribute, group_filter, user_filter};
use super::document::{Document, quoted};
use super::meaning::Helper;
use super::note::{LineOutcome, Notes, Place};
use super::read::{Line, Reader};
use crate::admit::{LdapUrl, Template};
use std::collections::BTreeMap;

/// The file for a password that stood in the configuration.
pub(super) const BIND_PASSWORD: &str = "bind-password";

/// What the configuration says of users.
#[derive(Debug, Default)]
pub(super) struct Auth {
    /// External ACL types.
    pub(super) helpers: BTreeMap<String, Helper>,
    /// How a directory finds groups; written once it is known how it is asked.
    groups: Option<Asked>,
    users: Option<Asked>,
}

/// A directory that a line has asked.
#[derive(Debug)]
struct Asked {
    directory: Directory,
    about: String,
    place: Place,
}

/// A line as it is told of: without the password that it may have.
fn about(line: &Line) -> String {
    let at = line.words.iter().position(|word| word.text.starts_with("-w"));
    let secret = at.and_then(|at| match line.word(at) {
        Some("-w") => line.word(at + 1),
        attached => attached?.strip_prefix("-w"),
    });
    let text = match secret.filter(|secret| !secret.is_empty()) {
        Some(secret) => line.text.replace(secret, "..."),
        None => line.text.clone(),
    };
    format!("{}: {text}", line.place)
}

/// The file name of a helper.
fn base(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

/// Whether this may be the name of an attribute (RFC 4512, section 2.5), with the underscore that some directories have.
fn is_attribute(text: &str) -> bool {
    text.chars()
        .all(|c| c.is_ascii_alphanumeric() || "-.;_".contains(c))
}

/// Says what is wrong with a filter.
type CheckFilter = fn(&str) -> Result<Template, String>;

impl Auth {
    /// Takes an `auth_param` line in.
    pub(super) fn param(&mut self, line: &Line, reader: &Reader, document: &mut Document, notes: &mut Notes) {
        let about = about(line);
        let mut note = |outcome, text: &str| notes.add(&line.place, "auth_param", outcome, text);
        let words: Vec<_> = line.words.iter().map(|word| &*word.text).collect();
        match &words[..] {
            ["basic", "program", program, arguments @ ..] => match base(program) {
                "basic_ncsa_auth" | "ncsa_auth" => {
                    match arguments.first().map(|file| (*file, reader.find(file))) {
                        Some((_, Some(path))) => {
                            document.set(
                                "auth.basic",
                                "htpasswd",
                                quoted(&path.display().to_string()),
                                &about,
                            );
                            note(LineOutcome::Taken, "the file of passwords is read as it is");
                        }
                        Some((file, None)) => {
                            document.remark("auth.basic", &format!("{about}\nhtpasswd = {}", quoted(file)));
                            note(
                                LineOutcome::Changed,
                                "the file of passwords is not on this machine: bring it along and name it in auth.basic; until then nobody can log in",
                            );
                        }
                        None => note(LineOutcome::Changed, "names no file of passwords"),
                    }
                }
                "basic_ldap_auth" | "squid_ldap_auth" => {
                    self.users = Some(Asked {
                        directory: Directory::parse(arguments),
                        about,
                        place: line.place.clone(),
                    });
                    note(
                        LineOutcome::Changed,
                        "the directory is asked by the proxy itself; look over [auth.ldap], and try a login with `wsbump auth-test`",
                    );
                }
                "basic_radius_auth" | "squid_radius_auth" => note(
                    LineOutcome::Lost,
                    "RADIUS is not spoken here: ask the directory that the RADIUS server asks ([auth.ldap]); until then nobody can log in by it",
                ),
                other => {
                    let text = format!(
                        "the helper {other} has no counterpart: users of a file ([auth.basic]) or a directory ([auth.ldap]) can log in; until then nobody can by it"
                    );
                    note(LineOutcome::Lost, &text);
                }
            },
            ["negotiate", "program", _, arguments @ ..] => {
                let keytab = arguments
                    .iter()
                    .position(|word| *word == "-k")
                    .and_then(|at| arguments.get(at + 1));
                let written = keytab.map_or("/etc/krb5.keytab", |path| path.trim_start_matches("FILE:"));
                match reader.find(written) {
                    Some(path) => {
                        document.set(
                            "auth.negotiate",
                            "keytab",
                            quoted(&path.display().to_string()),
                            &about,
                        );
                        note(
                            LineOutcome::Taken,
                            "the keytab is used as it is, with all its principals",
                        );
                    }
                    None => {
                        document.remark(
                            "auth.negotiate",
                            &format!("{about}\nkeytab = {}", quoted(written)),
                        );
                        note(
                            LineOutcome::Changed,
                            "the keytab is not on this machine: bring it along and name it in auth.negotiate; until then Negotiate is not offered",
                        );
                    }
                }
            }
            ["ntlm", ..] => note(
                LineOutcome::Lost,
                "NTLM is not offered: it is broken, and no proxy should ask for it. Clients of a domain have Kerberos (auth.negotiate), which they use without being asked once the proxy's name is in DNS and has an HTTP/ principal",
            ),
            ["digest", ..] => note(
                LineOutcome::Lost,
                "Digest is not offered; use Basic over a listener that speaks TLS, or Negotiate",
            ),
            ["basic", "realm", ..] => {
                let shown = |c: &char| matches!(c, ' '..='~') && !matches!(c, '"' | '\\');
                let realm: String = line.rest(2).chars().filter(shown).take(128).collect();
                let outcome = if realm == line.rest(2) {
                    LineOutcome::Taken
                } else {
                    LineOutcome::Changed
                };
                if realm.trim().is_empty() {
                    note(
                        LineOutcome::Changed,
                        "says nothing that all clients can show; auth.realm keeps its default",
                    );
                    return;
                }
                document.set("auth", "realm", quoted(realm.trim()), &about);
                note(outcome, "as auth.realm, without what not all clients can show");
            }
            ["basic", "credentialsttl", number, ..] => {
                let unit = words.get(3).copied().unwrap_or("seconds");
                match super::values::duration(number, unit) {
                    Some(text) => {
                        document.set("auth", "cache", quoted(&text), &about);
                        note(LineOutcome::Taken, "as auth.cache");
                    }
                    None => note(
                        LineOutcome::Changed,
                        "is no time that could be read; auth.cache keeps its default",
                    ),
                }
            }
            _ => note(
                LineOutcome::NotNeeded,
                "logins are checked without helper processes, so that there is nothing to tune",
            ),
        }
    }

    /// Takes an `external_acl_type` line in.
    pub(super) fn external(&mut self, line: &Line, notes: &mut Notes) {
        let words: Vec<_> = line.words.iter().map(|word| &*word.text).collect();
        let Some((name, rest)) = words.split_first() else {
            return;
        };
        let is_option = |word: &&&str| word.starts_with('%') || (word.contains('=') && !word.contains('/'));
        let skipped = rest.iter().take_while(is_option).count();
        // A time to live of old is a bare number; formats may come behind it.
        let rest = rest.get(skipped..).unwrap_or_default();
        let at = rest.iter().position(|word| word.contains('/')).unwrap_or(0);
        let (program, arguments) = (
            rest.get(at).copied().unwrap_or_default(),
            rest.get(at + 1..).unwrap_or_default(),
        );
        let mut note = |outcome, text: String| notes.add(&line.place, "external_acl_type", outcome, text);
        let helper = match base(program) {
            "ext_ldap_group_acl" | "squid_ldap_group" => {
                let about = about(line);
                self.groups = Some(Asked {
                    directory: Directory::parse(arguments),
                    about,
                    place: line.place.clone(),
                });
                note(LineOutcome::Changed, "groups are found by the proxy itself; look over [auth.ldap], and try a user with `wsbump auth-test`".into());
                Helper::Groups
            }
            helper @ ("ext_wbinfo_group_acl"
            | "wbinfo_group.pl"
            | "ext_unix_group_acl"
            | "squid_unix_group"
            | "ext_kerberos_ldap_group_acl"
            | "ext_file_group_acl") => {
                note(
                    LineOutcome::Changed,
                    format!(
                        "{helper} is not asked: its groups are groups here, and have to come from the directory (auth.ldap.groups), from tickets or from auth.basic.groups; until then nobody is in them"
                    ),
                );
                Helper::Groups
            }
            other => {
                let advice = match other {
                    "ext_session_acl" | "squid_session" => "there are no sessions; rules have hours (time)",
                    "ext_time_quota_acl" => "there are no quotas of time; rules have hours (time)",
                    "ext_file_userip_acl" | "ip_user_check" => "write rules with clients and users",
                    "ext_sql_session_acl" | "ext_delayer_acl" => "it has no counterpart",
                    _ => "write what it answers as lists, users, groups or networks of rules",
                };
                note(
                    LineOutcome::Lost,
                    format!(
                        "the helper {other} cannot be asked: {advice}. Each line with its ACL says what that costs"
                    ),
                );
                Helper::Other(other.to_owned())
            }
        };
        self.helpers.insert((*name).to_owned(), helper);
    }

    /// Writes what is known of the directory. What it returns is the content of [`BIND_PASSWORD`].
    pub(super) fn write(
        &self,
        reader: &Reader,
        document: &mut Document,
        notes: &mut Notes,
    ) -> Option<String> {
        const TABLE: &str = "auth.ldap";
        let mut secret = None;
        let Asked {
            directory,
            about,
            place,
        } = self.users.as_ref().or(self.groups.as_ref())?;
        let (urls, is_plain) = directory.urls();
        if let Some(why) = urls.iter().find_map(|url| LdapUrl::parse(url).err()) {
            document.remark(TABLE, about);
            let text = format!("{why}: write [auth.ldap] by hand; until then nobody can log in by it");
            notes.add(place, "auth_param", LineOutcome::Lost, text);
            return None;
        }
        let mut filter_of =
            |document: &mut Document, place: &Place, key: &str, filter: &str, checked: CheckFilter| {
                match checked(filter) {
                    Ok(_) => _ = document.set(TABLE, key, quoted(filter), ""),
                    Err(why) => {
                        document.remark(TABLE, &format!("{key} = {}", quoted(filter)));
                        let text = format!("{why}: look over {key} in [auth.ldap]");
                        notes.add(place, "auth_param", LineOutcome::Changed, text);
                    }
                }
            };
        document.set(
            TABLE,
            "urls",
            super::document::array(urls.iter().map(String::as_str)),
            about,
        );
        if is_plain {
            document.set(
                TABLE,
                "plain",
                "true",
                "As in Squid, passwords can be read on the way. Write ldaps:// above and take this out.",
            );
        }
        if self.users.is_some()
            && let Some(base) = directory.get('b')
        {
            document.set(TABLE, "base", quoted(base), "");
        } else if let Some(base) = directory.get('B').or(directory.get('b')) {
            document.set(TABLE, "base", quoted(base), "");
        }
        let filter = if self.users.is_some() {
            directory.get('f')
        } else {
            directory.get('F')
        };
        match (filter, directory.get('u')) {
            (Some(filter), _) => {
                filter_of(
                    document,
                    place,
                    "filter",
                    &user_filter(filter),
                    Template::user_filter,
                );
                if let Some(attribute) = attribute_of(filter).filter(|it| is_attribute(it)) {
                    document.set(TABLE, "name_attribute", quoted(&attribute), "");
                }
            }
            (None, Some(attribute)) => {
                let filter = format!("({attribute}={{name}})");
                filter_of(document, place, "filter", &filter, Template::user_filter);
                if is_attribute(attribute) {
                    document.set(TABLE, "name_attribute", quoted(attribute), "");
                }
            }
            (None, None) => {}
        }
        if let Some(dn) = directory.get('D') {
            let file = directory.get('W').map(|file| (file, reader.find(file)));
            let password = match (file, directory.get('w')) {
                (Some((_, Some(path))), _) => Some(path.display().to_string()),
                (Some((file, None)), _) => {
                    let about = format!(
                        "The file with the password is not on this machine.\nbind_dn = {}\nbind_password_file = {}",
                        quoted(dn),
                        quoted(file)
                    );
                    document.remark(TABLE, &about);
                    None
                }
                (None, Some(password)) => {
                    secret = Some(format!("{password}\n"));
                    Some(BIND_PASSWORD.to_owned())
                }
                (None, None) => None,
            };
            if let Some(path) = password {
                document.set(TABLE, "bind_dn", quoted(dn), "");
                document.set(TABLE, "bind_password_file", quoted(&path), "");
            }
        }
        let Some(Asked {
            directory: groups,
            about,
            place,
        }) = &self.groups
        else {
            return secret;
        };
        let filter = groups.get('f').unwrap_or("(&(cn=%g)(member=%u))");
        if filter.to_ascii_lowercase().contains("memberof") {
            document.set(TABLE, "groups", quoted("member_of"), about);
            return secret;
        }
        document.set(TABLE, "groups", quoted("search"), about);
        if let Some(base) = groups.get('b') {
            document.set(TABLE, "group_base", quoted(base), "");
        }
        let by_dn = groups.options.contains_key(&'F') || groups.options.contains_key(&'B');
        if let Some(filter) = group_filter(filter, by_dn) {
            filter_of(document, place, "group_filter", &filter, Template::group_filter);
        }
        if let Some(attribute) =
            group_attribute(groups.get('f').unwrap_or_default()).filter(|it| is_attribute(it))
        {
            document.set(TABLE, "group_attribute", quoted(&attribute), "");
        }
        document.set(
            TABLE,
            "group_depth",
            "1",
            "Squid follows no groups within groups.",
        );
        secret
    }
}

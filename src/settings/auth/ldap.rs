//! `[auth.ldap]`: a directory that passwords are asked of.

use super::range::duration;
use crate::admit::{
    BindBy, GroupSearch, GroupsBy, LdapConfig, LdapLimits, LdapUrl, PasswordLimits, Secret, ServiceAccount,
    Template, Users,
};
use crate::handshake::ServiceTls;
use crate::settings::certificates::roots_in;
use crate::settings::problem::{Diagnostics, FileSpan};
use crate::settings::reader::{At, Section};
use crate::settings::secret::secret;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How groups are found, as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    None,
    Ad,
    MemberOf,
    Search,
}

const BY: [(&str, By); 4] = [
    ("none", By::None),
    ("ad", By::Ad),
    ("member_of", By::MemberOf),
    ("search", By::Search),
];

/// What finds a user where nothing else is said: in AD, and elsewhere.
const AD_FILTER: &str =
    "(&(objectCategory=person)(objectClass=user)(|(sAMAccountName={name})(userPrincipalName={principal})))";
const FILTER: &str = "(uid={name})";
/// What finds the groups of a member, however they name it.
const GROUP_FILTER: &str = "(|(member={dn})(uniqueMember={dn})(memberUid={name}))";

/// The table as written.
#[derive(Debug)]
pub(super) struct LdapTable {
    span: FileSpan,
    urls: Option<At<Vec<At<LdapUrl>>>>,
    plain: Option<At<bool>>,
    ca: Option<At<PathBuf>>,
    user_dn: Option<At<Template>>,
    base: Option<At<String>>,
    filter: Option<At<Template>>,
    name_attribute: Option<At<String>>,
    account: AccountKeys,
    by: By,
    group_base: Option<At<String>>,
    group_filter: Option<At<Template>>,
    group_attribute: Option<At<String>>,
    group_depth: usize,
    group_limit: usize,
    limits: [(&'static str, At<Duration>); 4],
    connections: usize,
    rest: Duration,
}

/// Whom the proxy binds as to search.
#[derive(Debug)]
struct AccountKeys {
    dn: Option<At<String>>,
    file: Option<At<PathBuf>>,
    env: Option<At<String>>,
}

impl LdapTable {
    pub(super) fn read(mut section: Section<'_, '_>) -> Self {
        let usual = LdapLimits::default();
        let step = |section: &mut Section<'_, '_>, key, default| {
            let range = Duration::from_millis(100)..=Duration::from_secs(60);
            let written = section.spans().into_iter().find(|(name, _)| name == key);
            let value = duration(section, key, default, range);
            let span = written.and_then(|(_, span)| span);
            (key, At { value, span })
        };
        let table = Self {
            span: section.span(),
            urls: section.list("urls", LdapUrl::parse),
            plain: section.flag_if_any("plain"),
            ca: section.path_to("ca"),
            user_dn: section.parsed("user_dn", Template::bind_name),
            base: section.text("base"),
            filter: section.parsed("filter", Template::user_filter),
            name_attribute: section.parsed("name_attribute", attribute),
            account: AccountKeys {
                dn: section.text("bind_dn"),
                file: section.path_to("bind_password_file"),
                env: section.text("bind_password_env"),
            },
            by: section.choice("groups", &BY, By::None),
            group_base: section.text("group_base"),
            group_filter: section.parsed("group_filter", Template::group_filter),
            group_attribute: section.parsed("group_attribute", attribute),
            group_depth: section.number("group_depth", 1..=100, 10),
            group_limit: section.number("group_limit", 1..=100_000, 2000),
            limits: [
                step(&mut section, "connect_timeout", usual.connect),
                step(&mut section, "tls_timeout", usual.tls),
                step(&mut section, "bind_timeout", usual.bind),
                step(&mut section, "search_timeout", usual.search),
            ],
            connections: section.number("connections", 1..=1000, 8),
            rest: duration(
                &mut section,
                "retry_after",
                Duration::from_secs(10),
                Duration::from_millis(100)..=Duration::from_secs(3600),
            ),
        };
        section.finish();
        table
    }

    pub(super) fn is_written(&self) -> bool {
        self.span.is_some()
    }

    /// The directory; what is wrong is stated, and then there is none.
    pub(super) fn resolve(self, whole: &PasswordLimits, notes: &mut Diagnostics) -> Option<LdapConfig> {
        let before = notes.problems.len();
        let mut say = |span: &FileSpan, key: &str, message: &str| {
            notes.add(span, format!("auth.ldap.{key}"), message);
        };
        if self.urls.as_ref().is_none_or(|urls| urls.value.is_empty()) {
            let span = self.urls.as_ref().map_or(&self.span, |urls| &urls.span);
            say(span, "urls", "names no server; write urls = [\"ldaps://HOST\"]");
        }
        if self.user_dn.is_none() && self.base.is_none() {
            let message = "is missing: nothing says how to find users; write base = \"DN\" to search below it, or user_dn = \
                           \"uid={name},...\" to bind at once";
            say(&self.span, "base", message);
        }
        if let (None, Some(filter)) = (&self.base, &self.filter) {
            say(
                &filter.span,
                "filter",
                "has no entry to search below; write base = \"DN\" too",
            );
        }
        let lacks_base = match self.by {
            By::None => false,
            By::MemberOf => self.base.is_none() && !self.user_dn.as_ref().is_none_or(|dn| dn.value.is_dn()),
            By::Ad | By::Search => self.base.is_none() && self.group_base.is_none(),
        };
        if lacks_base {
            say(
                &self.span,
                "groups",
                "needs an entry to search below; write base = \"DN\" too",
            );
        }
        for (key, limit) in &self.limits {
            if limit.value > whole.timeout {
                let message = format!(
                    "is more than auth.timeout, which is {:?} for all steps",
                    whole.timeout
                );
                say(&limit.span, key, &message);
            }
        }
        let account = self.account(notes);
        if account.is_none() && self.user_dn.is_none() {
            notes.warn_at(
                &self.span,
                "auth.ldap.bind_dn",
                "is missing: the proxy searches as nobody, which AD refuses and other directories may",
            );
        }
        let tls = self.tls(notes);
        if notes.problems.len() > before {
            return None;
        }
        self.config(whole, account, tls)
    }

    fn config(
        self,
        whole: &PasswordLimits,
        account: Option<ServiceAccount>,
        tls: Option<Arc<ServiceTls>>,
    ) -> Option<LdapConfig> {
        let is_ad = self.by == By::Ad;
        let value =
            |at: Option<At<String>>, default: &str| at.map_or_else(|| default.to_owned(), |at| at.value);
        let base = value(self.base, "");
        let group_base = value(self.group_base, &base);
        let filter = match self.filter {
            Some(filter) => filter.value,
            None => Template::user_filter(if is_ad { AD_FILTER } else { FILTER }).ok()?,
        };
        let name = value(self.name_attribute, if is_ad { "sAMAccountName" } else { "uid" });
        let by = match self.by {
            By::None => GroupsBy::None,
            By::Ad => GroupsBy::Ad,
            By::MemberOf => GroupsBy::MemberOf,
            By::Search => GroupsBy::Search(match self.group_filter {
                Some(filter) => filter.value,
                None => Template::group_filter(GROUP_FILTER).ok()?,
            }),
        };
        let [connect, tls_limit, bind, search] = self.limits.map(|(_, limit)| limit.value);
        Some(LdapConfig {
            servers: self.urls?.value.into_iter().map(|url| url.value).collect(),
            tls,
            bind: self
                .user_dn
                .map_or(BindBy::Search, |dn| BindBy::Template(dn.value)),
            users: (!base.is_empty()).then_some(Users { base, filter, name }),
            account,
            groups: GroupSearch {
                by,
                base: group_base,
                name: value(self.group_attribute, "cn"),
                depth: self.group_depth,
                most: self.group_limit,
            },
            limits: LdapLimits {
                connect,
                tls: tls_limit,
                bind,
                search,
                // A little less than what is waited for: then it is said what was waited for.
                whole: whole.timeout.mul_f32(0.95),
            },
            connections: self.connections,
            waiting: whole.waiting,
            rest: self.rest,
        })
    }

    fn account(&self, notes: &mut Diagnostics) -> Option<ServiceAccount> {
        let AccountKeys { dn, file, env } = &self.account;
        let (key, span, password) = match (file, env) {
            (None, None) => {
                if let Some(dn) = dn {
                    let message = "has no password; write bind_password_file = \"FILE\" or bind_password_env = \"NAME\"";
                    notes.add(&dn.span, "auth.ldap.bind_dn", message);
                }
                return None;
            }
            (file, env) => {
                let keys = ["auth.ldap.bind_password_file", "auth.ldap.bind_password_env"];
                secret(file.as_ref(), env.as_ref(), keys, notes)?
            }
        };
        if password.is_empty() {
            // It would bind as nobody (RFC 4513 section 5.1.2).
            notes.add(span, key, "is empty: that is no password");
            return None;
        }
        let Some(dn) = dn else {
            notes.add(span, key, "is of nobody; write bind_dn = \"DN\" too");
            return None;
        };
        Some(ServiceAccount {
            name: dn.value.clone(),
            password: Secret(password),
        })
    }

    /// How servers are verified; `None` where nothing is encrypted, which has to be asked for.
    fn tls(&self, notes: &mut Diagnostics) -> Option<Arc<ServiceTls>> {
        let urls = self.urls.as_ref()?;
        if let Some(plain) = self.plain.as_ref().filter(|plain| plain.value) {
            const KEY: &str = "auth.ldap.plain";
            if let Some(url) = urls.value.iter().find(|url| url.value.tls) {
                let message = format!(
                    "is for ldap:// servers, and {} is none; leave one of them out",
                    url.value
                );
                notes.add(&plain.span, KEY, message);
            } else if let Some(ca) = &self.ca {
                notes.add(
                    &ca.span,
                    "auth.ldap.ca",
                    "verifies nobody, since plain = true; leave one of them out",
                );
            } else {
                let warning = "passwords go to the directory unencrypted: whoever is on the way reads them";
                notes.warn_at(&plain.span, KEY, warning);
            }
            return None;
        }
        let before = notes.problems.len();
        let roots = self
            .ca
            .as_ref()
            .map(|at| roots_in(&at.value, &at.span, "auth.ldap.ca", notes));
        if notes.problems.len() > before {
            return None;
        }
        match ServiceTls::new(roots, None) {
            Ok(tls) => Some(Arc::new(tls)),
            Err(error) => {
                let message = format!("{error}; name a file with the CA of the servers: ca = \"FILE\"");
                notes.add(&urls.span, "auth.ldap.ca", message);
                None
            }
        }
    }
}

/// The name of an attribute (RFC 4512 section 2.5).
fn attribute(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-.;_".contains(c);
    match text.chars().all(fits) {
        true => Ok(text.to_owned()),
        false => Err(format!(
            "{text:?} is no name of an attribute; write one such as \"cn\""
        )),
    }
}

#[cfg(test)]
#[path = "ldap/tests.rs"]
mod tests;

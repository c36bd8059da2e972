//! `[policy]`: who may go where, and how it is treated on the way.

mod advice;
mod conditions;
mod rule;
mod setting;

use super::lists::Lists;
use super::problem::Diagnostics;
use super::reader::{At, Section};
use crate::admit::{Names, group_name};
use crate::decide::OtherUpgrade;
use crate::decide::policy::{DefaultAction, PolicyConfig, SniTrust, Unknown};
use crate::handshake::OwnCertificate;
use crate::journey::{Clock, OnChange};
use rule::rule;
use setting::{SettingTable, UPGRADES, setting};
use std::cell::RefCell;
use std::time::Duration;

/// The table as written, but for the files that it names.
#[derive(Debug)]
pub(super) struct PolicyTable {
    config: PolicyConfig,
    settings: Vec<SettingTable>,
    /// What rules take the time from.
    pub clock: Clock,
    /// What it does to what is open when it comes.
    pub on_change: OnChange,
}

/// What the policy calls by name, and is written elsewhere.
pub(super) struct Named<'a> {
    /// Lists of hosts.
    pub lists: &'a mut Lists,
    /// The names of the parents.
    pub parents: &'a [String],
}

impl PolicyTable {
    /// Whether a setting names this parent.
    pub(super) fn uses_parent(&self, name: &str) -> bool {
        let settings = self.settings.iter();
        settings
            .flat_map(SettingTable::parents)
            .any(|parent| **parent == *name)
    }

    /// Reads the table; `via` is what holds where no list says otherwise.
    pub(super) fn read(mut section: Section<'_, '_>, named: Named<'_>, via: bool, probe: bool) -> Self {
        let Named { lists, parents } = named;
        let unknown = [("refuse", Unknown::Refuse), ("tunnel", Unknown::Tunnel)];
        let defaults = [("allow", DefaultAction::Allow), ("deny", DefaultAction::Deny)];
        let trusts = [("checked", SniTrust::Checked), ("believed", SniTrust::Believed)];
        let clock = section.parsed("time_zone", Clock::of);
        let within = section.duration("on_change_within", Duration::from_secs(30));
        let changes = [("keep", OnChange::Keep), ("close", OnChange::Close { within })];
        let on_change = section.choice("on_change", &changes, OnChange::Keep);
        let mut names: Vec<(String, usize)> = Vec::new();
        let rules = section.tables("rule", "policy.rule", probe, |section| {
            rule(section, lists, &mut names, probe)
        });
        let settings = section.tables("setting", "policy.setting", probe, |section| {
            setting(section, lists, parents)
        });
        let config = PolicyConfig {
            deny: lists.named(&mut section, "deny"),
            splice: lists.named(&mut section, "splice"),
            rules,
            default: section.choice("default", &defaults, DefaultAction::Allow),
            sni: section.choice("sni", &trusts, SniTrust::Checked),
            allow_invalid_certificate: lists.named(&mut section, "allow_invalid_certificate"),
            only_http1: lists.named(&mut section, "only_http1"),
            via,
            without_via: lists.named(&mut section, "without_via"),
            pages_for_connect: false,
            settings: Vec::new(),
            unknown_protocol: section.choice("unknown_protocol", &unknown, Unknown::Refuse),
            other_upgrades: section.choice("other_upgrades", &UPGRADES, OtherUpgrade::Strip),
        };
        section.finish();
        Self {
            config,
            settings,
            clock: clock.map_or_else(Clock::default, |At { value, .. }| value),
            on_change,
        }
    }

    /// Opens what it names, and says what may be a mistake. Users are called what `names` call them, if clients can show who
    /// they are; `pages_for_connect` is what holds for failed CONNECTs where no setting says otherwise.
    pub(super) fn resolve(
        mut self,
        names: Option<&Names>,
        pages_for_connect: bool,
        notes: &mut Diagnostics,
    ) -> (PolicyConfig, Vec<OwnCertificate>) {
        self.config.pages_for_connect = pages_for_connect;
        let mut identities = Vec::new();
        for table in std::mem::take(&mut self.settings) {
            self.config.settings.push(table.resolve(&mut identities, notes));
        }
        if let Some(names) = names {
            self.rename(names, notes);
        }
        for warning in advice::warnings(&self.config, names.is_some()) {
            notes.warn(warning);
        }
        (self.config, identities)
    }

    /// Calls users and groups what they are called once they are known.
    fn rename(&mut self, names: &Names, notes: &mut Diagnostics) {
        let rules = self.config.rules.iter_mut().map(|rule| {
            let what = format!("policy.rule {:?}", rule.name);
            (what, &mut rule.conditions)
        });
        let settings = self.config.settings.iter_mut().map(|setting| {
            let what = format!("policy.setting at {}", setting.says.at);
            (what, &mut setting.conditions)
        });
        for (what, conditions) in rules.chain(settings) {
            let nobody = RefCell::new(Vec::new());
            let user = |written: &str| match written {
                "*" => written.into(),
                _ => names.user(written).map_or_else(
                    || {
                        nobody.borrow_mut().push(written.to_owned());
                        written.into()
                    },
                    Into::into,
                ),
            };
            conditions.rename(&user, &|written| group_name(written).into());
            for written in nobody.into_inner() {
                notes.warn(format!("{what}: users: {written:?} can be nobody's name"));
            }
        }
    }
}

//! `[auth.address]`: an address is its user's for a time.

use crate::admit::AddressConfig;
use crate::settings::problem::{Diagnostics, FileSpan};
use crate::settings::reader::{At, Section};
use crate::settings::words::network;
use ipnet::IpNet;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Longer, and the next one at a desk is still the last one.
const TIMES: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(7 * 24 * 3600);

/// The table as written.
#[derive(Debug)]
pub(super) struct AddressTable {
    span: FileSpan,
    time: Option<At<Duration>>,
    except: Vec<IpNet>,
    entries: usize,
}

impl AddressTable {
    pub(super) fn read(mut section: Section<'_, '_>) -> Self {
        let except = section.list("except", network);
        let table = Self {
            span: section.span(),
            time: section.duration_if_any("for"),
            except: (except.into_iter().flat_map(|list| list.value))
                .map(|at| at.value)
                .collect(),
            entries: section.number("entries", 1..=10_000_000, 10_000),
        };
        section.finish();
        table
    }

    pub(super) fn is_written(&self) -> bool {
        self.span.is_some()
    }

    /// For how long an address is its user's; `logins` says whether there is a way to log in.
    pub(super) fn resolve(&self, logins: bool, notes: &mut Diagnostics) -> Option<AddressConfig> {
        let Some(time) = &self.time else {
            let message = "does not say for how long an address is its user's; write for = \"8h\"";
            notes.add(&self.span, "auth.address", message);
            return None;
        };
        if !TIMES.contains(&time.value) {
            let message = "is out of range; write a time from \"1s\" to \"7d\"";
            notes.add(&time.span, "auth.address.for", message);
            return None;
        }
        if !logins {
            let message = "remembers logins, and there are none; write [auth.basic], [auth.ldap], [auth.negotiate] or \
                           [auth.bearer] too";
            notes.add(&self.span, "auth.address", message);
            return None;
        }
        Some(AddressConfig {
            time: time.value,
            except: self.except.clone(),
            entries: self.entries,
        })
    }
}

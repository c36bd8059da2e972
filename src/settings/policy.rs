//! `[policy]`: what becomes of a destination.

use super::lists::Lists;
use super::reader::Section;
use crate::decide::OtherUpgrade;
use crate::decide::policy::{PolicyConfig, Unknown};

/// Reads the table; `via` is what holds where no list says otherwise.
pub(super) fn read(mut section: Section<'_, '_>, lists: &mut Lists, via: bool) -> PolicyConfig {
    let unknown = [("refuse", Unknown::Refuse), ("tunnel", Unknown::Tunnel)];
    let upgrades = [
        ("strip", OtherUpgrade::Strip),
        ("tunnel", OtherUpgrade::Tunnel),
        ("refuse", OtherUpgrade::Refuse),
    ];
    let rules = PolicyConfig {
        deny: lists.named(&mut section, "deny"),
        splice: lists.named(&mut section, "splice"),
        allow_invalid_certificate: lists.named(&mut section, "allow_invalid_certificate"),
        only_http1: lists.named(&mut section, "only_http1"),
        via,
        without_via: lists.named(&mut section, "without_via"),
        unknown_protocol: section.choice("unknown_protocol", &unknown, Unknown::Refuse),
        other_upgrades: section.choice("other_upgrades", &upgrades, OtherUpgrade::Strip),
    };
    section.finish();
    rules
}

//! `[network]`: where the proxy may go.

use super::dns::dns;
use super::reader::{At, Section};
use super::words::network;
use crate::decide::Reach;
use crate::dial::{DnsConfig, Hosts};

/// The table, as it is used.
#[derive(Debug)]
pub(super) struct NetworkSettings {
    pub reach: Reach,
    pub hosts: Hosts,
    pub dns: DnsConfig,
}

impl NetworkSettings {
    /// Reads the table; what is wrong is stated and left out.
    pub(super) fn read(mut section: Section<'_, '_>) -> Self {
        let mut nets = |key| {
            let nets = section.list(key, network);
            nets.map(|list| list.value).unwrap_or_default()
        };
        let (allow, deny) = (nets("allow"), nets("deny"));
        for At { value, span } in allow.iter().filter(|net| net.value.prefix_len() == 0) {
            let warning = format!(
                "{value} lets clients reach everything: this machine, private networks and the metadata services of clouds; \
                 name the networks that are meant"
            );
            section.notes().warn_at(span, "network.allow", &warning);
        }
        let values = |nets: Vec<At<_>>| nets.into_iter().map(|net| net.value).collect();
        let reach = Reach::new(values(allow), values(deny));
        let mut hosts = Hosts::default();
        for (name, addresses) in section.map("hosts") {
            if let Err(error) = hosts.insert(&name.value, &addresses) {
                section.note(&name.span, "hosts", error.to_string());
            }
        }
        let dns = dns(section.inner("dns", "network.dns"));
        section.finish();
        Self { reach, hosts, dns }
    }
}

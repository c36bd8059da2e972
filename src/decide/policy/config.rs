//! A policy as configured.

use crate::decide::hosts::List;
use crate::decide::rule::PolicyRule;
use crate::decide::setting::PolicySetting;
use crate::decide::verdict::OtherUpgrade;
use std::sync::Arc;

/// What happens inside a CONNECT to bytes that are neither TLS nor HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Unknown {
    /// They are relayed unread.
    Tunnel,
    /// The connection is closed.
    #[default]
    Refuse,
}

/// What happens where no rule decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum DefaultAction {
    /// It goes on, decrypted.
    #[default]
    Allow,
    /// It goes no further.
    Deny,
}

/// What the SNI is good for in rules that permit something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SniTrust {
    /// A listed SNI permits nothing to a CONNECT target that is not listed too.
    #[default]
    Checked,
    /// The SNI alone counts where there is one, as Squid has it: whoever lies in it is believed.
    Believed,
}

/// The rules as configured, lists compiled.
#[derive(Debug, Clone)]
pub struct PolicyConfig {
    /// What matches one of these is denied, whatever else holds it.
    pub deny: Vec<Arc<List>>,
    /// What matches one of these is spliced, unless it is denied by those.
    pub splice: Vec<Arc<List>>,
    /// The table, which is asked after these.
    pub rules: Vec<PolicyRule>,
    /// What happens where nothing else decides.
    pub default: DefaultAction,
    /// What the SNI is good for.
    pub sni: SniTrust,
    /// What matches one of these may have a certificate that does not verify.
    pub allow_invalid_certificate: Vec<Arc<List>>,
    /// What matches one of these is not offered HTTP/2.
    pub only_http1: Vec<Arc<List>>,
    /// Whether this proxy adds itself to Via (RFC 9110 section 7.6.3).
    pub via: bool,
    /// What matches one of these gets no Via, whatever `via` says.
    pub without_via: Vec<Arc<List>>,
    /// Whether a CONNECT that fails is answered inside of its tunnel.
    pub pages_for_connect: bool,
    /// What holds for some of the traffic, which speaks after these.
    pub settings: Vec<PolicySetting>,
    /// For bytes that are neither TLS nor HTTP.
    pub unknown_protocol: Unknown,
    /// For an Upgrade to something other than WebSocket.
    pub other_upgrades: OtherUpgrade,
}

impl Default for PolicyConfig {
    /// Everything is bumped and verified.
    fn default() -> Self {
        Self {
            deny: Vec::new(),
            splice: Vec::new(),
            rules: Vec::new(),
            default: DefaultAction::Allow,
            sni: SniTrust::Checked,
            allow_invalid_certificate: Vec::new(),
            only_http1: Vec::new(),
            via: true,
            without_via: Vec::new(),
            pages_for_connect: false,
            settings: Vec::new(),
            unknown_protocol: Unknown::Refuse,
            other_upgrades: OtherUpgrade::Strip,
        }
    }
}

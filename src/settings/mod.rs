//! The configuration, in two layers: the file as written (`raw`) and [`Settings`], with everything that the
//! file names opened, parsed and found good. Whatever is wrong is found here, before anything binds.

mod duration;
mod inspect;
mod lists;
mod load;
mod problem;
mod raw;
mod reader;
mod record;
pub mod reload;
mod size;
#[cfg(test)]
mod tests;
mod trust;
mod words;

pub use inspect::RuleInfo;
pub use load::{Overrides, RuleSet, address, level, load, load_rules, load_with};
pub use problem::{Place, Problem, Problems};

use crate::decide::nets::Reach;
use crate::decide::policy::Policy;
use crate::dial::Hosts;
use crate::handshake::ca::Ca;
use crate::handshake::forge::{Forge, ForgeConfig};
use crate::handshake::origin::{Upstream, UpstreamConfig};
use crate::handshake::{ListenerTls, OwnCertificate};
use crate::inspect::Inspection;
use crate::journey::{Limits, Live, Timeouts};
use crate::report::{AccessLog, AuditConfig, RecordConfig, ReportConfig};
use crate::scan::{self, Built, ScannerConfig};
use rustls_pki_types::CertificateDer;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A configuration that is whole and good.
#[derive(Debug)]
pub struct Settings {
    /// The configuration file; `None` when everything is a default or an option.
    pub file: Option<PathBuf>,
    /// Where clients come in; may be empty unless `tls` is.
    pub proxy: Vec<SocketAddr>,
    /// Where clients come in by TLS; may be empty unless `proxy` is.
    pub tls: Vec<SocketAddr>,
    /// What these are shown; `None` for leaves of the CA.
    pub certificate: Option<OwnCertificate>,
    /// Where `/metrics` and its kin are served; may be empty.
    pub admin: Vec<SocketAddr>,
    /// What the logs hold and where they go.
    pub log: Log,
    /// The signing certificate.
    pub ca: CaSource,
    /// What becomes of a destination.
    pub policy: Policy,
    /// Which addresses may be dialled.
    pub reach: Reach,
    /// Names with fixed addresses.
    pub hosts: Hosts,
    /// What is allowed, but may be a mistake: one sentence each.
    pub warnings: Vec<String>,
    /// Every file that this configuration was read from; a change of any of them is worth a reload.
    pub files: Vec<PathBuf>,
    /// The names of the lists, in the order of the file.
    pub lists: Vec<String>,
    /// What is looked into; [`Settings::live`] builds the scanners.
    pub inspection: Inspection,
    /// The rules, in their order, whether or not inspection is enabled.
    pub rules: Vec<RuleInfo>,
    /// Whether the rules are used.
    pub inspection_enabled: bool,
    /// How content is recorded; [`Settings::inspection`] says which.
    pub record: Option<RecordConfig>,
    /// The file that the keys of TLS sessions go to.
    pub tls_key_log: Option<PathBuf>,
    scanners: Vec<ScannerConfig>,
    timeouts: Timeouts,
    limits: Limits,
    identity: Identity,
}

/// The two logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Where the access log goes.
    pub access: AccessLog,
    /// Where findings go.
    pub audit: AuditConfig,
    /// The operational log's level, in `tracing_subscriber`'s filter syntax.
    pub level: String,
}

/// Where the signing certificate is.
#[derive(Debug, Clone)]
pub enum CaSource {
    /// In the files that the configuration names.
    Files {
        /// The certificate's file.
        cert: PathBuf,
        /// What was in the files.
        ca: Arc<Ca>,
    },
    /// In the data directory.
    Own {
        /// The data directory.
        dir: PathBuf,
        /// What was there; `None` before the first start.
        ca: Option<Arc<Ca>>,
    },
}

impl CaSource {
    /// The file with the CA certificate, for people who have to install it.
    pub fn cert_path(&self) -> PathBuf {
        match self {
            Self::Files { cert, .. } => cert.clone(),
            Self::Own { dir, .. } => dir.join("ca.pem"),
        }
    }

    /// The CA, if there is one yet.
    pub fn ca(&self) -> Option<&Arc<Ca>> {
        match self {
            Self::Files { ca, .. } => Some(ca),
            Self::Own { ca, .. } => ca.as_ref(),
        }
    }

    /// The CA; makes one in the data directory if there is none yet.
    ///
    /// # Errors
    /// The data directory cannot be written to.
    pub fn ca_or_create(&mut self) -> Result<Arc<Ca>, Problems> {
        match self {
            Self::Files { ca, .. } | Self::Own { ca: Some(ca), .. } => Ok(ca.clone()),
            Self::Own { dir, ca } => {
                let (made, _) = Ca::load_or_create(dir).map_err(|error| {
                    let advice =
                        "choose a data directory that can be written to: --data-dir DIR, or WSBUMP_DATA_DIR";
                    Problems::of_option("data directory", format!("{}: {error}; {advice}", dir.display()))
                })?;
                Ok(ca.insert(Arc::new(made)).clone())
            }
        }
    }
}

/// What the leaf cache and the origins' session cache were built from: if none of it changes, a reload keeps them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Identity {
    /// The certificate's file as it is, chain included; the key cannot change alone.
    ca: Vec<u8>,
    /// The listeners' certificate with its chain; empty for leaves of the CA. Its key cannot change alone either.
    listener: Vec<CertificateDer<'static>>,
    leaf_entries: usize,
    leaf_lifetime: Duration,
    system_roots: bool,
    extra_roots: Vec<CertificateDer<'static>>,
}

impl Identity {
    fn same_forge(&self, other: &Self) -> bool {
        (&self.ca, self.leaf_entries, self.leaf_lifetime)
            == (&other.ca, other.leaf_entries, other.leaf_lifetime)
    }

    fn same_upstream(&self, other: &Self) -> bool {
        (self.system_roots, &self.extra_roots) == (other.system_roots, &other.extra_roots)
    }
}

/// What a running configuration was made of, and the parts of it that may outlive a reload.
#[derive(Debug, Clone)]
pub struct Kept {
    identity: Identity,
    forge: Arc<Forge>,
    listener: ListenerTls,
    upstream: Arc<Upstream>,
    scanners: Vec<Built>,
}

impl Settings {
    /// How long a drain may take.
    pub fn drain(&self) -> Duration {
        self.timeouts.drain
    }

    /// What the reporting stage has to know.
    pub fn report(&self) -> ReportConfig {
        ReportConfig {
            access: self.log.access.clone(),
            audit: self.log.audit.clone(),
            lists: self.lists.clone(),
            rules: self.rules.iter().map(RuleInfo::label).collect(),
            audit_samples: self.rules.iter().filter_map(RuleInfo::sample).collect(),
            scanners: self.scanners.iter().map(|scanner| scanner.name.clone()).collect(),
            connection_limit: self.limits.connections as u64,
            record: self.record.clone(),
            tls_key_log: self.tls_key_log.is_some(),
        }
    }

    /// Builds what connections are served with. Makes the CA if there is none yet. The leaf cache and the
    /// origins' session cache of `before` are kept if what they were built from has not changed.
    ///
    /// # Errors
    /// The CA cannot be made or used, or the system's roots cannot be read.
    pub fn live(mut self, before: Option<&Kept>) -> Result<(Live, Kept), Problems> {
        let ca = self.ca.ca_or_create()?;
        self.identity.ca = trust::identity_of(&self.ca);
        let whole = |key: &str, error: &dyn std::fmt::Display| Problems {
            list: vec![Problem {
                file: self.file.clone(),
                place: None,
                key: key.into(),
                message: error.to_string(),
            }],
            files: self.files.clone(),
        };
        let forge = match before {
            Some(kept) if kept.identity.same_forge(&self.identity) => kept.forge.clone(),
            _ => {
                let config = ForgeConfig {
                    entries: self.identity.leaf_entries,
                    lifetime: self.identity.leaf_lifetime,
                };
                Arc::new(Forge::new(ca.clone(), config).map_err(|error| whole("ca.cert", &error))?)
            }
        };
        let listener = match (&self.certificate, before) {
            (None, _) => ListenerTls::Forged(forge.clone()),
            (Some(_), Some(kept)) if kept.identity.listener == self.identity.listener => {
                kept.listener.clone()
            }
            (Some(certificate), _) => {
                ListenerTls::certificate(certificate).map_err(|error| whole("listen.cert", &error))?
            }
        };
        let upstream = match before {
            Some(kept) if kept.identity.same_upstream(&self.identity) => kept.upstream.clone(),
            _ => {
                let config = UpstreamConfig {
                    system_roots: self.identity.system_roots,
                    extra_roots: self.identity.extra_roots.clone(),
                };
                Arc::new(Upstream::new(config).map_err(|error| whole("origin.system_roots", &error))?)
            }
        };
        crate::handshake::log_keys_to(self.tls_key_log.as_deref())
            .map_err(|error| whole("record.tls_key_log", &error))?;
        let before = before.map_or(&[][..], |kept| &kept.scanners);
        let scanners = scan::rebuild(self.scanners, before);
        self.inspection.scanners = scanners.iter().map(|built| built.scanner.clone()).collect();
        let kept = Kept {
            scanners,
            identity: self.identity,
            forge: forge.clone(),
            listener: listener.clone(),
            upstream: upstream.clone(),
        };
        let live = Live {
            policy: self.policy,
            reach: self.reach,
            hosts: self.hosts,
            ca,
            forge,
            listener,
            upstream,
            timeouts: self.timeouts,
            limits: self.limits,
            inspection: Arc::new(self.inspection),
        };
        Ok((live, kept))
    }
}

/// `path`, taken from the directory of `file`.
fn relative_to(file: Option<&Path>, path: &Path) -> PathBuf {
    match file.and_then(Path::parent) {
        Some(dir) => dir.join(path),
        None => path.into(),
    }
}

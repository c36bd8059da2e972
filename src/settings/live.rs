//! From settings to what connections are served with. What may outlive a reload is built anew only if what it was built
//! from has changed.

use super::console::CONSOLE;
use super::listener::{NamedListener, TLS};
use super::load::Settings;
use super::problem::{Problem, Problems};
use super::site::SiteFile;
use crate::admit::{Admission, AdmitConfig, AdmitWatch, LaterRoad, Road};
use crate::dial::{DnsConfig, NameWatch, Parents, Resolver, ServiceNames};
use crate::handshake::forge::{Forge, ForgeConfig};
use crate::handshake::origin::{Upstream, UpstreamConfig};
use crate::handshake::{ClientAuth, CrlShelf, FetchedCrls, ListenerTls};
use crate::journey::{Config, ListenerOptions, Listeners, NameTrust, Sites};
use crate::portal::{Portal, PublicRoots};
use crate::scan::{self, Built};
use rustls_pki_types::CertificateDer;
use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt::Display;
use std::sync::Arc;

/// Hears of what happens outside of connections.
pub trait ServedWatch: AdmitWatch + NameWatch {}

impl<T: AdmitWatch + NameWatch> ServedWatch for T {}

/// The parts of a running configuration that may outlive a reload.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The leaf cache, and the identity of its CA.
    forge: MadeForge,
    /// The same of what signs for origins whose certificates do not verify.
    untrusted: Option<MadeForge>,
    /// The listeners' own certificates with their chains; their keys cannot change alone.
    certificates: HashMap<Arc<str>, Made<Vec<CertificateDer<'static>>, ListenerTls>>,
    /// The origins' session cache.
    upstream: Made<UpstreamConfig, Arc<Upstream>>,
    /// The lists that were fetched.
    crls: Made<FetchedCrls, Arc<CrlShelf>>,
    /// The DNS cache.
    resolver: Made<DnsConfig, Arc<Resolver>>,
    /// How scanners are found, whenever they were made.
    names: ServiceNames,
    /// What is known of how they do.
    parents: Arc<Parents>,
    scanners: Vec<Built>,
    /// Leads to an issuer's keys.
    road: Arc<LaterRoad>,
    /// What is remembered of logins.
    admission: Option<Made<AdmitConfig, Arc<Admission>>>,
}

/// By the CA's certificate, and the size of the cache.
type MadeForge = Made<(Vec<u8>, ForgeConfig), Arc<Forge>>;

/// A part, and what it was made from.
#[derive(Debug, Clone)]
struct Made<F, T> {
    from: F,
    part: T,
}

impl<F: PartialEq, T: Clone> Made<F, T> {
    /// The part of `before`, if it was made from the same; else a new one.
    fn again<E>(before: Option<&Self>, from: F, make: impl FnOnce(&F) -> Result<T, E>) -> Result<Self, E> {
        let part = match before {
            Some(made) if made.from == from => made.part.clone(),
            _ => make(&from)?,
        };
        Ok(Self { from, part })
    }
}

impl Settings {
    /// Builds what connections are served with. Makes the CA if there is none yet. The leaf cache and the
    /// origins' session cache of `before` are kept if what they were built from has not changed. `watch` hears of logins and
    /// of look-ups.
    ///
    /// # Errors
    /// The CA cannot be made or used, or the system's roots cannot be read.
    pub fn live(
        mut self,
        before: Option<&Kept>,
        watch: &Arc<dyn ServedWatch>,
    ) -> Result<(Config, Kept), Problems> {
        let ca = self.ca.ca_or_create()?;
        let (file, files) = (self.file, self.files);
        let whole = |key: &str, error: &dyn Display| Problems {
            list: vec![Problem {
                file: file.clone(),
                place: None,
                key: key.into(),
                message: error.to_string(),
            }],
            files: files.clone(),
        };
        let forge = Made::again(
            before.map(|kept| &kept.forge),
            (self.ca.identity(), self.leaf_cache),
            |(_, leaf_cache)| Forge::new(ca.clone(), *leaf_cache).map(Arc::new),
        );
        let forge = forge.map_err(|error| whole("ca.cert", &error))?;
        let untrusted = match self.untrusted_ca {
            None => None,
            Some(ca) => {
                let before = before.and_then(|kept| kept.untrusted.as_ref());
                let made = Made::again(before, (ca.pem().as_bytes().to_vec(), self.leaf_cache), |_| {
                    Forge::new(ca.clone(), self.leaf_cache).map(Arc::new)
                });
                Some(made.map_err(|error| whole("ca.untrusted_cert", &error))?)
            }
        };
        let mut certificates = HashMap::new();
        let named = self.named.iter();
        let named = named.filter_map(|named| Some((&named.config.name, named.certificate.as_ref()?)));
        let tls = Arc::from(TLS);
        let own = self.certificate.as_ref().map(|certificate| (&tls, certificate));
        let console_name = Arc::from(CONSOLE);
        let console = self.console_certificate.as_ref();
        let console = console.map(|certificate| (&console_name, certificate));
        for (name, certificate) in own.into_iter().chain(console).chain(named) {
            let before = before.and_then(|kept| kept.certificates.get(name));
            let made = Made::again(before, certificate.chain().to_vec(), |_| {
                ListenerTls::certificate(certificate)
            });
            let made = made.map_err(|error| whole("listen.cert", &error))?;
            certificates.insert(Arc::clone(name), made);
        }
        let roots = PublicRoots {
            system: self.upstream.system_roots,
            extra: self.upstream.extra_roots.clone(),
        };
        let portal = Arc::new(Portal::new(self.portal, &ca, roots));
        let upstream = Made::again(before.map(|kept| &kept.upstream), self.upstream, |config| {
            Upstream::new(config.clone()).map(Arc::new)
        });
        let upstream = upstream.map_err(|error| whole("origin.system_roots", &error))?;
        let known = before.map(|kept| &kept.crls);
        let Ok(crls) = Made::again(known, self.fetched_crls, |config| {
            let shelf = CrlShelf::open(config.clone(), known.map(|made| &*made.part));
            Ok::<_, Infallible>(Arc::new(shelf))
        });
        let used = upstream.part.use_crls(&crls.part);
        used.map_err(|error| whole("origin.crl_urls", &error))?;
        let resolver = Made::again(before.map(|kept| &kept.resolver), self.dns, |config| {
            Resolver::new(config.clone()).map(Arc::new)
        });
        let resolver = resolver.map_err(|error| whole("network.dns", &error))?;
        crate::handshake::log_keys_to(self.tls_key_log.as_deref())
            .map_err(|error| whole("record.tls_key_log", &error))?;
        let auth_certificates = (self.auth.as_ref())
            .and_then(|auth| auth.certificate.as_ref())
            .map(|certificate| certificate.tls.clone());
        let road = before.map_or_else(Arc::default, |kept| Arc::clone(&kept.road));
        let leads: Arc<dyn Road> = road.clone();
        let admission = self.auth.map(|config| {
            let known = before.and_then(|kept| kept.admission.as_ref());
            let Ok(made) = Made::again(known, config, |config| {
                let known = known.map(|made| &*made.part);
                let admission = Admission::again(config.clone(), watch.clone(), &leads, known);
                Ok::<_, Infallible>(Arc::new(admission))
            });
            made
        });
        let asked = auth_certificates.map(|config| ClientAuth::new(config).map(Arc::new));
        let client_auth = asked.transpose();
        let client_auth = client_auth.map_err(|error| whole("auth.certificate.ca", &error))?;
        let parents = Parents::again(self.parents, before.map(|kept| &*kept.parents));
        let parents = Arc::new(parents);
        let names = before.map_or_else(ServiceNames::default, |kept| kept.names.clone());
        names.follow(
            self.hosts.clone(),
            resolver.part.clone(),
            self.timeouts.dns,
            watch.clone(),
        );
        let before = before.map_or(&[][..], |kept| &kept.scanners);
        let scanners = scan::rebuild(self.scanners, &names, before);
        self.inspection.scanners = scanners.iter().map(|built| built.scanner.clone()).collect();
        let usual = ListenerOptions {
            tls: ListenerTls::Forged(forge.part.clone()),
            only_http1: false,
            proxy_protocol: None,
            forwarded_for: None,
            sites: None,
            names: NameTrust::Verify,
        };
        let shown = |name: &str| {
            let made = certificates.get(name);
            made.map_or_else(|| usual.tls.clone(), |made| made.part.clone())
        };
        let mut listeners = HashMap::new();
        let console = certificates.contains_key(CONSOLE).then_some(console_name);
        for name in self.listen.names().into_iter().chain(console) {
            let mut options = usual.clone();
            options.tls = shown(&name);
            listeners.insert(name, Arc::new(options));
        }
        for NamedListener {
            config, own, sites, ..
        } in self.named
        {
            let sites = sites
                .into_iter()
                .map(SiteFile::open)
                .collect::<Result<Vec<_>, _>>();
            let sites = sites.map_err(|error| whole("listener.site.cert", &error))?;
            let sites = (!sites.is_empty()).then(|| Arc::new(Sites::new(sites)));
            let options = ListenerOptions {
                tls: shown(&config.name),
                only_http1: own.only_http1,
                proxy_protocol: own.proxy_protocol,
                forwarded_for: own.forwarded_for.map(Arc::new),
                sites,
                names: own.names,
            };
            listeners.insert(config.name, Arc::new(options));
        }
        let live = Config {
            policy: self.policy,
            client_auth,
            clock: self.clock,
            on_change: self.on_change,
            client_certificates: self.client_certificates,
            reach: self.reach,
            hosts: self.hosts,
            resolver: resolver.part.clone(),
            parents: Arc::clone(&parents),
            ca,
            forge: forge.part.clone(),
            untrusted: untrusted.as_ref().map(|made| made.part.clone()),
            listeners: Listeners::new(listeners, usual),
            upstream: upstream.part.clone(),
            crls: crls.part.clone(),
            admin: Arc::new(self.admin),
            console: Arc::new(self.console),
            admission: admission.as_ref().map(|made| made.part.clone()),
            road: Arc::clone(&road),
            fetch_intermediates: self.fetch_intermediates,
            timeouts: self.timeouts,
            limits: self.limits,
            client_limits: self.client_limits,
            logged: self.logged,
            pages: Arc::new(self.pages),
            portal,
            view: self.view,
            inspection: Arc::new(self.inspection),
        };
        let kept = Kept {
            forge,
            untrusted,
            certificates,
            upstream,
            crls,
            resolver,
            names,
            parents,
            scanners,
            road,
            admission,
        };
        Ok((live, kept))
    }
}

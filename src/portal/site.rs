//! What there is, where, and in which language.

use super::files::{self, PublicRoots};
use super::page::{self, Shown};
use super::text::Language;
use crate::handshake::ca::Ca;
use crate::http::negotiate;
use crate::wire::names::{Authority, Host};
use bytes::Bytes;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// What the operator says about it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PortalConfig {
    /// Its host; `None` if there is no portal.
    pub host: Option<String>,
    /// What is inspected and why, by the tags of languages.
    pub purpose: Vec<(String, String)>,
    /// Whose proxy it is.
    pub organisation: String,
    /// Whom to ask.
    pub contact: String,
    /// For whoever asks for no language that there is.
    pub language: String,
    /// The script by which clients find the proxy.
    pub pac: Option<Arc<str>>,
}

/// The paths of that script: the one that people write down, and that of Web Proxy Auto-Discovery.
const SCRIPTS: [&str; 2] = ["/proxy.pac", "/wpad.dat"];

/// The list of revoked leaves, which clients ask for without their proxy.
const LIST: &str = "/ca.crl";

/// How long one list is handed out before the next is signed; each is good for a week.
const LIST_AGE: Duration = Duration::from_secs(3600);

/// The portal.
#[derive(Debug)]
pub struct Portal {
    config: PortalConfig,
    /// The host whose certificate tells whether the CA is trusted.
    trust: String,
    ca: Shop,
}

/// The CA, as it is handed out.
#[derive(Debug)]
struct Shop {
    pem: String,
    der: Vec<u8>,
    subject: String,
    fingerprint: String,
    until: String,
    roots: PublicRoots,
    bundle: OnceLock<Bytes>,
    /// What signs the list of revoked leaves, if leaves name one.
    signer: Option<Arc<Ca>>,
    /// The list, and when it was signed.
    crl: Mutex<Option<(Instant, Bytes)>>,
}

/// Something that can be downloaded.
#[derive(Debug, Clone)]
pub struct File {
    /// What it is called on whoever's machine.
    pub name: Option<&'static str>,
    /// Its type.
    pub kind: &'static str,
    /// Its content.
    pub content: Bytes,
    /// Whether it is a page that runs a script of the portal's.
    pub scripted: bool,
}

/// Who asks, and how.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reader<'a> {
    /// The query of the address.
    pub query: &'a str,
    /// The value of Accept-Language.
    pub languages: &'a str,
    /// The value of User-Agent.
    pub agent: &'a str,
}

/// Whether this is where a portal is: its host, or the one that shows whether the CA is trusted, by their usual ports.
pub fn is_at(config: &PortalConfig, target: &Authority) -> bool {
    let (Some(host), Host::Name(name)) = (&config.host, &target.host) else {
        return false;
    };
    let name = name.trim_end_matches('.');
    let is_trust = || name.len() == TRUST.len() + host.len() && name.get(..TRUST.len()) == Some(TRUST);
    let is_its = || {
        name.get(TRUST.len()..)
            .is_some_and(|rest| rest.eq_ignore_ascii_case(host))
    };
    matches!(target.port, 80 | 443) && (name.eq_ignore_ascii_case(host) || is_trust() && is_its())
}

/// What stands before the host that shows whether the CA is trusted.
const TRUST: &str = "trust.";

impl Portal {
    /// A portal for clients of this CA. `roots` are those that servers are verified by.
    pub fn new(config: PortalConfig, ca: &Arc<Ca>, roots: PublicRoots) -> Self {
        let host = config.host.as_deref().unwrap_or_default();
        Self {
            trust: format!("{TRUST}{host}"),
            ca: Shop {
                pem: ca.root_pem(),
                der: ca.root_der().to_vec(),
                subject: ca.subject().to_owned(),
                fingerprint: ca.root_fingerprint_sha256(),
                until: files::date(ca.not_after()),
                roots,
                bundle: OnceLock::new(),
                signer: ca.crl_url().map(|_| Arc::clone(ca)),
                crl: Mutex::default(),
            },
            config,
        }
    }

    /// Whether this is where it is: its host, or the one that shows whether the CA is trusted, by their usual ports.
    pub fn is_at(&self, target: &Authority) -> bool {
        is_at(&self.config, target)
    }

    /// Where a request for this path goes that is made of the proxy as of a server. A client that does not yet know its proxy
    /// has no other way to ask for the script, and what verifies certificates asks for the list without its proxy.
    pub fn home(&self, path: &str) -> Option<Authority> {
        let host = self.config.host.as_ref()?;
        let path = path.split('?').next()?;
        let is_script = self.config.pac.is_some() && SCRIPTS.contains(&path);
        let is_list = self.ca.signer.is_some() && path == LIST;
        (is_script || is_list).then(|| Authority {
            host: Host::Name(host.clone()),
            port: 80,
        })
    }

    /// What is at this path, and `None` if nothing is. The first time that the bundle is asked for it reads files.
    pub fn file(&self, path: &str, reader: Reader<'_>) -> Option<File> {
        let text = |kind, text: String| File {
            name: None,
            kind,
            content: text.into(),
            scripted: false,
        };
        let download = |name, kind, content: Bytes| File {
            name: Some(name),
            kind,
            content,
            scripted: false,
        };
        Some(match path {
            "/" => text("text/html; charset=utf-8", self.page(reader)),
            "/websocket" => File {
                scripted: true,
                ..text(
                    "text/html; charset=utf-8",
                    page::websocket(self.host(), self.language(reader)),
                )
            },
            "/websocket.js" => text(
                "text/javascript; charset=utf-8",
                include_str!("websocket.js").to_owned(),
            ),
            "/style.css" => text("text/css; charset=utf-8", include_str!("style.css").to_owned()),
            "/qr.svg" => text("image/svg+xml", files::qr(&self.url())?),
            "/trusted.svg" => text("image/svg+xml", page::trusted(self.language(reader))),
            "/ca.pem" => download(
                "wsbump-ca.pem",
                "application/x-pem-file",
                self.ca.pem.clone().into(),
            ),
            "/ca.crt" => download(
                "wsbump-ca.crt",
                "application/x-x509-ca-cert",
                self.ca.der.clone().into(),
            ),
            "/ca.mobileconfig" => download(
                "wsbump-ca.mobileconfig",
                "application/x-apple-aspen-config",
                files::mobileconfig(&self.ca.der, &self.ca.subject).into(),
            ),
            "/bundle.pem" => download("wsbump-bundle.pem", "application/x-pem-file", self.bundle()),
            path if SCRIPTS.contains(&path) => {
                let script = self.config.pac.as_deref()?;
                text("application/x-ns-proxy-autoconfig", script.to_owned())
            }
            "/install.sh" => {
                let script = include_str!("install.sh").replace("{{HOST}}", self.config.host.as_deref()?);
                download(
                    "wsbump-install.sh",
                    "text/x-shellscript; charset=utf-8",
                    script.into(),
                )
            }
            // RFC 2585 section 4.2.
            LIST => File {
                name: None,
                kind: "application/pkix-crl",
                content: self.crl()?,
                scripted: false,
            },
            "/policies.json" => download("policies.json", "application/json", files::POLICIES.into()),
            _ => return None,
        })
    }

    /// The CA and the public roots.
    fn bundle(&self) -> Bytes {
        let bundle = || files::bundle(&self.ca.pem, &self.ca.roots).into();
        self.ca.bundle.get_or_init(bundle).clone()
    }

    /// The list of revoked leaves, if they name one.
    fn crl(&self) -> Option<Bytes> {
        let signer = self.ca.signer.as_ref()?;
        let mut kept = self.ca.crl.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((signed, list)) = &*kept
            && signed.elapsed() < LIST_AGE
        {
            return Some(list.clone());
        }
        match signer.empty_crl() {
            Ok(list) => {
                let list = Bytes::from(list);
                *kept = Some((Instant::now(), list.clone()));
                Some(list)
            }
            Err(error) => {
                tracing::error!("the list of revoked leaves cannot be signed: {error}");
                None
            }
        }
    }

    /// Its host; empty if there is none.
    pub(super) fn host(&self) -> &str {
        self.config.host.as_deref().unwrap_or_default()
    }

    /// The host whose certificate tells whether the CA is trusted.
    pub(super) fn trust(&self) -> &str {
        &self.trust
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://{}/", self.host())
    }

    fn language(&self, reader: Reader<'_>) -> Language {
        let mut asked = reader
            .query
            .split('&')
            .filter_map(|pair| pair.strip_prefix("lang="));
        let tags = Language::ALL.map(|language| Box::from(language.tag()));
        let accepted = || negotiate([reader.languages].into_iter(), &tags);
        (asked.next().and_then(Language::of))
            .or_else(|| Language::ALL.get(accepted()?).copied())
            .or_else(|| Language::of(&self.config.language))
            .unwrap_or(Language::English)
    }

    fn page(&self, reader: Reader<'_>) -> String {
        let language = self.language(reader);
        let purposes = &self.config.purpose;
        let purpose = purposes
            .iter()
            .find(|(tag, _)| tag.eq_ignore_ascii_case(language.tag()))
            .or(purposes.first());
        let shown = Shown {
            host: self.host(),
            trust: &self.trust,
            organisation: &self.config.organisation,
            contact: &self.config.contact,
            purpose: purpose.map_or("", |(_, text)| text),
            subject: &self.ca.subject,
            fingerprint: &self.ca.fingerprint,
            until: &self.ca.until,
            likely: page::likely(reader.agent),
        };
        page::page(&shown, language)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn portal(host: Option<&str>) -> Portal {
        let ca = Arc::new(Ca::generate("Test").unwrap().0);
        let config = PortalConfig {
            host: host.map(str::to_owned),
            purpose: vec![
                ("de".to_owned(), "Schutz vor Schadsoftware".to_owned()),
                ("ja".to_owned(), "マルウェア対策".to_owned()),
            ],
            language: "en".to_owned(),
            ..PortalConfig::default()
        };
        Portal::new(config, &ca, PublicRoots::default())
    }

    #[test]
    fn it_is_at_its_two_names_by_their_usual_ports_and_nowhere_else() {
        let here = portal(Some("wsbump.internal"));
        for (target, expected) in [
            ("wsbump.internal:80", true),
            ("WSBUMP.internal.:443", true),
            ("trust.wsbump.internal:443", true),
            ("wsbump.internal:8080", false),
            ("other.wsbump.internal:443", false),
            ("a.test:443", false),
            ("127.0.0.1:80", false),
        ] {
            let target = Authority::parse(target, None).unwrap();
            assert_eq!(here.is_at(&target), expected, "{target}");
            assert!(!portal(None).is_at(&target), "{target}");
        }
    }

    #[test]
    fn the_language_is_asked_for_negotiated_or_the_operators() {
        let portal = portal(Some("wsbump.internal"));
        for (query, languages, wanted) in [
            ("", "", Language::English),
            ("", "ja-JP, en;q=0.5", Language::Japanese),
            ("lang=en", "ja", Language::English),
            ("a=b&lang=ja", "en", Language::Japanese),
            ("lang=xx", "ja", Language::Japanese),
            ("", "de", Language::English),
        ] {
            let reader = Reader {
                query,
                languages,
                agent: "",
            };
            assert_eq!(portal.language(reader), wanted, "{query} {languages}");
        }
        let page = |languages| {
            let file = portal
                .file(
                    "/",
                    Reader {
                        languages,
                        ..Reader::default()
                    },
                )
                .unwrap();
            String::from_utf8(file.content.to_vec()).unwrap()
        };
        assert!(page("ja").contains("マルウェア対策"));
        assert!(page("en").contains("Schutz vor Schadsoftware"));
    }

    #[test]
    fn the_list_of_revoked_leaves_is_there_where_leaves_name_one() {
        let without = portal(Some("wsbump.internal"));
        assert!(without.file(LIST, Reader::default()).is_none() && without.home(LIST).is_none());
        let ca = Ca::generate("Test").unwrap().0;
        let ca = Arc::new(ca.naming_crl(Some("http://a.example/ca.crl".into())));
        let config = PortalConfig {
            host: Some("wsbump.internal".to_owned()),
            ..PortalConfig::default()
        };
        let portal = Portal::new(config, &ca, PublicRoots::default());
        let file = portal.file(LIST, Reader::default()).unwrap();
        assert_eq!(file.kind, "application/pkix-crl");
        // One list is signed once in a while, however many ask.
        let again = portal.file(LIST, Reader::default()).unwrap();
        assert_eq!(file.content, again.content);
        assert_eq!(
            portal.home("/ca.crl?x").unwrap().to_string(),
            "wsbump.internal:80"
        );
        assert!(portal.home("/ca.pem").is_none());
        let nowhere = Portal::new(PortalConfig::default(), &ca, PublicRoots::default());
        assert!(nowhere.home(LIST).is_none());
    }

    #[test]
    fn what_is_downloaded_is_the_ca_and_never_its_key() {
        let portal = portal(Some("wsbump.internal"));
        for path in [
            "/ca.pem",
            "/ca.crt",
            "/ca.mobileconfig",
            "/bundle.pem",
            "/policies.json",
            "/install.sh",
            "/qr.svg",
            "/style.css",
            "/",
        ] {
            let file = portal.file(path, Reader::default()).unwrap();
            assert!(
                !String::from_utf8_lossy(&file.content).contains("PRIVATE KEY"),
                "{path}"
            );
        }
        assert!(portal.file("/ca.key", Reader::default()).is_none());
        assert!(portal.file("/metrics", Reader::default()).is_none());
    }
}

//! Whose doing it is. Pure: it compares what the two roads showed.

use super::examine::Findings;
use super::facts::{Answer, OverHttp2, Road, TroubleKind, Trust, shown};
use super::target::Target;

/// Who has to do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// All is well.
    Nobody,
    /// The proxy, or who runs it.
    Proxy,
    /// The target, or who runs it.
    Origin,
    /// This machine, or the program on it: its settings, its roots, its credentials.
    Client,
    /// The network in between.
    Network,
}

impl Whose {
    /// A word for programs.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::Proxy => "proxy",
            Self::Origin => "origin",
            Self::Client => "client",
            Self::Network => "network",
        }
    }
}

/// What it comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whose doing it is.
    pub whose: Whose,
    /// Whether a run without the proxy has shown it; else it is only likely.
    pub is_sure: bool,
    /// The row of docs/troubleshooting.md that it is.
    pub symptom: Option<u8>,
    /// What was seen.
    pub text: String,
    /// What to do first.
    pub remedy: String,
}

impl Verdict {
    /// The one line at the end.
    pub fn line(&self) -> String {
        let whose = match (self.whose, self.is_sure) {
            (Whose::Nobody, _) => return format!("All is well: {}.", self.text),
            (Whose::Proxy, true) => "It is the proxy",
            (Whose::Proxy, false) => "It is most likely the proxy",
            (Whose::Origin, true) => "It is not the proxy",
            (Whose::Origin, false) => "It is most likely the target itself",
            (Whose::Client, _) => "It is this machine",
            (Whose::Network, _) => "It is the network",
        };
        format!("{whose}: {}. First: {}.", self.text, self.remedy)
    }
}

/// What is judged by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    Reach,
    Connect,
    Tls,
    Trust,
    Http,
    WebSocket,
    Deflate,
    OverHttp2,
    Idle,
}

impl Check {
    const ALL: [Self; 9] = [
        Self::Reach,
        Self::Connect,
        Self::Tls,
        Self::Trust,
        Self::Http,
        Self::WebSocket,
        Self::Deflate,
        Self::OverHttp2,
        Self::Idle,
    ];
}

/// What a verdict is made of.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// What was examined.
    pub target: &'a Target,
    /// Whether the proxy was shown credentials.
    pub has_credentials: bool,
    /// What was found out.
    pub findings: &'a Findings,
}

/// Whether the road without the proxy has the same trouble.
pub(super) enum Compared {
    /// The same works without the proxy.
    OnlyProxied,
    /// It is the same without the proxy.
    Same,
    /// There is nothing to compare with: the direct road did not come so far.
    Alone,
    /// There is no proxy.
    NoProxy,
}

impl Case<'_> {
    /// The first of what was found, or that all is well.
    pub fn verdict(&self) -> Verdict {
        let first = self.found().into_iter().next();
        first.map_or_else(|| self.well(self.road()), |(_, verdict)| verdict)
    }

    /// Everything that is wrong, with the check that found it, in the order in which a connection meets it.
    pub(super) fn found(&self) -> Vec<(Check, Verdict)> {
        let road = self.road();
        let mut found = Vec::new();
        for check in Check::ALL {
            let verdict = match check {
                Check::Reach => self.reached(road),
                Check::Connect => self.tunnelled(road),
                Check::Tls => self.shook_hands(road),
                Check::Trust => self.trusted(road),
                Check::Http => self.asked(road),
                Check::WebSocket => self.upgraded(road),
                Check::Deflate => self.extended(road),
                Check::OverHttp2 => self.over_http2(road),
                Check::Idle => self.stayed(road),
            };
            found.extend(verdict.map(|verdict| (check, verdict)));
        }
        found
    }

    /// The road that programs go.
    pub(super) fn road(&self) -> &Road {
        self.findings.proxied.as_ref().unwrap_or(&self.findings.direct)
    }

    pub(super) fn is_proxied(&self) -> bool {
        self.findings.proxied.is_some()
    }

    /// The road to compare with, if it led to the target.
    pub(super) fn other(&self) -> Option<&Road> {
        (self.is_proxied() && self.findings.direct.is_open()).then_some(&self.findings.direct)
    }

    /// Compares by what `ask` finds on the direct road: whether the same thing works there; `None` is no answer.
    pub(super) fn compared(&self, ask: impl Fn(&Road) -> Option<bool>) -> Compared {
        if !self.is_proxied() {
            return Compared::NoProxy;
        }
        match self.other().and_then(ask) {
            Some(true) => Compared::OnlyProxied,
            Some(false) => Compared::Same,
            None => Compared::Alone,
        }
    }

    pub(super) fn blamed(
        &self,
        compared: &Compared,
        symptom: Option<u8>,
        text: String,
        for_proxy: impl Into<String>,
        for_origin: impl Into<String>,
    ) -> Verdict {
        let (whose, is_sure, text, remedy) = match compared {
            Compared::OnlyProxied => (
                Whose::Proxy,
                true,
                format!("{text}, and without the proxy it works"),
                for_proxy.into(),
            ),
            Compared::Same => (
                Whose::Origin,
                true,
                format!("{text}, and without the proxy it is the same"),
                for_origin.into(),
            ),
            Compared::Alone => (Whose::Proxy, false, text, for_proxy.into()),
            Compared::NoProxy => (Whose::Origin, false, text, for_origin.into()),
        };
        Verdict {
            whose,
            is_sure,
            symptom,
            text,
            remedy,
        }
    }

    fn reached(&self, road: &Road) -> Option<Verdict> {
        let names = road.names.as_ref().and_then(|names| names.trouble());
        let dial = road.dial.as_ref().and_then(|dial| dial.trouble());
        let verdict = |whose, text: String, remedy: &str| {
            Some(Verdict {
                whose,
                is_sure: true,
                symptom: None,
                text,
                remedy: remedy.to_owned(),
            })
        };
        if self.is_proxied() {
            if let Some(trouble) = names {
                let text = format!("the proxy's name does not resolve ({})", trouble.text);
                return verdict(
                    Whose::Client,
                    text,
                    "correct the proxy's name, or this machine's DNS",
                );
            }
            if let Some(trouble) = dial {
                let text = format!("the proxy does not accept connections ({})", trouble.text);
                let remedy = "start the proxy, or correct its port; a silent port may be a firewall's";
                return verdict(Whose::Proxy, text, remedy);
            }
            let tls = road.proxy_tls.as_ref().and_then(|tls| tls.trouble())?;
            let text = format!("TLS with the proxy itself fails ({})", tls.text);
            let remedy =
                "write http:// instead of https:// before the proxy if it speaks no TLS on this port";
            return verdict(Whose::Client, text, remedy);
        }
        if let Some(trouble) = names {
            let text = format!("the target's name does not resolve here ({})", trouble.text);
            let remedy = "correct the name or this machine's DNS; behind a company's proxy only the proxy may know it: give --proxy";
            return verdict(Whose::Network, text, remedy);
        }
        let trouble = dial?;
        let text = format!("the target does not accept connections ({})", trouble.text);
        let (whose, remedy) = match trouble.kind {
            TroubleKind::Refused => (Whose::Origin, "start what listens there, or correct the port"),
            _ => (
                Whose::Network,
                "ask for the way out of this network; if it is a proxy, give --proxy",
            ),
        };
        verdict(whose, text, remedy)
    }

    fn tunnelled(&self, road: &Road) -> Option<Verdict> {
        let connect = road.connect.as_ref()?;
        let direct = &self.findings.direct;
        let answer = match &connect.result {
            Ok(answer) if answer.status / 100 == 2 => return None,
            Ok(answer) => answer,
            Err(trouble) => {
                let text = format!(
                    "the proxy does not answer the CONNECT properly ({})",
                    trouble.text
                );
                return Some(Verdict {
                    whose: Whose::Proxy,
                    is_sure: trouble.kind != TroubleKind::Silence || direct.is_open(),
                    symptom: None,
                    text,
                    remedy: "see whether this is a proxy's port, and what its log says of the CONNECT"
                        .to_owned(),
                });
            }
        };
        if let 401 | 407 = answer.status {
            return Some(self.unknown(answer));
        }
        let by_policy = matches!(answer.status, 403 | 405 | 451);
        // A network that lets nobody out but by the proxy proves nothing by its silence.
        let is_refused = direct
            .dial
            .as_ref()
            .and_then(|dial| dial.trouble())
            .is_some_and(|trouble| trouble.kind == TroubleKind::Refused);
        let has_no_name = direct
            .names
            .as_ref()
            .is_some_and(|names| names.trouble().is_some());
        let (whose, is_sure, text, remedy) = match (by_policy, direct.is_open()) {
            (true, _) => (
                Whose::Proxy,
                true,
                format!("the proxy forbids the target ({} to CONNECT)", answer.status),
                "ask who runs the proxy to allow the host and the port; in wsbump, `wsbump explain` names the rule",
            ),
            (false, true) => (
                Whose::Proxy,
                true,
                format!(
                    "the proxy cannot reach the target ({} to CONNECT), and this machine can",
                    answer.status
                ),
                "see the proxy's log: its DNS, its way out, and its view of the target's certificate may differ from this machine's",
            ),
            (false, false) if (is_refused || has_no_name) && answer.status >= 500 => (
                Whose::Origin,
                is_refused,
                format!(
                    "the proxy cannot reach the target ({} to CONNECT), and this machine cannot either",
                    answer.status
                ),
                "see whether the target's name is right and whether it is up",
            ),
            (false, false) => (
                Whose::Proxy,
                false,
                format!("the proxy refuses the CONNECT with {}", answer.status),
                "see the proxy's log for the reason, and Proxy-Status in the step's evidence if the proxy sends it",
            ),
        };
        Some(Verdict {
            whose,
            is_sure,
            symptom: None,
            text,
            remedy: remedy.to_owned(),
        })
    }

    /// A proxy that wants to know who it is.
    fn unknown(&self, answer: &Answer) -> Verdict {
        if answer.status == 401 || answer.schemes.is_empty() {
            return Verdict {
                whose: Whose::Proxy,
                is_sure: true,
                symptom: Some(24),
                text: format!(
                    "the proxy wants credentials in a way that no client understands ({}{})",
                    answer.status,
                    if answer.schemes.is_empty() { " without Proxy-Authenticate" } else { "" }
                ),
                remedy: "have the proxy answer 407 with Proxy-Authenticate: clients never send what they have otherwise".to_owned(),
            };
        }
        let schemes = answer.schemes.join(", ");
        let has_basic = answer
            .schemes
            .iter()
            .any(|scheme| scheme.eq_ignore_ascii_case("basic"));
        let (text, remedy) = match (self.has_credentials, has_basic) {
            (true, true) => (
                format!("the proxy does not accept the user and the password (407, {schemes})"),
                "correct them; do not try often, since a directory may lock the account",
            ),
            (_, false) => (
                format!(
                    "the proxy wants {schemes}, which neither the doctor nor most WebSocket libraries can do"
                ),
                "have the proxy accept Basic over an https:// listener, or exempt this client or host by a rule, or run a local helper that logs in",
            ),
            (false, true) => (
                format!("the proxy wants credentials (407, {schemes})"),
                "put them into the proxy's URL, as http://USER:PASSWORD@HOST:PORT, and see whether the program that fails can do so too",
            ),
        };
        Verdict {
            whose: Whose::Client,
            is_sure: true,
            symptom: Some(23),
            text,
            remedy: remedy.to_owned(),
        }
    }

    fn shook_hands(&self, road: &Road) -> Option<Verdict> {
        let trouble = road.tls.as_ref()?.trouble()?;
        let direct = self.findings.direct.tls.as_ref();
        let compared = match (self.is_proxied(), direct) {
            (false, _) => Compared::NoProxy,
            (true, Some(tls)) if tls.result.is_ok() => Compared::OnlyProxied,
            (true, Some(_)) => Compared::Same,
            (true, None) => Compared::Alone,
        };
        let text = format!("TLS with the target fails ({})", trouble.text);
        let for_proxy = "see the proxy's log for this handshake; it may not like the target's certificate, or not speak TLS there";
        let for_origin = "see whether the port is right and the target speaks TLS 1.2 or 1.3 there";
        Some(self.blamed(&compared, None, text, for_proxy, for_origin))
    }

    fn trusted(&self, road: &Road) -> Option<Verdict> {
        let trust = road.trust()?;
        let problem = trust.problem()?;
        let direct = self.findings.direct.trust().filter(|_| self.is_proxied());
        let is_same = direct.is_some_and(|other| other.leaf == trust.leaf);
        let issuer = &trust.issuer;
        let verdict = |whose, is_sure, symptom, text: String, remedy: &str| {
            Some(Verdict {
                whose,
                is_sure,
                symptom,
                text,
                remedy: remedy.to_owned(),
            })
        };
        const INSTALL: &str = "install that CA where the program that fails looks for roots, or name it with --ca; beware: many programs have roots of their own";
        if trust.is_by_stranger() {
            return match (self.is_proxied(), direct) {
                (true, Some(_)) if is_same => verdict(
                    Whose::Origin,
                    true,
                    None,
                    format!(
                        "the target's certificate is by {issuer:?}, whom nobody here knows, without the proxy too"
                    ),
                    "name its CA with --ca if it is the right one",
                ),
                (true, Some(_)) => verdict(
                    Whose::Client,
                    true,
                    Some(18),
                    format!("the proxy decrypts, and signs as {issuer:?}, whom this machine does not trust"),
                    INSTALL,
                ),
                (true, None) => verdict(
                    Whose::Client,
                    false,
                    Some(18),
                    format!(
                        "the certificate is by {issuer:?}, whom this machine does not trust; most likely the proxy decrypts"
                    ),
                    INSTALL,
                ),
                (false, _) => verdict(
                    Whose::Client,
                    false,
                    Some(18),
                    format!(
                        "the certificate is by {issuer:?}, whom this machine does not trust: a CA of the target's own, or somebody decrypts on the way"
                    ),
                    INSTALL,
                ),
            };
        }
        let text = format!("the target's certificate (by {issuer:?}) is not valid: {problem}");
        let compared = match (self.is_proxied(), direct) {
            (false, _) => Compared::NoProxy,
            (true, Some(other)) if is_same || !other.is_accepted() => Compared::Same,
            (true, Some(_)) => Compared::OnlyProxied,
            // Nobody decrypts what a public CA has signed.
            (true, None) if trust.is_by_public_ca() => Compared::NoProxy,
            (true, None) => Compared::Alone,
        };
        let for_proxy = "look at the proxy's CA and at its clock";
        Some(self.blamed(
            &compared,
            None,
            text,
            for_proxy,
            "have the target's certificate renewed or corrected",
        ))
    }

    /// Whether the target has HTTP/2 and nothing else, as the road without the proxy shows it.
    pub(super) fn has_http2_alone(&self) -> bool {
        let direct = &self.findings.direct;
        let fails = direct.http1.as_ref().is_some_and(|asked| asked.result.is_err());
        let works = |road: &Road| road.http2.as_ref().is_some_and(|asked| asked.result.is_ok());
        fails && works(direct) && works(self.road())
    }

    fn asked(&self, road: &Road) -> Option<Verdict> {
        let asked = road.http1.as_ref().filter(|_| !self.has_http2_alone())?;
        let other = |road: &Road| {
            Some(
                road.http1
                    .as_ref()?
                    .good()
                    .is_some_and(|answer| answer.status < 500),
            )
        };
        let for_proxy = "see the proxy's log for this request";
        let for_origin = "ask who runs the target";
        let answer = match &asked.result {
            Err(trouble) => {
                let text = format!("a request over HTTP/1.1 fails ({})", trouble.text);
                return Some(self.blamed(&self.compared(other), None, text, for_proxy, for_origin));
            }
            Ok(answer) => answer,
        };
        if self.is_proxied() && answer.status == 407 {
            return Some(self.unknown(answer));
        }
        // Origins have proxies of their own in front of them.
        let direct = self.other().and_then(|road| road.http1.as_ref()?.good());
        let is_everywhere = direct.is_some_and(|other| other.status == answer.status);
        let is_refused = answer.status >= 400 && answer.is_by_proxy() && self.is_proxied() && !is_everywhere;
        if is_refused {
            return Some(Verdict {
                whose: match answer.status {
                    502 | 504 if self.other().is_none() => Whose::Origin,
                    _ => Whose::Proxy,
                },
                is_sure: answer.status == 403 || self.other().is_some(),
                symptom: None,
                text: format!("the proxy answers requests by itself, with {}", answer.status),
                remedy: match answer.status {
                    403 => {
                        "ask who runs the proxy to allow the host; in wsbump, `wsbump explain` names the rule"
                    }
                    502..=504 => {
                        "see the proxy's log: it cannot reach the target, or does not like its certificate"
                    }
                    _ => for_proxy,
                }
                .to_owned(),
            });
        }
        // What a WebSocket's address says to a plain GET is no matter.
        if self.target.scheme.is_websocket() || answer.status < 500 {
            return None;
        }
        let text = format!("requests are answered {}", answer.status);
        Some(self.blamed(&self.compared(other), None, text, for_proxy, for_origin))
    }

    fn well(&self, road: &Road) -> Verdict {
        let way = if self.is_proxied() {
            "through the proxy"
        } else {
            "directly"
        };
        let alone = self.has_http2_alone();
        let over = |http2: bool| match http2 {
            true if alone => "over HTTP/2, all that the target has",
            true => "over HTTP/1.1 and HTTP/2",
            false => "over HTTP/1.1",
        };
        let mut text = match self.target.scheme.is_websocket() {
            true => {
                let http2 = matches!(road.over_http2, Some(OverHttp2::Tried(_)));
                format!("WebSockets carry 200 B and 200 KiB {way}, {}", over(http2))
            }
            false => {
                let http2 = road.http2.as_ref().is_some_and(|asked| asked.result.is_ok());
                format!("requests are answered {way}, {}", over(http2))
            }
        };
        if let Some(longest) = road.silences.last() {
            text.push_str(&format!(
                ", and live through {} of silence",
                shown(longest.wanted)
            ));
        }
        Verdict {
            whose: Whose::Nobody,
            is_sure: true,
            symptom: None,
            text,
            remedy: String::new(),
        }
    }
}

/// What is worth a warning though it works: this machine's view of a chain that others will not share.
pub(super) fn warnings(trust: &Trust) -> Vec<String> {
    let mut found = Vec::new();
    if !trust.is_accepted() {
        return found;
    }
    if trust.public.is_some() {
        if trust.system.is_some() {
            found.push("only the file given by --ca vouches for it: programs need it too".to_owned());
        }
        if !trust.has_revocation {
            found.push("it names no place to ask for its revocation: Windows' own clients (curl.exe, updaters) may refuse it with CRYPT_E_NO_REVOCATION_CHECK".to_owned());
        }
        found.extend(trust.strict.iter().cloned());
    } else if trust.system.is_some() && trust.given.is_empty() {
        found.push("this machine's roots do not vouch for it, though the public ones do: its roots are old or missing".to_owned());
    }
    found
}

//! Whose doing it is. Pure: it compares what the two roads showed.

use super::examine::Findings;
use super::facts::{OverHttp2, Road, shown};
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
pub struct Diagnosis {
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

impl Diagnosis {
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
    /// Whether the proxy was shown a user and a password.
    pub has_credentials: bool,
    /// Whether it was shown a ticket.
    pub has_ticket: bool,
    /// The status that the target is known to answer a GET with.
    pub healthy: Option<u16>,
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
    pub fn verdict(&self) -> Diagnosis {
        let first = self.found().into_iter().next();
        first.map_or_else(|| self.well(self.road()), |(_, verdict)| verdict)
    }

    /// Everything that is wrong, with the check that found it, in the order in which a connection meets it.
    pub(super) fn found(&self) -> Vec<(Check, Diagnosis)> {
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
    ) -> Diagnosis {
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
        Diagnosis {
            whose,
            is_sure,
            symptom,
            text,
            remedy,
        }
    }

    /// Whether the target has HTTP/2 and nothing else, as the road without the proxy shows it.
    pub(super) fn has_http2_alone(&self) -> bool {
        let direct = &self.findings.direct;
        let fails = direct.http1.as_ref().is_some_and(|asked| asked.result.is_err());
        let works = |road: &Road| road.http2.as_ref().is_some_and(|asked| asked.result.is_ok());
        fails && works(direct) && works(self.road())
    }

    fn well(&self, road: &Road) -> Diagnosis {
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
        if self.decrypts() == Some(false) {
            text.push_str("; the proxy does not decrypt this host, it splices it");
        }
        Diagnosis {
            whose: Whose::Nobody,
            is_sure: true,
            symptom: None,
            text,
            remedy: String::new(),
        }
    }
}

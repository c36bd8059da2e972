//! What is made of the way to the target: names, connections, the proxy's answer, TLS, and a request.

use super::facts::{Answer, Road, SocksAnswer, Timed, Trouble, TroubleKind};
use super::verdict::{Case, Compared, Diagnosis, Whose};

impl Case<'_> {
    pub(super) fn reached(&self, road: &Road) -> Option<Diagnosis> {
        let names = road.names.as_ref().and_then(|names| names.trouble());
        let dial = road.dial.as_ref().and_then(|dial| dial.trouble());
        let verdict = |whose, text: String, remedy: &str| {
            Some(Diagnosis {
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

    pub(super) fn tunnelled(&self, road: &Road) -> Option<Diagnosis> {
        if let Some(socks) = &road.socks {
            return self.by_socks(socks);
        }
        let connect = road.connect.as_ref()?;
        let direct = &self.findings.direct;
        let answer = match &connect.result {
            Ok(answer) if answer.status / 100 == 2 => return None,
            Ok(answer) => answer,
            Err(trouble) if trouble.kind == TroubleKind::Ticket => {
                return Some(no_ticket(trouble));
            }
            Err(trouble) => {
                let text = format!(
                    "the proxy does not answer the CONNECT properly ({})",
                    trouble.text
                );
                return Some(Diagnosis {
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
        Some(Diagnosis {
            whose,
            is_sure,
            symptom: None,
            text,
            remedy: remedy.to_owned(),
        })
    }

    /// The same of a SOCKS proxy.
    fn by_socks(&self, socks: &Timed<SocksAnswer>) -> Option<Diagnosis> {
        let (whose, is_sure, symptom, text, remedy) = match &socks.result {
            Ok(SocksAnswer::Granted) => return None,
            Ok(answer @ (SocksAnswer::WantsLogin | SocksAnswer::LoginRefused)) => (
                Whose::Client,
                true,
                Some(23),
                format!("the SOCKS proxy does not let this program in: {}", answer.text()),
                match self.has_credentials {
                    true => {
                        "correct the user and the password; do not try often, since a directory may lock the account"
                    }
                    false => {
                        "put a user and a password into the proxy's URL, as socks5h://USER:PASSWORD@HOST:PORT, and see whether the program that fails can do so too"
                    }
                },
            ),
            Ok(SocksAnswer::Refused(2)) => (
                Whose::Proxy,
                true,
                None,
                "the SOCKS proxy forbids the target (reply 2)".to_owned(),
                "ask who runs the proxy to allow the host and the port; in wsbump, `wsbump explain` names the rule",
            ),
            Ok(answer) => {
                let is_open = self.findings.direct.is_open();
                (
                    if is_open { Whose::Proxy } else { Whose::Origin },
                    is_open,
                    None,
                    match is_open {
                        true => format!(
                            "the SOCKS proxy cannot reach the target, and this machine can ({})",
                            answer.text()
                        ),
                        false => format!("the SOCKS proxy cannot reach the target ({})", answer.text()),
                    },
                    "see the proxy's log: its DNS and its way out may differ from this machine's",
                )
            }
            Err(trouble) if trouble.kind == TroubleKind::Name => (
                Whose::Client,
                true,
                None,
                "the target's name does not resolve here, which socks5:// wants".to_owned(),
                "write socks5h:// to leave names to the proxy, and see whether the program that fails can do so too",
            ),
            Err(trouble) => (
                Whose::Proxy,
                trouble.kind != TroubleKind::Silence || self.findings.direct.is_open(),
                None,
                format!("the proxy does not answer by SOCKS properly ({})", trouble.text),
                "see whether this is a SOCKS proxy's port; an HTTP proxy is written http://",
            ),
        };
        Some(Diagnosis {
            whose,
            is_sure,
            symptom,
            text,
            remedy: remedy.to_owned(),
        })
    }

    /// A proxy that wants to know who it is.
    pub(super) fn unknown(&self, answer: &Answer) -> Diagnosis {
        if answer.status == 401 || answer.schemes.is_empty() {
            return Diagnosis {
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
        let has_negotiate = answer
            .schemes
            .iter()
            .any(|scheme| scheme.eq_ignore_ascii_case("negotiate"));
        if self.has_ticket {
            return Diagnosis {
                whose: Whose::Client,
                is_sure: true,
                symptom: Some(23),
                text: format!("the proxy does not accept the ticket (407, {schemes})"),
                remedy: "see the proxy's log for the reason: its keytab, its name in the domain, and the clocks of both have to fit"
                    .to_owned(),
            };
        }
        let (text, remedy) = match (self.has_credentials, has_basic) {
            (true, true) => (
                format!("the proxy does not accept the user and the password (407, {schemes})"),
                "correct them; do not try often, since a directory may lock the account",
            ),
            (_, false) => (
                format!("the proxy wants {schemes}, which most WebSocket libraries cannot do"),
                match has_negotiate {
                    true => {
                        "try --negotiate, which shows the ticket of your login as browsers do; for programs that cannot, have the proxy accept Basic over an https:// listener, or exempt this client or host by a rule, or run a local helper that logs in"
                    }
                    false => {
                        "have the proxy accept Basic over an https:// listener, or exempt this client or host by a rule, or run a local helper that logs in"
                    }
                },
            ),
            (false, true) => (
                format!("the proxy wants credentials (407, {schemes})"),
                "put them into the proxy's URL, as http://USER:PASSWORD@HOST:PORT, and see whether the program that fails can do so too",
            ),
        };
        Diagnosis {
            whose: Whose::Client,
            is_sure: true,
            symptom: Some(23),
            text,
            remedy: remedy.to_owned(),
        }
    }

    pub(super) fn shook_hands(&self, road: &Road) -> Option<Diagnosis> {
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

    pub(super) fn asked(&self, road: &Road) -> Option<Diagnosis> {
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
            // In clear a request is what shows it, for want of a CONNECT.
            Err(trouble) if trouble.kind == TroubleKind::Ticket => return Some(no_ticket(trouble)),
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
            return Some(Diagnosis {
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
        if let Some(healthy) = self.healthy.filter(|healthy| *healthy != answer.status) {
            let text = format!(
                "requests are answered {}, and {healthy} is its healthy answer",
                answer.status
            );
            let other = |road: &Road| {
                Some(
                    road.http1
                        .as_ref()?
                        .good()
                        .is_some_and(|answer| answer.status == healthy),
                )
            };
            let for_proxy = "see whether the proxy answers in the place of the target: a block page, or a page that asks for a login";
            return Some(self.blamed(&self.compared(other), None, text, for_proxy, for_origin));
        }
        // What a WebSocket's address says to a plain GET is no matter.
        if self.target.scheme.is_websocket() || answer.status < 500 {
            return None;
        }
        let text = format!("requests are answered {}", answer.status);
        Some(self.blamed(&self.compared(other), None, text, for_proxy, for_origin))
    }
}

/// The proxy was not asked, since there is nothing to show to it.
fn no_ticket(trouble: &Trouble) -> Diagnosis {
    Diagnosis {
        whose: Whose::Client,
        is_sure: true,
        symptom: Some(23),
        text: format!("there is no ticket to show to the proxy ({})", trouble.text),
        remedy: "log in to the domain, and name the proxy as the domain does: its host name, not its address"
            .to_owned(),
    }
}

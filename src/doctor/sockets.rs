//! What is made of WebSockets: whether they open, carry and stay, and whose doing it is if not.

use super::facts::{
    Answer, End, Ended, Lost, OverHttp2, Road, Silence, SilenceBroken, Socket, TroubleKind, shown,
};
use super::verdict::{Case, Compared, Diagnosis, Whose};
use std::time::Duration;

impl Case<'_> {
    pub(super) fn upgraded(&self, road: &Road) -> Option<Diagnosis> {
        let socket = road.plain.as_ref().filter(|socket| !socket.is_good())?;
        if self.has_http2_alone() {
            return None;
        }
        Some(self.broken(socket, self.other().and_then(|road| road.plain.as_ref()), road))
    }

    pub(super) fn extended(&self, road: &Road) -> Option<Diagnosis> {
        let socket = road.deflate.as_ref().filter(|socket| !socket.is_good())?;
        if self.has_http2_alone() {
            return None;
        }
        let other = self.other().and_then(|road| road.deflate.as_ref());
        let verdict = self.broken(socket, other, road);
        let is_cut = matches!(socket.end().map(|ended| &ended.how), Some(End::Violation(_)));
        Some(Diagnosis {
            symptom: Some(11),
            text: format!("with permessage-deflate {}", verdict.text),
            remedy: match (verdict.whose, is_cut) {
                (Whose::Proxy, _) => {
                    "have the proxy take the extension out of the offer, or relay frames untouched".to_owned()
                }
                _ => verdict.remedy.clone(),
            },
            ..verdict
        })
    }

    pub(super) fn over_http2(&self, road: &Road) -> Option<Diagnosis> {
        let Some(OverHttp2::Tried(socket)) = road.over_http2.as_ref() else {
            return None;
        };
        if socket.is_good() {
            return None;
        }
        let other = self.other().and_then(|road| road.over_http2.as_ref());
        let tried = match other {
            Some(OverHttp2::Tried(socket)) => Some(&**socket),
            _ => None,
        };
        let verdict = self.broken(socket, tried, road);
        let silent = socket
            .upgrade
            .trouble()
            .is_some_and(|trouble| trouble.kind == TroubleKind::Silence);
        let symptom = Some(if silent { 13 } else { 12 });
        if let Some(OverHttp2::NotOffered) = other {
            return Some(Diagnosis {
                whose: Whose::Proxy,
                is_sure: true,
                symptom,
                text:
                    "the proxy offers WebSockets over HTTP/2, which the target does not have, and they fail"
                        .to_owned(),
                remedy:
                    "have the proxy offer it only where the target does, or speak HTTP/1.1 alone to this host"
                        .to_owned(),
            });
        }
        Some(Diagnosis {
            symptom,
            text: format!("over HTTP/2 {}", verdict.text),
            ..verdict
        })
    }

    /// A WebSocket that did not work: whose doing it is, by what the same one did without the proxy.
    fn broken(&self, socket: &Socket, other: Option<&Socket>, road: &Road) -> Diagnosis {
        let compared = match (self.is_proxied(), other) {
            (false, _) => Compared::NoProxy,
            (true, None) => Compared::Alone,
            (true, Some(other)) if came_further(other, socket) => Compared::OnlyProxied,
            (true, Some(_)) => Compared::Same,
        };
        let answers = [&road.http1]
            .into_iter()
            .flatten()
            .filter_map(|asked| asked.good());
        let mut answers: Vec<&Answer> = answers.collect();
        answers.extend(socket.refused.as_ref());
        let is_squid = answers
            .iter()
            .flat_map(|answer| &answer.marks)
            .any(|mark| mark.to_ascii_lowercase().contains("squid"));
        let carry = match is_squid {
            true => {
                "tell Squid `http_upgrade_request_protocols websocket allow all` (it compares the name with case), or have it splice the host"
            }
            false => "have the proxy carry WebSockets for this host, or let the host pass undecrypted",
        };
        if let Some(answer) = &socket.refused {
            let text = format!("the upgrade to a WebSocket is answered {}", answer.status);
            let symptom = match (answer.status, &compared) {
                (403, Compared::Same) => 15,
                (404, Compared::Same) => 16,
                (400, _) => 8,
                _ => 1,
            };
            let for_origin = match answer.status {
                401 => "log in as the application does: the target wants to know who asks",
                403 => "compare Origin with what the target allows (--origin)",
                _ => {
                    "see whether this is the address of a WebSocket: the path, and the query that was left out"
                }
            };
            return self.blamed(&compared, Some(symptom), text, carry, for_origin);
        }
        if let Some(trouble) = socket.upgrade.trouble() {
            let row = if trouble.text.contains("did not offer") {
                11
            } else {
                14
            };
            let text = format!("the upgrade to a WebSocket fails ({})", trouble.text);
            return self.blamed(&compared, Some(row), text, carry, "ask who runs the target");
        }
        if let Some(ended) = socket.end() {
            return self.cut(socket, ended, &compared);
        }
        let lost = [&socket.small, &socket.large]
            .into_iter()
            .find_map(|trip| trip.as_ref()?.as_ref().err());
        let (late, waited) = match lost {
            Some(Lost::Silence { late, waited }) => (*late, *waited),
            _ => (false, Duration::ZERO),
        };
        let waited = shown(waited);
        if socket.small.as_ref().is_some_and(|trip| trip.is_ok()) {
            let text = format!("200 bytes come back and 200 KiB do not, within {waited}");
            let remedy = "have the path's MTU looked at (MSS clamping; a lower MTU in a VPN), and what the proxy holds back";
            return self.blamed(&compared, Some(34), text, remedy, remedy);
        }
        let (row, text) = match late {
            true => (
                4,
                format!(
                    "the WebSocket opens, and what is sent into it comes back only when it is closed (not within {waited})"
                ),
            ),
            false => (
                5,
                format!("the WebSocket opens, and nothing comes back within {waited}"),
            ),
        };
        let for_origin =
            "see whether the target answers pings; one that only echoes messages is asked with --echo";
        self.blamed(&compared, Some(row), text, carry, for_origin)
    }

    fn cut(&self, socket: &Socket, ended: &Ended, compared: &Compared) -> Diagnosis {
        let after = shown(ended.after);
        let opened = "the WebSocket opens";
        match &ended.how {
            End::Close(code, reason) => {
                let code = code.map_or_else(|| "without a code".to_owned(), |code| code.to_string());
                let reason = match &**reason {
                    "" => String::new(),
                    reason => format!(" ({reason:?})"),
                };
                let text = format!("{opened}, and is closed with a Close {code}{reason} after {after}");
                let for_proxy = "see the proxy's rules: somebody on the way speaks WebSocket and closed it";
                let for_origin =
                    "ask the vendor: the target closes it by a rule of its own, often for want of a login";
                let compared = match compared {
                    // A Close is nearly always the word of who speaks the protocol.
                    Compared::Alone => &Compared::NoProxy,
                    compared => compared,
                };
                self.blamed(compared, Some(36), text, for_proxy, for_origin)
            }
            End::Violation(what) => {
                let text = format!("{opened}, and then {what}");
                let for_proxy = "have the proxy relay frames untouched, or let the host pass undecrypted";
                self.blamed(compared, Some(11), text, for_proxy, "ask who runs the target")
            }
            End::Closed | End::Reset => {
                let how = match ended.how {
                    End::Reset => "reset",
                    _ => "closed without a Close",
                };
                let far = match (&socket.small, &socket.large) {
                    (Some(Ok(_)), Some(Ok(_))) => "though everything had come back",
                    (Some(Ok(_)), _) => "in the middle of 200 KiB",
                    _ => "before anything came back",
                };
                let text = format!("{opened}, and is {how} after {after}, {far}");
                let for_proxy = "have the proxy or its scanner let this host's WebSockets live, or pass undecrypted: it answers 101 and kills the tunnel";
                self.blamed(compared, Some(3), text, for_proxy, "ask who runs the target")
            }
        }
    }

    pub(super) fn stayed(&self, road: &Road) -> Option<Diagnosis> {
        let broken = |road: &Road| -> Vec<Silence> {
            let all = road.silences.iter();
            all.filter(|silence| silence.result.is_err()).cloned().collect()
        };
        let silence = broken(road).into_iter().next()?;
        let there = |road: &Road| {
            let same = road.silences.iter().find(|other| other.wanted == silence.wanted);
            Some(same?.result.is_ok())
        };
        let compared = self.compared(there);
        let wanted = shown(silence.wanted);
        let Err(why) = &silence.result else { return None };
        let for_proxy =
            "lengthen the idle time of WebSockets there, or have the application send pings more often";
        let for_origin = "the target's own timer ends it; have the application send pings more often";
        let (row, text, for_proxy, for_origin) = match why {
            SilenceBroken::NotOpened(text) => (
                14,
                format!("a second WebSocket does not open ({text})"),
                "see the proxy's limits of connections",
                "see the target's limits of connections",
            ),
            SilenceBroken::Ended(ended) => {
                let how = match &ended.how {
                    End::Close(Some(code), _) => format!("closed with a Close {code}"),
                    End::Close(None, _) => "closed with a Close".to_owned(),
                    End::Closed => "closed without a Close".to_owned(),
                    End::Reset => "reset".to_owned(),
                    End::Violation(what) => format!("broken off, since {what}"),
                };
                let after = shown(ended.after);
                (
                    6,
                    format!("a silent WebSocket is {how} after {after}"),
                    for_proxy,
                    for_origin,
                )
            }
            SilenceBroken::Dead(_) => (
                7,
                format!("a WebSocket that was silent for {wanted} is dead, and nobody had said so"),
                "send pings each 20 to 25 s: a firewall or NAT on the way forgets quiet connections",
                "send pings each 20 to 25 s: a firewall or NAT on the way forgets quiet connections",
            ),
        };
        Some(self.blamed(&compared, Some(row), text, for_proxy, for_origin))
    }
}

/// How far a WebSocket came.
fn stage(socket: &Socket) -> u8 {
    let arrived = |trip: &Option<_>| trip.as_ref().is_some_and(Result::is_ok);
    match socket {
        socket if socket.is_good() => 4,
        Socket { large, .. } if arrived(large) => 3,
        Socket { small, .. } if arrived(small) => 2,
        Socket { upgrade, .. } if upgrade.result.is_ok() => 1,
        _ => 0,
    }
}

/// Whether one WebSocket came further than another, or was refused where the other was refused in another way.
fn came_further(other: &Socket, socket: &Socket) -> bool {
    let statuses = [other, socket].map(|socket| socket.refused.as_ref().map(|answer| answer.status));
    match statuses {
        [Some(other), Some(own)] => other != own,
        _ => stage(other) > stage(socket),
    }
}

#[cfg(test)]
mod tests;

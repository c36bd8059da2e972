//! What was found out, step by step, as people and programs read it.

use super::belief::warnings;
use super::facts::{
    Answer, End, Ended, Lost, OverHttp2, Road, Silence, SilenceBroken, Socket, SocksAnswer, Timed, Tls, Trip,
    Trust, shown,
};
use super::target::Target;
use super::verdict::{Case, Check, Diagnosis};
use std::time::Duration;

/// How a step went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// As it should.
    Ok,
    /// It works, with something to know.
    Warning,
    /// It does not work.
    Failed,
    /// It was not tried.
    Skipped,
}

impl Status {
    /// A word for programs.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// One step.
#[derive(Debug, Clone)]
pub struct DoctorStep {
    /// A name that stays, such as `proxy.connect`.
    pub id: &'static str,
    /// Which road it is of: `proxy` or `direct`.
    pub road: &'static str,
    /// How it went.
    pub status: Status,
    /// What came of it, in one line.
    pub summary: String,
    /// What shows it.
    pub evidence: Vec<String>,
    /// What to do, of a step that failed.
    pub remedy: Option<String>,
    /// How long it took.
    pub took: Option<Duration>,
}

impl Case<'_> {
    /// The steps of the road that programs go, then those of the road to compare it with.
    pub fn steps(&self) -> Vec<DoctorStep> {
        let found = self.found();
        let mut list = List {
            road: if self.is_proxied() { "proxy" } else { "direct" },
            found: &found,
            is_reference: false,
            steps: Vec::new(),
        };
        list.road(self, self.road());
        if self.is_proxied() {
            (list.road, list.is_reference) = ("direct", true);
            list.road(self, &self.findings.direct);
        }
        list.steps
    }
}

struct List<'a> {
    road: &'static str,
    found: &'a [(Check, Diagnosis)],
    /// It is only there to be compared with: what fails on it is no failure.
    is_reference: bool,
    steps: Vec<DoctorStep>,
}

impl List<'_> {
    /// A step that worked, or not.
    fn step<T>(&mut self, id: &'static str, check: Check, timed: &Timed<T>, say: impl FnOnce(&T) -> Said) {
        let said = match &timed.result {
            Ok(found) => say(found),
            Err(trouble) => Said::failed(trouble.text.clone()),
        };
        self.push(id, check, said, Some(timed.took));
    }

    fn push(&mut self, id: &'static str, check: Check, said: Said, took: Option<Duration>) {
        let mut status = said.status;
        if self.is_reference && status == Status::Failed {
            status = Status::Warning;
        }
        let found = self.found.iter().find(|(by, _)| *by == check);
        if status == Status::Failed && found.is_none() {
            // Something else makes up for it.
            status = Status::Warning;
        }
        let remedy = found.filter(|_| status == Status::Failed);
        self.steps.push(DoctorStep {
            id,
            road: self.road,
            status,
            summary: said.summary,
            evidence: said.evidence,
            remedy: remedy.map(|(_, verdict)| verdict.remedy.clone()),
            took,
        });
    }

    fn road(&mut self, case: &Case<'_>, road: &Road) {
        let by_proxy = !self.is_reference && case.is_proxied();
        if let Some(names) = &road.names {
            self.step(
                if by_proxy { "proxy.names" } else { "names" },
                Check::Reach,
                names,
                |all| {
                    let all: Vec<String> = all.iter().map(ToString::to_string).collect();
                    Said::ok(all.join(", "))
                },
            );
        }
        if let Some(dial) = &road.dial {
            self.step(
                if by_proxy { "proxy.dial" } else { "dial" },
                Check::Reach,
                dial,
                |to| Said::ok(format!("connected to {to}")),
            );
        }
        if let Some(tls) = &road.proxy_tls {
            self.step("proxy.tls", Check::Reach, tls, |tls| {
                let said = Said::ok(handshake(tls));
                match tls.trust.problem() {
                    None => said,
                    Some(problem) => said.but(format!("the proxy's own certificate: {problem}")),
                }
            });
        }
        if let Some(connect) = &road.connect {
            self.step("proxy.connect", Check::Connect, connect, |answer| {
                let mut said = answered(answer);
                if answer.status / 100 != 2 {
                    said.status = Status::Failed;
                }
                if !answer.schemes.is_empty() {
                    said.evidence
                        .push(format!("asks for {}", answer.schemes.join(", ")));
                }
                said
            });
        }
        if let Some(socks) = &road.socks {
            self.step("proxy.socks", Check::Connect, socks, |answer| {
                let status = match answer {
                    SocksAnswer::Granted => Status::Ok,
                    _ => Status::Failed,
                };
                Said::of(status, answer.text())
            });
        }
        if let Some(tls) = &road.tls {
            self.step("tls", Check::Tls, tls, |tls| {
                let mut said = Said::ok(handshake(tls));
                if tls.wants_certificate {
                    said = said.but("the far side asks for a client certificate; it got none".to_owned());
                }
                said
            });
            if let Ok(tls) = &tls.result {
                self.push("trust", Check::Trust, trust(&tls.trust), None);
                if by_proxy {
                    let said = decrypts(case.decrypts(), case.target, &tls.trust);
                    self.push("proxy.decrypts", Check::Trust, said, None);
                }
            }
        }
        if let Some(asked) = &road.http1 {
            let is_bad = self.found.iter().any(|(check, _)| *check == Check::Http);
            self.step("http1", Check::Http, asked, |answer| {
                let mut said = answered(answer);
                if is_bad {
                    said.status = Status::Failed;
                }
                said
            });
        }
        match (&road.http2, &road.tls) {
            (Some(asked), _) => self.step("http2", Check::Http, asked, answered),
            (None, Some(tls)) if tls.result.is_ok() => {
                let said = Said::skipped("the far side did not agree to HTTP/2");
                self.push("http2", Check::Http, said, None);
            }
            _ => {}
        }
        if let Some(socket) = &road.plain {
            self.websocket("websocket", Check::WebSocket, socket, false);
        }
        if let Some(socket) = &road.deflate {
            self.websocket("websocket.deflate", Check::Deflate, socket, true);
        }
        match &road.over_http2 {
            Some(OverHttp2::Tried(socket)) => {
                self.websocket("websocket.http2", Check::OverHttp2, socket, false);
            }
            Some(OverHttp2::NotOffered) => {
                let said = Said::skipped("SETTINGS do not offer it; browsers then use HTTP/1.1");
                self.push("websocket.http2", Check::OverHttp2, said, None);
            }
            None => {}
        }
        for silence in &road.silences {
            self.push("idle", Check::Idle, silent(silence), None);
        }
    }

    fn websocket(&mut self, id: &'static str, check: Check, socket: &Socket, deflate: bool) {
        let took = Some(socket.upgrade.took);
        let mut said = match &socket.upgrade.result {
            Err(trouble) => Said::failed(trouble.text.clone()),
            Ok(opened) => {
                let mut parts = vec![format!("opened ({})", opened.answer.status)];
                if deflate {
                    let agreed = if opened.deflate { "agreed on" } else { "not taken" };
                    parts.push(format!("permessage-deflate {agreed}"));
                }
                let trips = [("200 B", &socket.small), ("200 KiB", &socket.large)];
                let trips = trips
                    .iter()
                    .filter_map(|(size, trip)| Some(went(size, trip.as_ref()?)));
                parts.extend(trips);
                parts.extend(socket.ended.as_ref().map(end));
                let status = if socket.is_good() {
                    Status::Ok
                } else {
                    Status::Failed
                };
                let mut evidence = opened.answer.marks.clone();
                evidence.extend(
                    socket
                        .hello
                        .map(|after| format!("the far side spoke first, after {}", shown(after))),
                );
                Said {
                    status,
                    summary: parts.join("; "),
                    evidence,
                }
            }
        };
        if let Some(answer) = &socket.refused {
            said.evidence.extend(answer.marks.iter().cloned());
        }
        self.push(id, check, said, took);
    }
}

/// What is said of a step.
struct Said {
    status: Status,
    summary: String,
    evidence: Vec<String>,
}

impl Said {
    fn of(status: Status, summary: impl Into<String>) -> Self {
        Self {
            status,
            summary: summary.into(),
            evidence: Vec::new(),
        }
    }

    fn ok(summary: impl Into<String>) -> Self {
        Self::of(Status::Ok, summary)
    }

    fn failed(summary: impl Into<String>) -> Self {
        Self::of(Status::Failed, summary)
    }

    fn skipped(summary: impl Into<String>) -> Self {
        Self::of(Status::Skipped, summary)
    }

    /// It works, but.
    fn but(mut self, warning: String) -> Self {
        self.status = Status::Warning;
        self.evidence.push(warning);
        self
    }
}

fn answered(answer: &Answer) -> Said {
    Said {
        evidence: answer.marks.clone(),
        ..Said::ok(format!("answered {}", answer.status))
    }
}

fn handshake(tls: &Tls) -> String {
    match &tls.alpn {
        Some(alpn) => format!("{}, ALPN {alpn}", tls.version),
        None => format!("{}, no ALPN", tls.version),
    }
}

/// Who signed, and who believes it.
fn trust(trust: &Trust) -> Said {
    let own = if trust.is_by_wsbump {
        ", the CA of this machine's wsbump"
    } else {
        ""
    };
    let by = format!("signed by {:?}{own}", trust.issuer);
    let mut said = match trust.problem() {
        Some(problem) => Said::failed(format!("{by}: {problem}")),
        None => {
            let who = match (&trust.public, &trust.system) {
                (None, _) => "a public CA".to_owned(),
                (Some(_), None) => {
                    "a CA of this machine's, not a public one: somebody decrypts, or the target is inside"
                        .to_owned()
                }
                (Some(_), Some(_)) => {
                    let names = trust.given.iter().filter(|(_, problem)| problem.is_none());
                    let names: Vec<&str> = names.map(|(name, _)| name.as_str()).collect();
                    format!(
                        "the CA in {}, not a public one: somebody decrypts, or the target is inside",
                        names.join(", ")
                    )
                }
            };
            Said::ok(format!("{by}, {who}"))
        }
    };
    let verdict = |problem: &Option<String>| match problem {
        None => "accept it".to_owned(),
        Some(problem) => format!("do not: {problem}"),
    };
    said.evidence
        .push(format!("the public roots {}", verdict(&trust.public)));
    said.evidence
        .push(format!("this machine's roots {}", verdict(&trust.system)));
    for (name, problem) in &trust.given {
        said.evidence
            .push(format!("the roots in {name} {}", verdict(problem)));
    }
    let warnings = warnings(trust);
    if !warnings.is_empty() && said.status == Status::Ok {
        said.status = Status::Warning;
    }
    said.evidence.extend(warnings);
    said
}

/// Whether the proxy looks into what goes to this host: what its rules do is at work there alone.
fn decrypts(decrypts: Option<bool>, target: &Target, trust: &Trust) -> Said {
    match decrypts {
        Some(true) => Said::ok(format!(
            "the proxy decrypts this host: it shows a certificate of its own, by {:?}",
            trust.issuer
        )),
        Some(false) => {
            let mut said = Said::ok(
                "the proxy does not decrypt this host (it splices it): the certificate is the target's own",
            );
            said.evidence.push(format!(
                "what the proxy looks for in other hosts' messages it cannot see here; of a wsbump, `wsbump explain {}` says by which rule",
                target.authority
            ));
            said
        }
        None => Said::skipped(
            "whether the proxy decrypts this host cannot be told: the way without it shows no other certificate to compare with",
        ),
    }
}

fn went(size: &str, trip: &Trip) -> String {
    match trip {
        Ok(took) => format!("{size} back in {}", shown(*took)),
        Err(Lost::Silence { waited, late: false }) => format!("{size} not back within {}", shown(*waited)),
        Err(Lost::Silence { late: true, .. }) => format!("{size} back only at the close"),
        Err(Lost::Ended(ended)) => format!("{size} not back: {}", end(ended)),
    }
}

fn end(ended: &Ended) -> String {
    let after = shown(ended.after);
    match &ended.how {
        End::Close(code, reason) => {
            let code = code.map_or_else(String::new, |code| format!(" {code}"));
            let reason = if reason.is_empty() {
                String::new()
            } else {
                format!(" ({reason:?})")
            };
            format!("Close{code}{reason} after {after}")
        }
        End::Closed => format!("closed without a Close after {after}"),
        End::Reset => format!("reset after {after}"),
        End::Violation(what) => format!("{what}, after {after}"),
    }
}

fn silent(silence: &Silence) -> Said {
    let wanted = shown(silence.wanted);
    let mut said = match &silence.result {
        Ok(took) => Said::ok(format!("alive after {wanted}, a ping back in {}", shown(*took))),
        Err(SilenceBroken::NotOpened(text)) => Said::failed(text.clone()),
        Err(SilenceBroken::Ended(ended)) => Said::failed(format!("of {wanted}: {}", end(ended))),
        Err(SilenceBroken::Dead(lost)) => {
            let trip: Trip = Err(lost.clone());
            Said::failed(format!("dead after {wanted}: {}", went("a ping", &trip)))
        }
    };
    if silence.spoken {
        said.evidence
            .push("the far side spoke in between: it was no silence".to_owned());
    }
    said
}

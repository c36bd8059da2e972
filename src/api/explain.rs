//! What would happen to a destination: a question as people ask it, and the answer as JSON.

use crate::admit::{Names, group_name};
use crate::decide::{Explanation, Facts, Moment, Policy, RequestFacts, RuleStep, User};
use crate::identity::Identity;
use crate::wire::names::{Authority, Host};
use http::{HeaderMap, Method};
use serde::Deserialize;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

/// A question as people ask it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExplainQuestion {
    /// `HOST:PORT`, `HOST` or a URL.
    pub target: String,
    /// Who the client has shown to be.
    pub user: Option<String>,
    /// The groups that the user is in.
    #[serde(default)]
    pub groups: Vec<String>,
    /// The server name in the ClientHello.
    pub sni: Option<String>,
    /// The request's method.
    pub method: Option<String>,
    /// The request's path, with its query.
    pub path: Option<String>,
}

/// Why it is no question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotAQuestion {
    /// Its target is none.
    Target(String),
    /// Its method is none.
    Method(String),
}

/// A question that can be answered.
#[derive(Debug)]
pub struct Question {
    /// What is asked for.
    pub target: Authority,
    /// The target is asked for by CONNECT, and not by a request that names it.
    is_tunnel: bool,
    sni: Option<String>,
    user: Option<Identity>,
    request: Option<(Method, String)>,
    /// The request is the handshake of a WebSocket.
    is_websocket: bool,
}

/// An authority whose host is written in another script, as it goes over the wire (RFC 5891).
fn in_ascii(authority: &str) -> Cow<'_, str> {
    if authority.is_ascii() {
        return authority.into();
    }
    let (host, port) = authority.rsplit_once(':').unwrap_or((authority, ""));
    match (idna::domain_to_ascii(host), port) {
        (Ok(host), "") => host.into(),
        (Ok(host), port) => format!("{host}:{port}").into(),
        (Err(_), _) => authority.into(),
    }
}

impl Question {
    /// Reads a question, and the URL where the destination is one.
    ///
    /// # Errors
    /// It is none.
    pub fn of(asked: &ExplainQuestion) -> Result<Self, NotAQuestion> {
        let written = asked.target.as_str();
        let (scheme, rest) = match written.split_once("://") {
            Some((scheme, rest)) => (Some(scheme.to_ascii_lowercase()), rest),
            None => (None, written),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (port, is_tunnel) = match scheme.as_deref() {
            None | Some("https" | "wss") => (443, true),
            Some("http" | "ws") => (80, false),
            Some(other) => {
                let message =
                    format!("{other:?} is not carried here; write an http or https URL, or HOST:PORT");
                return Err(NotAQuestion::Target(message));
            }
        };
        let authority = in_ascii(authority);
        let target = Authority::parse(&authority, Some(port)).filter(|_| scheme.is_some() || path.is_empty());
        let target = target.ok_or_else(|| {
            NotAQuestion::Target(format!(
                "{written:?} is not a destination; write HOST:PORT, such as example.com:443 or [2001:db8::1]:443, or a URL"
            ))
        })?;
        let method =
            match &asked.method {
                Some(name) => Some(Method::from_bytes(name.as_bytes()).map_err(|_| {
                    NotAQuestion::Method(format!("{name:?} is no method; write such as POST"))
                })?),
                None => None,
            };
        let path = path.split('#').next().unwrap_or_default();
        let path = asked
            .path
            .clone()
            .or_else(|| (scheme.is_some()).then(|| path.to_owned()));
        let path = path.map(|path| {
            if path.starts_with('/') {
                path
            } else {
                format!("/{path}")
            }
        });
        let request = (method.is_some() || path.is_some()).then(|| {
            (
                method.unwrap_or(Method::GET),
                path.unwrap_or_else(|| "/".to_owned()),
            )
        });
        Ok(Self {
            is_websocket: matches!(scheme.as_deref(), Some("ws" | "wss")),
            sni: asked.sni.clone().or_else(|| match (&target.host, &request) {
                // Who asks for something by HTTPS has said the name.
                (Host::Name(name), Some(_)) if is_tunnel => Some(name.clone()),
                _ => None,
            }),
            target,
            is_tunnel,
            user: asked.user.as_deref().map(|name| Identity {
                groups: asked.groups.iter().map(|group| group.as_str().into()).collect(),
                ..Identity::from(name)
            }),
            request,
        })
    }

    /// Calls its user and the groups what they are called once they are known.
    pub fn rename(&mut self, names: &Names) {
        if let Some(user) = &mut self.user {
            user.name = names
                .user(&user.name)
                .map_or_else(|| Arc::clone(&user.name), Into::into);
            user.groups = user.groups.iter().map(|group| group_name(group).into()).collect();
        }
    }

    /// What would happen to a client at this address that comes in by this listener now. `asks_names` is whether clients can
    /// be asked who they are.
    pub fn ask(
        &self,
        policy: &Policy,
        client: IpAddr,
        listener: &str,
        moment: Moment,
        asks_names: bool,
    ) -> Explanation {
        let fields = HeaderMap::new();
        let mut facts = Facts {
            client: client.to_canonical(),
            listener,
            user: match &self.user {
                Some(user) => User::Known(user),
                None if asks_names => User::Unasked,
                None => User::Nobody,
            },
            moment,
            is_tunnel: self.is_tunnel,
            ..Facts::tunnel(client, &self.target)
        };
        if self.sni.is_some() || !self.is_tunnel {
            let user = facts.user;
            facts = facts.beginning(self.sni.as_deref());
            facts.user = user;
        }
        facts.request = self.request.as_ref().map(|(method, path)| RequestFacts {
            method,
            path,
            is_tls: self.is_tunnel,
            upgrade: self.is_websocket.then_some("websocket"),
            fields: &fields,
        });
        policy.explain(&facts)
    }
}

/// An answer as JSON.
pub fn as_json(explanation: &Explanation) -> Value {
    let step = |step: &RuleStep| {
        json!({
            "stage": step.stage, "rule": &*step.rule, "action": step.action.label(), "holds": step.holds,
            "condition": step.condition, "observed": step.is_observed, "at": step.at,
        })
    };
    let steps: Vec<_> = explanation.steps.iter().map(step).collect();
    let matched = explanation
        .matched
        .as_ref()
        .map(|matched| json!({ "list": &*matched.list, "line": matched.line, "pattern": &*matched.pattern }));
    json!({
        "target": explanation.target.to_string(),
        "action": explanation.action.label(),
        "reason": explanation.reason.label(),
        "rule": explanation.rule.as_deref(),
        "entry": matched,
        "steps": steps,
        "waiting": explanation.waiting.iter().map(|rule| &**rule).collect::<Vec<_>>(),
        "treatment": explanation.treatment,
        "way": explanation.way,
        "parents": explanation.parents.iter().map(|name| &**name).collect::<Vec<_>>(),
    })
}

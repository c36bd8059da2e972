//! `wsbump explain`: what would happen, asked of the code that decides.

use super::args::ExplainArgs;
use super::output::{CommandError, emit};
use crate::decide::{ExplainedAction, Explanation, Facts, RequestFacts, Step, User};
use crate::identity::Identity;
use crate::inspect::Mode;
use crate::settings::{Problems, Settings};
use crate::wire::names::{Authority, Host};
use http::{HeaderMap, Method};
use serde_json::{Value, json};
use std::fmt::Write;
use std::sync::Arc;

/// What the options ask about.
struct Question {
    target: Authority,
    /// The target is asked for by CONNECT, and not by a request that names it.
    is_tunnel: bool,
    sni: Option<String>,
    user: Option<Identity>,
    request: Option<(Method, String)>,
}

/// `wsbump explain`: says what would happen to a destination, and why.
///
/// # Errors
/// The configuration is wrong, or an option is.
pub fn explain(options: &ExplainArgs) -> Result<(), CommandError> {
    let question = question(options)?;
    let settings = options.place.source().load()?;
    let moment = match &options.time {
        Some(time) => time
            .parse()
            .map_err(|message: String| Problems::of_option("--time", message))?,
        None => settings.clock.moment(),
    };
    let listener = listener(options.listener.as_deref(), &settings)?;
    let fields = HeaderMap::new();
    let mut facts = Facts {
        client: options.client.to_canonical(),
        listener: &listener,
        user: match &question.user {
            Some(user) => User::Known(user),
            None if settings.asks_names() => User::Unasked,
            None => User::Nobody,
        },
        moment,
        is_tunnel: question.is_tunnel,
        ..Facts::tunnel(options.client, &question.target)
    };
    if question.sni.is_some() || !question.is_tunnel {
        let user = facts.user;
        facts = facts.beginning(question.sni.as_deref());
        facts.user = user;
    }
    facts.request = question.request.as_ref().map(|(method, path)| RequestFacts {
        method,
        path,
        is_tls: question.is_tunnel,
        upgrade: None,
        fields: &fields,
    });
    let explanation = settings.policy.explain(&facts);
    if options.json {
        return emit(format!("{}\n", as_json(&explanation)).as_bytes());
    }
    let mut text = format!("{explanation}\n");
    if matches!(
        explanation.action,
        ExplainedAction::Deny | ExplainedAction::Authenticate
    ) {
        return emit(text.as_bytes());
    }
    text.push_str(&address(&settings, &question.target, &explanation));
    if !settings.rules.is_empty() {
        text.push_str(&rules(&settings, &question.target));
    }
    emit(text.as_bytes())
}

/// The listener that is asked about.
fn listener(asked: Option<&str>, settings: &Settings) -> Result<Arc<str>, Problems> {
    let Some(asked) = asked else {
        return Ok(settings.listen.usual());
    };
    let names = settings.listen.names();
    let found = names.iter().find(|name| ***name == *asked);
    found.cloned().ok_or_else(|| {
        let known: Vec<_> = names.iter().map(|name| format!("{name:?}")).collect();
        let message = format!(
            "there is no listener {asked:?}; write one of {}",
            known.join(", ")
        );
        Problems::of_option("--listener", message)
    })
}

/// Reads the options, and the URL where the destination is one.
fn question(options: &ExplainArgs) -> Result<Question, Problems> {
    let written = options.target.as_str();
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
            let message = format!("{other:?} is not carried here; write an http or https URL, or HOST:PORT");
            return Err(Problems::of_option("HOST:PORT", message));
        }
    };
    let target = Authority::parse(authority, Some(port)).filter(|_| scheme.is_some() || path.is_empty());
    let target = target.ok_or_else(|| {
        let message = format!(
            "{written:?} is not a destination; write HOST:PORT, such as example.com:443 or [2001:db8::1]:443, or a URL"
        );
        Problems::of_option("HOST:PORT", message)
    })?;
    let method = match &options.method {
        Some(name) => Some(Method::from_bytes(name.as_bytes()).map_err(|_| {
            Problems::of_option("--method", format!("{name:?} is no method; write such as POST"))
        })?),
        None => None,
    };
    let path = path.split('#').next().unwrap_or_default();
    let path = options
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
    Ok(Question {
        sni: options.sni.clone().or_else(|| match (&target.host, &request) {
            // Who asks for something by HTTPS has said the name.
            (Host::Name(name), Some(_)) if is_tunnel => Some(name.clone()),
            _ => None,
        }),
        target,
        is_tunnel,
        user: options.user.as_deref().map(|name| Identity {
            groups: options.group.iter().map(|group| group.as_str().into()).collect(),
            ..Identity::from(name)
        }),
        request,
    })
}

fn as_json(explanation: &Explanation) -> Value {
    let step = |step: &Step| {
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

/// Whether the address may be dialled.
fn address(settings: &Settings, target: &Authority, explanation: &Explanation) -> String {
    match &target.host {
        Host::Name(_) if !explanation.parents.is_empty() => {
            "address: not resolved by this proxy; the parent resolves the name, and what it may reach is the parent's to say\n"
                .to_owned()
        }
        Host::Ip(ip) => match settings.reach.check(*ip) {
            Ok(()) => format!("address: {ip} may be dialled\n"),
            Err(forbidden) => format!("address: refused: {forbidden}\n"),
        },
        Host::Name(_) => {
            "address: not resolved here; each address that the name resolves to is checked when it is dialled\n"
                .to_owned()
        }
    }
}

/// Which rules look at what goes to or comes from `target`.
fn rules(settings: &Settings, target: &Authority) -> String {
    if !settings.inspection_enabled {
        return "rules: none look: inspect.enabled is false\n".into();
    }
    let looking: Vec<_> = settings
        .rules
        .iter()
        .filter(|rule| rule.concerns(target))
        .collect();
    let mut text = match looking.len() {
        0 => "rules: none look here\n".to_owned(),
        _ => "rules, if it is decrypted and their other conditions hold:\n".to_owned(),
    };
    for rule in looking {
        let mode = match rule.mode {
            Mode::Enforce => "enforced",
            Mode::Observe => "observed",
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {}: {}, {mode}  [{}]", rule.name, rule.action, rule.at);
    }
    text
}

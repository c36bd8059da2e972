//! `wsbump explain`: what would happen, asked of the code that decides.

use super::args::ExplainArgs;
use super::output::{CommandError, emit};
use crate::api::{ExplainQuestion, NotAQuestion, Question, as_json};
use crate::decide::{ExplainedAction, Explanation};
use crate::inspect::Mode;
use crate::portal;
use crate::settings::{Problems, Settings};
use crate::wire::names::{Authority, Host};
use std::fmt::Write;
use std::sync::Arc;

/// `wsbump explain`: says what would happen to a destination, and why.
///
/// # Errors
/// The configuration is wrong, or an option is.
pub fn explain(options: &ExplainArgs) -> Result<(), CommandError> {
    let mut question = question(options)?;
    let settings = options.place.source().load()?;
    if let Some(auth) = &settings.auth {
        question.rename(&auth.names);
    }
    let moment = match &options.time {
        Some(time) => time
            .parse()
            .map_err(|message: String| Problems::of_option("--time", message))?,
        None => settings.clock.moment(),
    };
    let listener = listener(options.listener.as_deref(), &settings)?;
    if portal::is_at(&settings.portal, &question.target) && !options.json {
        let text = format!(
            "{} is the portal, which the proxy answers by itself, whatever the policy says.\n",
            question.target
        );
        return emit(text.as_bytes());
    }
    let explanation = question.ask(
        &settings.policy,
        options.client,
        &listener,
        moment,
        settings.asks_names(),
    );
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

/// Reads the options.
fn question(options: &ExplainArgs) -> Result<Question, Problems> {
    let asked = ExplainQuestion {
        target: options.target.clone(),
        user: options.user.clone(),
        groups: options.group.clone(),
        sni: options.sni.clone(),
        method: options.method.clone(),
        path: options.path.clone(),
    };
    Question::of(&asked).map_err(|error| match error {
        NotAQuestion::Target(message) => Problems::of_option("HOST:PORT", message),
        NotAQuestion::Method(message) => Problems::of_option("--method", message),
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

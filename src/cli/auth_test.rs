//! `wsbump auth-test`: tries a login, and says each step.

use super::args::AuthTestArgs;
use super::output::{CommandError, emit, tell};
use crate::admit::{Admission, AdmitWatch, Admitted, Answer, CredentialsJudged, Opening, Road};
use crate::decide::Policy;
use crate::decide::nets::Reach;
use crate::dial::{
    Deadlines, Hosts, LookUpOutcome, LookUpSource, NameWatch, Network, ParentOutcome, ParentWatch, Parents,
    Resolver,
};
use crate::identity::Identity;
use crate::journey::open_own;
use crate::settings::Problems;
use crate::wire::names::Authority;
use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{IsTerminal as _, Read as _};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use zeroize::Zeroizing;

/// `wsbump auth-test`: tries a name with a password, or a token; tells whether it is let in.
///
/// # Errors
/// The configuration is wrong, asks for nothing of the kind, or the password or token cannot be read.
pub fn auth_test(options: &AuthTestArgs) -> Result<bool, CommandError> {
    let settings = options.place.source().load()?;
    let auth = settings.auth.clone();
    let (auth, shown) = match (&options.token_file, &options.name) {
        (Some(path), _) => {
            let auth = auth.filter(|auth| auth.bearer.is_some());
            let message = "no token is asked for: the configuration has no [auth.bearer]";
            let auth = auth.ok_or_else(|| Problems::of_option("--token-file", message))?;
            let token = only_line(path, "--token-file")?;
            (auth, Zeroizing::new(format!("Bearer {}", *token)))
        }
        (None, name) => {
            let auth = auth.filter(|auth| auth.basic.is_some());
            let message = "no password is asked for: the configuration has no [auth.basic] and no [auth.ldap]; a ticket or a \
                           certificate is tried by a client that has one";
            let auth = auth.ok_or_else(|| Problems::of_option("NAME", message))?;
            let name = name.as_deref().unwrap_or_default();
            (auth, basic(name, options.password_file.as_deref())?)
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| CommandError::Other(format!("cannot start: {error}")))?;
    let heard = Arc::new(Heard::default());
    let resolver = Resolver::new(settings.dns);
    let way = Arc::new(KeysWay {
        policy: settings.policy,
        parents: Parents::again(settings.parents, None),
        hosts: settings.hosts,
        resolver: resolver.map_err(|error| CommandError::Other(format!("network.dns: {error}")))?,
        deadlines: Deadlines {
            dns: settings.timeouts.dns,
            connect: settings.timeouts.dial,
        },
        heard: Arc::clone(&heard),
    });
    let road: Arc<dyn Road> = way.clone();
    let admission = Admission::again(auth, heard.clone(), &road, None);
    let client = IpAddr::from(Ipv4Addr::LOCALHOST);
    let admitted = runtime.block_on(admission.judge(Some(shown.as_bytes()), client, None));
    let said = LoginReport {
        name: options.name.as_deref(),
        steps: heard.take(),
        admitted: &admitted,
        policy: &way.policy,
    };
    match options.json {
        true => emit(format!("{}\n", said.as_json()).as_bytes())?,
        false => emit(said.as_text().as_bytes())?,
    }
    Ok(matches!(admitted, Admitted::Known(_)))
}

/// The credentials of `name`, whose password is in a file or typed.
fn basic(name: &str, password_file: Option<&Path>) -> Result<Zeroizing<String>, CommandError> {
    if name.contains(':') {
        let message = "has a colon, which no name can have in Basic (RFC 7617 section 2)";
        return Err(Problems::of_option("NAME", message).into());
    }
    let password = password(password_file)?;
    let shown = Zeroizing::new(format!("{name}:{}", *password));
    Ok(Zeroizing::new(format!(
        "Basic {}",
        BASE64_STANDARD.encode(&*shown)
    )))
}

/// From a file (`-` is standard input), or typed.
fn password(file: Option<&Path>) -> Result<Zeroizing<String>, CommandError> {
    let Some(path) = file else {
        if !std::io::stdin().is_terminal() {
            let message =
                "there is no terminal to type a password at; write it into a file, which - is standard input";
            return Err(Problems::of_option("--password-file", message).into());
        }
        tell("Password: ");
        return rpassword::read_password()
            .map(Zeroizing::new)
            .map_err(|error| CommandError::Other(format!("the password cannot be read: {error}")));
    };
    only_line(path, "--password-file")
}

/// The only line of a file that an option names; `-` is standard input.
fn only_line(path: &Path, option: &str) -> Result<Zeroizing<String>, CommandError> {
    let mut text = Zeroizing::new(String::new());
    let read = match path == Path::new("-") {
        true => std::io::stdin().read_to_string(&mut text).map(drop),
        false => std::fs::read_to_string(path).map(|read| *text = read),
    };
    read.map_err(|error| Problems::of_option(option, format!("{}: {error}", path.display())))?;
    // The line ends where the editor ended it.
    let length = text.trim_end_matches(['\r', '\n']).len();
    text.truncate(length);
    Ok(text)
}

/// The way to an issuer's keys, which is that of the proxy.
struct KeysWay {
    policy: Policy,
    parents: Parents,
    hosts: Hosts,
    resolver: Resolver,
    deadlines: Deadlines,
    heard: Arc<Heard>,
}

impl Road for KeysWay {
    fn open<'a>(&'a self, to: &'a Authority) -> Opening<'a> {
        Box::pin(async move {
            let network = Network {
                hosts: &self.hosts,
                resolver: &self.resolver,
                reach: &Reach::everywhere(),
                own: &[],
                deadlines: self.deadlines,
            };
            open_own(to, &self.policy, &self.parents, network, &self.heard).await
        })
    }
}

/// Keeps each step.
#[derive(Debug, Default)]
struct Heard(Mutex<Vec<HeardStep>>);

#[derive(Debug)]
enum HeardStep {
    Asked(&'static str, Answer, Duration),
    Parent(String, ParentOutcome, Duration),
    Judged {
        claimed: Option<String>,
        outcome: &'static str,
        source: &'static str,
        detail: Option<String>,
    },
}

impl Heard {
    fn note(&self, step: HeardStep) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(step);
    }

    fn take(&self) -> Vec<HeardStep> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl AdmitWatch for Heard {
    fn judged(&self, judged: &CredentialsJudged<'_>) {
        self.note(HeardStep::Judged {
            claimed: judged.claimed.map(str::to_owned),
            outcome: judged.claim.label(),
            source: judged.source.label(),
            detail: judged.detail.map(str::to_owned),
        });
    }

    fn asked(&self, directory: &'static str, answer: Answer, took: Duration) {
        self.note(HeardStep::Asked(directory, answer, took));
    }

    /// One attempt locks nobody out that it would not say so of itself.
    fn locked_out(&self, _claimed: &str, _client: IpAddr, _attempts: u32, _rest: Duration) {}
}

/// How names become addresses is told where they do not, and then in the step that needed them.
impl NameWatch for Heard {
    fn looked_up(&self, _source: LookUpSource, _outcome: LookUpOutcome) {}

    fn queried(&self, _outcome: LookUpOutcome, _took: Duration, _kept: usize) {}
}

impl ParentWatch for Heard {
    fn asked(&self, parent: &str, outcome: ParentOutcome, took: Duration) {
        self.note(HeardStep::Parent(parent.to_owned(), outcome, took));
    }

    fn is_well(&self, _parent: &str, _is_well: bool, _why: &str) {}

    fn went_direct(&self) {}
}

/// What is to be said.
struct LoginReport<'a> {
    /// As it was written; `None` of a token.
    name: Option<&'a str>,
    steps: Vec<HeardStep>,
    admitted: &'a Admitted,
    policy: &'a Policy,
}

impl LoginReport<'_> {
    fn identity(&self) -> Option<&Identity> {
        match self.admitted {
            Admitted::Known(identity) => Some(identity),
            Admitted::Challenge(_) | Admitted::Unsure(_) => None,
        }
    }

    fn as_text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        for step in &self.steps {
            let _ = match step {
                HeardStep::Asked(directory, answer, took) => {
                    let millis = took.as_secs_f64() * 1000.0;
                    writeln!(text, "{directory}: {} after {millis:.1} ms", answer.label())
                }
                HeardStep::Parent(parent, outcome, took) => {
                    let millis = took.as_secs_f64() * 1000.0;
                    writeln!(text, "parent {parent}: {} after {millis:.1} ms", outcome.label())
                }
                HeardStep::Judged {
                    claimed,
                    outcome,
                    source,
                    detail,
                } => {
                    if let Some(name) = self.name {
                        let claimed = claimed.as_deref().unwrap_or("nobody's name");
                        let _ = writeln!(text, "name: {name:?} is {claimed}");
                    }
                    let detail = detail.as_deref().map(|detail| format!(": {detail}"));
                    let detail = detail.unwrap_or_default();
                    writeln!(text, "verdict: {outcome} (by {source}){detail}")
                }
            };
        }
        let Some(identity) = self.identity() else {
            let status = match self.admitted {
                Admitted::Unsure(_) => "503: it cannot be told who this is",
                _ => "407: who this is has to be shown again",
            };
            let _ = writeln!(text, "answer: {status}");
            return text;
        };
        let _ = writeln!(text, "user: {}", identity.name);
        let groups = match identity.groups.join(", ") {
            none if none.is_empty() => "none".to_owned(),
            some => some,
        };
        let _ = writeln!(text, "groups: {groups}");
        let mut rules = self.policy.rules_by_user(identity).peekable();
        let _ = match rules.peek() {
            Some(_) => writeln!(text, "rules that ask for users or groups:"),
            None => writeln!(text, "rules that ask for users or groups: none"),
        };
        for (rule, missed) in rules {
            let holds = match missed {
                None => "may hold for this user".to_owned(),
                Some(key) => format!("does not hold: {key}"),
            };
            let _ = writeln!(text, "  {} ({}): {holds}", rule.name, rule.action.label());
        }
        text
    }

    fn as_json(&self) -> Value {
        let step = |step: &HeardStep| match step {
            HeardStep::Asked(directory, answer, took) => {
                json!({ "directory": directory, "answer": answer.label(), "seconds": took.as_secs_f64() })
            }
            HeardStep::Parent(parent, outcome, took) => {
                json!({ "parent": parent, "outcome": outcome.label(), "seconds": took.as_secs_f64() })
            }
            HeardStep::Judged {
                claimed,
                outcome,
                source,
                detail,
            } => json!({ "claimed": claimed, "outcome": outcome, "source": source, "detail": detail }),
        };
        let identity = self.identity();
        let rules = identity.map(|identity| {
            let rules = self.policy.rules_by_user(identity);
            let rules = rules.map(|(rule, missed)| {
                json!({ "rule": &*rule.name, "action": rule.action.label(), "holds": missed.is_none(), "condition": missed })
            });
            rules.collect::<Vec<_>>()
        });
        json!({
            "name": self.name,
            "status": match self.admitted {
                Admitted::Known(_) => 200,
                Admitted::Challenge(_) => 407,
                Admitted::Unsure(_) => 503,
            },
            "user": identity.map(|identity| &*identity.name),
            "groups": identity.map(|identity| identity.groups.iter().map(|group| &**group).collect::<Vec<_>>()),
            "steps": self.steps.iter().map(step).collect::<Vec<_>>(),
            "rules": rules,
        })
    }
}

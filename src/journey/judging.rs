//! What the policy is asked in the course of a connection, and what is made of its answers.

use super::client_facts::ClientFacts;
use super::config::{Config, OnChange};
use super::identity::unnamed;
use super::proxy::Proxy;
use crate::accept::Who;
use crate::decide::{
    Act, AtAsk, Facts, HelloFacts, Observed, OriginFacts, Permitted, Policy, Remaining, RequestFacts,
    Treatment, User, Verdict,
};
use crate::http::{Allowed, ErrorResponse, HttpError, Judge, JudgedRequest, Requester};
use crate::report::{Event, Report};
use crate::wire::names::Authority;
use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// What a tunnel has shown once it has begun.
#[derive(Debug, Clone)]
pub(super) struct Begun {
    pub(super) client: ClientFacts,
    pub(super) target: Authority,
    /// It is a tunnel, and no connection of requests that name their servers.
    pub(super) is_tunnel: bool,
    pub(super) sni: Option<String>,
    /// The target is an address of the SNI's.
    pub(super) is_confirmed: bool,
    /// Whether the origin's certificate verifies, and who issued it, once that is known.
    pub(super) certificate: Option<(bool, Option<String>)>,
    /// The rule that has let it begin, if one of the table has.
    pub(super) rule: Option<Arc<str>>,
    /// What is to be asked about each request.
    pub(super) remaining: Option<Remaining>,
    /// The denial of all that is no request, where only requests may be allowed.
    pub(super) otherwise: Option<Arc<Verdict>>,
}

impl Begun {
    pub(super) fn facts<'a>(&'a self, config: &Config) -> Facts<'a> {
        let user = self.client.who.user.as_deref();
        let mut facts = self.client.facts(config, &self.target, user, self.is_tunnel);
        facts.hello = Some(HelloFacts {
            sni: self.sni.as_deref(),
            is_confirmed: self.is_confirmed,
        });
        facts.origin = self.certificate.as_ref().map(|(is_valid, issuer)| OriginFacts {
            is_valid: *is_valid,
            issuer: issuer.as_deref(),
        });
        if facts.user == User::Unasked {
            facts.user = User::Nobody;
        }
        facts
    }
}

/// Judges the requests of one tunnel.
pub(super) struct TunnelJudge {
    pub(super) config: Arc<Config>,
    pub(super) proxy: Arc<Proxy>,
    pub(super) treatment: Arc<Treatment>,
    pub(super) begun: Option<Arc<Begun>>,
}

impl Judge for TunnelJudge {
    fn judge(&self, asked: &JudgedRequest<'_>) -> Result<Allowed, Box<ErrorResponse>> {
        let Some(begun) = &self.begun else {
            return Ok(Allowed {
                treatment: Arc::clone(&self.treatment),
                rule: None,
            });
        };
        let changed = changed(&self.proxy, &self.config);
        if asked.client != begun.client.who.client {
            // It was judged for whoever has connected, who brings requests of others.
            let begun = Begun {
                client: begun.client.of(asked.client),
                ..Begun::clone(begun)
            };
            return self.anew(&begun, changed.as_ref().unwrap_or(&self.config), asked);
        }
        if let Some(config) = changed {
            return self.anew(begun, &config, asked);
        }
        let rule = match &begun.remaining {
            Some(remaining) => self.request(begun, &self.config, asked, remaining)?,
            None => begun.rule.clone(),
        };
        Ok(Allowed {
            treatment: Arc::clone(&self.treatment),
            rule,
        })
    }
}

impl TunnelJudge {
    fn request(
        &self,
        begun: &Begun,
        config: &Config,
        asked: &JudgedRequest<'_>,
        remaining: &Remaining,
    ) -> Result<Option<Arc<str>>, Box<ErrorResponse>> {
        let mut facts = begun.facts(config);
        facts.request = Some(asked.request);
        let said = config.policy.at_request(&facts, remaining);
        self.settle(begun, asked, said)
    }

    /// By a policy that has come since the tunnel began, or for another client. It is decrypted already, whatever is to become of new ones.
    fn anew(
        &self,
        begun: &Begun,
        config: &Config,
        asked: &JudgedRequest<'_>,
    ) -> Result<Allowed, Box<ErrorResponse>> {
        let facts = begun.facts(config);
        let said = config.policy.at_hello(&facts);
        let rule = match (&said.remaining, &said.verdict.act) {
            (_, Act::Deny) => self.settle(begun, asked, AtAsk::Denied(said.verdict))?,
            (Some(remaining), _) => self.request(begun, config, asked, remaining)?,
            (None, _) => said.verdict.rule,
        };
        Ok(Allowed {
            treatment: config.policy.treatment(&facts),
            rule,
        })
    }

    fn settle(
        &self,
        begun: &Begun,
        asked: &JudgedRequest<'_>,
        said: AtAsk,
    ) -> Result<Option<Arc<str>>, Box<ErrorResponse>> {
        settle(
            &self.proxy.report,
            &self.config,
            &begun.client.who,
            asked.target,
            said,
        )
        .map_err(|refused| Box::new(refused.problem))
    }
}

/// The configuration of now, where it is another than `begun` and holds for what is open too.
pub(super) fn changed(proxy: &Proxy, begun: &Arc<Config>) -> Option<Arc<Config>> {
    let now = proxy.config.load();
    let holds = now.on_change != OnChange::Keep && !Arc::ptr_eq(&now, begun);
    holds.then(|| Arc::clone(&now))
}

/// A request that goes no further.
pub(super) struct NotAllowed {
    /// What was decided; `None` where that waits for who asks.
    pub(super) verdict: Option<Verdict>,
    /// What the client is answered.
    pub(super) problem: ErrorResponse,
}

/// Judges requests that name their servers, each by itself.
pub(super) struct RequestJudge {
    pub(super) config: Arc<Config>,
    pub(super) proxy: Arc<Proxy>,
    pub(super) client: ClientFacts,
    pub(super) requester: Requester,
}

impl RequestJudge {
    /// What the policy says of a request, and how it is treated.
    pub(super) fn ask(
        &self,
        target: &Authority,
        request: RequestFacts<'_>,
    ) -> Result<Allowed, Box<NotAllowed>> {
        let user = self.requester.user();
        let changed = changed(&self.proxy, &self.config);
        let config = changed.as_ref().unwrap_or(&self.config);
        let client = self.client();
        let facts = client.facts(config, target, user.as_deref(), false);
        let mut facts = facts.beginning(None);
        facts.request = Some(request);
        let policy = &config.policy;
        let who = Who {
            user: user.clone(),
            ..client.who.clone()
        };
        let (said, treatment) = policy.at_named_request(&facts);
        let rule = settle(&self.proxy.report, config, &who, target, said)?;
        Ok(Allowed { treatment, rule })
    }
}

impl RequestJudge {
    /// What is known of whoever asks now.
    pub(super) fn client(&self) -> Cow<'_, ClientFacts> {
        match self.requester.client() {
            Some(client) => Cow::Owned(self.client.of(client)),
            None => Cow::Borrowed(&self.client),
        }
    }

    /// How requests for a server are treated.
    pub(super) fn treatment(&self, target: &Authority) -> Arc<Treatment> {
        let user = self.requester.user();
        let client = self.client();
        let facts = client.facts(&self.config, target, user.as_deref(), false);
        self.config.policy.treatment(&facts.beginning(None))
    }
}

/// States what was said of a request, and by which rule it may go on; makes an answer of a denial, whose verdict comes
/// beside it.
fn settle(
    report: &Report,
    config: &Config,
    who: &Who,
    target: &Authority,
    said: AtAsk,
) -> Result<Option<Arc<str>>, Box<NotAllowed>> {
    match said {
        AtAsk::Open(Permitted { rule, observed }) => {
            state_observed(report, who, target, &observed);
            if let Some(rule) = &rule {
                report.state(&Event::RuleReached(rule));
            }
            Ok(rule)
        }
        AtAsk::Denied(verdict) => {
            state_observed(report, who, target, &verdict.observed);
            report.state(&Event::Decided(&verdict));
            let problem = denial(target, &verdict);
            Err(Box::new(NotAllowed {
                verdict: Some(verdict),
                problem,
            }))
        }
        AtAsk::Name(rule) => Err(Box::new(NotAllowed {
            verdict: None,
            problem: {
                report.state(&Event::RuleReached(&rule));
                nameless(config, target, rule)
            },
        })),
    }
}

/// States what rules would have done that are only observed.
pub(super) fn state_observed(report: &Report, who: &Who, target: &Authority, observed: &[Observed]) {
    for observed in observed {
        report.state(&Event::PolicyObserved {
            who,
            target,
            observed,
        });
    }
}

/// What a client is told whose destination is denied.
pub(super) fn denial(to: &Authority, denied: &Verdict) -> ErrorResponse {
    let title = denied.title.as_ref().or(denied.rule.as_ref());
    let by = match (title, &denied.matched) {
        (Some(rule), _) => format!(" (rule {rule:?})"),
        (None, Some(matched)) => format!(" (list {:?}, line {})", matched.list, matched.line),
        (None, None) => String::new(),
    };
    let list = denied.matched.as_ref().map(|matched| &matched.list);
    ErrorResponse {
        rule: title.or(list).cloned(),
        policy_rule: denied.rule.clone().map(Box::new),
        page: denied.page.clone(),
        ..ErrorResponse::new(HttpError::Refused, format!("{to} is not allowed here{by}"))
    }
}

/// What a client is told that has to say who it is for this rule.
pub(super) fn nameless(config: &Config, to: &Authority, rule: Arc<str>) -> ErrorResponse {
    let problem = unnamed(config, to).unwrap_or_else(|| {
        let text = format!("{to} is for users who say who they are (rule {rule:?})");
        ErrorResponse::new(HttpError::Refused, text)
    });
    ErrorResponse {
        policy_rule: Some(Box::new(rule)),
        ..problem
    }
}

/// The policy's word on something that the proxy fetches by itself, for no client.
pub(super) fn denies_proxy(policy: &Policy, target: &Authority) -> bool {
    matches!(policy.at_ask(&Facts::tunnel(NOBODY, target)), AtAsk::Denied(_))
}

/// How that is treated.
pub(super) fn treatment_of_proxy(policy: &Policy, target: &Authority) -> Arc<Treatment> {
    policy.treatment(&Facts::tunnel(NOBODY, target).beginning(None))
}

/// The client of what no client has asked for.
const NOBODY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

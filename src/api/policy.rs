//! The policy, its lists, and what it says to a destination.

use super::answer::{Problem, value};
use super::asked::{Asking, body};
use super::context::ApiContext;
use super::explain::{ExplainQuestion, NotAQuestion, Question, as_json};
use super::rights::{Caller, Right};
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr};

/// `GET /api/v1/policy`
pub(super) async fn policy(
    State(context): State<ApiContext>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Problem> {
    caller.may(Right::View)?;
    let config = context.proxy.config.load();
    let rules: Vec<Value> = (config.policy.table())
        .map(|rule| {
            json!({
                "name": &*rule.name, "title": rule.title.as_deref(), "action": rule.action.label(),
                "observed": rule.is_observed, "at": rule.at,
            })
        })
        .collect();
    Ok(value(
        &json!({ "rules": rules, "settings": config.policy.setting_count() }),
    ))
}

/// `GET /api/v1/lists`
pub(super) async fn lists(
    State(context): State<ApiContext>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Problem> {
    caller.may(Right::View)?;
    let config = context.proxy.config.load();
    let lists: Vec<Value> = (config.policy.named_lists().iter())
        .map(|list| json!({ "name": list.name(), "entries": list.len() }))
        .collect();
    Ok(value(&json!({ "lists": lists })))
}

/// A question with who asks and where.
#[derive(Debug, Deserialize)]
pub(super) struct Explain {
    client: Option<IpAddr>,
    listener: Option<String>,
    /// Such as `Mon 09:30`, by the policy's time zone; now if left out.
    time: Option<String>,
    #[serde(flatten)]
    asked: ExplainQuestion,
}

/// `POST /api/v1/policy/explain`
pub(super) async fn explain(
    State(context): State<ApiContext>,
    Extension(caller): Extension<Caller>,
    explain: Asking,
) -> Result<Response, Problem> {
    caller.may(Right::View)?;
    let explain: Explain = body(explain)?;
    let mut question = Question::of(&explain.asked).map_err(|error| match error {
        NotAQuestion::Target(message) | NotAQuestion::Method(message) => Problem::bad(message),
    })?;
    let config = context.proxy.config.load();
    if let Some(admission) = &config.admission {
        question.rename(admission.names());
    }
    let moment = match &explain.time {
        Some(time) => time.parse().map_err(|message: String| Problem::bad(message))?,
        None => config.clock.moment(),
    };
    let explanation = question.ask(
        &config.policy,
        explain.client.unwrap_or(Ipv4Addr::LOCALHOST.into()),
        explain.listener.as_deref().unwrap_or("proxy"),
        moment,
        config.admission.is_some(),
    );
    let mut answer = as_json(&explanation);
    answer["text"] = explanation.to_string().into();
    Ok(value(&answer))
}

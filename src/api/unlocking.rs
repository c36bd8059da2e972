//! Asking to see what is locked, and letting somebody.

use super::answer::{Problem, value};
use super::asked::{Asking, body};
use super::context::ApiContext;
use super::operate::Nothing;
use super::rights::{Caller, Right};
use super::unlocks::{Locked, NotLet};
use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::time::{Duration, Instant};

/// The shortest reason that says anything, and the longest, in characters.
const REASON: usize = 4;
const LONGEST: usize = 4096;

/// What somebody wants to see.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ask {
    what: String,
    reason: String,
    seconds: u64,
}

/// `GET /api/v1/unlocks`
pub(super) async fn all(
    State(context): State<ApiContext>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Problem> {
    caller.may(Right::View)?;
    let now = Instant::now();
    let shown: Vec<Value> = context
        .unlocks
        .all()
        .iter()
        .rev()
        .map(|it| it.shown(now))
        .collect();
    Ok(value(&json!({ "unlocks": shown })))
}

/// `POST /api/v1/unlocks`
pub(super) async fn ask(
    State(context): State<ApiContext>,
    Extension(caller): Extension<Caller>,
    asked: Asking,
) -> Result<Response, Problem> {
    caller.may(Right::View)?;
    let asked: Ask = body(asked)?;
    let view = context.proxy.config.load().view;
    let what = Locked::ALL
        .iter()
        .copied()
        .find(|what| what.label() == asked.what);
    let what = what.ok_or_else(|| Problem::bad("what is \"raw\" or \"people\""))?;
    let forbidden = |detail: &str| Problem::new(StatusCode::FORBIDDEN, detail);
    let is_locked = match what {
        Locked::Raw => {
            caller.may(Right::Raw)?;
            view.raw && view.two_persons.raw
        }
        Locked::People => view.two_persons.people,
    };
    if !is_locked {
        return Err(forbidden(
            "the configuration asks for no second person here (view.two_persons)",
        ));
    }
    let reason = asked.reason;
    if !(REASON..=LONGEST).contains(&reason.chars().count()) {
        return Err(Problem::bad("reason says why, in 4 to 4096 characters"));
    }
    if reason.trim().chars().count() < REASON {
        return Err(forbidden(
            "the other person wants to know why: reason says nothing",
        ));
    }
    let most = view.unlock.as_secs();
    if !(1..=most).contains(&asked.seconds) {
        return Err(Problem::bad(format!("seconds are 1 to {most} (view.unlock)")));
    }
    told(&context, "unlock_asked", &caller.by, (what, &reason, None)).await?;
    let lasts = Duration::from_secs(asked.seconds);
    let now = Instant::now();
    let asked = context.unlocks.ask(&caller, what, reason, lasts, now);
    Ok(value(&asked.shown(now)))
}

/// `POST /api/v1/unlocks/{id}/grant`
pub(super) async fn grant(
    State(context): State<ApiContext>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<u64>, PathRejection>,
    nothing: Asking,
) -> Result<Response, Problem> {
    caller.may(Right::Approve)?;
    let Nothing {} = body(nothing)?;
    let Path(id) = id.map_err(|error| Problem::bad(error.body_text()))?;
    let problem = |why| match why {
        NotLet::None => none(),
        NotLet::Oneself => Problem::new(
            StatusCode::FORBIDDEN,
            "another person has to let you: nobody lets themselves",
        ),
    };
    let of = context
        .unlocks
        .may_let(id, &caller.person, Instant::now())
        .map_err(problem)?;
    told(
        &context,
        "unlock_granted",
        &caller.by,
        (of.what, &of.reason, Some(&of.by)),
    )
    .await?;
    let now = Instant::now();
    let granted = context.unlocks.grant(id, &caller, now).map_err(problem)?;
    Ok(value(&granted.shown(now)))
}

/// `POST /api/v1/unlocks/{id}/end`
pub(super) async fn end(
    State(context): State<ApiContext>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<u64>, PathRejection>,
    nothing: Asking,
) -> Result<Response, Problem> {
    let Nothing {} = body(nothing)?;
    let Path(id) = id.map_err(|error| Problem::bad(error.body_text()))?;
    let found = context.unlocks.all().iter().find(|it| it.id == id).cloned();
    let found = found.ok_or_else(none)?;
    if found.person != caller.person {
        caller.may(Right::Approve)?;
    }
    // That nobody sees any more is not held up by a log that cannot be written.
    let ended = context.unlocks.end(id).ok_or_else(none)?;
    told(
        &context,
        "unlock_ended",
        &caller.by,
        (ended.what, &ended.reason, Some(&ended.by)),
    )
    .await?;
    Ok(value(&ended.shown(Instant::now())))
}

fn none() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "nobody waits for this, or not any more")
}

async fn told(
    context: &ApiContext,
    operation: &'static str,
    by: &str,
    (what, reason, of): (Locked, &str, Option<&str>),
) -> Result<(), Problem> {
    let mut details = Map::from_iter([
        ("operation".to_owned(), Value::from(operation)),
        ("what".to_owned(), what.label().into()),
        ("reason".to_owned(), reason.into()),
    ]);
    if let Some(of) = of {
        details.insert("of".to_owned(), of.into());
    }
    context.act("operation", by, details).await
}

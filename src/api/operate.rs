//! What changes something.

use super::answer::{Problem, value};
use super::asked::{Asking, body};
use super::connections::find;
use super::context::ApiContext;
use super::rights::{Caller, Right};
use axum::Extension;
use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, json};

/// What is to be closed of a connection.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Close {
    /// One of its WebSockets; without one, all of it.
    websocket: Option<u64>,
    /// Why, for the audit log.
    reason: Option<String>,
}

/// Nothing more is to be said.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// `POST /api/v1/connections/{id}/close`
pub(super) async fn close(
    State(context): State<ApiContext>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<u64>, axum::extract::rejection::PathRejection>,
    close: Asking,
) -> Result<Response, Problem> {
    caller.may(Right::Operate)?;
    let Close { websocket, reason } = body(close)?;
    let connection = find(&context, id)?;
    let relay = match websocket {
        None => None,
        Some(id) => {
            let relay = connection
                .relays()
                .into_iter()
                .find(|relay| relay.id == id && id != 0);
            let none = || Problem::new(StatusCode::NOT_FOUND, "no WebSocket of this number is open there");
            Some(relay.ok_or_else(none)?)
        }
    };
    let mut details = Map::new();
    details.insert("operation".into(), "close".into());
    details.insert("connection".into(), connection.id.into());
    if let Some(websocket) = websocket {
        details.insert("websocket".into(), websocket.into());
    }
    if let Some(reason) = reason {
        details.insert("reason".into(), reason.into());
    }
    context.act("operation", &caller.by, details).await?;
    match relay {
        Some(relay) => relay.close(),
        None => connection.close(),
    }
    Ok(value(&json!({ "result": "closing" })))
}

/// `POST /api/v1/reload`
pub(super) async fn reload(
    State(context): State<ApiContext>,
    Extension(caller): Extension<Caller>,
    nothing: Asking,
) -> Result<Response, Problem> {
    caller.may(Right::Operate)?;
    let Nothing {} = body(nothing)?;
    let details = Map::from_iter([("operation".to_owned(), "reload".into())]);
    context.act("operation", &caller.by, details).await?;
    match (context.operator.reload)().await {
        Ok(()) => Ok(value(&json!({ "result": "success" }))),
        Err(error) => Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error)),
    }
}

/// `POST /api/v1/drain`
pub(super) async fn drain(
    State(context): State<ApiContext>,
    Extension(caller): Extension<Caller>,
    nothing: Asking,
) -> Result<Response, Problem> {
    caller.may(Right::Operate)?;
    let Nothing {} = body(nothing)?;
    let details = Map::from_iter([("operation".to_owned(), "drain".into())]);
    context.act("operation", &caller.by, details).await?;
    (context.operator.drain)();
    Ok(value(&json!({ "result": "draining" })))
}

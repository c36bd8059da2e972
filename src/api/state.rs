//! The state of the process, and its CA.

use super::answer::{Problem, value};
use super::context::ApiContext;
use super::rights::{Caller, Right};
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use serde_json::json;

/// `GET /api/v1/state`
pub(super) async fn state(
    State(context): State<ApiContext>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Problem> {
    caller.may(Right::View)?;
    let proxy = &context.proxy;
    let config = proxy.config.load();
    let live = proxy.report.live();
    Ok(value(&json!({
        "version": env!("CARGO_PKG_VERSION"),
        "instance": proxy.report.instance(),
        "uptime_seconds": context.since.elapsed().as_secs_f64(),
        "draining": proxy.drain.is_begun(),
        "connections": proxy.open.count(),
        "connection_limit": config.limits.connections,
        "watching": live.subscribers(),
        "view": {
            "content": config.view.content,
            "raw": config.view.raw,
            "people": config.view.people.label(),
            "content_bytes": config.view.content_bytes,
            "two_persons": { "raw": config.view.two_persons.raw, "people": config.view.two_persons.people },
            "unlock_seconds": config.view.unlock.as_secs(),
        },
    })))
}

/// `GET /api/v1/ca`
pub(super) async fn ca(
    State(context): State<ApiContext>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Problem> {
    caller.may(Right::View)?;
    let ca = context.proxy.config.load().ca.clone();
    Ok(value(&json!({
        "subject": ca.subject(),
        "fingerprint_sha256": ca.fingerprint_sha256(),
        "pem": ca.root_pem(),
    })))
}

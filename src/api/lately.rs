//! What happened before somebody looked: findings, and clients that refused the certificate.

use super::answer::{Problem, value};
use super::context::ApiContext;
use super::rights::{Caller, Right};
use crate::live::{LiveEvent, Shown};
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};
use std::sync::Arc;

/// `GET /api/v1/findings`
pub(super) async fn findings(
    State(context): State<ApiContext>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Problem> {
    caller.may(Right::View)?;
    let events = context.proxy.report.live().findings();
    Ok(value(&json!({ "findings": shown(&context, &caller, &events) })))
}

/// `GET /api/v1/refusals`
pub(super) async fn refusals(
    State(context): State<ApiContext>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Problem> {
    caller.may(Right::View)?;
    let events = context.proxy.report.live().refusals();
    Ok(value(&json!({ "refusals": shown(&context, &caller, &events) })))
}

/// Without surroundings of matches: those are content, and no line says that anybody looks at it here.
fn shown(context: &ApiContext, caller: &Caller, events: &[Arc<LiveEvent>]) -> Vec<Value> {
    let live = Arc::clone(context.proxy.report.live());
    let mut shown = Shown::new(live, false, 0, None, false).with_names(context.sees_people(caller));
    events
        .iter()
        .rev()
        .filter_map(|event| shown.event(event))
        .collect()
}

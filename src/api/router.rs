//! What is asked for by which name.

use super::answer::{Problem, json};
use super::context::ApiContext;
use super::{connections, events, lately, operate, policy, state};
use axum::Router;
use axum::routing::{get, post};
use http::StatusCode;

/// The description of all of it, which `GET /api/v1/openapi.json` answers with.
const OPENAPI: &str = include_str!("openapi.json");

/// Each handler at its path. Each request has a [`Caller`](super::Caller) among its extensions.
pub fn router(context: ApiContext) -> Router {
    Router::new()
        .route("/api/v1/openapi.json", get(async || json(OPENAPI)))
        .route("/api/v1/state", get(state::state))
        .route("/api/v1/ca", get(state::ca))
        .route("/api/v1/connections", get(connections::all))
        .route("/api/v1/connections/{id}", get(connections::one))
        .route("/api/v1/connections/{id}/close", post(operate::close))
        .route("/api/v1/events", post(events::events))
        .route("/api/v1/findings", get(lately::findings))
        .route("/api/v1/refusals", get(lately::refusals))
        .route("/api/v1/policy", get(policy::policy))
        .route("/api/v1/policy/explain", post(policy::explain))
        .route("/api/v1/lists", get(policy::lists))
        .route("/api/v1/reload", post(operate::reload))
        .route("/api/v1/drain", post(operate::drain))
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "there is nothing of this name"))
        .method_not_allowed_fallback(async || {
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "this is asked for by another method",
            )
        })
        .with_state(context)
}

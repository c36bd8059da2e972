//! A way into the console for whoever may use the live socket.

use super::answer::{Problem, value};
use super::asked::{Asking, body};
use super::context::ApiContext;
use super::operate::Nothing;
use super::rights::Caller;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde_json::{Map, json};

/// `POST /api/v1/login`
pub(super) async fn login(
    State(context): State<ApiContext>,
    Extension(caller): Extension<Caller>,
    nothing: Asking,
) -> Result<Response, Problem> {
    let Nothing {} = body(nothing)?;
    // Who has logged in by a token must not get a session that outlives it.
    if !caller.is_local {
        let detail = "only on the live socket: who is here already has logged in";
        return Err(Problem::new(StatusCode::FORBIDDEN, detail));
    }
    let details = Map::from_iter([("operation".to_owned(), "login_code".into())]);
    context.act("operation", &caller.by, details).await?;
    let url = (context.operator.login)().ok_or_else(|| {
        let detail = "there is no console: name an address in listen.console, or start with --console";
        Problem::new(StatusCode::NOT_FOUND, detail)
    })?;
    Ok(value(&json!({ "url": url })))
}

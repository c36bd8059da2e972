//! What somebody has seen, and keeps. The pages make the file; that it is made is written down first.

use super::answer::{Problem, value};
use super::asked::{Asking, body};
use super::context::ApiContext;
use super::rights::{Caller, Right};
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

/// As what something is kept.
#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Kept {
    Lines,
    Har,
}

/// What is kept.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Export {
    format: Kept,
    /// How many messages or requests.
    events: u64,
    /// Without a mask.
    #[serde(default)]
    raw: bool,
    websocket: Option<u64>,
    connection: Option<u64>,
}

/// `POST /api/v1/exports`
pub(super) async fn exports(
    State(context): State<ApiContext>,
    Extension(caller): Extension<Caller>,
    export: Asking,
) -> Result<Response, Problem> {
    caller.may(Right::Content)?;
    let export: Export = body(export)?;
    if export.raw {
        caller.may(Right::Raw)?;
    }
    let mut details = Map::from_iter([
        ("format".to_owned(), json!(export.format)),
        ("events".to_owned(), export.events.into()),
        ("raw".to_owned(), export.raw.into()),
    ]);
    for (name, number) in [("websocket", export.websocket), ("connection", export.connection)] {
        if let Some(number) = number {
            details.insert(name.to_owned(), number.into());
        }
    }
    context.act("export", &caller.by, details).await?;
    Ok(value(&json!({ "result": "written down" })))
}

//! What is asked for by which name.

use super::answer::{Problem, json};
use super::context::ApiContext;
use super::{connections, events, exports, lately, logins, operate, policy, state, unlocking};
use axum::Router;
use axum::routing::{get, post};
use http::StatusCode;

/// The description of all of it, which `GET /api/v1/openapi.json` answers with.
const OPENAPI: &str = include_str!("openapi.json");

macro_rules! routes {
    ($($method:ident $path:literal $handler:expr;)*) => {
        /// Each method and path, for the test that holds the description against them.
        #[cfg(test)]
        const ROUTES: &[(&str, &str)] = &[$((stringify!($method), $path)),*];

        fn routes() -> Router<ApiContext> {
            Router::new()$(.route($path, $method($handler)))*
        }
    };
}

routes! {
    get "/api/v1/openapi.json" async || json(OPENAPI);
    get "/api/v1/state" state::state;
    get "/api/v1/ca" state::ca;
    get "/api/v1/connections" connections::all;
    get "/api/v1/connections/{id}" connections::one;
    post "/api/v1/connections/{id}/close" operate::close;
    post "/api/v1/events" events::events;
    post "/api/v1/exports" exports::exports;
    get "/api/v1/findings" lately::findings;
    get "/api/v1/refusals" lately::refusals;
    get "/api/v1/policy" policy::policy;
    post "/api/v1/policy/explain" policy::explain;
    get "/api/v1/lists" policy::lists;
    post "/api/v1/login" logins::login;
    get "/api/v1/unlocks" unlocking::all;
    post "/api/v1/unlocks" unlocking::ask;
    post "/api/v1/unlocks/{id}/grant" unlocking::grant;
    post "/api/v1/unlocks/{id}/end" unlocking::end;
    post "/api/v1/reload" operate::reload;
    post "/api/v1/drain" operate::drain;
}

/// Each handler at its path. Each request has a [`Caller`](super::Caller) among its extensions.
pub fn router(context: ApiContext) -> Router {
    routes()
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "there is nothing of this name"))
        .method_not_allowed_fallback(async || {
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "this is asked for by another method",
            )
        })
        .with_state(context)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::collections::BTreeSet;

    #[test]
    fn the_description_has_every_route_and_no_other() {
        let description: Value = serde_json::from_str(OPENAPI).unwrap();
        let mut described = BTreeSet::new();
        for (path, item) in description["paths"].as_object().unwrap() {
            for method in ["get", "post", "put", "patch", "delete"] {
                if item.get(method).is_some() {
                    described.insert((method, path.as_str()));
                }
            }
        }
        assert_eq!(described, ROUTES.iter().copied().collect());
    }
}

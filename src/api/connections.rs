//! What is open now.

use super::answer::{Problem, value};
use super::context::ApiContext;
use super::rights::{Caller, Right};
use crate::accept::Tally;
use crate::live::{
    LiveBus, LiveFilter, LiveTopic, LiveTopics, OpenConnection, OpenRelay, Passing, People, RelayKind,
};
use crate::relay::FrameTallies;
use crate::wire::frame::Direction;
use axum::Extension;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;

/// The most rows of one answer.
const ROWS: usize = 10_000;

/// Which connections are wanted.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WantedConnections {
    host: Option<String>,
    client: Option<String>,
    user: Option<String>,
    limit: Option<usize>,
}

/// `GET /api/v1/connections`
pub(super) async fn all(
    State(context): State<ApiContext>,
    Extension(caller): Extension<Caller>,
    wanted: Result<Query<WantedConnections>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Problem> {
    caller.may(Right::View)?;
    let Query(wanted) = wanted.map_err(|error| Problem::bad(error.body_text()))?;
    let limit = wanted.limit.unwrap_or(1000);
    if limit > ROWS {
        return Err(Problem::bad(format!("limit is {ROWS} at most")));
    }
    let filter = LiveFilter {
        topics: LiveTopics::NONE.with(LiveTopic::Connections),
        host: wanted.host,
        client: wanted.client,
        user: wanted.user,
        ..LiveFilter::default()
    };
    let people = context
        .proxy
        .report
        .live()
        .people()
        .until(context.sees_people(&caller));
    let (live, open) = (context.proxy.report.live(), context.proxy.open.all());
    let total = open.len();
    let mut rows = Vec::new();
    let mut matching = 0_usize;
    for connection in open {
        let known = connection.known();
        let who = crate::accept::Who {
            connection: connection.id,
            client: known.client.unwrap_or(connection.client).ip().to_canonical(),
            user: known.user,
        };
        let passing = Passing::of(LiveTopic::Connections)
            .who(&who)
            .host(known.target.as_ref());
        if filter.wants(&passing, people, live.pseudonyms()) {
            matching += 1;
            if rows.len() < limit {
                rows.push(row(&connection, live, people));
            }
        }
    }
    Ok(value(
        &json!({ "total": total, "matching": matching, "connections": rows }),
    ))
}

/// `GET /api/v1/connections/{id}`
pub(super) async fn one(
    State(context): State<ApiContext>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<u64>, axum::extract::rejection::PathRejection>,
) -> Result<Response, Problem> {
    caller.may(Right::View)?;
    let connection = find(&context, id)?;
    let live = context.proxy.report.live();
    let people = live.people().until(context.sees_people(&caller));
    Ok(value(&row(&connection, live, people)))
}

/// The connection that a path names.
pub(super) fn find(
    context: &ApiContext,
    id: Result<Path<u64>, axum::extract::rejection::PathRejection>,
) -> Result<Arc<OpenConnection>, Problem> {
    let Path(id) = id.map_err(|error| Problem::bad(error.body_text()))?;
    let found = context.proxy.open.find(id);
    found.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "no connection of this number is open"))
}

fn row(connection: &OpenConnection, live: &LiveBus, people: People) -> Value {
    let known = connection.known();
    let names = live.pseudonyms();
    let relays = connection.relays();
    let websockets: Vec<Value> = relays.iter().filter_map(|relay| websocket(relay)).collect();
    let protocol = match relays.first().map(|relay| &relay.kind) {
        _ if known.is_http2 => "h2",
        Some(RelayKind::WebSocket { .. }) => "websocket",
        Some(RelayKind::Opaque) => "tunnel",
        Some(RelayKind::Spliced) => "spliced",
        None if connection.carried.requests.get() > 0 => "http/1.1",
        None => "opening",
    };
    let mut row = Map::new();
    let mut put = |key: &str, value: Value| {
        if !value.is_null() {
            row.insert(key.into(), value);
        }
    };
    put("id", connection.id.into());
    put("inside", json!(connection.inside));
    put(
        "client",
        json!(names.client(
            people,
            known.client.unwrap_or(connection.client).ip().to_canonical()
        )),
    );
    put(
        "user",
        json!(known.user.as_deref().and_then(|user| names.user(people, user))),
    );
    put("listener", (*connection.listener).into());
    put("seconds", connection.since.elapsed().as_secs_f64().into());
    put("host", json!(known.target.map(|target| target.to_string())));
    put("sni", json!(known.sni));
    put("action", json!(known.action.map(|action| action.label())));
    put("rule", json!(known.rule.as_deref()));
    put("tls", json!(known.tls));
    put("protocol", protocol.into());
    put("requests", connection.carried.requests.get().into());
    put("bytes", both(connection.carried.bytes()));
    put("websockets", websockets.into());
    Value::Object(row)
}

fn websocket(relay: &OpenRelay) -> Option<Value> {
    let RelayKind::WebSocket {
        url,
        subprotocol,
        is_compressed,
        is_http2,
        tallies,
    } = &relay.kind
    else {
        return None;
    };
    let open = relay.since.elapsed();
    let of = |number: fn(&FrameTallies) -> &Tally| both(tallies.each_ref().map(|it| number(it).get()));
    let each = |value: &dyn Fn(&FrameTallies) -> Option<f64>| {
        let [to_origin, to_client] = tallies.each_ref().map(value);
        json!({ "to_origin": to_origin, "to_client": to_client })
    };
    // Before its first frame a direction has no last one.
    let has_any = |it: &FrameTallies| it.frames.get() > 0;
    let quiet = |it: &FrameTallies| {
        let last = Duration::from_millis(it.last_millis.get());
        has_any(it).then(|| open.saturating_sub(last).as_secs_f64())
    };
    let inside = |it: &FrameTallies| {
        has_any(it).then(|| Duration::from_nanos(it.last_inside_nanos.get()).as_secs_f64())
    };
    Some(json!({
        "id": relay.id, "url": url.shown(), "subprotocol": subprotocol, "compressed": is_compressed,
        "version": if *is_http2 { "HTTP/2.0" } else { "HTTP/1.1" }, "seconds": open.as_secs_f64(),
        "frames": of(|it| &it.frames), "messages": of(|it| &it.messages), "bytes": of(|it| &it.payload_bytes),
        "pings": of(|it| &it.pings), "changed": of(|it| &it.changed), "dropped": of(|it| &it.dropped),
        "quiet_seconds": each(&quiet), "inside_seconds": each(&inside),
    }))
}

/// A number of each direction.
fn both(numbers: [u64; 2]) -> Value {
    let [to_origin, to_client] = Direction::ALL.map(|direction| numbers[direction.index()]);
    json!({ "to_origin": to_origin, "to_client": to_client })
}

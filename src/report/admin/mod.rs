//! The operator's listener: `/metrics`, `/healthz`, `/readyz`, the CA certificate, and a page that links them.
//!
//! Nothing here changes state, so that a page in somebody's browser cannot do harm by sending requests; `access` keeps it
//! from reading.

pub(in crate::report) mod access;
mod answer;
mod guard;
mod listener;
mod page;
pub(super) mod peer;
pub(super) mod refused;
mod roles;
mod state;

pub use access::{AdminAccess, AdminAddress, AdminRefusal, Token, bearer, is_own_name};
pub use listener::{AdminListener, SocketFile};
pub use peer::AdminPeer;
pub use refused::{AdminPages, RefusedAdmin};
pub use roles::{ConsoleAccess, ConsoleRole, ConsoleToken};
pub use state::{AdminState, CaCertificate, Readiness};

use super::dispatch::Report;
use crate::portal::Reader;
use answer::{PLAIN, text};
use axum::Router;
use axum::extract::State;
use axum::http::header::{ALLOW, CONTENT_DISPOSITION, HOST};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use guard::Guard;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use listener::AdminConnection;
use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

/// Connections served at once; more wait in the listener's queue.
const CONNECTIONS: usize = 64;
/// A connection's deadlines; without them a silent peer would hold its place for ever.
const DEADLINES: AdminDeadlines = AdminDeadlines {
    head: Duration::from_secs(75),
    lifetime: Duration::from_secs(600),
    grace: Duration::from_secs(5),
};
/// Between two accepts that fail for want of descriptors.
const BACK_OFF: Duration = Duration::from_millis(100);

#[derive(Debug, Clone, Copy)]
struct AdminDeadlines {
    /// For a request's head, and for the next request of a kept connection: longer than usual scrape intervals.
    head: Duration,
    /// After which a connection is asked to end.
    lifetime: Duration,
    /// Which it then has for that.
    grace: Duration,
}

#[derive(Clone)]
struct AdminContext {
    report: Arc<Report>,
    state: AdminState,
}

fn router(report: Arc<Report>, state: AdminState) -> Router {
    Router::new()
        .route("/", get(index))
        .route(
            "/style.css",
            get(|| async { text("text/css; charset=utf-8", page::STYLE) }),
        )
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { text(PLAIN, "ok\n") }))
        .route("/readyz", get(readyz))
        .route("/ca.pem", get(ca_pem))
        .route("/ca.crt", get(ca_der))
        .route("/bundle.pem", get(bundle))
        .route("/policies.json", get(policies))
        .fallback(|| async { (StatusCode::NOT_FOUND, text(PLAIN, "not found\n")) })
        .method_not_allowed_fallback(|| async {
            (
                StatusCode::METHOD_NOT_ALLOWED,
                [(ALLOW, "GET, HEAD")],
                text(PLAIN, "only GET and HEAD\n"),
            )
        })
        .with_state(AdminContext { report, state })
}

/// Serves until `shutdown` resolves and its connections have ended; a slow one is cut after 5 s.
pub async fn serve(
    listener: AdminListener,
    report: Arc<Report>,
    state: AdminState,
    shutdown: impl Future<Output = ()>,
) {
    serve_within(DEADLINES, listener, report, state, shutdown).await;
}

async fn serve_within(
    deadlines: AdminDeadlines,
    listener: AdminListener,
    report: Arc<Report>,
    state: AdminState,
    shutdown: impl Future<Output = ()>,
) {
    let (pages, access) = (router(report.clone(), state.clone()), state.access);
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    let (stop, stopped) = watch::channel(());
    let tasks = TaskTracker::new();
    let accept = async {
        // The semaphore is never closed.
        while let Ok(permit) = Arc::clone(&permits).acquire_owned().await {
            match listener.accept().await {
                Ok((socket, way)) => {
                    let guard = Guard::new(pages.clone(), access.clone(), way, report.clone());
                    let connection = connection(deadlines, socket, guard, stopped.clone());
                    tasks.spawn(async move {
                        connection.await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "the admin listener cannot accept a connection");
                    tokio::time::sleep(BACK_OFF).await;
                }
            }
        }
    };
    tokio::select! {
        () = accept => {}
        () = shutdown => {}
    }
    drop(stop);
    drop(listener);
    tasks.close();
    tasks.wait().await;
}

/// One connection. Axum's own `serve` has no deadlines, hence this.
async fn connection(
    deadlines: AdminDeadlines,
    socket: Box<dyn AdminConnection>,
    guard: Guard,
    mut stopped: watch::Receiver<()>,
) {
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(deadlines.head)
        .serve_connection(TokioIo::new(socket), guard);
    let mut served = pin!(served);
    tokio::select! {
        _ = served.as_mut() => return,
        _ = stopped.changed() => {}
        () = tokio::time::sleep(deadlines.lifetime) => {}
    }
    served.as_mut().graceful_shutdown();
    let _ = timeout(deadlines.grace, served).await;
}

async fn metrics(State(shared): State<AdminContext>) -> Response {
    // Counting descriptors in /proc blocks.
    match tokio::task::spawn_blocking(move || shared.report.scrape()).await {
        Ok(Ok(body)) => text("text/plain; version=0.0.4; charset=utf-8", body),
        Ok(Err(error)) => unavailable(&error),
        Err(error) => unavailable(&error),
    }
}

fn unavailable(error: &dyn fmt::Display) -> Response {
    tracing::error!(%error, "cannot write the metrics");
    (
        StatusCode::INTERNAL_SERVER_ERROR,
        text(PLAIN, "cannot write the metrics; the log says why\n"),
    )
        .into_response()
}

async fn readyz(State(shared): State<AdminContext>) -> Response {
    let reason = match (shared.state.readiness)() {
        Readiness::Ready => return text(PLAIN, "ready\n"),
        Readiness::Draining => "draining\n".to_owned(),
        Readiness::NotReady(reason) => format!("{reason}\n"),
    };
    (StatusCode::SERVICE_UNAVAILABLE, text(PLAIN, reason)).into_response()
}

async fn ca_pem(State(shared): State<AdminContext>) -> Response {
    download(
        "application/x-pem-file",
        "attachment; filename=\"wsbump-ca.pem\"",
        (shared.state.ca)().pem.clone(),
    )
}

async fn ca_der(State(shared): State<AdminContext>) -> Response {
    let der = (shared.state.ca)().der.clone();
    download(
        "application/x-x509-ca-cert",
        "attachment; filename=\"wsbump-ca.crt\"",
        der,
    )
}

async fn bundle(State(shared): State<AdminContext>) -> Response {
    of_portal(
        &shared,
        "/bundle.pem",
        "attachment; filename=\"wsbump-bundle.pem\"",
    )
    .await
}

async fn policies(State(shared): State<AdminContext>) -> Response {
    of_portal(
        &shared,
        "/policies.json",
        "attachment; filename=\"policies.json\"",
    )
    .await
}

/// What the portal hands out at this path, which may have to be read from files first.
async fn of_portal(shared: &AdminContext, path: &'static str, file: &'static str) -> Response {
    let portal = (shared.state.portal)();
    let found = tokio::task::spawn_blocking(move || portal.file(path, Reader::default())).await;
    match found {
        Ok(Some(found)) => download(found.kind, file, found.content),
        _ => (
            StatusCode::INTERNAL_SERVER_ERROR,
            text(PLAIN, "this could not be made\n"),
        )
            .into_response(),
    }
}

fn download(content_type: &'static str, file: &'static str, body: impl Into<axum::body::Body>) -> Response {
    let mut response = text(content_type, body);
    response
        .headers_mut()
        .insert(CONTENT_DISPOSITION, HeaderValue::from_static(file));
    response
}

async fn index(State(shared): State<AdminContext>, headers: HeaderMap) -> Response {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let ready = (shared.state.readiness)();
    text(
        "text/html; charset=utf-8",
        page::index(&(shared.state.ca)(), &(shared.state.portal)().url(), &ready, host),
    )
}

#[cfg(test)]
mod tests;

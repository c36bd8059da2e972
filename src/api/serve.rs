//! Serves the interface.

use super::context::ApiContext;
use super::rights::Caller;
use super::router::router;
use super::socket::ApiSocket;
use axum::Extension;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Connections served at once; more wait in the socket's queue. Each stream of events takes one.
const CONNECTIONS: usize = 128;
/// For a request's head, and for the next request.
const HEAD: Duration = Duration::from_secs(75);
/// What a connection has to end when all do.
const GRACE: Duration = Duration::from_secs(2);
/// Between two accepts that fail for want of descriptors.
const BACK_OFF: Duration = Duration::from_millis(100);

/// Serves until the context's `over` is cancelled.
pub async fn serve(socket: ApiSocket, context: ApiContext) {
    let over = context.over.clone();
    let router = router(context);
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    let tasks = TaskTracker::new();
    let accept = async {
        // The semaphore is never closed.
        while let Ok(permit) = Arc::clone(&permits).acquire_owned().await {
            match socket.accept().await {
                Ok((stream, uid)) => {
                    let router = router.clone().layer(Extension(Caller::local(uid)));
                    let (over, stream) = (over.clone(), TokioIo::new(stream));
                    tasks.spawn(async move {
                        connection(stream, router, over).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "the live socket cannot accept a connection");
                    tokio::time::sleep(BACK_OFF).await;
                }
            }
        }
    };
    tokio::select! {
        () = accept => {}
        () = over.cancelled() => {}
    }
    socket.close();
    tasks.close();
    tasks.wait().await;
}

async fn connection(stream: TokioIo<UnixStream>, router: Router, over: CancellationToken) {
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(stream, TowerToHyperService::new(router));
    let mut served = pin!(served);
    tokio::select! {
        _ = served.as_mut() => return,
        () = over.cancelled() => {}
    }
    served.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(GRACE, served).await;
}

//! Connections that are held idle, and what they cost the proxy in memory.

use crate::client::{Io, Route};
use crate::echo::{Echo, Payload, Script, Until, close};
use crate::open::{OPENING, many, open_all};
use crate::stats::Latencies;
use crate::{Fallible, pages, proc};
use std::sync::Arc;
use std::time::Instant;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt};

/// What is done on each connection before it is idle.
#[derive(Clone, Copy)]
pub(crate) enum First<'a> {
    /// The script's messages are echoed once, on a WebSocket.
    Messages(Payload, &'a Script),
    /// The page of 1 KiB is asked for by this request, as soon as the connection is open.
    Page(&'a str),
}

/// Idle connections, and what they cost.
pub(crate) struct Held {
    /// Open.
    pub(crate) sockets: Vec<Io>,
    /// How long each message or page took.
    pub(crate) latencies: Latencies,
    /// How long all of it took.
    pub(crate) seconds: f64,
    /// Memory of the proxy for each, in KiB (PSS).
    pub(crate) kib: f64,
    /// Descriptors of the proxy for each.
    pub(crate) files: f64,
}

impl First<'_> {
    async fn open(self, route: &Route, count: usize) -> Fallible<(Vec<Io>, Latencies)> {
        let mut latencies = Latencies::default();
        match self {
            Self::Messages(payload, script) => {
                let mut sockets = open_all(route, count, Some(payload)).await?;
                for io in &mut sockets {
                    latencies.merge(&Echo::run(io, script, Until::Once).await?);
                }
                Ok((sockets, latencies))
            }
            Self::Page(request) => {
                let request: Arc<str> = request.into();
                let opened = many(count, || {
                    let (route, request) = (route.clone(), Arc::clone(&request));
                    async move {
                        let mut io = route.open().await?;
                        let took = pages::fetch_small(&mut io, &request).await?;
                        Ok((io, took))
                    }
                });
                let mut sockets = Vec::with_capacity(count);
                for (io, took) in opened.await? {
                    latencies.merge(&took);
                    sockets.push(io);
                }
                Ok((sockets, latencies))
            }
        }
    }

    async fn close(self, mut io: Io) -> Fallible<()> {
        if matches!(self, Self::Messages(..)) {
            return close(io).await;
        }
        io.shutdown().await?;
        // Nothing but an end can come; some peers leave out TLS's own.
        match io.fill_buf().await {
            Ok([_, ..]) => Err("a page that nobody has asked for".into()),
            Ok([]) | Err(_) => Ok(()),
        }
    }
}

/// Opens connections, does on each what comes first, and gives them back open, with what they cost.
pub(crate) async fn hold(route: &Route, pid: u32, connections: usize, first: First<'_>) -> Fallible<Held> {
    // The first connections pay for what a proxy allocates once.
    for io in first.open(route, OPENING).await?.0 {
        first.close(io).await?;
    }
    let before = proc::Held::by(pid)?;
    let start = Instant::now();
    let (sockets, latencies) = first.open(route, connections).await?;
    let seconds = start.elapsed().as_secs_f64();
    let after = proc::Held::by(pid)?;
    let each = |grown: f64| grown / connections as f64;
    Ok(Held {
        sockets,
        latencies,
        seconds,
        kib: each(after.pss.saturating_sub(before.pss) as f64),
        files: each(after.files.saturating_sub(before.files) as f64),
    })
}

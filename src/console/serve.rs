//! Serves the console.

use super::crowd::{Crowd, Visitor};
use super::origin::Way;
use super::sessions::Sessions;
use super::site::{Shared, Site};
use crate::accept::{Prefixed, Socket};
use crate::api::{self, ApiContext};
use crate::classify::{Classified, Seen, classify};
use crate::handshake::{LeafKey, ListenerTls};
use crate::report::admin::ConsoleAccess;
use crate::tls::TlsStream;
use crate::wire::names::Host;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Connections served at once; for more those make room who have not shown who they are. Each open page takes one or two.
const CONNECTIONS: usize = 128;
/// For a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// For a request's head, and for the next request.
const HEAD: Duration = Duration::from_secs(75);
/// Streams of one HTTP/2 connection.
const STREAMS: u32 = 64;
/// What a connection has to end when all do.
const GRACE: Duration = Duration::from_secs(2);
/// Between two accepts that fail for want of descriptors.
const BACK_OFF: Duration = Duration::from_millis(100);

/// What the console is made of.
#[derive(Clone)]
pub struct Console {
    shared: Shared,
    tls: Arc<dyn Fn() -> ListenerTls + Send + Sync>,
    over: CancellationToken,
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console").finish_non_exhaustive()
    }
}

/// Codes that log one in, once. They are there before the console is, for the interface gives them out too.
#[derive(Debug, Clone, Default)]
pub struct LoginCodes(Arc<Sessions>);

impl LoginCodes {
    /// A code that works until it is used, or only for so long; none without randomness.
    pub fn code(&self, lasts: Option<Duration>) -> Option<String> {
        self.0.code(lasts.map(|lasts| Instant::now() + lasts))
    }
}

impl Console {
    /// With the interface of `context`. `access` and `tls` are asked each time, so that a reload shows at once.
    pub fn new(
        context: ApiContext,
        codes: &LoginCodes,
        access: impl Fn() -> Arc<ConsoleAccess> + Send + Sync + 'static,
        tls: impl Fn() -> ListenerTls + Send + Sync + 'static,
    ) -> Self {
        let (report, over) = (Arc::clone(&context.proxy.report), context.over.clone());
        Self {
            shared: Shared {
                api: TowerToHyperService::new(api::router(context)),
                access: Arc::new(access),
                sessions: Arc::clone(&codes.0),
                report,
            },
            tls: Arc::new(tls),
            over,
        }
    }
}

/// Serves at `listener` until the context's `over` is cancelled. By TLS, unless only this machine can reach it and there
/// is no certificate for it.
///
/// # Errors
/// The listener has no address.
pub async fn serve(listener: TcpListener, is_tls: bool, console: Console) -> io::Result<()> {
    let address = listener.local_addr()?;
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    let (tasks, crowd) = (TaskTracker::new(), Crowd::default());
    let accept = async {
        loop {
            match listener.accept().await {
                Ok((stream, client)) => {
                    if permits.available_permits() == 0 {
                        crowd.make_room();
                    }
                    // The semaphore is never closed.
                    let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
                        return;
                    };
                    let (console, visitor) = (console.clone(), crowd.enter());
                    tasks.spawn(async move {
                        let served = connection(stream, client, (address, is_tls), console, &visitor);
                        tokio::select! {
                            () = served => {}
                            () = visitor.goes.cancelled() => {}
                        }
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "the console cannot accept a connection");
                    tokio::time::sleep(BACK_OFF).await;
                }
            }
        }
    };
    tokio::select! {
        () = accept => {}
        () = console.over.cancelled() => {}
    }
    drop(listener);
    tasks.close();
    tasks.wait().await;
    Ok(())
}

async fn connection(
    stream: TcpStream,
    client: SocketAddr,
    (listener, is_tls): (SocketAddr, bool),
    console: Console,
    visitor: &Arc<Visitor>,
) {
    // Only delays an answer if it fails.
    let _ = stream.set_nodelay(true);
    let Ok(local) = stream.local_addr() else { return };
    let local = local.ip().to_canonical();
    let site = Site {
        shared: console.shared.clone(),
        way: Way {
            listener,
            local,
            is_tls,
        },
        client: client.ip().to_canonical(),
        visitor: Arc::clone(visitor),
    };
    if !is_tls {
        return http1(stream, site, &console.over).await;
    }
    let tls = (console.tls)();
    let shaken = tokio::select! {
        shaken = tokio::time::timeout(HANDSHAKE, shake_hands(stream, local, &tls)) => shaken,
        () = console.over.cancelled() => return,
    };
    match shaken {
        Ok(Ok((stream, true))) => http2(stream, site, &console.over).await,
        Ok(Ok((stream, false))) => http1(stream, site, &console.over).await,
        Ok(Err(error)) => tracing::debug!(%client, error, "a TLS handshake with the console failed"),
        Err(_) => tracing::debug!(%client, "a TLS handshake with the console took too long"),
    }
}

/// Shakes hands; tells whether HTTP/2 was agreed on.
async fn shake_hands(
    stream: TcpStream,
    local: IpAddr,
    tls: &ListenerTls,
) -> Result<(TlsStream, bool), String> {
    let mut stream = Socket::from(stream);
    let seen = classify(&mut stream, std::future::pending(), HANDSHAKE).await;
    let Classified { seen, bytes } = seen.map_err(|error| error.to_string())?;
    let Seen::Tls(hello) = seen else {
        return Err("this listener speaks TLS, and the client does not".into());
    };
    let key = match hello.takes_p256() {
        true => LeafKey::P256,
        false => LeafKey::Rsa2048,
    };
    let name = hello.server_name.map_or(Host::Ip(local), Host::Name);
    let presented = tls.present(&name, key).await.map_err(|error| error.to_string())?;
    let shaken = presented.accept(Prefixed::new(bytes, stream), HANDSHAKE).await;
    let shaken = shaken.map_err(|error| error.text)?;
    let is_http2 = shaken.alpn.as_deref() == Some(b"h2");
    Ok((shaken.stream, is_http2))
}

async fn http1(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    site: Site,
    over: &CancellationToken,
) {
    let answer = service_fn(move |request| {
        let site = site.clone();
        async move { Ok::<_, Infallible>(site.answer(request).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(stream), answer);
    let mut served = pin!(served);
    tokio::select! {
        _ = served.as_mut() => return,
        () = over.cancelled() => {}
    }
    served.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(GRACE, served).await;
}

async fn http2(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    site: Site,
    over: &CancellationToken,
) {
    let answer = service_fn(move |request| {
        let site = site.clone();
        async move { Ok::<_, Infallible>(site.answer(request).await) }
    });
    let served = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .keep_alive_interval(Some(HEAD / 2))
        .serve_connection(TokioIo::new(stream), answer);
    let mut served = pin!(served);
    tokio::select! {
        _ = served.as_mut() => return,
        () = over.cancelled() => {}
    }
    served.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(GRACE, served).await;
}

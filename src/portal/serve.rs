//! Connections to the portal: the proxy's own end of a road that leads to no socket.

use super::echo;
use super::page::{ECHO, has_host};
use super::site::{File, Portal, Reader};
use bytes::Bytes;
use http::header::{
    ACCEPT_LANGUAGE, ALLOW, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    HeaderName, HeaderValue, REFERER, REFERRER_POLICY, USER_AGENT, VARY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::io::DuplexStream;

/// What waits in a connection, each way.
const BUFFER: usize = 64 << 10;

/// Which pages of other sites may load something (Fetch, section 3.7).
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// A connection to the portal, which ends with it.
pub fn connect(portal: &Arc<Portal>) -> DuplexStream {
    let (near, far) = tokio::io::duplex(BUFFER);
    let portal = Arc::clone(portal);
    let answer = service_fn(move |request| {
        let portal = Arc::clone(&portal);
        async move { Ok::<_, Infallible>(answered(portal, request).await) }
    });
    tokio::spawn(async move {
        // Whoever is on the other side has deadlines of its own, and closes.
        let mut server = http1::Builder::new();
        let served = server
            .header_read_timeout(None)
            .serve_connection(TokioIo::new(far), answer)
            .with_upgrades();
        let _ = served.await;
    });
    near
}

async fn answered(portal: Arc<Portal>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    if request.uri().path() == ECHO {
        return echo::answered(request, &portal);
    }
    let (head, _) = request.into_parts();
    if !matches!(head.method, Method::GET | Method::HEAD) {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n", &portal);
        response
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    let path = head.uri.path().to_owned();
    if path == "/trusted.svg" && !is_by_own_page(&portal, &head.headers) {
        return plain(
            StatusCode::FORBIDDEN,
            "this is for the portal's own page\n",
            &portal,
        );
    }
    let shown = Arc::clone(&portal);
    // The bundle is read from files.
    let file = tokio::task::spawn_blocking(move || {
        let text = |name| {
            head.headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
        };
        let reader = Reader {
            query: head.uri.query().unwrap_or_default(),
            languages: text(ACCEPT_LANGUAGE),
            agent: text(USER_AGENT),
        };
        shown.file(&path, reader)
    });
    match file.await {
        Ok(Some(file)) => response(StatusCode::OK, file, &portal),
        Ok(None) => plain(
            StatusCode::NOT_FOUND,
            "there is no such page here: / has links to all there are\n",
            &portal,
        ),
        Err(_) => plain(
            StatusCode::INTERNAL_SERVER_ERROR,
            "this could not be made\n",
            &portal,
        ),
    }
}

/// Whether the portal's page asks. A page of any other site could find out by the picture that its reader is behind this proxy.
fn is_by_own_page(portal: &Portal, headers: &HeaderMap) -> bool {
    let referer = headers.get(REFERER).and_then(|value| value.to_str().ok());
    referer.is_some_and(|referer| has_host(referer, portal.host()))
}

fn plain(status: StatusCode, text: &'static str, portal: &Portal) -> Response<Full<Bytes>> {
    let file = File {
        name: None,
        kind: "text/plain; charset=utf-8",
        content: Bytes::from_static(text.as_bytes()),
        scripted: false,
    };
    response(status, file, portal)
}

fn response(status: StatusCode, file: File, portal: &Portal) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(file.content));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(file.kind));
    for (name, value) in [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        // The picture is only for those who come from the page.
        (REFERRER_POLICY, "origin"),
        (CACHE_CONTROL, "no-store"),
        (VARY, "Accept-Language, User-Agent"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let is_picture = file.kind == "image/svg+xml";
    let policy = if is_picture { "cross-origin" } else { "same-origin" };
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static(policy));
    // One page runs a script, its own.
    let script = match file.scripted {
        true => format!(
            "script-src 'self'; connect-src ws://{0} wss://{0}; ",
            portal.host()
        ),
        false => String::new(),
    };
    let security = format!(
        "default-src 'none'; {script}style-src 'self'; img-src 'self' https://{}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        portal.trust()
    );
    if let Ok(security) = HeaderValue::from_str(&security) {
        headers.insert(CONTENT_SECURITY_POLICY, security);
    }
    if let Some(name) = file.name
        && let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\""))
    {
        headers.insert(CONTENT_DISPOSITION, value);
    }
    response
}

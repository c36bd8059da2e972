//! What the proxy fetches on its own behalf: certificates that origins do not send, and revocation lists.
//!
//! An intermediate's address comes out of a certificate that nobody has verified. So it is under the rules that hold for
//! clients: what a deny list names is not asked, and no address is dialled that a client could not reach. Revocation lists
//! are held to the same; their addresses may be by HTTPS too.

use super::config::Config;
use super::judging::denies_proxy;
use super::proxy::Proxy;
use crate::dial::{self, Deadlines, DialOutcome, OriginLeg};
use crate::handshake::{FetchFailure, FetchOutcome, Fetcher, Fetching, connect_once};
use crate::report::Event;
use crate::wire::names::Authority;
use ::http::header::{ACCEPT, HOST, USER_AGENT};
use ::http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// How much a fetch may bring, and how long it may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// The most that is read of a body.
    pub(super) bytes: usize,
    /// For the connection and the answer.
    pub(super) time: Duration,
}

/// An intermediate has 1 to 2 KiB, a bundle some of them.
const INTERMEDIATE: Bounds = Bounds {
    bytes: 64 * 1024,
    time: Duration::from_secs(4),
};

/// The most that is read of a head.
const HEAD: usize = 64 * 1024;

/// Fetches as the configuration of one connection has it.
pub(super) struct Fetch {
    proxy: Arc<Proxy>,
    config: Arc<Config>,
    bounds: Bounds,
}

impl Fetch {
    /// Fetches what is within `bounds`.
    pub(super) fn bounded(proxy: &Arc<Proxy>, config: &Arc<Config>, bounds: Bounds) -> Self {
        Self {
            proxy: Arc::clone(proxy),
            config: Arc::clone(config),
            bounds,
        }
    }

    /// Fetches intermediates; `None` where nothing is to be fetched.
    pub(super) fn new(proxy: &Arc<Proxy>, config: &Arc<Config>) -> Option<Self> {
        config
            .fetch_intermediates
            .then(|| Self::bounded(proxy, config, INTERMEDIATE))
    }

    /// What is at `url`.
    pub(super) async fn get(&self, url: &str) -> Result<Vec<u8>, FetchFailure> {
        let time = self.bounds.time;
        let fetched = tokio::time::timeout(time, self.ask(url)).await;
        fetched.unwrap_or_else(|_| {
            let text = format!("no whole answer within {time:?}");
            Err(failed(FetchOutcome::Timeout, text))
        })
    }

    async fn ask(&self, url: &str) -> Result<Vec<u8>, FetchFailure> {
        let (to, secure, request) = request(url)?;
        let leg = self.dial(&to).await?;
        if !secure {
            return self.exchange(leg.socket, request).await;
        }
        let connected = connect_once(&self.config.upstream, leg.socket, &to.host).await;
        let stream = connected.map_err(|error| failed(FetchOutcome::Unreachable, error.to_string()))?;
        self.exchange(stream, request).await
    }

    async fn dial(&self, to: &Authority) -> Result<OriginLeg, FetchFailure> {
        if denies_proxy(&self.config.policy, to) {
            return Err(failed(FetchOutcome::Forbidden, format!("the policy denies {to}")));
        }
        let timeouts = &self.config.timeouts;
        let deadlines = Deadlines {
            dns: timeouts.dns.min(self.bounds.time),
            connect: timeouts.dial.min(self.bounds.time),
        };
        let network = self.config.network(&self.proxy.own, deadlines);
        let dialled = dial::dial(to, &network, &self.proxy.report).await;
        dialled.map_err(|error| {
            let outcome = match error.outcome {
                DialOutcome::Forbidden | DialOutcome::Loop => FetchOutcome::Forbidden,
                DialOutcome::DnsTimeout | DialOutcome::Timeout => FetchOutcome::Timeout,
                _ => FetchOutcome::Unreachable,
            };
            failed(outcome, error.text)
        })
    }

    async fn exchange(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send,
        request: Request<Empty<Bytes>>,
    ) -> Result<Vec<u8>, FetchFailure> {
        let most = self.bounds.bytes;
        let no_http = |error: hyper::Error| failed(FetchOutcome::HttpError, error.to_string());
        let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
            .max_buf_size(HEAD)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(no_http)?;
        let exchange = async {
            let response = sender.send_request(request).await.map_err(no_http)?;
            let status = response.status();
            if status != StatusCode::OK {
                return Err(failed(
                    FetchOutcome::HttpError,
                    format!("the answer was {status}"),
                ));
            }
            let body = Limited::new(response.into_body(), most).collect().await;
            match body {
                Ok(body) => Ok(body.to_bytes().to_vec()),
                Err(error) if error.is::<LengthLimitError>() => {
                    let text = format!("the answer is larger than {most} bytes");
                    Err(failed(FetchOutcome::TooLarge, text))
                }
                Err(error) => Err(failed(FetchOutcome::HttpError, error.to_string())),
            }
        };
        tokio::pin!(exchange, connection);
        // The connection is driven here, and ends with its only exchange.
        tokio::select! {
            biased;
            done = &mut exchange => done,
            ended = &mut connection => match ended {
                // What it has read to the end is still to be taken.
                Ok(()) => exchange.await,
                Err(error) => Err(no_http(error)),
            },
        }
    }
}

impl Fetcher for Fetch {
    fn fetch<'a>(&'a self, url: &'a str) -> Fetching<'a> {
        Box::pin(self.get(url))
    }

    fn fetched(&self, outcome: FetchOutcome, took: Duration) {
        self.proxy
            .report
            .state(&Event::IntermediateFetched(outcome, took));
    }
}

fn failed(outcome: FetchOutcome, text: String) -> FetchFailure {
    FetchFailure { outcome, text }
}

/// Whether `url` is an address that can be fetched.
pub fn may_be_fetched(url: &str) -> bool {
    request(url).is_ok()
}

fn no_address() -> FetchFailure {
    failed(
        FetchOutcome::Forbidden,
        "this is no address that is fetched".to_owned(),
    )
}

/// Whom to ask, whether by TLS, and for what. Redirects are not followed.
fn request(url: &str) -> Result<(Authority, bool, Request<Empty<Bytes>>), FetchFailure> {
    let uri: Uri = url.parse().map_err(|_| no_address())?;
    let (secure, port) = match uri.scheme_str() {
        Some("http") => (false, 80),
        Some("https") => (true, 443),
        _ => return Err(no_address()),
    };
    // A user before an `@` is refused.
    let to = uri
        .authority()
        .and_then(|host| Authority::parse(host.as_str(), Some(port)));
    let to = to.ok_or_else(no_address)?;
    let host = if to.port == port {
        to.host.to_string()
    } else {
        to.to_string()
    };
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path)
        .header(HOST, host)
        .header(ACCEPT, "*/*")
        .header(USER_AGENT, concat!("wsbump/", env!("CARGO_PKG_VERSION")))
        .body(Empty::new())
        .map_err(|_| no_address())?;
    Ok((to, secure, request))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_http_is_asked() {
        let asked = |url| {
            request(url).map(|(to, secure, request)| (to.to_string(), secure, request.uri().to_string()))
        };
        for (url, to, secure, path) in [
            ("http://ca.example/a.cer", "ca.example:80", false, "/a.cer"),
            ("HTTP://CA.example:8080/x?y=1", "ca.example:8080", false, "/x?y=1"),
            ("http://[2001:db8::1]", "[2001:db8::1]:80", false, "/"),
            ("https://ca.example/a.crl", "ca.example:443", true, "/a.crl"),
        ] {
            assert_eq!(asked(url).unwrap(), (to.to_owned(), secure, path.to_owned()));
        }
        let (_, _, request) = request("http://ca.example:8080/").unwrap();
        assert_eq!(request.headers()[HOST], "ca.example:8080");
        for url in [
            "ldap://ca.example/x",
            "ca.example/a.cer",
            "http://user@ca.example/",
            "http://2130706433/",
            "http:///a.cer",
            "",
        ] {
            assert_eq!(asked(url).unwrap_err().outcome, FetchOutcome::Forbidden, "{url}");
        }
    }
}

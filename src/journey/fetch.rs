//! What the proxy fetches on its own behalf, by plain HTTP: certificates that origins do not send.
//!
//! The address comes out of a certificate that nobody has verified. So it is under the rules that hold for clients: what
//! a deny list names is not asked, and no address is dialled that a client could not reach.

use super::config::Config;
use super::proxy::Proxy;
use crate::decide::Act;
use crate::dial::{self, Deadlines, DialOutcome};
use crate::handshake::{FetchFailure, FetchOutcome, Fetcher, Fetching};
use crate::report::Event;
use crate::wire::names::Authority;
use ::http::header::{ACCEPT, HOST, USER_AGENT};
use ::http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use std::time::Duration;

/// The most that is read. An intermediate has 1 to 2 KiB, a bundle some of them.
const BODY: usize = 64 * 1024;

/// For the connection and the answer.
const DEADLINE: Duration = Duration::from_secs(4);

/// Fetches as the configuration of one connection has it.
pub(super) struct Fetch {
    proxy: Arc<Proxy>,
    config: Arc<Config>,
}

impl Fetch {
    /// `None` where nothing is to be fetched.
    pub(super) fn new(proxy: &Arc<Proxy>, config: &Arc<Config>) -> Option<Self> {
        config.fetch_intermediates.then(|| Self {
            proxy: Arc::clone(proxy),
            config: Arc::clone(config),
        })
    }

    async fn get(&self, url: &str) -> Result<Vec<u8>, FetchFailure> {
        let (to, request) = request(url)?;
        if let Some(verdict) = self.config.policy.at_ask(&to)
            && matches!(verdict.act, Act::Deny)
        {
            return Err(failed(FetchOutcome::Forbidden, format!("a list denies {to}")));
        }
        let timeouts = &self.config.timeouts;
        let deadlines = Deadlines {
            dns: timeouts.dns.min(DEADLINE),
            connect: timeouts.dial.min(DEADLINE),
        };
        let network = self.config.network(&self.proxy.own, deadlines);
        let dialled = dial::dial(&to, &network, &self.proxy.report).await;
        let leg = dialled.map_err(|error| {
            let outcome = match error.outcome {
                DialOutcome::Forbidden | DialOutcome::Loop => FetchOutcome::Forbidden,
                DialOutcome::DnsTimeout | DialOutcome::Timeout => FetchOutcome::Timeout,
                _ => FetchOutcome::Unreachable,
            };
            failed(outcome, error.text)
        })?;
        let no_http = |error: hyper::Error| failed(FetchOutcome::HttpError, error.to_string());
        let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
            .max_buf_size(BODY)
            .handshake(TokioIo::new(leg.socket))
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
            let body = Limited::new(response.into_body(), BODY).collect().await;
            match body {
                Ok(body) => Ok(body.to_bytes().to_vec()),
                Err(error) if error.is::<LengthLimitError>() => {
                    let text = format!("the answer is larger than {BODY} bytes");
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
        Box::pin(async move {
            let fetched = tokio::time::timeout(DEADLINE, self.get(url)).await;
            fetched.unwrap_or_else(|_| {
                let text = format!("no whole answer within {DEADLINE:?}");
                Err(failed(FetchOutcome::Timeout, text))
            })
        })
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

/// Whom to ask, and for what. Redirects are not followed.
fn request(url: &str) -> Result<(Authority, Request<Empty<Bytes>>), FetchFailure> {
    let no_url = || {
        failed(
            FetchOutcome::Forbidden,
            "this is no address by plain HTTP".to_owned(),
        )
    };
    let uri: Uri = url.parse().map_err(|_| no_url())?;
    let host = uri.authority().filter(|_| uri.scheme_str() == Some("http"));
    // A user before an `@` is refused.
    let to = host.and_then(|host| Authority::parse(host.as_str(), Some(80)));
    let to = to.ok_or_else(no_url)?;
    let host = match to.port {
        80 => to.host.to_string(),
        _ => to.to_string(),
    };
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path)
        .header(HOST, host)
        .header(ACCEPT, "*/*")
        .header(USER_AGENT, concat!("wsbump/", env!("CARGO_PKG_VERSION")))
        .body(Empty::new())
        .map_err(|_| no_url())?;
    Ok((to, request))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_http_is_asked() {
        let asked = |url| request(url).map(|(to, request)| (to.to_string(), request.uri().to_string()));
        for (url, to, path) in [
            ("http://ca.example/a.cer", "ca.example:80", "/a.cer"),
            ("HTTP://CA.example:8080/x?y=1", "ca.example:8080", "/x?y=1"),
            ("http://[2001:db8::1]", "[2001:db8::1]:80", "/"),
        ] {
            assert_eq!(asked(url).unwrap(), (to.to_owned(), path.to_owned()));
        }
        let (_, request) = request("http://ca.example:8080/").unwrap();
        assert_eq!(request.headers()[HOST], "ca.example:8080");
        for url in [
            "https://ca.example/a.cer",
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

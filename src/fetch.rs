//! One GET on the proxy's own behalf, over a connection that is there. What it brings is bounded; how long it takes is for
//! the caller to bound.

use crate::wire::names::Authority;
use ::http::header::{ACCEPT, HOST, USER_AGENT};
use ::http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use std::fmt;
use tokio::io::{AsyncRead, AsyncWrite};

/// The most that is read of a head.
const HEAD: usize = 64 * 1024;

/// What is at an `http://` or `https://` address.
#[derive(Debug, Clone)]
pub struct Resource {
    /// Who is asked.
    pub to: Authority,
    /// Whether by TLS.
    pub secure: bool,
    /// The path and the query.
    path: String,
    /// The value of Host.
    host: String,
}

/// Why a GET has brought nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GetError {
    /// No answer of HTTP/1.1, or not 200.
    Http(String),
    /// More than was asked for.
    TooLarge(String),
}

impl Resource {
    /// Reads an absolute URL; `None` for what is not fetched, such as one with a user in it.
    pub fn parse(url: &str) -> Option<Self> {
        let uri: Uri = url.parse().ok()?;
        let (secure, port) = match uri.scheme_str() {
            Some("http") => (false, 80),
            Some("https") => (true, 443),
            _ => return None,
        };
        // A user before an `@` is refused.
        let to = Authority::parse(uri.authority()?.as_str(), Some(port))?;
        let host = match to.port == port {
            true => to.host.to_string(),
            false => to.to_string(),
        };
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Some(Self {
            to,
            secure,
            path,
            host,
        })
    }

    /// Asks for it over `stream`, and reads up to `most` bytes of it. Redirects are not followed.
    ///
    /// # Errors
    /// See [`GetError`].
    pub async fn get(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send,
        most: usize,
    ) -> Result<Vec<u8>, GetError> {
        let no_http = |error: hyper::Error| GetError::Http(error.to_string());
        let request = Request::get(&self.path)
            .header(HOST, &self.host)
            .header(ACCEPT, "*/*")
            .header(USER_AGENT, concat!("wsbump/", env!("CARGO_PKG_VERSION")))
            .body(Empty::<Bytes>::new())
            .map_err(|error| GetError::Http(error.to_string()))?;
        let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
            .max_buf_size(HEAD)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(no_http)?;
        let exchange = async {
            let response = sender.send_request(request).await.map_err(no_http)?;
            let status = response.status();
            if status != StatusCode::OK {
                return Err(GetError::Http(format!("the answer was {status}")));
            }
            match Limited::new(response.into_body(), most).collect().await {
                Ok(body) => Ok(body.to_bytes().to_vec()),
                Err(error) if error.is::<LengthLimitError>() => {
                    let text = format!("the answer is larger than {most} bytes");
                    Err(GetError::TooLarge(text))
                }
                Err(error) => Err(GetError::Http(error.to_string())),
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

impl fmt::Display for GetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(text) | Self::TooLarge(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[test]
    fn only_http_is_asked() {
        for (url, to, secure, path, host) in [
            (
                "http://ca.example/a.cer",
                "ca.example:80",
                false,
                "/a.cer",
                "ca.example",
            ),
            (
                "HTTP://CA.example:8080/x?y=1",
                "ca.example:8080",
                false,
                "/x?y=1",
                "ca.example:8080",
            ),
            (
                "http://[2001:db8::1]",
                "[2001:db8::1]:80",
                false,
                "/",
                "[2001:db8::1]",
            ),
            (
                "https://ca.example/a.crl",
                "ca.example:443",
                true,
                "/a.crl",
                "ca.example",
            ),
        ] {
            let found = Resource::parse(url).unwrap();
            assert_eq!((&*found.to.to_string(), found.secure), (to, secure), "{url}");
            assert_eq!((&*found.path, &*found.host), (path, host), "{url}");
        }
        for url in [
            "ldap://ca.example/x",
            "ca.example/a.cer",
            "http://user@ca.example/",
            "http://2130706433/",
            "http:///a.cer",
            "",
        ] {
            assert!(Resource::parse(url).is_none(), "{url}");
        }
    }

    async fn asked(answer: &'static str) -> Result<Vec<u8>, GetError> {
        let (near, mut far) = tokio::io::duplex(64 * 1024);
        let server = tokio::spawn(async move {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(far.read_u8().await.unwrap());
            }
            far.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8(head).unwrap()
        });
        let resource = Resource::parse("http://keys.example/a?b").unwrap();
        let got = resource.get(near, 10).await;
        let head = server.await.unwrap();
        assert!(
            head.starts_with("GET /a?b HTTP/1.1\r\nhost: keys.example\r\n"),
            "{head}"
        );
        got
    }

    #[tokio::test]
    async fn what_is_brought_is_whole_and_bounded() {
        let whole = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789";
        assert_eq!(asked(whole).await.unwrap(), b"0123456789");
        let large = "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n0123456789a";
        assert!(matches!(asked(large).await, Err(GetError::TooLarge(_))));
        for wrong in [
            "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n012345678",
            "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
            "SSH-2.0-OpenSSH\r\n\r\n",
            "",
        ] {
            assert!(matches!(asked(wrong).await, Err(GetError::Http(_))), "{wrong}");
        }
    }
}

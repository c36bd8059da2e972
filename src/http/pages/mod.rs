//! What a client sees when the proxy itself answers: a page for people, a line for programs, and in both cases
//! a Proxy-Status header (RFC 9209).

mod languages;
mod site;
mod template;

pub use languages::negotiate;
pub(in crate::http) use site::Audience;
pub use site::{Pages, PagesConfig};

use crate::accept::ClientLimit;
use crate::handshake::HandshakeOutcome;
use crate::http::error::HttpError;
use crate::http::request_id::RequestId;
use crate::wire::http1::Malformed;
use crate::wire::names::Authority;
use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue,
    RETRY_AFTER,
};
use http::{Response, StatusCode};
use std::sync::Arc;
use std::time::Duration;
use template::Field;
use time::OffsetDateTime;

pub(in crate::http) const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");

/// The longest explanation that is sent.
const MAX_TEXT: usize = 1000;

/// An answer of the proxy's own.
#[derive(Debug, Clone)]
pub struct ErrorResponse {
    /// What kind; its label is the `error` of Proxy-Status.
    pub error: HttpError,
    /// The status code.
    pub status: StatusCode,
    /// What DNS said, by the name of its RCODE, where that is the reason (RFC 9209 section 2.3.2).
    pub rcode: Option<&'static str>,
    /// The status that a parent answered, where that is the reason (RFC 9209 section 2.1.4).
    pub received: Option<StatusCode>,
    /// In words, for the person who sees it.
    pub text: String,
    /// What is malformed, if that is the problem.
    pub malformed: Option<Malformed>,
    /// When asking again may help (RFC 9110 section 10.2.3).
    pub retry_after: Option<Duration>,
    /// Fields that the answer has beside those of every such answer.
    pub headers: Box<[(HeaderName, HeaderValue)]>,
    /// The rule or the list that is the reason, by its public name.
    pub rule: Option<Arc<str>>,
    /// The rule of the policy's table that is the reason, as logs call it.
    pub policy_rule: Option<Box<Arc<str>>>,
    /// The page that is shown, by its name; `None` for the usual one.
    pub page: Option<Arc<str>>,
}

impl ErrorResponse {
    /// A problem whose label says enough.
    pub fn new(error: HttpError, text: impl Into<String>) -> Self {
        Self {
            error,
            status: error.status(),
            rcode: None,
            received: None,
            text: text.into(),
            malformed: None,
            retry_after: None,
            headers: Box::default(),
            rule: None,
            policy_rule: None,
            page: None,
        }
    }

    /// A client has reached a limit of its own; asking again after this time may help.
    pub fn limited(limit: ClientLimit, retry_after: Duration) -> Self {
        let text = match limit {
            ClientLimit::Connections => {
                "your network address has as many connections through this proxy as one address may have"
            }
            ClientLimit::Share => {
                "your network address holds so many of this proxy's connections that those that are left are for others"
            }
            ClientLimit::WebSockets => {
                "your network address has as many WebSockets through this proxy as one address may have"
            }
            ClientLimit::Handshakes => {
                "your network address opens connections through this proxy faster than one address may"
            }
        };
        Self {
            retry_after: Some(retry_after),
            ..Self::new(HttpError::Limited(limit), text)
        }
    }

    /// A request that is refused for what it looks like.
    pub fn malformed(why: Malformed) -> Self {
        Self {
            status: why.status(),
            malformed: Some(why),
            ..Self::new(HttpError::BadRequest, format!("the request has {why}"))
        }
    }

    /// A response that is refused for what it looks like.
    pub fn malformed_response(from: &Authority, why: Malformed) -> Self {
        Self {
            malformed: Some(why),
            ..Self::new(HttpError::BadResponse, format!("the answer of {from} has {why}"))
        }
    }

    /// A client that was given so long did not finish the head of its request.
    pub fn late_request(limit: Duration) -> Self {
        Self::new(
            HttpError::RequestTimeout,
            format!("no complete request within {limit:?}"),
        )
    }

    /// An origin's handshake failed after it had seemed to be done.
    pub fn late(target: &Authority, outcome: HandshakeOutcome) -> Self {
        let text = format!("{target} ended TLS: {}", outcome.label().replace('_', " "));
        let error = match outcome {
            HandshakeOutcome::ClientCertificateRequired => HttpError::ClientCertificate,
            _ => HttpError::TlsError,
        };
        Self::new(error, text)
    }

    /// The value of the Proxy-Status header.
    pub fn proxy_status(&self) -> HeaderValue {
        let details: String = quotable(&self.text);
        let rcode = self
            .rcode
            .map_or_else(String::new, |rcode| format!("; rcode=\"{rcode}\""));
        let received = self.received.map_or_else(String::new, |status| {
            format!("; received-status={}", status.as_u16())
        });
        let value = format!(
            "wsbump; error={}{rcode}{received}; details=\"{details}\"",
            self.error.label()
        );
        HeaderValue::from_str(&value).unwrap_or(HeaderValue::from_static("wsbump"))
    }

    /// The value of the Retry-After header: whole seconds, and not too few.
    pub(in crate::http) fn retry_after(&self) -> Option<HeaderValue> {
        let wait = self.retry_after?;
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        Some(HeaderValue::from(seconds.max(1)))
    }

    /// The answer to the request `id` for `url`: a page for a person, a line for a program.
    pub(in crate::http) fn response(
        &self,
        pages: &Pages,
        audience: Audience,
        url: &str,
        id: RequestId,
    ) -> Response<Bytes> {
        let (kind, content, language) = if audience.html {
            let (page, language) = self.html(pages, audience, url, id);
            ("text/html; charset=utf-8", page, Some(language))
        } else {
            ("text/plain; charset=utf-8", self.line(id), None)
        };
        let mut response = Response::new(Bytes::from(content));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(PROXY_STATUS, self.proxy_status());
        if let Some(seconds) = self.retry_after() {
            headers.insert(RETRY_AFTER, seconds);
        }
        if let Some(language) = language {
            headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(SECURITY));
            if let Ok(language) = HeaderValue::from_str(language) {
                headers.insert(CONTENT_LANGUAGE, language);
            }
        }
        for (name, value) in &self.headers {
            headers.append(name, value.clone());
        }
        response
    }

    /// What a program is told.
    pub(in crate::http) fn line(&self, id: RequestId) -> String {
        format!("wsbump: {} (request {id})\n", self.text)
    }

    /// The answer as bytes, for a connection on which no HTTP server runs yet.
    pub fn raw(&self, id: RequestId) -> Vec<u8> {
        let content = self.line(id);
        let mut out = Vec::with_capacity(256 + content.len());
        let reason = self.status.canonical_reason().unwrap_or("Error");
        let _ = std::io::Write::write_fmt(
            &mut out,
            format_args!("HTTP/1.1 {} {reason}\r\nProxy-Status: ", self.status.as_u16()),
        );
        out.extend_from_slice(self.proxy_status().as_bytes());
        if let Some(seconds) = self.retry_after() {
            out.extend_from_slice(b"\r\nRetry-After: ");
            out.extend_from_slice(seconds.as_bytes());
        }
        for (name, value) in &self.headers {
            out.extend_from_slice(b"\r\n");
            out.extend_from_slice(name.as_str().as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value.as_bytes());
        }
        let _ = std::io::Write::write_fmt(
            &mut out,
            format_args!(
                "\r\nContent-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\nConnection: close\r\n\
                 Content-Length: {}\r\n\r\n{content}",
                content.len()
            ),
        );
        out
    }

    fn html<'p>(&self, pages: &'p Pages, audience: Audience, url: &str, id: RequestId) -> (String, &'p str) {
        pages.render(self.page.as_deref(), audience, self.error, |field| match field {
            Field::Text | Field::Detail => self.text.clone(),
            Field::Url => url.to_owned(),
            Field::Status => self.status.as_u16().to_string(),
            Field::Reason => self.status.canonical_reason().unwrap_or("Error").to_owned(),
            Field::Error => self.error.label().to_owned(),
            Field::Rule => self.rule.as_deref().unwrap_or_default().to_owned(),
            Field::RequestId => id.to_string(),
            Field::Time => now(),
            // The pages know these.
            Field::Title | Field::Contact | Field::Organisation | Field::Style => String::new(),
        })
    }
}

/// Nothing is loaded or run, sent anywhere, or shown inside of another page.
const SECURITY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The time as people read it everywhere.
fn now() -> String {
    let now = OffsetDateTime::now_utc();
    let (year, month, day) = (now.year(), u8::from(now.month()), now.day());
    let (hour, minute, second) = now.to_hms();
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// The text of a quoted string of structured fields (RFC 8941 section 3.3.3): printable ASCII.
fn quotable(text: &str) -> String {
    text.chars()
        .take(MAX_TEXT)
        .map(|c| match c {
            '"' | '\\' => '\'',
            ' '..='~' => c,
            _ => '?',
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem() -> ErrorResponse {
        ErrorResponse::new(
            HttpError::CertificateError,
            "expired <b>\"yesterday\"</b> \u{e9}\r\nX-Injected: 1",
        )
    }

    #[tokio::test]
    async fn a_browser_gets_an_escaped_page_and_a_program_a_line() {
        let (pages, id) = (Pages::default(), RequestId::new());
        let headers =
            http::HeaderMap::from_iter([(http::header::ACCEPT, HeaderValue::from_static("text/html"))]);
        let problem = ErrorResponse {
            rule: Some("<script>rule</script>".into()),
            error: HttpError::Refused,
            headers: vec![(
                http::header::PROXY_AUTHENTICATE,
                HeaderValue::from_static("Basic realm=\"x\""),
            )]
            .into(),
            ..problem()
        };
        let response = problem.response(&pages, pages.audience(&headers), "https://a.test/<script>", id);
        assert_eq!(response.status(), 502);
        assert_eq!(
            response.headers()[http::header::PROXY_AUTHENTICATE],
            "Basic realm=\"x\""
        );
        assert_eq!(response.headers()[CONTENT_LANGUAGE], "en");
        assert!(
            response.headers()[CONTENT_SECURITY_POLICY]
                .to_str()
                .unwrap()
                .starts_with("default-src 'none';")
        );
        let page = response.into_body();
        let page = std::str::from_utf8(&page).unwrap();
        assert!(page.contains("expired &lt;b&gt;"), "{page}");
        assert!(page.contains("https://a.test/&lt;script&gt;"));
        assert!(page.contains("&lt;script&gt;rule&lt;/script&gt;") && !page.contains("<script"));
        assert!(
            page.contains("Blocked by policy") && page.contains(&id.to_string()),
            "{page}"
        );

        let response = problem.response(&pages, Audience::PROGRAM, "https://a.test/", id);
        assert!(response.body().ends_with(format!("(request {id})\n").as_bytes()));
        assert!(
            String::from_utf8(problem.raw(RequestId::new()))
                .unwrap()
                .contains("\r\nproxy-authenticate: Basic realm=\"x\"\r\n")
        );
        assert_eq!(response.headers()[CONTENT_TYPE], "text/plain; charset=utf-8");
    }

    #[test]
    fn a_reason_cannot_inject_a_header() {
        let status = problem().proxy_status();
        assert_eq!(
            status.to_str().unwrap(),
            "wsbump; error=tls_certificate_error; details=\"expired <b>'yesterday'</b> ???X-Injected: 1\""
        );
        let raw = String::from_utf8(problem().raw(RequestId::new())).unwrap();
        let head = raw.split("\r\n\r\n").next().unwrap();
        assert!(!head.lines().any(|line| line.starts_with("X-Injected")), "{head}");
    }

    #[test]
    fn a_client_at_its_limit_is_told_when_to_come_back() {
        for (wait, seconds) in [(0, "1"), (1, "1"), (1000, "1"), (1001, "2"), (59_999, "60")] {
            let problem = ErrorResponse::limited(ClientLimit::Handshakes, Duration::from_millis(wait));
            let response = problem.response(
                &Pages::default(),
                Audience::PROGRAM,
                "a.test:443",
                RequestId::new(),
            );
            assert_eq!(
                (response.status().as_u16(), &response.headers()[RETRY_AFTER]),
                (429, &seconds.parse().unwrap())
            );
            let raw = String::from_utf8(problem.raw(RequestId::new())).unwrap();
            let wanted = format!("\r\nRetry-After: {seconds}\r\n");
            assert!(
                raw.starts_with("HTTP/1.1 429 Too Many Requests\r\n") && raw.contains(&wanted),
                "{raw}"
            );
        }
        assert!(problem().retry_after().is_none());
    }

    #[test]
    fn every_kind_has_a_status_of_an_error() {
        for error in HttpError::all() {
            assert!(
                error.status().is_client_error() || error.status().is_server_error(),
                "{error:?}"
            );
        }
    }
}

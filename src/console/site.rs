//! What the console answers.

use super::assets::{self, Asset};
use super::crowd::Visitor;
use super::login::{self, Known, Unknown, cookie, cookie_name};
use super::origin::{self, Way};
use super::sessions::{Holder, Sessions};
use crate::api::{Caller, Right, StillMay};
use crate::report::admin::{AdminPages, AdminPeer, AdminRefusal, ConsoleAccess, RefusedAdmin};
use crate::report::{Event, OperatorAct, Report};
use axum::Router;
use axum::body::Body;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, REFERRER_POLICY, SET_COOKIE,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What asks for a session is a word.
const LOGIN_BYTES: usize = 4096;
/// How long it may take to come.
const LOGIN_TIME: Duration = Duration::from_secs(10);
/// How long a line of the audit log may take.
const LINE: Duration = Duration::from_secs(2);

/// What a browser may do with the pages: load their own files, ask their own site, and nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
    base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

const HEADERS: [(HeaderName, &str); 8] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    (CACHE_CONTROL, "no-store"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
];

/// What all connections share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) api: TowerToHyperService<Router>,
    pub(super) access: Arc<dyn Fn() -> Arc<ConsoleAccess> + Send + Sync>,
    pub(super) sessions: Arc<Sessions>,
    pub(super) report: Arc<Report>,
}

/// The console as one connection sees it.
#[derive(Clone)]
pub(super) struct Site {
    pub(super) shared: Shared,
    pub(super) way: Way,
    pub(super) client: IpAddr,
    pub(super) visitor: Arc<Visitor>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    secret: String,
}

impl Site {
    /// Answers a request.
    pub(super) async fn answer(self, request: Request<Incoming>) -> Response<Body> {
        let mut response = self.judge(request).await;
        for (name, value) in HEADERS {
            let headers = response.headers_mut();
            // The interface says for itself what its answers are.
            headers.entry(name).or_insert(HeaderValue::from_static(value));
        }
        response
    }

    async fn judge(self, request: Request<Incoming>) -> Response<Body> {
        let access = (self.shared.access)();
        let (mut asked, body) = request.into_parts();
        let start = (asked.version, &asked.method, &asked.uri);
        if let Err(why) = origin::check(self.way, &access.names, start, &asked.headers) {
            self.refused(why, &asked);
            let status = match why {
                AdminRefusal::BadHost => StatusCode::BAD_REQUEST,
                // RFC 9110 section 15.5.20.
                AdminRefusal::UnknownName => StatusCode::MISDIRECTED_REQUEST,
                _ => StatusCode::FORBIDDEN,
            };
            return problem(status, refusal(why));
        }
        let path = asked.uri.path();
        if let Some(asset) = assets::at(path) {
            return file(asset, &asked.method);
        }
        if path == "/session" {
            return self.session(&asked, body, &access).await;
        }
        if !path.starts_with("/api/") {
            return problem(StatusCode::NOT_FOUND, "there is nothing of this name");
        }
        let mut known = match self.who(&access, &asked) {
            Ok(known) => known,
            Err(why) => return not_known(why),
        };
        self.visitor.known();
        known.caller.still = self.still(asked.headers.clone());
        asked.extensions.insert(known.caller);
        match self.shared.api.call(Request::from_parts(asked, body)).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    /// Whether whoever shows these still may.
    fn still(&self, headers: HeaderMap) -> StillMay {
        let (shared, name, client) = (self.shared.clone(), self.cookie_name(), self.client);
        StillMay::by(move |right| {
            let access = (shared.access)();
            let known = login::who(&shared.sessions, &access, (&name, client), &Method::GET, &headers);
            known.is_ok_and(|known| known.caller.rights.contains(&right))
        })
    }

    fn cookie_name(&self) -> String {
        cookie_name(self.way.is_tls, self.way.listener.port())
    }

    /// Tells of a request that is refused.
    fn refused(&self, why: AdminRefusal, asked: &Parts) {
        let host = asked.headers.get(HOST).map(HeaderValue::as_bytes);
        self.shared.report.state(&Event::AdminRefused(&RefusedAdmin {
            why,
            pages: AdminPages::Console,
            peer: AdminPeer::Address(self.client),
            method: asked.method.as_str(),
            path: asked.uri.path(),
            host: host.or_else(|| asked.uri.authority().map(|of| of.as_str().as_bytes())),
        }));
    }

    fn who(&self, access: &ConsoleAccess, asked: &Parts) -> Result<Known, Unknown> {
        let name = self.cookie_name();
        let known = login::who(
            &self.shared.sessions,
            access,
            (&name, self.client),
            &asked.method,
            &asked.headers,
        );
        known.inspect_err(|why| {
            let refusal = match why {
                Unknown::Nobody => AdminRefusal::Token,
                Unknown::CookieAlone => AdminRefusal::CrossSite,
            };
            self.refused(refusal, asked);
        })
    }

    /// `/session`: GET says who is logged in, POST logs in, DELETE logs out.
    async fn session(&self, asked: &Parts, body: Incoming, access: &ConsoleAccess) -> Response<Body> {
        match asked.method {
            Method::GET => {
                let (name, method) = (self.cookie_name(), Method::GET);
                let sessions = &self.shared.sessions;
                let known = login::who(sessions, access, (&name, self.client), &method, &asked.headers);
                // That nobody is logged in is an answer, and no refusal.
                value(&known.map_or_else(|_| json!({}), |known| stated(&known.caller, &known.token)))
            }
            Method::POST => self.log_in(asked, body, access).await,
            Method::DELETE => {
                if let Err(why) = self.who(access, asked) {
                    return not_known(why);
                }
                if let Some(shown) = cookie(&self.cookie_name(), &asked.headers) {
                    self.shared.sessions.end(shown);
                }
                let mut response = value(&json!({}));
                self.set_cookie(&mut response, "", 0);
                response
            }
            _ => {
                let mut response = problem(
                    StatusCode::METHOD_NOT_ALLOWED,
                    "this is asked for by another method",
                );
                let allowed = HeaderValue::from_static("GET, POST, DELETE");
                response.headers_mut().insert(ALLOW, allowed);
                response
            }
        }
    }

    async fn log_in(&self, asked: &Parts, body: Incoming, access: &ConsoleAccess) -> Response<Body> {
        // No form of a web page sends this type.
        let is_json = |value: &HeaderValue| {
            let kind = value
                .as_bytes()
                .split(|byte| *byte == b';')
                .next()
                .unwrap_or_default();
            kind.trim_ascii().eq_ignore_ascii_case(b"application/json")
        };
        if !asked.headers.get(CONTENT_TYPE).is_some_and(is_json) {
            return problem(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "this is asked for in application/json",
            );
        }
        let body = Limited::new(body, LOGIN_BYTES).collect();
        let body = match tokio::time::timeout(LOGIN_TIME, body).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(_)) => return problem(StatusCode::PAYLOAD_TOO_LARGE, "this is no code and no token"),
            Err(_) => return problem(StatusCode::REQUEST_TIMEOUT, "the request did not come in time"),
        };
        let Ok(Login { secret }) = serde_json::from_slice(&body) else {
            return problem(
                StatusCode::BAD_REQUEST,
                "this is asked for as {\"secret\": \"...\"}",
            );
        };
        let secret = secret.as_bytes();
        let holder = match access.shows(secret) {
            Some(token) => Holder::Token(Arc::clone(&token.name)),
            None if self.shared.sessions.spend(secret, Instant::now()) => Holder::Code,
            None => {
                // Its line is one of those of which there is a bound: whoever guesses fills no log.
                self.refused(AdminRefusal::Token, asked);
                return unknown("this is no token, and no code that still works: a code works once");
            }
        };
        let Some(caller) = login::of(&holder, access, self.client) else {
            return unknown("this token has been taken away");
        };
        if !self.audited(&caller.by).await {
            let detail = "the audit log cannot be written, and nobody logs in whom it does not have";
            return problem(StatusCode::SERVICE_UNAVAILABLE, detail);
        }
        let Some(begun) = self.shared.sessions.begin(holder, Instant::now(), access.session) else {
            return problem(StatusCode::SERVICE_UNAVAILABLE, "there is no randomness");
        };
        let mut response = value(&stated(&caller, &begun.token));
        self.set_cookie(&mut response, &begun.cookie, access.session.as_secs());
        response
    }

    /// Has the audit log say who logs in.
    async fn audited(&self, by: &str) -> bool {
        let act = OperatorAct {
            r#type: "operation",
            by: by.to_owned(),
            details: Map::from_iter([("operation".to_owned(), "login".into())]),
        };
        let report = Arc::clone(&self.shared.report);
        matches!(
            tokio::task::spawn_blocking(move || report.act(&act, LINE)).await,
            Ok(true)
        )
    }

    fn set_cookie(&self, response: &mut Response<Body>, cookie: &str, seconds: u64) {
        let secure = if self.way.is_tls { "; Secure" } else { "" };
        let name = self.cookie_name();
        let text = format!("{name}={cookie}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
        if let Ok(text) = HeaderValue::try_from(text) {
            response.headers_mut().insert(SET_COOKIE, text);
        }
    }
}

const fn refusal(why: AdminRefusal) -> &'static str {
    match why {
        AdminRefusal::BadHost => "one Host header is wanted",
        AdminRefusal::UnknownName => {
            "this console is not known by that name; console.names in wsbump's configuration adds names"
        }
        _ => "pages of other sites may not ask this",
    }
}

/// Who is logged in, as the pages are told.
fn stated(caller: &Caller, token: &str) -> Value {
    let rights: Vec<_> = caller.rights.iter().map(|right| Right::label(*right)).collect();
    json!({ "by": caller.by, "rights": rights, "token": token })
}

fn file(asset: &'static Asset, method: &Method) -> Response<Body> {
    let body = match *method {
        Method::GET => Body::from(asset.body),
        Method::HEAD => Body::empty(),
        _ => {
            let mut response = problem(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD");
            response
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
    };
    let mut response = Response::new(body);
    let content_type = HeaderValue::from_static(asset.content_type);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

fn value(value: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(value.to_string()));
    let content_type = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// What went wrong (RFC 9457).
fn problem(status: StatusCode, detail: &str) -> Response<Body> {
    let title = status.canonical_reason().unwrap_or_default();
    let mut response = value(&json!({ "title": title, "status": status.as_u16(), "detail": detail }));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

fn not_known(why: Unknown) -> Response<Body> {
    match why {
        Unknown::Nobody => unknown("log in first, or show a bearer token"),
        Unknown::CookieAlone => {
            let detail = "only the console's own pages may ask for this with a cookie";
            problem(StatusCode::FORBIDDEN, detail)
        }
    }
}

/// Nobody knows who asks (RFC 6750 section 3).
fn unknown(detail: &str) -> Response<Body> {
    let mut response = problem(StatusCode::UNAUTHORIZED, detail);
    let challenge = HeaderValue::from_static("Bearer realm=\"wsbump\"");
    response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    response
}

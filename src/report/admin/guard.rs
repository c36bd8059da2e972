//! Stands before the pages: what may not be read never reaches them.

use super::access::{AdminAccess, AdminRefusal, Way};
use super::answer::{PLAIN, text};
use super::refused::{AdminPages, RefusedAdmin};
use crate::report::dispatch::Report;
use crate::report::event::Event;
use axum::Router;
use axum::body::Body;
use axum::http::header::{HOST, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;

/// What a client is told that shows no token (RFC 6750 section 3).
const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer realm=\"wsbump\"");

/// The pages of one connection, for those who may read them.
pub(super) struct Guard {
    pages: TowerToHyperService<Router>,
    access: Arc<dyn Fn() -> Arc<AdminAccess> + Send + Sync>,
    way: Way,
    report: Arc<Report>,
}

impl Guard {
    pub(super) fn new(
        pages: Router,
        access: Arc<dyn Fn() -> Arc<AdminAccess> + Send + Sync>,
        way: Way,
        report: Arc<Report>,
    ) -> Self {
        Self {
            pages: TowerToHyperService::new(pages),
            access,
            way,
            report,
        }
    }
}

impl Service<Request<Incoming>> for Guard {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let checked = (self.access)().check(
            &self.way,
            request.version(),
            request.method(),
            request.uri(),
            request.headers(),
        );
        match checked {
            Ok(()) => Box::pin(self.pages.call(request)),
            Err(why) => {
                let host = request.headers().get(HOST).map(HeaderValue::as_bytes);
                self.report.state(&Event::AdminRefused(&RefusedAdmin {
                    why,
                    pages: AdminPages::Admin,
                    peer: self.way.peer(),
                    method: request.method().as_str(),
                    path: request.uri().path(),
                    host: host.or_else(|| request.uri().authority().map(|of| of.as_str().as_bytes())),
                }));
                Box::pin(std::future::ready(Ok(refused(why))))
            }
        }
    }
}

fn refused(why: AdminRefusal) -> Response<Body> {
    let mut response = text(PLAIN, why.text());
    *response.status_mut() = why.status();
    if why == AdminRefusal::Token {
        response.headers_mut().insert(WWW_AUTHENTICATE, CHALLENGE);
    }
    response
}

//! Messages that services outside of the process may change, or answer in the place of: ICAP for all traffic. They stand
//! between the rules and the network: of a request they see what the rules have let pass, and of a response too.

use crate::decide::Treatment;
use crate::http::context::ExchangeContext;
use crate::http::error::HttpError;
use crate::http::exchange::destination::Destination;
use crate::http::exchange::endless::may_be_quiet;
use crate::http::inspected::reading::Reading;
use crate::http::message::held::{Held, Rest};
use crate::http::pages::ErrorResponse;
use crate::identity::Identity;
use crate::inspect::{
    AdaptBody, AdaptItem, Adapted, HttpHead, Inspector, OnFailure, Room, ScanOutcome, Scanner,
};
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body::Body;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

/// A service, and those that stand in for it.
type Services = Vec<Arc<dyn Scanner>>;

/// The services that one exchange goes by.
pub(in crate::http) struct Adapter {
    requests: Vec<Services>,
    responses: Vec<Services>,
    inspector: Arc<Inspector>,
    rooms: [Arc<Room>; 2],
    client: IpAddr,
    user: Option<Arc<Identity>>,
    /// What URLs begin with.
    base: String,
    path: String,
    /// The request's head, as it went on last.
    request: HttpHead,
    /// It has been through its services, and may have to be sent once more.
    is_asked: bool,
}

/// What becomes of a message.
pub(in crate::http) enum Change<B, E> {
    /// It goes on as it came.
    None(Held<B, E>),
    /// This request goes on.
    Request(Box<ChangedRequest>),
    /// The client gets this response.
    Response(Response<Bytes>, ErrorResponse),
    /// It does not go on.
    Stop(ErrorResponse),
}

/// A request in the place of another.
pub(in crate::http) struct ChangedRequest {
    pub(in crate::http) method: Method,
    /// The path with its query.
    pub(in crate::http) path: String,
    /// With the length of its content.
    pub(in crate::http) headers: HeaderMap,
    pub(in crate::http) body: Bytes,
}

impl Adapter {
    /// `None` where no service is to be asked.
    pub(in crate::http) fn begin(
        context: &ExchangeContext,
        to: &Destination<'_>,
        treatment: &Treatment,
        path: &str,
    ) -> Option<Box<Self>> {
        if treatment.adapt_requests.is_empty() && treatment.adapt_responses.is_empty() {
            return None;
        }
        let current = context.inspector.current();
        let find = |name: &str| current.scanners.iter().find(|scanner| scanner.name() == name);
        let named = |names: &[Arc<str>]| -> Vec<Services> {
            let found = names.iter().filter_map(|name| find(name));
            found
                .map(|first| {
                    let standby = first.standby().iter().filter_map(|name| find(name));
                    std::iter::once(first).chain(standby).map(Arc::clone).collect()
                })
                .collect()
        };
        Some(Box::new(Self {
            requests: named(&treatment.adapt_requests),
            responses: named(&treatment.adapt_responses),
            rooms: [Arc::clone(&context.kept), Arc::clone(context.inspector.kept())],
            inspector: Arc::clone(&context.inspector),
            client: context.client(),
            user: context.requester.user(),
            base: to.base().to_owned(),
            path: path.to_owned(),
            request: HttpHead {
                method: Method::GET,
                status: None,
                headers: HeaderMap::new(),
            },
            is_asked: false,
        }))
    }

    /// Has a request changed, or answered, once. An upgrade may be answered, and is not changed: both ends have agreed on
    /// its handshake.
    pub(in crate::http) async fn request<B>(
        &mut self,
        method: &Method,
        path: &str,
        headers: HeaderMap,
        is_upgrade: bool,
        body: B,
    ) -> Change<B, B::Error>
    where
        B: Body<Data = Bytes> + Unpin + Send,
        B::Error: Send,
    {
        path.clone_into(&mut self.path);
        self.request = HttpHead {
            method: method.clone(),
            status: None,
            headers,
        };
        if std::mem::replace(&mut self.is_asked, true) || self.requests.is_empty() {
            return Change::None(Held {
                frames: VecDeque::new(),
                rest: Rest::More(body),
            });
        }
        let mut reading = self.reading(body);
        let mut is_changed = false;
        for services in &self.requests.clone() {
            let Some((service, adapted)) = self.ask(services, None, &mut reading).await else {
                continue;
            };
            match adapted {
                Adapted::Unchanged => {}
                Adapted::Request { .. } if is_upgrade => {}
                Adapted::Request {
                    method,
                    path,
                    headers,
                    body,
                } => {
                    let headers = measured(headers, &body, !body.is_empty() || method != Method::GET);
                    (self.path, self.request.method, self.request.headers) = (path, method, headers);
                    reading.replaced = Some(body);
                    is_changed = true;
                }
                Adapted::Response {
                    status,
                    headers,
                    body,
                } => return answered(service, status, headers, body),
                Adapted::Failed(_) if service.on_failure() == OnFailure::Pass => {}
                Adapted::Failed(_) => return Change::Stop(failed(service)),
            }
        }
        match reading.replaced.take() {
            Some(body) if is_changed => Change::Request(Box::new(ChangedRequest {
                method: self.request.method.clone(),
                path: self.path.clone(),
                headers: self.request.headers.clone(),
                body,
            })),
            _ => Change::None(reading.put_back()),
        }
    }

    /// Whether a response with this head goes by services. What may never end, such as a stream of events, does not, nor
    /// what can have no content.
    pub(in crate::http) fn takes_response(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        let has_none = self.request.method == Method::HEAD
            || status.is_informational()
            || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        !self.responses.is_empty() && !has_none && !may_be_quiet(headers)
    }

    /// Has a response changed.
    pub(in crate::http) async fn response<B>(
        &self,
        status: StatusCode,
        headers: HeaderMap,
        body: B,
    ) -> Change<B, B::Error>
    where
        B: Body<Data = Bytes> + Unpin + Send,
        B::Error: Send,
    {
        let mut reading = self.reading(body);
        let mut head = HttpHead {
            method: self.request.method.clone(),
            status: Some(status),
            headers,
        };
        let mut by = None;
        for services in &self.responses {
            let Some((service, adapted)) = self.ask(services, Some(&head), &mut reading).await else {
                continue;
            };
            match adapted {
                Adapted::Unchanged => {}
                Adapted::Response {
                    status,
                    headers,
                    body,
                } => {
                    (head.status, head.headers) = (Some(status), measured(headers, &body, true));
                    reading.replaced = Some(body);
                    by = Some(service);
                }
                Adapted::Failed(_) if service.on_failure() == OnFailure::Pass => {}
                Adapted::Request { .. } | Adapted::Failed(_) => return Change::Stop(failed(service)),
            }
        }
        match (reading.replaced.take(), by) {
            (Some(body), Some(service)) => {
                answered(service, head.status.unwrap_or(status), head.headers, body)
            }
            _ => Change::None(reading.put_back()),
        }
    }

    fn reading<B>(&self, body: B) -> Reading<B>
    where
        B: Body<Data = Bytes> + Unpin + Send,
        B::Error: Send,
    {
        Reading::new(&self.rooms, &self.inspector.current().budgets, body)
    }

    /// Asks the first of these that does not fail. Where all do, the first one's word counts for what happens then.
    async fn ask<'s>(
        &self,
        services: &'s [Arc<dyn Scanner>],
        response: Option<&HttpHead>,
        body: &mut dyn AdaptBody,
    ) -> Option<(&'s Arc<dyn Scanner>, Adapted)> {
        let (first, standby) = services.split_first()?;
        let adapted = self.ask_one(first, response, body).await;
        let Adapted::Failed(why) = adapted else {
            return Some((first, adapted));
        };
        for other in standby {
            let adapted = self.ask_one(other, response, body).await;
            if !matches!(adapted, Adapted::Failed(_)) {
                return Some((other, adapted));
            }
        }
        Some((first, Adapted::Failed(why)))
    }

    async fn ask_one(
        &self,
        service: &Arc<dyn Scanner>,
        response: Option<&HttpHead>,
        body: &mut dyn AdaptBody,
    ) -> Adapted {
        let url = [&*self.base, &*self.path].concat();
        let begun = Instant::now();
        let adapted = service
            .adapt(AdaptItem {
                client: self.client,
                user: self.user.as_deref().map(|user| &*user.name),
                url: &url,
                request: &self.request,
                response,
                body,
            })
            .await;
        let outcome = match &adapted {
            Adapted::Unchanged => ScanOutcome::Clean,
            Adapted::Response { status, .. } if response.is_none() => {
                ScanOutcome::Found(format!("it answers with status {}", status.as_u16()))
            }
            Adapted::Request { body, .. } | Adapted::Response { body, .. } => {
                ScanOutcome::Replaced(body.clone())
            }
            Adapted::Failed(why) => ScanOutcome::Failed(why.clone()),
        };
        (self.inspector.witness()).scanned(service.name(), &outcome, begun.elapsed());
        adapted
    }
}

/// Fields with the length that the content has.
fn measured(mut headers: HeaderMap, body: &Bytes, has_length: bool) -> HeaderMap {
    headers.remove(CONTENT_LENGTH);
    if has_length {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    }
    headers
}

fn answered<B, E>(
    service: &Arc<dyn Scanner>,
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
) -> Change<B, E> {
    let headers = measured(headers, &body, true);
    let text = format!(
        "the service {:?} answers in the place of the origin",
        service.name()
    );
    let problem = ErrorResponse {
        status,
        ..ErrorResponse::new(HttpError::Inspected, text)
    };
    let mut response = Response::new(body);
    (*response.status_mut(), *response.headers_mut()) = (status, headers);
    Change::Response(response, problem)
}

fn failed(service: &Arc<dyn Scanner>) -> ErrorResponse {
    let text = format!(
        "the service {:?} could not be asked, and policy does not let this pass then",
        service.name()
    );
    ErrorResponse::new(HttpError::Uninspected, text)
}

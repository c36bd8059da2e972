//! Messages that services outside of the process may change, or answer in the place of: ICAP for all traffic. They stand
//! between the rules and the network: of a request they see what the rules have let pass, and of a response too.

use crate::decide::Treatment;
use crate::http::context::ExchangeContext;
use crate::http::error::HttpError;
use crate::http::exchange::destination::Destination;
use crate::http::exchange::endless::may_be_quiet;
use crate::http::inspected::kept::Kept;
use crate::http::message::held::{Held, Rest};
use crate::http::pages::ErrorResponse;
use crate::identity::Identity;
use crate::inspect::{
    AdaptBody, AdaptItem, Adapted, Blind, HttpHead, Inspector, OnFailure, Room, ScanOutcome, Scanner, Soon,
};
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;
use tokio::time::timeout_at;

/// The services that one exchange goes by.
pub(in crate::http) struct Adapter {
    requests: Vec<Arc<dyn Scanner>>,
    responses: Vec<Arc<dyn Scanner>>,
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
        let named = |names: &[Arc<str>]| -> Vec<Arc<dyn Scanner>> {
            let find = |name: &Arc<str>| current.scanners.iter().find(|scanner| *scanner.name() == **name);
            names.iter().filter_map(find).map(Arc::clone).collect()
        };
        Some(Box::new(Self {
            requests: named(&treatment.adapt_requests),
            responses: named(&treatment.adapt_responses),
            rooms: [Arc::clone(&context.kept), Arc::clone(context.inspector.kept())],
            inspector: Arc::clone(&context.inspector),
            client: context.who.client,
            user: context.user.get(),
            base: to.base(),
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
        let mut reading = Reading::new(self, body);
        let mut is_changed = false;
        for service in &self.requests.clone() {
            match self.ask(service, None, &mut reading).await {
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
        let mut reading = Reading::new(self, body);
        let mut head = HttpHead {
            method: self.request.method.clone(),
            status: Some(status),
            headers,
        };
        let mut by = None;
        for service in &self.responses {
            match self.ask(service, Some(&head), &mut reading).await {
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

    async fn ask(
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

/// A body that is read as far as services want to see it.
struct Reading<B: Body> {
    body: Option<B>,
    error: Option<B::Error>,
    kept: Option<Kept>,
    /// All that was kept, once it is all that there is: the frames, and the content in one piece.
    all: Option<(VecDeque<Frame<Bytes>>, Bytes)>,
    /// Why no more of it is kept.
    full: Option<Blind>,
    /// What a service has put in its place.
    replaced: Option<Bytes>,
    until: tokio::time::Instant,
}

impl<B> Reading<B>
where
    B: Body<Data = Bytes> + Unpin + Send,
    B::Error: Send,
{
    fn new(adapter: &Adapter, body: B) -> Self {
        let budgets = adapter.inspector.current().budgets;
        Self {
            body: Some(body),
            error: None,
            kept: Some(Kept::new(&adapter.rooms, budgets.message)),
            all: None,
            full: None,
            replaced: None,
            until: tokio::time::Instant::now() + budgets.hold,
        }
    }

    /// Reads until there are more than so many bytes, or no more come.
    async fn read_beyond(&mut self, most: usize) -> Result<(), String> {
        let Some(kept) = &mut self.kept else {
            return Ok(());
        };
        while kept.raw().len() <= most {
            if let Some(why) = self.full {
                return Err(format!("it cannot be kept ({})", why.label()));
            }
            let Some(body) = &mut self.body else {
                break;
            };
            let Ok(frame) = timeout_at(self.until, body.frame()).await else {
                return Err("it does not come in time".to_owned());
            };
            match frame {
                None => self.body = None,
                Some(Err(error)) => (self.body, self.error) = (None, Some(error)),
                Some(Ok(frame)) => self.full = kept.push(frame),
            }
        }
        Ok(())
    }

    /// What goes on where nothing is in its place.
    fn put_back(self) -> Held<B, B::Error> {
        let frames = match (self.all, self.kept) {
            (Some((frames, _)), _) => frames,
            (None, Some(kept)) => kept.into_parts().0,
            (None, None) => VecDeque::new(),
        };
        let rest = match (self.error, self.body) {
            (Some(error), _) => Rest::Broken(error),
            (None, Some(body)) if !body.is_end_stream() => Rest::More(body),
            (None, _) => Rest::Over,
        };
        Held { frames, rest }
    }
}

impl<B> AdaptBody for Reading<B>
where
    B: Body<Data = Bytes> + Unpin + Send,
    B::Error: Send,
{
    fn preview(&mut self, most: usize) -> Soon<'_, Result<(Bytes, bool), String>> {
        Box::pin(async move {
            let replaced = self
                .replaced
                .as_ref()
                .or(self.all.as_ref().map(|(_, whole)| whole));
            if let Some(whole) = replaced {
                let end = whole.len().min(most);
                return Ok((whole.slice(..end), end == whole.len()));
            }
            self.read_beyond(most).await?;
            let raw = self.kept.as_ref().map_or(&[][..], Kept::raw);
            let end = raw.len().min(most);
            let is_all = self.body.is_none() && self.error.is_none() && end == raw.len();
            Ok((Bytes::copy_from_slice(&raw[..end]), is_all))
        })
    }

    fn whole(&mut self, most: usize) -> Soon<'_, Result<Bytes, String>> {
        Box::pin(async move {
            let replaced = self
                .replaced
                .as_ref()
                .or(self.all.as_ref().map(|(_, whole)| whole));
            if let Some(whole) = replaced {
                return Ok(whole.clone());
            }
            self.read_beyond(most).await?;
            if self.body.is_some() {
                return Err(format!("it is larger than {most} bytes (max_size)"));
            }
            if self.error.is_some() {
                return Err("it breaks off".to_owned());
            }
            let all = self.kept.take().map(Kept::into_parts).unwrap_or_default();
            let whole = all.1.clone();
            self.all = Some(all);
            Ok(whole)
        })
    }
}

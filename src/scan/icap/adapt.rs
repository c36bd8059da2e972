//! Messages that a service may change, or answer in the place of (RFC 3507 sections 4.8 and 4.9): whole heads, and content
//! with the codings that it has.

use super::Icap;
use super::chunked::{self, Dechunk};
use super::head::{HEAD_MAX, IcapHead, Layout};
use super::modification::Modification;
use super::request::{strip, write_headers};
use super::service::{Service, refused};
use crate::inspect::{AdaptBody, AdaptItem, Adapted};
use crate::scan::answer::ScanFailure;
use crate::scan::conversation::{ReceivedBytes, converse};
use crate::scan::endpoint::ScannerStream;
use crate::scan::progress::Progress;
use crate::wire::http1::{parse_request, parse_response};
use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_LENGTH, HeaderMap};
use std::io::Write as _;
use std::time::Duration;
use tokio::time::timeout;

/// What is sent before the content.
struct Message {
    modification: Modification,
    /// The request's absolute URL.
    url: String,
    request: Vec<u8>,
    response: Vec<u8>,
}

/// The content as far as it is there.
struct Beginning {
    bytes: Bytes,
    is_all: bool,
    /// It is a preview: the service says whether it wants the rest.
    is_preview: bool,
}

/// An answer.
enum Answer {
    /// The rest is wanted.
    Continue,
    /// This is what comes of it; whether the connection is at the end of it.
    Adapted(Adapted, bool),
}

impl Icap {
    /// Has a message changed, or answered. Where the service does not offer that way, the message goes on as it is.
    pub(in crate::scan) async fn adapt(
        &self,
        item: AdaptItem<'_>,
        deadline: Duration,
        max_size: usize,
    ) -> Result<Adapted, ScanFailure> {
        let modification = match item.response {
            Some(_) => Modification::Response,
            None => Modification::Request,
        };
        let service = match modification {
            Modification::Request => &self.request,
            Modification::Response => &self.response,
        };
        let progress = Progress::new();
        let options = in_time(deadline, service.options(&progress)).await?;
        let extension = extension(item.url);
        if !options.offers(modification) || options.ignores(extension) {
            return Ok(Adapted::Unchanged);
        }
        let message = Message::new(modification, &item);
        let (client, user) = (item.client, item.user);
        let (tell, body) = (self.tell, item.body);
        let beginning = match options.preview.filter(|_| options.wants_preview(extension)) {
            Some(most) => {
                let (bytes, is_all) = body.preview(most).await.map_err(ScanFailure::Content)?;
                Beginning {
                    is_preview: !(is_all && bytes.is_empty()),
                    bytes,
                    is_all,
                }
            }
            None => Beginning {
                bytes: body.whole(max_size).await.map_err(ScanFailure::Content)?,
                is_all: true,
                is_preview: false,
            },
        };
        let mut tells = Vec::new();
        tell.write(client, user, &mut tells);
        let head = message.head(service, &tells, &beginning);
        let exchange = Exchange {
            service,
            message: &message,
            head,
            beginning: &beginning,
            deadline,
            max_size,
        };
        let places = service.places();
        let _place = match &places {
            Some(places) => in_time(deadline, async { Ok(places.acquire().await.ok()) }).await?,
            None => None,
        };
        // A server closes idle connections at will: what was closed before anything was answered is asked once more.
        if let Some(stream) = service.idle() {
            let mut incoming = ReceivedBytes::default();
            match exchange.run(stream, &mut incoming, body).await {
                Err(ScanFailure::Scanner(_)) if !incoming.any => {}
                answered => return answered,
            }
        }
        let stream = in_time(deadline, service.connect()).await?;
        exchange.run(stream, &mut ReceivedBytes::default(), body).await
    }
}

/// What one exchange with a service needs.
struct Exchange<'a> {
    service: &'a Service,
    message: &'a Message,
    head: Bytes,
    beginning: &'a Beginning,
    deadline: Duration,
    max_size: usize,
}

impl Exchange<'_> {
    async fn run(
        &self,
        mut stream: ScannerStream,
        incoming: &mut ReceivedBytes,
        body: &mut dyn AdaptBody,
    ) -> Result<Adapted, ScanFailure> {
        let begun = self.begin(&mut stream, incoming).await;
        let done = match begun {
            Ok((Answer::Continue, true)) if !self.beginning.is_all => {
                match body.whole(self.max_size).await {
                    Ok(whole) => {
                        let rest = whole.slice(self.beginning.bytes.len().min(whole.len())..);
                        self.go_on(&mut stream, incoming, Bytes::new(), rest, chunked::END)
                            .await
                    }
                    // The service waits for what does not come: its connection ends with this.
                    Err(why) => Err(ScanFailure::Content(why)),
                }
            }
            other => other,
        };
        match done {
            Ok((Answer::Adapted(adapted, is_whole), sent)) => {
                if is_whole && sent && incoming.bytes.is_empty() {
                    self.service.keep(stream);
                } else {
                    stream.close();
                }
                Ok(adapted)
            }
            Ok((Answer::Continue, _)) => {
                stream.close();
                Err(ScanFailure::Scanner(
                    "it says 100 Continue where nothing is left to send".to_owned(),
                ))
            }
            Err(why) => {
                stream.close();
                Err(why)
            }
        }
    }

    async fn begin(
        &self,
        stream: &mut ScannerStream,
        incoming: &mut ReceivedBytes,
    ) -> Result<(Answer, bool), ScanFailure> {
        let Beginning {
            bytes,
            is_all,
            is_preview,
        } = self.beginning;
        let end: &[u8] = match (is_preview, is_all) {
            (true, true) => chunked::END_OF_ALL,
            (false, true) if bytes.is_empty() => &[],
            _ => chunked::END,
        };
        self.go_on(stream, incoming, self.head.clone(), bytes.clone(), end)
            .await
    }

    /// Sends something, and reads what is answered.
    async fn go_on(
        &self,
        stream: &mut ScannerStream,
        incoming: &mut ReceivedBytes,
        before: Bytes,
        content: Bytes,
        end: &'static [u8],
    ) -> Result<(Answer, bool), ScanFailure> {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let talk = async {
            let send = chunked::send(&mut writer, before, content, end);
            let (answer, sent) = converse(send, self.receive(&mut reader, incoming)).await;
            answer.map(|answer| (answer, sent))
        };
        in_time(self.deadline, talk).await
    }

    async fn receive(
        &self,
        reader: &mut (impl tokio::io::AsyncRead + Unpin),
        incoming: &mut ReceivedBytes,
    ) -> Result<Answer, ScanFailure> {
        let head = loop {
            match IcapHead::parse(&incoming.bytes).map_err(ScanFailure::Scanner)? {
                Some((head, length)) => {
                    let _ = incoming.bytes.split_to(length);
                    break head;
                }
                None => incoming.more(reader).await?,
            }
        };
        let keeps = !head.closes();
        match head.status {
            100 => return Ok(Answer::Continue),
            204 => return Ok(Answer::Adapted(Adapted::Unchanged, keeps)),
            200 => {}
            _ => return Err(refused(&head)),
        }
        let most = HEAD_MAX + self.message.request.len() + self.message.response.len();
        let layout = head
            .header("encapsulated")
            .ok_or_else(|| ScanFailure::Scanner("its answer says nothing of what is inside".to_owned()))?;
        let layout = Layout::parse(layout, most).map_err(ScanFailure::Scanner)?;
        while incoming.bytes.len() < layout.heads {
            incoming.more(reader).await?;
        }
        let heads = incoming.bytes.split_to(layout.heads);
        let mut dechunk = Dechunk::new(self.service.answer_max());
        while layout.body && !dechunk.feed(&mut incoming.bytes)? {
            incoming.more(reader).await?;
        }
        let adapted = self.message.adapted(&heads, &layout, dechunk.into_body());
        adapted
            .map(|adapted| Answer::Adapted(adapted, keeps))
            .map_err(ScanFailure::Scanner)
    }
}

impl Message {
    fn new(modification: Modification, item: &AdaptItem<'_>) -> Self {
        let mut request = Vec::with_capacity(512);
        let headers = |headers: &HeaderMap| {
            let mut headers = headers.clone();
            strip(&mut headers);
            headers
        };
        // Writing to a Vec cannot fail.
        let _ = write!(request, "{} {} HTTP/1.1\r\n", item.request.method, item.url);
        write_headers(&mut request, &headers(&item.request.headers));
        let mut response = Vec::new();
        if let Some(head) = item.response {
            let status = head.status.unwrap_or(StatusCode::OK);
            let reason = status.canonical_reason().unwrap_or_default();
            let _ = write!(response, "HTTP/1.1 {} {reason}\r\n", status.as_str());
            write_headers(&mut response, &headers(&head.headers));
        }
        Self {
            modification,
            url: item.url.to_owned(),
            request,
            response,
        }
    }

    /// The ICAP head, and the heads inside.
    fn head(&self, service: &Service, tells: &[u8], beginning: &Beginning) -> Bytes {
        let heads = self.request.len() + self.response.len();
        let mut out = Vec::with_capacity(512 + heads);
        let (method, url) = (self.modification.label(), service.url());
        let _ = write!(
            out,
            "{method} {url} ICAP/1.0\r\nHost: {}\r\nAllow: 204\r\n",
            url.authority()
        );
        if beginning.is_preview {
            let _ = write!(out, "Preview: {}\r\n", beginning.bytes.len());
        }
        out.extend_from_slice(tells);
        out.extend_from_slice(b"Encapsulated: req-hdr=0");
        if self.modification == Modification::Response {
            let _ = write!(out, ", res-hdr={}", self.request.len());
        }
        let kind = match (beginning.bytes.is_empty() && beginning.is_all, self.modification) {
            (true, _) => "null",
            (false, Modification::Request) => "req",
            (false, Modification::Response) => "res",
        };
        let _ = write!(out, ", {kind}-body={heads}\r\n\r\n");
        out.extend_from_slice(&self.request);
        out.extend_from_slice(&self.response);
        out.into()
    }

    /// What an answer with a message inside comes to.
    fn adapted(&self, heads: &[u8], layout: &Layout, body: Bytes) -> Result<Adapted, String> {
        let broken =
            |why: &dyn std::fmt::Display| format!("the HTTP head inside its answer is broken: {why}");
        let part = |range: &std::ops::Range<usize>| heads.get(range.clone()).unwrap_or_default();
        let fields = |fields: HeaderMap| {
            let mut headers = fields;
            strip(&mut headers);
            headers.remove(CONTENT_LENGTH);
            headers
        };
        if let Some(range) = &layout.response {
            let head = parse_response(part(range)).map_err(|why| broken(&why))?;
            if head.status.is_informational() {
                return Err(format!(
                    "it answers with status {}, which ends nothing",
                    head.status.as_u16()
                ));
            }
            return Ok(Adapted::Response {
                status: head.status,
                headers: fields(head.fields.to_map()),
                body,
            });
        }
        if self.modification == Modification::Response {
            return Err("it answers a response with a request".to_owned());
        }
        let range = layout
            .request
            .as_ref()
            .ok_or("its answer has no HTTP head inside")?;
        let head = parse_request(part(range)).map_err(|why| broken(&why))?;
        let target = String::from_utf8_lossy(head.target()).into_owned();
        // Where the connection leads is settled: a request for another server cannot go on it.
        let (server, path) = match target.starts_with('/') {
            true => (None, target.as_str()),
            false => {
                let (server, path) = cut(&target);
                (Some(server), path)
            }
        };
        let (own, _) = cut(&self.url);
        if server.is_some_and(|server| !server.eq_ignore_ascii_case(own)) {
            return Err(format!(
                "it sends the request to another server: {}",
                cut(&target).0
            ));
        }
        Ok(Adapted::Request {
            method: head.method.clone(),
            path: if path.starts_with('/') {
                path.to_owned()
            } else {
                format!("/{path}")
            },
            headers: fields(head.fields.to_map()),
            body,
        })
    }
}

/// A URL as far as it names the server, and what follows.
fn cut(url: &str) -> (&str, &str) {
    let begin = url.find("://").map_or(0, |at| at + 3);
    let end = url[begin..].find(['/', '?']).map_or(url.len(), |at| begin + at);
    url.split_at(end)
}

/// The extension of the file that a URL names, which is what `Transfer-*` lists; none is written as such.
fn extension(url: &str) -> Option<&str> {
    let (_, path) = cut(url);
    let path = path.split(['?', '#']).next()?;
    let (_, extension) = path.rsplit('/').next()?.rsplit_once('.')?;
    (!extension.is_empty()).then_some(extension)
}

/// Waits for a service no longer than this.
async fn in_time<T>(
    deadline: Duration,
    work: impl Future<Output = Result<T, ScanFailure>>,
) -> Result<T, ScanFailure> {
    let done = timeout(deadline, work).await;
    done.unwrap_or_else(|_| Err(ScanFailure::Scanner(format!("no answer within {deadline:?}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_cut_where_the_server_ends() {
        for (url, server, path) in [
            ("https://a.example/x?y", "https://a.example", "/x?y"),
            ("http://a.example:81", "http://a.example:81", ""),
            ("http://a.example?q", "http://a.example", "?q"),
        ] {
            assert_eq!(cut(url), (server, path), "{url}");
        }
        assert_eq!(extension("https://a.example/x/y.tar.gz?z=.exe"), Some("gz"));
        assert_eq!(extension("https://a.example"), None);
    }
}

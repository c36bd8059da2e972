//! What an exchange leaves of its connections, and how one ends that has no response of the origin's.

use crate::error::Side;
use crate::handshake::origin::late_failure;
use crate::http::error::HttpError;
use crate::http::exchange::destination::Destination;
use crate::http::exchange::served::{ServeError, UpgradeKind};
use crate::http::h1::client::{Client, Reply};
use crate::http::h1::moving::{HALF_CLOSED, NoResponse};
use crate::http::h1::prepared::{Leading, Prepared};
use crate::http::pages::ErrorResponse;
use crate::wire::http1::{head_end, parse_request, request_framing, skip_blank_lines};

/// Interim responses (RFC 9110 section 15.2) that one request may have.
pub(super) const INTERIM: u32 = 100;

/// What an exchange leaves of its connections.
pub(super) enum After {
    /// Both can go on.
    Keep,
    /// The client's can go on, the origin's not.
    KeepClient,
    /// Both end in order.
    Close,
    /// The client's ends in the middle, as the origin's did.
    Cut(ServeError),
    /// One of them broke.
    Failed(ServeError),
    /// Both are something else now.
    Upgraded(UpgradeKind),
    /// The origin was gone before it had said anything: the request may be sent again.
    Again(Box<Prepared>),
}

impl Client<'_> {
    /// Tells of the requests that have come behind the last one that is served. Where the client cannot be sure of what
    /// belongs to which, nobody can.
    pub(super) fn forgo(&mut self, base: &str) {
        while std::mem::take(&mut self.in_step) {
            self.conn.consume(skip_blank_lines(self.conn.rest()));
            let Some(end) = head_end(self.conn.rest(), 0) else {
                return;
            };
            let Some(Ok(mut head)) = self.conn.rest().get(..end).map(parse_request) else {
                return;
            };
            self.context.hear(&head.fields);
            let mut record = self.unread(base).noting(self.context, &head.fields);
            let text = "the connection ended with the answer to a request before it";
            record.failed_for(HttpError::NotTaken, text.to_owned());
            self.requests += 1;
            self.conn.consume(end);
            self.in_step = request_framing(&mut head).is_ok_and(|framing| !framing.has_content());
        }
    }
}

/// Answers in the origin's place, and ends both connections: whatever it still says belongs to nobody.
pub(super) async fn end_with(
    client: &mut Client<'_>,
    mut prepared: Box<Prepared>,
    problem: &ErrorResponse,
) -> After {
    let reply = Reply {
        keeps: false,
        ..prepared.reply
    };
    client.answer(&mut prepared.record, problem, reply).await;
    After::Close
}

/// There is no response.
pub(super) async fn fail(
    client: &mut Client<'_>,
    to: &Destination<'_>,
    leading: Leading<'_>,
    mut prepared: Box<Prepared>,
    failed: NoResponse,
) -> After {
    let target = to.target;
    let problem = match failed {
        NoResponse::Client(error) => {
            prepared.record.failed(HttpError::Aborted(Side::Client));
            return After::Failed(ServeError::reading(&error));
        }
        NoResponse::ClientCut => {
            prepared.record.failed(HttpError::Aborted(Side::Client));
            return After::Failed(ServeError::client(
                "the client ended its stream within a request's content",
            ));
        }
        NoResponse::Request(why) => ErrorResponse::malformed(why),
        NoResponse::Refused(problem) => *problem,
        NoResponse::Response(why) => ErrorResponse::malformed_response(target, why),
        NoResponse::Silent if client.conn.eof().is_some() && client.context.response > HALF_CLOSED => {
            prepared.record.failed(HttpError::Aborted(Side::Client));
            return After::Failed(ServeError::client(
                "the client ended its stream, and no response came for a minute",
            ));
        }
        NoResponse::Slow => {
            let text = client.context.pace.text(Side::Client);
            ErrorResponse::new(HttpError::Slow(Side::Client), text)
        }
        NoResponse::Silent => {
            let text = format!("{target} sent no response for {:?}", client.context.response);
            ErrorResponse::new(HttpError::Timeout, text)
        }
        NoResponse::Rambling => {
            let text = format!("{target} sent more than {INTERIM} interim responses");
            ErrorResponse::new(HttpError::BadResponse, text)
        }
        NoResponse::Origin(error) => match error.as_ref().and_then(late_failure) {
            // In TLS 1.3 an origin says only now that it wanted a client certificate.
            Some(outcome) => ErrorResponse::late(target, outcome),
            // The client sees what the origin did, and retries as it would without a proxy.
            None if leading.is_used => {
                prepared.record.failed(HttpError::Aborted(Side::Origin));
                let text = format!("{target} closed the connection that it had kept");
                return After::Failed(ServeError::origin(text));
            }
            None => {
                let why = error.map(|error| format!(" ({error})")).unwrap_or_default();
                let text = format!("{target} closed the connection without a response{why}");
                ErrorResponse::new(HttpError::Aborted(Side::Origin), text)
            }
        },
    };
    end_with(client, prepared, &problem).await
}

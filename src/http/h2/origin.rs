//! The origin's connection: begun first, and watched for its goodbye.

use crate::error::Side;
use crate::http::context::ExchangeContext;
use crate::http::error::HttpError;
use crate::http::fallback::Fallback;
use crate::http::h2::ask;
use crate::http::h2::cork::Corked;
use crate::http::h2::frames::Frames;
use crate::http::h2::leg::{Activity, Watched};
use crate::http::h2::settings::SEND_BUFFER;
use crate::http::h2::settings::STREAMS;
use crate::http::h2::settings::WINDOW;
use crate::http::pages::ErrorResponse;
use crate::http::watch::Watch;
use crate::tls::Transport;
use crate::wire::names::Authority;
use ::h2::Reason;
use ::h2::client::{Connection, SendRequest};
use bytes::Bytes;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// How long an origin may take to send its SETTINGS, which are its first words (RFC 9113 section 3.4).
const SETTINGS: Duration = Duration::from_secs(10);

/// More streams than any SETTINGS frame can allow: none has come.
const UNKNOWN: usize = usize::MAX - 1;

/// An origin's connection.
pub(in crate::http) struct Origin {
    /// `None` when it is over, which closes the leg: the other end need not wait for the client's to be closed.
    running: Option<Running>,
    pub(in crate::http) sender: SendRequest<Bytes>,
    /// It has said that it takes no more requests.
    is_leaving: bool,
    untaken: Untaken,
}

/// What becomes of an origin whose words the crate cannot take.
struct Untaken {
    fallback: Option<Fallback>,
    watch: Arc<dyn Watch>,
}

impl Untaken {
    /// The connection broke with this error.
    fn broke(&self, error: &::h2::Error, leg: &Corked<Watched>) {
        let is_ours = error.is_library() && error.reason() == Some(Reason::PROTOCOL_ERROR);
        if is_ours
            && let Some(fallback) = &self.fallback
            && let Some(found) = leg.finding().filter(|found| found.is_legal)
        {
            fallback.for_all(found.text, &*self.watch);
        }
    }
}

struct Running {
    connection: Connection<Corked<Watched>, Bytes>,
    leg: Corked<Watched>,
}

impl Origin {
    /// Drives the connection; gives the code when it ends, or says that it will.
    pub(in crate::http) async fn leaves(&mut self) -> Reason {
        poll_fn(|cx| self.poll_leaves(cx)).await
    }

    /// The same for who polls.
    pub(in crate::http) fn poll_leaves(&mut self, cx: &mut Context<'_>) -> Poll<Reason> {
        let Some(Running { connection, leg }) = &mut self.running else {
            return Poll::Pending;
        };
        if let Poll::Ready(ended) = leg.poll(cx, |cx| Pin::new(connection).poll(cx)) {
            if let Err(error) = &ended {
                // The streams learn of it behind this, in the same task.
                self.untaken.broke(error, leg);
            }
            self.running = None;
            return Poll::Ready(ended.map_or_else(|error| said(&error), |()| Reason::NO_ERROR));
        }
        if self.is_leaving {
            return Poll::Pending;
        }
        match self.sender.poll_ready(cx) {
            Poll::Ready(Err(error)) => {
                self.is_leaving = true;
                Poll::Ready(said(&error))
            }
            _ => Poll::Pending,
        }
    }
}

/// The code that an origin has said goodbye with. What the proxy finds wrong with an origin is no fault of its client.
fn said(error: &::h2::Error) -> Reason {
    error
        .reason()
        .filter(|_| error.is_go_away() && error.is_remote())
        .unwrap_or(Reason::NO_ERROR)
}

impl Origin {
    /// Says goodbye, with the client's code if it had one: with its last handle the connection ends.
    pub(in crate::http) async fn end(self, code: Option<Reason>) {
        drop(self.sender);
        let Some(Running { connection, leg }) = self.running else {
            return;
        };
        if let Some(code) = code {
            leg.goodbye(code);
        }
        let _ = connection.await;
    }
}

/// Begins HTTP/2 with an origin, and waits for what it allows: only then can the client be told.
pub(in crate::http) async fn greet(
    origin: Transport,
    target: &Authority,
    context: &ExchangeContext,
    activity: &Activity,
) -> Result<Origin, ErrorResponse> {
    let leg = Watched::origin(origin.gathers_writes(), activity);
    let leg = Corked::new(leg, Frames::of(Side::Origin));
    let mut settings = ::h2::client::Builder::new();
    settings
        .enable_push(false)
        .initial_window_size(WINDOW)
        .initial_connection_window_size(WINDOW * STREAMS)
        .max_header_list_size(u32::try_from(context.header_bytes).unwrap_or(u32::MAX))
        .max_send_buffer_size(SEND_BUFFER)
        .initial_max_send_streams(UNKNOWN);
    let greeting = async {
        let (sender, mut connection) = settings.handshake::<_, Bytes>(leg.handle()).await?;
        let ended = poll_fn(|cx| {
            let ended = Pin::new(&mut connection).poll(cx);
            if sender.current_max_send_streams() != UNKNOWN {
                return Poll::Ready(Ok(false));
            }
            ended.map_ok(|()| true)
        })
        .await?;
        Ok::<_, ::h2::Error>((ended, sender, connection))
    };
    let silent = |what: &str| ErrorResponse::new(HttpError::BadResponse, format!("{target} {what}"));
    match tokio::time::timeout(SETTINGS, greeting).await {
        Ok(Ok((false, sender, connection))) => Ok(Origin {
            running: Some(Running { connection, leg }),
            sender,
            is_leaving: false,
            untaken: Untaken {
                fallback: context.fallback.clone(),
                watch: Arc::clone(&context.watch),
            },
        }),
        Ok(Ok(_)) => Err(silent("closed the connection before it sent its HTTP/2 settings")),
        Ok(Err(error)) => Err(ask::problem(target, activity.late_failure(), &error)),
        Err(_) => Err(silent("agreed to HTTP/2 and sent no settings")),
    }
}

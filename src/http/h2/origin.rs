//! The origin's connection: begun first, and watched for its goodbye.

use super::super::cork::Corked;
use super::super::io::{Activity, Watched};
use super::super::page::Problem;
use super::super::{HttpError, Site};
use super::{SEND_BUFFER, STREAMS, WINDOW, ask};
use crate::handshake::Transport;
use crate::wire::names::Authority;
use ::h2::Reason;
use ::h2::client::{Connection, SendRequest};
use bytes::Bytes;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

/// How long an origin may take to send its SETTINGS, which are its first words (RFC 9113 section 3.4).
const SETTINGS: Duration = Duration::from_secs(10);

/// More streams than any SETTINGS frame can allow: none has come.
const UNKNOWN: usize = usize::MAX - 1;

/// An origin's connection.
pub(super) struct Origin {
    connection: Connection<Corked<Watched>, Bytes>,
    leg: Corked<Watched>,
    pub(super) sender: SendRequest<Bytes>,
    /// It has said that it takes no more requests.
    is_leaving: bool,
    is_over: bool,
}

impl Origin {
    /// Drives the connection; gives the code when it ends, or says that it will.
    pub(super) async fn leaves(&mut self) -> Reason {
        poll_fn(|cx| {
            if self.is_over {
                return Poll::Pending;
            }
            let connection = Pin::new(&mut self.connection);
            if let Poll::Ready(ended) = self.leg.poll(cx, |cx| connection.poll(cx)) {
                self.is_over = true;
                let code = ended
                    .err()
                    .filter(::h2::Error::is_go_away)
                    .and_then(|e| e.reason());
                return Poll::Ready(code.unwrap_or(Reason::NO_ERROR));
            }
            if self.is_leaving {
                return Poll::Pending;
            }
            match self.sender.poll_ready(cx) {
                Poll::Ready(Err(error)) => {
                    self.is_leaving = true;
                    Poll::Ready(error.reason().unwrap_or(Reason::NO_ERROR))
                }
                _ => Poll::Pending,
            }
        })
        .await
    }
}

impl Origin {
    /// Says goodbye: with its last handle the connection ends.
    pub(super) async fn end(self) {
        drop(self.sender);
        if !self.is_over {
            let _ = self.connection.await;
        }
    }
}

/// Begins HTTP/2 with an origin, and waits for what it allows: only then can the client be told.
pub(super) async fn greet(
    origin: Transport,
    target: &Authority,
    site: &Site,
    activity: &Activity,
) -> Result<Origin, Problem> {
    let leg = Corked::new(Watched::origin(origin.gathers_writes(), activity).into_inner());
    let mut settings = ::h2::client::Builder::new();
    settings
        .enable_push(false)
        .initial_window_size(WINDOW)
        .initial_connection_window_size(WINDOW * STREAMS)
        .max_header_list_size(u32::try_from(site.header_bytes).unwrap_or(u32::MAX))
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
    let silent = |what: &str| Problem::new(HttpError::BadResponse, format!("{target} {what}"));
    match tokio::time::timeout(SETTINGS, greeting).await {
        Ok(Ok((false, sender, connection))) => Ok(Origin {
            connection,
            leg,
            sender,
            is_leaving: false,
            is_over: false,
        }),
        Ok(Ok(_)) => Err(silent("closed the connection before it sent its HTTP/2 settings")),
        Ok(Err(error)) => Err(ask::problem(target, activity.late_failure(), &error)),
        Err(_) => Err(silent("agreed to HTTP/2 and sent no settings")),
    }
}

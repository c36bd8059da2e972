//! Drives a client's connection, the origin's beside it, and the streams of both.

use crate::drain::Drain;
use crate::error::Side;
use crate::http::context::ExchangeContext;
use crate::http::error::HttpError;
use crate::http::exchange::served::ServeError;
use crate::http::h2::failure::failure;
use crate::http::h2::floods::Bucket;
use crate::http::h2::frames::Fault;
use crate::http::h2::leg::Activity;
use crate::http::h2::open_streams::OpenStreams;
use crate::http::h2::origin::Origin;
use crate::http::h2::parts::{TaskPart, TaskParts};
use crate::http::h2::settings::ClientLeg;
use crate::http::h2::under_way::Done;
use crate::http::watch::Flood;
use ::h2::{Reason, RecvStream, server};
use bytes::Bytes;
use http::Request;
use std::future::poll_fn;
use std::pin::pin;
use std::task::{Poll, ready};
use std::time::{Duration, Instant};

/// How long streams have to notice that their connection has ended, and an origin to be told.
const GOODBYE: Duration = Duration::from_secs(5);

/// How long a client that is told to ask over HTTP/1.1 has to go by itself. curl 7.88 does not ask again where it reads a
/// GOAWAY together with what tells it to.
const TURN: Duration = Duration::from_secs(1);

/// What came of a connection's parts that is more than moving on.
enum Happened {
    /// The client's connection has ended.
    Over,
    /// The client's connection broke.
    Broken(::h2::Error),
    /// Streams have ended, as was waited for or not wanted.
    Ended {
        /// How many of them their client took back.
        taken_back: usize,
    },
    /// The streams have ended, and all that they have said has gone to the client, who is owed the origin's goodbye.
    AllSaid,
    /// The origin's connection has ended or will, with this code.
    OriginLeaves(Reason),
    /// What the client was to be told has waited long enough.
    OutOfPatience,
    /// The program is to end.
    Draining,
    /// It is time to see whether anything has moved.
    Tick,
}

/// Drives the streams of a connection.
pub(in crate::http) struct Driver<'a, F> {
    context: &'a ExchangeContext,
    activity: &'a Activity,
    drain: &'a Drain,
    streams: OpenStreams<F>,
    /// All streams there have been.
    pub(in crate::http) count: u64,
}

impl<'a, F: Future<Output = Done>> Driver<'a, F> {
    pub(in crate::http) fn new(
        context: &'a ExchangeContext,
        activity: &'a Activity,
        drain: &'a Drain,
    ) -> Self {
        Self {
            context,
            activity,
            drain,
            streams: OpenStreams::none(),
            count: 0,
        }
    }

    /// Drives both connections until the client's has ended.
    pub(in crate::http) async fn run(
        &mut self,
        client: &mut ClientLeg,
        mut origin: Option<&mut Origin>,
        serve: &mut impl FnMut(Request<RecvStream>, server::SendResponse<Bytes>) -> F,
    ) -> Result<(), ServeError> {
        let begun = Instant::now();
        let mut resets = Bucket::of_resets();
        let mut draining = pin!(self.drain.begun());
        // The client has been told to open no more streams.
        let mut closing = false;
        // The code that the origin said goodbye with, owed to the client, and how long that waits for streams.
        let mut owed = None;
        // The client is to ask again by a connection of its own: over HTTP/1.1, or for what could not be had.
        let mut turning = false;
        let mut patience = pin!(tokio::time::sleep(GOODBYE));
        let (mut seen, mut quiet) = (self.activity.count(), Duration::ZERO);
        let step = self.context.idle / 4;
        let mut tick = pin!(tokio::time::sleep(step));
        let parts = TaskParts::new();
        loop {
            let happened = poll_fn(|cx| {
                parts.poll(cx, |part, cx| match part {
                    TaskPart::Client => loop {
                        match client.poll_accept(cx) {
                            Poll::Ready(Some(Ok((request, respond)))) => {
                                self.count += 1;
                                self.streams.add(serve(request, respond));
                                parts.mark(TaskPart::Streams);
                            }
                            Poll::Ready(Some(Err(error))) => return Poll::Ready(Happened::Broken(error)),
                            Poll::Ready(None) => return Poll::Ready(Happened::Over),
                            Poll::Pending if owed.is_some() && self.streams.is_empty() => {
                                return Poll::Ready(Happened::AllSaid);
                            }
                            Poll::Pending => return Poll::Pending,
                        }
                    },
                    TaskPart::Streams => loop {
                        let taken_back = ready!(self.streams.poll_ended(cx));
                        let is_last = self.streams.is_empty();
                        if is_last && owed.is_some() {
                            // What they have said goes out first.
                            parts.mark(TaskPart::Client);
                        }
                        if taken_back > 0 || (is_last && origin.is_none()) {
                            return Poll::Ready(Happened::Ended { taken_back });
                        }
                    },
                    TaskPart::Origin => match &mut origin {
                        Some(origin) => origin.poll_leaves(cx).map(Happened::OriginLeaves),
                        None => Poll::Pending,
                    },
                    TaskPart::Clock => {
                        let is_patient = (owed.is_some() || turning) && !closing;
                        if is_patient && patience.as_mut().poll(cx).is_ready() {
                            return Poll::Ready(Happened::OutOfPatience);
                        }
                        if !closing && draining.as_mut().poll(cx).is_ready() {
                            return Poll::Ready(Happened::Draining);
                        }
                        tick.as_mut().poll(cx).map(|()| Happened::Tick)
                    }
                })
            });
            let mut close = false;
            match happened.await {
                Happened::Over => return self.ended(client),
                Happened::Broken(_) if client.fault().is_some() => return self.ended(client),
                Happened::Broken(error) => {
                    let error = failure(&error, self.context, self.activity);
                    return Err(ServeError {
                        is_told: client.has_blamed(),
                        ..error
                    });
                }
                Happened::Ended { taken_back } => {
                    for _ in 0..taken_back {
                        if client.fault().is_none() && !resets.may(begun.elapsed()) {
                            client.cut_off(Flood::Resets);
                            parts.mark(TaskPart::Client);
                        }
                    }
                    if origin.is_none() && self.streams.is_empty() {
                        // What failed may be had the next time that it is asked for. A goodbye that is read together with
                        // an answer is more than Python's `h2` can take.
                        turning = true;
                        patience.as_mut().reset(tokio::time::Instant::now() + TURN);
                        parts.mark(TaskPart::Clock);
                    }
                }
                Happened::OriginLeaves(code) => {
                    if self
                        .context
                        .fallback
                        .as_ref()
                        .is_some_and(|it| it.said().is_some())
                    {
                        turning = true;
                        patience.as_mut().reset(tokio::time::Instant::now() + TURN);
                    } else if code == Reason::NO_ERROR {
                        close = true;
                    } else {
                        // Told with its code when the streams have ended. New ones are refused until then, and
                        // after a while by a goodbye of its own.
                        owed = Some(code);
                        patience.as_mut().reset(tokio::time::Instant::now() + GOODBYE);
                    }
                    parts.mark(TaskPart::Clock);
                    parts.mark(TaskPart::Client);
                }
                Happened::AllSaid => {
                    if let Some(code) = owed.take() {
                        client.abrupt_shutdown(code);
                    }
                }
                Happened::OutOfPatience => {
                    close = origin.is_some() || self.streams.is_empty();
                    // Without an origin it is for the last answer to say when.
                    turning &= close;
                }
                Happened::Draining => close = true,
                Happened::Tick => {
                    let moved = self.activity.count() != seen;
                    quiet = if moved {
                        Duration::ZERO
                    } else {
                        quiet.saturating_add(step)
                    };
                    seen = self.activity.count();
                    if self.streams.is_empty() && quiet >= self.context.idle {
                        if closing {
                            // It has had its time to take in the end, or the reason.
                            return self.ended(client);
                        }
                        (close, quiet) = (true, Duration::ZERO);
                    }
                    tick.as_mut().reset(tokio::time::Instant::now() + step);
                }
            }
            if close && !std::mem::replace(&mut closing, true) {
                client.graceful_shutdown();
                parts.mark(TaskPart::Client);
            }
        }
    }

    /// An end that the proxy chose: for what the client did, or without an error.
    fn ended(&self, client: &ClientLeg) -> Result<(), ServeError> {
        let Some(fault) = client.fault() else {
            return Ok(());
        };
        if let Fault::Flood(flood) = fault {
            self.context.watch.flooded(flood);
        }
        Err(ServeError {
            error: HttpError::BadRequest,
            refusal: None,
            text: fault.text(Side::Client),
            is_told: false,
        })
    }

    /// The client's connection is over.
    pub(in crate::http) fn over(&mut self, client: ClientLeg) {
        self.count += client.over();
    }

    /// Lets the streams tell how they ended, a WebSocket the log, a reset the origin, and says goodbye to the origin.
    pub(in crate::http) async fn finish(&mut self, client: ClientLeg, mut origin: Origin) {
        // Streams that wait for the client learn from this that it has gone.
        let goodbye = client.goodbye();
        self.over(client);
        let ending = async {
            while !self.streams.is_empty() {
                tokio::select! {
                    _ = poll_fn(|cx| self.streams.poll_ended(cx)) => {}
                    _ = origin.leaves() => {}
                }
            }
            origin.end(goodbye).await;
        };
        let _ = tokio::time::timeout(GOODBYE, ending).await;
    }
}

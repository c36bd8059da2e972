//! Speaks with a running proxy by its live socket.

use crate::cli::args::LivePlace;
use crate::cli::output::CommandError;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::io;
use std::path::{Path, PathBuf};
use tokio::net::UnixStream;

/// The most of an answer that is no stream, in bytes.
const ANSWER: usize = 64 << 20;

/// A proxy that runs.
#[derive(Debug, Clone)]
pub(super) struct LiveClient {
    path: PathBuf,
}

impl LiveClient {
    /// The one that is meant, whether or not it runs.
    pub(super) fn of(place: &LivePlace) -> Result<Self, CommandError> {
        let found = match (&place.socket, &place.place.config) {
            (Some(path), _) => Some(path.clone()),
            // Its configuration may be what only its user can read; without one it is not asked for.
            (None, Some(_)) => place.place.source().load()?.live_socket.map(|socket| socket.path),
            (None, None) => (place.place.source().data_dir).map(|dir| dir.join(crate::live::SOCKET)),
        };
        let none = || "there is no live socket: live.socket is \"off\", or there is no data directory; name one with --socket";
        let path = found.ok_or_else(|| CommandError::Other(none().to_owned()))?;
        Ok(Self { path })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Asks for something.
    pub(super) async fn get(&self, path: &str) -> Result<Value, CommandError> {
        let answer = self.send(Method::GET, path, Bytes::new()).await?;
        self.read(answer).await
    }

    /// Has something done.
    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Value, CommandError> {
        let answer = self.stream(path, body).await?;
        self.read(answer).await
    }

    /// The same for an answer that does not end.
    pub(super) async fn stream(&self, path: &str, body: &Value) -> Result<Response<Incoming>, CommandError> {
        self.send(Method::POST, path, body.to_string().into()).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Response<Incoming>, CommandError> {
        let stream = UnixStream::connect(&self.path)
            .await
            .map_err(|error| self.nobody(&error))?;
        let failed =
            |error: &dyn std::fmt::Display| CommandError::Other(format!("{}: {error}", self.path.display()));
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|e| failed(&e))?;
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "localhost")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| failed(&error))?;
        let answer = sender
            .send_request(request)
            .await
            .map_err(|error| failed(&error))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status();
        let said = self.read(answer).await.unwrap_or_default();
        let detail = said["detail"].as_str().unwrap_or(status.as_str());
        Err(CommandError::Other(
            crate::live::printable(detail, false).into_owned(),
        ))
    }

    async fn read(&self, answer: Response<Incoming>) -> Result<Value, CommandError> {
        let broken = |error: &dyn std::fmt::Display| {
            CommandError::Other(format!("{}: the answer broke off: {error}", self.path.display()))
        };
        let body = http_body_util::Limited::new(answer.into_body(), ANSWER);
        let body = body.collect().await.map_err(|error| broken(&error))?.to_bytes();
        serde_json::from_slice(&body).map_err(|error| broken(&error))
    }

    fn nobody(&self, error: &io::Error) -> CommandError {
        let path = self.path.display();
        CommandError::Other(match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => format!(
                "no proxy answers at {path}: start one with `wsbump run`, or say which one is meant with --config, --data-dir or --socket"
            ),
            io::ErrorKind::PermissionDenied => {
                format!("{path}: only the user that the proxy runs as may watch it: {error}")
            }
            _ => format!("{path}: {error}"),
        })
    }
}

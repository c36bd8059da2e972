//! Connections that get no place, since their client has too much already.

use super::connection::Connection;
use super::door;
use super::next::Next;
use super::reach::Refusal;
use crate::accept::ClientLimit;
use std::time::Duration;
use tokio::net::TcpStream;

/// When a client with too much may ask again: nobody knows when it will have less.
pub(super) const TRY_AGAIN: Duration = Duration::from_secs(5);

/// How long it has to ask for something, which is then answered.
const PATIENCE: Duration = Duration::from_secs(2);

/// Tells a client of HTTP/1.1 why it gets no place; whoever speaks TLS first, or comes while many are being told, finds its
/// connection closed.
pub(super) async fn turn_away(
    conn: &mut Connection,
    stream: TcpStream,
    limit: ClientLimit,
    speaks_http: bool,
) -> Next {
    let Refusal { ending, problem, .. } = conn.limited(limit, TRY_AGAIN);
    let leave = conn.proxy.places.refusal().filter(|_| speaks_http);
    if leave.is_none() {
        return Next::ended(ending, problem.text);
    }
    // An answer that comes before its request is one that some clients take for nonsense.
    match tokio::time::timeout(PATIENCE, stream.readable()).await {
        Ok(Ok(())) => door::turn_away(conn, stream.into(), ending, problem).await,
        _ => Next::ended(ending, problem.text),
    }
}

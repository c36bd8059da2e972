//! Opening connections, many at once.

use crate::Fallible;
use crate::client::{Io, Route};
use crate::echo::Payload;
use tokio::task::JoinSet;

/// Handshakes under way at once while connections are set up.
pub(crate) const OPENING: usize = 32;

/// Opens connections, many at once; WebSockets, if messages of a kind are named.
pub(crate) async fn open_all(route: &Route, count: usize, websocket: Option<Payload>) -> Fallible<Vec<Io>> {
    many(count, || {
        let route = route.clone();
        async move {
            match websocket {
                Some(payload) => route.open_websocket_for(payload).await,
                None => route.open().await,
            }
        }
    })
    .await
}

/// Does the same so often, many at once.
pub(crate) async fn many<T, F, R>(count: usize, each: F) -> Fallible<Vec<T>>
where
    T: Send + 'static,
    F: Fn() -> R,
    R: Future<Output = Fallible<T>> + Send + 'static,
{
    let mut doing = JoinSet::new();
    let mut done = Vec::with_capacity(count);
    for n in 0..count {
        doing.spawn(each());
        if n >= OPENING {
            done.extend(doing.join_next().await.transpose()?.transpose()?);
        }
    }
    while let Some(one) = doing.join_next().await {
        done.push(one??);
    }
    Ok(done)
}

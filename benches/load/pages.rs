//! Pages over HTTP/1.1.

use crate::Fallible;
use crate::client::Io;
use crate::head::{first_line, header, read_head, status};
use crate::stats::{Latencies, since};
use std::sync::Arc;
use std::time::Instant;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt};

/// What the origin's pages are full of.
const PAGE: u8 = b'x';

/// GETs a page over and over until the end.
pub(crate) async fn get(mut io: Io, request: Arc<str>, end: Instant) -> Fallible<Latencies> {
    let mut latencies = Latencies::default();
    loop {
        let start = Instant::now();
        if start >= end {
            return Ok(latencies);
        }
        fetch(&mut io, &request).await?;
        latencies.record(since(start));
    }
}

/// GETs the page of 1 KiB, and says how long that took.
pub(crate) async fn fetch_small(io: &mut Io, request: &str) -> Fallible<Latencies> {
    let start = Instant::now();
    match fetch(io, request).await? {
        1024 => {}
        size => return Err(format!("a page of {size} bytes").into()),
    }
    let mut latencies = Latencies::default();
    latencies.record(since(start));
    Ok(latencies)
}

/// GETs a page, compares it with what the origin has, and says how large it is.
async fn fetch(io: &mut Io, request: &str) -> Fallible<usize> {
    io.write_all(request.as_bytes()).await?;
    io.flush().await?;
    let head = read_head(io).await?.ok_or("closed instead of answering")?;
    let length = header(&head, "content-length").and_then(|value| value.parse().ok());
    let (Some("200"), Some(length)) = (status(&head), length) else {
        return Err(format!("not a page: {}", first_line(&head)).into());
    };
    let mut left: usize = length;
    while left > 0 {
        let chunk = io.fill_buf().await?;
        let chunk = chunk.get(..left).unwrap_or(chunk);
        if chunk.is_empty() {
            return Err("closed inside a page".into());
        }
        // Counting is what a compiler makes fast.
        if chunk.iter().filter(|&&byte| byte != PAGE).count() > 0 {
            return Err("a page differs from the origin's".into());
        }
        let taken = chunk.len();
        io.consume(taken);
        left -= taken;
    }
    Ok(length)
}

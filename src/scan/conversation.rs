//! One connection, read and written at the same time.

use super::answer::ScanFailure;
use crate::handshake::late_refusal;
use bytes::{Buf, BytesMut};
use std::io;
use std::pin::pin;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Sends and receives at once, until something is received. A scanner may answer before it has heard everything,
/// and one that echoes large content would otherwise block, as it is not read, while it is still written to.
///
/// That sending failed says nothing yet: a scanner that has heard enough answers and hangs up. The second result is
/// whether everything was sent.
pub(super) async fn converse<T>(
    send: impl Future<Output = io::Result<()>>,
    receive: impl Future<Output = T>,
) -> (T, bool) {
    let (mut send, mut receive) = (pin!(send), pin!(receive));
    let mut sent = None;
    loop {
        tokio::select! {
            biased;
            result = &mut send, if sent.is_none() => sent = Some(result.is_ok()),
            received = &mut receive => return (received, sent == Some(true)),
        }
    }
}

/// Writes all of `parts` and flushes.
pub(super) async fn send_all(writer: &mut (impl AsyncWrite + Unpin), mut parts: impl Buf) -> io::Result<()> {
    writer.write_all_buf(&mut parts).await?;
    writer.flush().await
}

/// What has been received and not yet been used.
#[derive(Debug, Default)]
pub(super) struct ReceivedBytes {
    pub(super) bytes: BytesMut,
    /// Whether anything was received at all.
    pub(super) any: bool,
}

impl ReceivedBytes {
    /// How much is read at once.
    const READ: usize = 16 << 10;

    /// Reads more. The end of the stream is a failure: whoever calls this misses something.
    pub(super) async fn more(&mut self, reader: &mut (impl AsyncRead + Unpin)) -> Result<(), ScanFailure> {
        self.bytes.reserve(Self::READ);
        match reader.read_buf(&mut self.bytes).await {
            Ok(0) if self.any => Err(ScanFailure::Scanner(
                "broke off in the middle of its answer".to_owned(),
            )),
            Ok(0) => Err(ScanFailure::Scanner(
                "closed the connection without an answer".to_owned(),
            )),
            Ok(_) => {
                self.any = true;
                Ok(())
            }
            Err(error) => Err(ScanFailure::Scanner(match late_refusal(&error) {
                Some(text) => format!("it {text}"),
                None => format!("the connection broke: {error}"),
            })),
        }
    }
}

//! A key distribution centre, by TCP.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, ToSocketAddrs};

/// The longest answer of one.
const MAX_ANSWER: u32 = 256 << 10;

/// One request and its answer (RFC 4120 section 7.2.2).
///
/// # Errors
/// What went wrong, in words.
pub(crate) async fn ask(centre: impl ToSocketAddrs, request: &[u8]) -> Result<Vec<u8>, String> {
    let wrong = |error: std::io::Error| error.to_string();
    let mut stream = TcpStream::connect(centre).await.map_err(wrong)?;
    let length = u32::try_from(request.len()).map_err(|_| "the request is too long".to_owned())?;
    let framed = [&length.to_be_bytes()[..], request].concat();
    stream.write_all(&framed).await.map_err(wrong)?;
    let length = stream.read_u32().await.map_err(wrong)?;
    if length > MAX_ANSWER {
        return Err(format!(
            "its answer has {length} bytes, more than the {MAX_ANSWER} that are read"
        ));
    }
    let mut answer = vec![0; length as usize];
    stream.read_exact(&mut answer).await.map_err(wrong)?;
    Ok(answer)
}

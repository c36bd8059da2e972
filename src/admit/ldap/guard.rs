//! Stands between a directory server and the library that speaks LDAP to it: it passes on only what [`message::check`]
//! allows, and no more than a bound for one request.

use super::message::{self, Asked, Reply};
use crate::accept::Socket;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::time::timeout;

/// The most that a server may say to one request.
const ANSWER_MAX: usize = 16 << 20;
/// How much is read at once.
const READ: usize = 16 * 1024;
/// How long a connection may lie idle: less than what middleboxes forget one after.
const IDLE_MAX: Duration = Duration::from_secs(60);
/// How long a request may take to be written: it is small.
const WRITE_MAX: Duration = Duration::from_secs(10);

/// Why a connection has ended, for who waits on it.
pub(super) type Why = Arc<OnceLock<String>>;

/// Passes messages on until one side ends.
pub(super) async fn guard(near: UnixStream, far: Socket, why: Why) {
    let mut guard = MessageGuard {
        near,
        far,
        asked: None,
        said: 0,
    };
    let ended = guard.run(IDLE_MAX).await;
    if let Err(text) = ended {
        let _ = why.set(text);
    }
    let MessageGuard { near, mut far, .. } = guard;
    drop(near);
    // The server is told that nobody listens any more, if it takes that.
    let _ = timeout(WRITE_MAX, far.shutdown()).await;
}

struct MessageGuard<F> {
    /// The library's side.
    near: UnixStream,
    far: F,
    /// What is not answered yet.
    asked: Option<Asked>,
    /// How much has been said to it.
    said: usize,
}

/// What came.
enum Came {
    FromNear(usize),
    FromFar(usize),
}

impl<F: AsyncRead + AsyncWrite + Unpin> MessageGuard<F> {
    /// An error says how the server ended it.
    async fn run(&mut self, idle_max: Duration) -> Result<(), String> {
        let (mut requests, mut answers) = (Vec::new(), Vec::new());
        loop {
            let read = async {
                tokio::select! {
                    read = read_some(&mut self.near, &mut requests) => read.map(Came::FromNear),
                    read = read_some(&mut self.far, &mut answers) => read.map(Came::FromFar),
                }
            };
            let came = match self.asked {
                // Whoever asked waits no longer than is configured.
                Some(_) => read.await,
                None => match timeout(idle_max, read).await {
                    Ok(came) => came,
                    Err(_) => return Ok(()),
                },
            };
            match came.map_err(|error| error.to_string())? {
                Came::FromNear(0) => return Ok(()),
                Came::FromFar(0) => return Err("the server closed the connection".to_owned()),
                Came::FromNear(_) => self.ask(&mut requests).await?,
                Came::FromFar(read) => {
                    self.said += read;
                    if self.said > ANSWER_MAX {
                        return Err(format!("the server said more than {} MiB", ANSWER_MAX >> 20));
                    }
                    self.answer(&mut answers).await?;
                }
            }
        }
    }

    /// Sends the requests that are whole.
    async fn ask(&mut self, requests: &mut Vec<u8>) -> Result<(), String> {
        while let Some(length) = whole(requests)? {
            if let Some(asked) = message::asked(&requests[..length]) {
                (self.asked, self.said) = (Some(asked), 0);
            }
            let sent = async {
                self.far.write_all(&requests[..length]).await?;
                self.far.flush().await
            };
            match timeout(WRITE_MAX, sent).await {
                Ok(sent) => sent.map_err(|error| error.to_string())?,
                Err(_) => return Err(format!("the server took no request within {WRITE_MAX:?}")),
            }
            // A password may be in it.
            requests[..length].fill(0);
            requests.drain(..length);
        }
        Ok(())
    }

    /// Hands over the answers that are whole.
    async fn answer(&mut self, answers: &mut Vec<u8>) -> Result<(), String> {
        while let Some(length) = whole(answers)? {
            let checked = message::check(&answers[..length], self.asked);
            match checked.map_err(|wrong| format!("the server sent {wrong}"))? {
                Reply::Part => {}
                Reply::Last { .. } => self.asked = None,
                Reply::Goodbye(text) => return Err(format!("the server ended the connection: {text}")),
            }
            let handed = self.near.write_all(&answers[..length]).await;
            handed.map_err(|error| error.to_string())?;
            answers.drain(..length);
        }
        Ok(())
    }
}

async fn read_some(from: &mut (impl AsyncRead + Unpin), into: &mut Vec<u8>) -> std::io::Result<usize> {
    into.reserve(READ);
    from.read_buf(into).await
}

/// How long the first message is, if all of it is there.
fn whole(bytes: &[u8]) -> Result<Option<usize>, String> {
    let length = message::length(bytes).map_err(|wrong| format!("the server sent {wrong}"))?;
    Ok(length.filter(|length| *length <= bytes.len()))
}

/// Asks for TLS (RFC 4511 section 4.14), before the library is there. What comes behind the answer was said without TLS,
/// and whoever says it there wants it to be believed later.
pub(super) async fn start_tls(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Result<(), String> {
    const REQUEST: &[u8] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";
    const MOST: usize = 64 * 1024;
    let io = |error: std::io::Error| error.to_string();
    stream.write_all(REQUEST).await.map_err(io)?;
    stream.flush().await.map_err(io)?;
    let mut answer = Vec::new();
    let length = loop {
        if let Some(length) = whole(&answer)? {
            break length;
        }
        if answer.len() > MOST {
            return Err("the server sent a message that is too large".to_owned());
        }
        if read_some(stream, &mut answer).await.map_err(io)? == 0 {
            return Err("the server closed the connection".to_owned());
        }
    };
    if length != answer.len() {
        return Err("the server said more before TLS began".to_owned());
    }
    match message::check(&answer, message::asked(REQUEST)) {
        Ok(Reply::Last { code: 0 }) => Ok(()),
        Ok(Reply::Last { code }) => Err(format!("the server does not start TLS (result {code})")),
        Ok(Reply::Goodbye(text)) => Err(format!("the server ended the connection: {text}")),
        Ok(Reply::Part) => Err("the server sent no answer".to_owned()),
        Err(wrong) => Err(format!("the server sent {wrong}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::DuplexStream;

    const BIND: &[u8] = b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00";
    const BOUND: &[u8] = b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00";
    const STARTS: &[u8] = b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00";

    /// The library's end, the server's, and how it ends.
    fn guarded(
        idle_max: Duration,
    ) -> (
        UnixStream,
        DuplexStream,
        tokio::task::JoinHandle<Result<(), String>>,
    ) {
        let (library, near) = UnixStream::pair().unwrap();
        let (far, server) = tokio::io::duplex(1 << 20);
        let run = async move {
            let mut guard = MessageGuard {
                near,
                far,
                asked: None,
                said: 0,
            };
            guard.run(idle_max).await
        };
        (library, server, tokio::spawn(run))
    }

    async fn read(from: &mut (impl AsyncRead + Unpin), length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        from.read_exact(&mut bytes).await.unwrap();
        bytes
    }

    #[tokio::test]
    async fn requests_and_answers_pass_however_they_are_cut() {
        let (mut library, mut server, _run) = guarded(IDLE_MAX);
        for byte in BIND {
            library.write_all(&[*byte]).await.unwrap();
        }
        assert_eq!(read(&mut server, BIND.len()).await, BIND);
        for byte in BOUND {
            server.write_all(&[*byte]).await.unwrap();
        }
        assert_eq!(read(&mut library, BOUND.len()).await, BOUND);
    }

    #[tokio::test]
    async fn what_nobody_asked_for_ends_it_unseen() {
        for (said, word) in [
            (BOUND.to_vec(), "nobody asked for"),
            (b"SSH-2.0".to_vec(), "no LDAP message"),
            (b"\x30\x84\x10\x00\x00\x00".to_vec(), "too large"),
            (
                b"\x30\x13\x02\x01\x00\x78\x0e\x0a\x01\x34\x04\x00\x04\x04idle\x8a\x011".to_vec(),
                "ended the connection: idle (result 52)",
            ),
        ] {
            let (mut library, mut server, run) = guarded(IDLE_MAX);
            server.write_all(&said).await.unwrap();
            let ended = run.await.unwrap().unwrap_err();
            assert!(ended.contains(word), "{ended}");
            assert_eq!(library.read(&mut [0; 9]).await.unwrap(), 0);
        }
    }

    #[tokio::test]
    async fn an_answer_without_end_is_cut_off() {
        let (mut library, mut server, run) = guarded(IDLE_MAX);
        library.write_all(b"\x30\x05\x02\x01\x01\x63\x00").await.unwrap();
        read(&mut server, 7).await;
        // The library reads on, and there is one entry after the other.
        let reads = tokio::spawn(async move {
            let mut buffer = vec![0; READ];
            while library.read(&mut buffer).await.unwrap() > 0 {}
        });
        let entry = b"\x30\x09\x02\x01\x01\x64\x04\x04\x00\x30\x00".repeat(10_000);
        while server.write_all(&entry).await.is_ok() {}
        assert!(run.await.unwrap().unwrap_err().contains("more than 16 MiB"));
        reads.await.unwrap();
    }

    #[tokio::test]
    async fn an_idle_connection_ends_and_one_that_waits_for_an_answer_does_not() {
        let (mut library, mut server, run) = guarded(Duration::from_millis(20));
        library.write_all(BIND).await.unwrap();
        read(&mut server, BIND.len()).await;
        // Nothing ends while the answer is due; this is no wait for something to happen.
        assert!(
            timeout(Duration::from_millis(100), library.read(&mut [0]))
                .await
                .is_err()
        );
        server.write_all(BOUND).await.unwrap();
        read(&mut library, BOUND.len()).await;
        run.await.unwrap().unwrap();
        assert_eq!(library.read(&mut [0]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn tls_starts_only_where_nothing_was_said_before_it() {
        let more = [STARTS, BOUND].concat();
        for (said, result) in [
            (STARTS, Ok(())),
            (&more[..], Err("said more before TLS began")),
            (
                b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x34\x04\x00\x04\x00",
                Err("result 52"),
            ),
            (BOUND, Err("an answer to something else")),
            (b"220 smtp ready\r\n", Err("no LDAP message")),
        ] {
            let (mut near, mut server) = tokio::io::duplex(1024);
            server.write_all(said).await.unwrap();
            let started = start_tls(&mut near).await;
            match (started, result) {
                (Ok(()), Ok(())) => {}
                (Err(text), Err(word)) => assert!(text.contains(word), "{text}"),
                (started, _) => panic!("{said:x?}: {started:?}"),
            }
            assert_eq!(read(&mut server, 31).await[5], 0x77);
        }
    }
}

//! clamd's INSTREAM (clamd(8)): the content goes over the connection, and clamd needs no access to any file.
//!
//! Each scan has a connection of its own. A session over one connection (`IDSESSION`) makes 10 to 40 % more scans
//! of 1 KB a second on one machine with a single signature, which is nothing beside the time that real signatures
//! take; it would need idle connections that clamd closes at will.

use super::answer::{ScanAnswer, ScanFailure, printable};
use super::conversation::{ReceivedBytes, converse, send_all};
use super::endpoint::Endpoint;
use super::progress::{Progress, Stage};
use crate::dial::ServiceNames;
use crate::inspect::ScanOutcome;
use bytes::{Buf, Bytes};
use std::io;
use tokio::io::AsyncWrite;

/// `z`: the command and its reply end with a zero byte.
const COMMAND: &[u8] = b"zINSTREAM\0";
/// The chunk of length zero ends the content.
const END: &[u8] = &[0; 4];
/// clamd takes any length up to its limit; a chunk this long is one write.
const CHUNK: usize = 1 << 20;
/// The longest reply; a signature's name is far shorter.
const REPLY_MAX: usize = 4096;

/// A clamd, asked over one connection for each scan.
#[derive(Debug)]
pub(super) struct Clamd {
    endpoint: Endpoint,
    names: ServiceNames,
}

impl Clamd {
    pub(super) fn new(endpoint: Endpoint, names: ServiceNames) -> Self {
        Self { endpoint, names }
    }

    pub(super) async fn scan(&self, content: Bytes, progress: &Progress) -> ScanAnswer {
        let stream = progress
            .during(Stage::Connects, self.endpoint.connect(&self.names))
            .await
            .map_err(|error| ScanFailure::Scanner(format!("cannot connect to {}: {error}", self.endpoint)))?;
        let (mut reader, mut writer) = tokio::io::split(stream);
        let receive = async {
            let mut incoming = ReceivedBytes::default();
            loop {
                if let Some(answer) = reply(&incoming.bytes) {
                    return answer;
                }
                incoming.more(&mut reader).await?;
            }
        };
        match converse(send(&mut writer, content), receive).await {
            (Ok(ScanOutcome::Clean), false) => Err(ScanFailure::Scanner(
                "clamd says OK before it had heard everything".to_owned(),
            )),
            (answer, _) => answer,
        }
    }
}

/// The command, the content in chunks that each state their length, the end.
async fn send(writer: &mut (impl AsyncWrite + Unpin), mut content: Bytes) -> io::Result<()> {
    let mut before = Bytes::from_static(COMMAND);
    while content.has_remaining() {
        let chunk = content.split_to(content.len().min(CHUNK));
        let length = (chunk.len() as u32).to_be_bytes();
        let after = if content.is_empty() { END } else { &[] };
        send_all(writer, before.chain(&length[..]).chain(chunk).chain(after)).await?;
        if content.is_empty() {
            return Ok(());
        }
        before = Bytes::new();
    }
    send_all(writer, before.chain(END)).await
}

/// Reads a reply, as soon as it is whole.
fn reply(bytes: &[u8]) -> Option<ScanAnswer> {
    let Some(end) = memchr::memchr(0, bytes) else {
        return (bytes.len() > REPLY_MAX)
            .then(|| Err(ScanFailure::Scanner("its reply does not end".to_owned())));
    };
    let text = String::from_utf8_lossy(&bytes[..end]);
    let verdict = text.strip_prefix("stream: ");
    Some(if verdict == Some("OK") {
        Ok(ScanOutcome::Clean)
    } else if let Some(name) = verdict.and_then(|verdict| verdict.strip_suffix(" FOUND")) {
        Ok(ScanOutcome::Found(printable(name)))
    } else if text.contains("size limit exceeded") {
        Err(ScanFailure::Content(
            "too large for clamd (StreamMaxLength in clamd.conf)".to_owned(),
        ))
    } else {
        Err(ScanFailure::Scanner(format!("clamd says {:?}", printable(&text))))
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Peer, Turn, hears};
    use super::*;

    impl Clamd {
        async fn ask(&self, content: Bytes) -> ScanAnswer {
            self.scan(content, &Progress::new()).await
        }
    }

    fn found(name: &str) -> ScanAnswer {
        Ok(ScanOutcome::Found(name.to_owned()))
    }

    #[test]
    fn every_reply_and_every_prefix_of_it() {
        for (text, wanted) in [
            ("stream: OK", Some(Ok(ScanOutcome::Clean))),
            (
                "stream: Win.Test.EICAR_HDB-1 FOUND",
                Some(found("Win.Test.EICAR_HDB-1")),
            ),
            ("stream: A name FOUND FOUND", Some(found("A name FOUND"))),
            ("INSTREAM size limit exceeded. ERROR", None),
            ("stream: Can't allocate memory ERROR", None),
            ("UNKNOWN COMMAND", None),
            ("", None),
        ] {
            let mut bytes = text.as_bytes().to_vec();
            bytes.push(0);
            for cut in 0..bytes.len() {
                assert_eq!(reply(&bytes[..cut]), None, "{text} cut at {cut}");
            }
            match (reply(&bytes).unwrap(), wanted) {
                (got, Some(wanted)) => assert_eq!(got, wanted),
                (Err(ScanFailure::Content(said)), None) => {
                    assert!(text.contains("limit") && said.contains("StreamMaxLength"));
                }
                (Err(ScanFailure::Scanner(said)), None) => assert!(said.contains(text), "{said}"),
                (got, None) => panic!("{text}: {got:?}"),
            }
        }
        assert!(matches!(
            reply(&vec![b'x'; REPLY_MAX + 1]),
            Some(Err(ScanFailure::Scanner(_)))
        ));
    }

    #[tokio::test]
    async fn content_goes_in_chunks_with_their_lengths() {
        for size in [0, 1, CHUNK, CHUNK + 1, 2 * CHUNK] {
            let content = vec![b'c'; size];
            let mut wanted = COMMAND.to_vec();
            for chunk in content.chunks(CHUNK) {
                wanted.extend_from_slice(&(chunk.len() as u32).to_be_bytes());
                wanted.extend_from_slice(chunk);
            }
            wanted.extend_from_slice(END);
            let mut written = Vec::new();
            send(&mut written, content.into()).await.unwrap();
            assert!(written == wanted, "{size}");
        }
    }

    #[tokio::test]
    async fn asks_over_tcp_and_over_a_unix_socket() {
        let mut said = COMMAND.to_vec();
        said.extend_from_slice(b"\0\0\0\x05hello\0\0\0\0");
        let turns = || vec![hears(said.clone()), Turn::Says(b"stream: OK\0".to_vec())];
        let tcp = Peer::tcp(vec![turns()]).await;
        assert_eq!(
            Clamd::new(tcp.endpoint(), ServiceNames::default())
                .ask(Bytes::from_static(b"hello"))
                .await,
            Ok(ScanOutcome::Clean)
        );
        tcp.ended().await;
        let unix = Peer::unix(vec![turns()]).await;
        assert_eq!(
            Clamd::new(unix.endpoint(), ServiceNames::default())
                .ask(Bytes::from_static(b"hello"))
                .await,
            Ok(ScanOutcome::Clean)
        );
        unix.ended().await;
    }

    #[tokio::test]
    async fn a_refusal_in_the_middle_of_the_content_is_heard() {
        // It reads the beginning and no more, as clamd does with what is too large.
        let peer = Peer::tcp(vec![vec![
            Turn::HearsUntil(b"INSTREAM\0".to_vec()),
            Turn::Says(b"INSTREAM size limit exceeded. ERROR\0".to_vec()),
            Turn::Hold,
        ]])
        .await;
        let answer = Clamd::new(peer.endpoint(), ServiceNames::default())
            .ask(Bytes::from(vec![0; 64 << 20]))
            .await;
        assert!(matches!(answer, Err(ScanFailure::Content(_))), "{answer:?}");
    }

    #[tokio::test]
    async fn what_was_not_heard_to_its_end_is_not_clean() {
        for (said, wanted) in [
            (&b"stream: Eicar FOUND\0"[..], Some(found("Eicar"))),
            (b"stream: OK\0", None),
        ] {
            let peer = Peer::tcp(vec![vec![
                Turn::HearsUntil(b"INSTREAM\0".to_vec()),
                Turn::Says(said.to_vec()),
                Turn::Hold,
            ]])
            .await;
            let answer = Clamd::new(peer.endpoint(), ServiceNames::default())
                .ask(Bytes::from(vec![0; 64 << 20]))
                .await;
            match wanted {
                Some(wanted) => assert_eq!(answer, wanted),
                None => assert!(
                    matches!(&answer, Err(ScanFailure::Scanner(text)) if text.contains("before it had heard")),
                    "{answer:?}"
                ),
            }
        }
    }

    #[tokio::test]
    async fn an_answer_that_is_cut_anywhere_is_a_failure() {
        let whole = b"stream: OK\0";
        for cut in 0..whole.len() {
            let peer = Peer::tcp(vec![vec![
                Turn::HearsUntil(END.to_vec()),
                Turn::Says(whole[..cut].to_vec()),
            ]])
            .await;
            let answer = Clamd::new(peer.endpoint(), ServiceNames::default())
                .ask(Bytes::from_static(b"x"))
                .await;
            assert!(
                matches!(answer, Err(ScanFailure::Scanner(_))),
                "{cut}: {answer:?}"
            );
        }
    }

    #[tokio::test]
    async fn nobody_there_is_a_failure_that_says_where() {
        let endpoint = Endpoint::parse("unix:/nonexistent/clamd.ctl", 0).unwrap();
        let answer = Clamd::new(endpoint, ServiceNames::default())
            .ask(Bytes::new())
            .await;
        let Err(ScanFailure::Scanner(said)) = answer else {
            panic!("{answer:?}")
        };
        assert!(said.contains("unix:/nonexistent/clamd.ctl"), "{said}");
    }
}

//! SOCKS5, as a client of a parent (RFC 1928, RFC 1929). Names go as names: the parent resolves them.

use super::config::ParentLogin;
use super::outcome::{ParentError, ParentOutcome};
use crate::wire::names::{Authority, Host};
use std::io;
use std::net::IpAddr;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const VERSION: u8 = 5;
/// No authentication.
const NOBODY: u8 = 0;
/// User and password (RFC 1929).
const PASSWORD: u8 = 2;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// Says what both can speak, and who the proxy is.
pub(super) async fn greet(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    login: Option<&ParentLogin>,
) -> Result<(), ParentError> {
    let broke = |error: io::Error| {
        let text = format!("it ended the connection during the greeting: {error}");
        ParentError::before(ParentOutcome::Unreachable, text)
    };
    // With a password nothing less is taken: whoever asks for none is another than the one that was meant.
    let method = if login.is_some() { PASSWORD } else { NOBODY };
    send(stream, &[VERSION, 1, method]).await.map_err(broke)?;
    let mut chosen = [0; 2];
    stream.read_exact(&mut chosen).await.map_err(broke)?;
    match chosen {
        [VERSION, choice] if choice == method => {}
        [VERSION, 0xff] => {
            let text = match login {
                Some(_) => "it takes no user and password",
                None => "it wants a user and a password",
            };
            return Err(ParentError::answer(ParentOutcome::Login, text));
        }
        _ => {
            return Err(ParentError::before(
                ParentOutcome::Malformed,
                "it does not answer by SOCKS5",
            ));
        }
    }
    let Some(login) = login else {
        return Ok(());
    };
    send(stream, &credentials(login)).await.map_err(broke)?;
    let mut verdict = [0; 2];
    stream.read_exact(&mut verdict).await.map_err(broke)?;
    match verdict[1] {
        0 => Ok(()),
        _ => Err(ParentError::answer(
            ParentOutcome::Login,
            "it does not accept the proxy's user and password",
        )),
    }
}

/// Asks for a connection. Not a byte is read beyond the reply: what follows is the origin's.
pub(super) async fn connect(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    target: &Authority,
) -> Result<(), ParentError> {
    let broke = |error: io::Error| {
        let text = format!("it ended the connection without a reply: {error}");
        ParentError::after(ParentOutcome::Closed, text)
    };
    let malformed = |text: &str| ParentError::after(ParentOutcome::Malformed, text);
    let request = request(target).ok_or_else(|| malformed("the name is too long for SOCKS5"))?;
    send(stream, &request).await.map_err(broke)?;
    let mut head = [0; 4];
    stream.read_exact(&mut head).await.map_err(broke)?;
    let [version, reply, _, kind] = head;
    if version != VERSION {
        return Err(malformed("its reply is none of SOCKS5"));
    }
    if reply != 0 {
        return Err(refused(reply));
    }
    let address = match kind {
        IPV4 => 4,
        IPV6 => 16,
        NAME => usize::from(stream.read_u8().await.map_err(broke)?),
        _ => return Err(malformed("its reply has an address of no known kind")),
    };
    let mut bound = [0; 257];
    let bound = &mut bound[..address + 2];
    stream.read_exact(bound).await.map_err(broke)?;
    Ok(())
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}

/// User and password; the configuration has seen to it that neither is longer than 255 bytes.
fn credentials(login: &ParentLogin) -> Vec<u8> {
    let mut out = vec![1];
    for text in [login.user(), login.password()] {
        let bytes = &text.as_bytes()[..text.len().min(255)];
        out.push(bytes.len() as u8);
        out.extend_from_slice(bytes);
    }
    out
}

fn request(target: &Authority) -> Option<Vec<u8>> {
    let mut out = vec![VERSION, CONNECT, 0];
    match &target.host {
        Host::Name(name) => {
            out.extend_from_slice(&[NAME, u8::try_from(name.len()).ok()?]);
            out.extend_from_slice(name.as_bytes());
        }
        Host::Ip(IpAddr::V4(ip)) => {
            out.push(IPV4);
            out.extend_from_slice(&ip.octets());
        }
        Host::Ip(IpAddr::V6(ip)) => {
            out.push(IPV6);
            out.extend_from_slice(&ip.octets());
        }
    }
    out.extend_from_slice(&target.port.to_be_bytes());
    Some(out)
}

/// What a reply says that is no success (RFC 1928 section 6).
fn refused(reply: u8) -> ParentError {
    let (outcome, text) = match reply {
        2 => (ParentOutcome::Denied, "it does not allow that (reply 2)"),
        3 => (ParentOutcome::Failed, "it has no way to that network (reply 3)"),
        4 => (ParentOutcome::Failed, "it cannot reach the host (reply 4)"),
        5 => (ParentOutcome::Failed, "it was refused the connection (reply 5)"),
        6 => (ParentOutcome::Failed, "the host did not answer it (reply 6)"),
        7 => (ParentOutcome::Failed, "it knows no CONNECT (reply 7)"),
        8 => (
            ParentOutcome::Failed,
            "it does not take addresses of that kind (reply 8)",
        ),
        _ => (ParentOutcome::Failed, "it failed"),
    };
    ParentError::answer(outcome, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokio::io::duplex;

    fn target(text: &str) -> Authority {
        Authority::parse(text, None).unwrap()
    }

    /// What both steps come to with a parent that says this, and what is left to read.
    fn with(
        said: &[u8],
        login: Option<&ParentLogin>,
        to: &str,
    ) -> (Result<(), ParentOutcome>, Vec<u8>, Vec<u8>) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (mut near, mut far) = duplex(1024);
            far.write_all(said).await.unwrap();
            far.shutdown().await.unwrap();
            let done = match greet(&mut near, login).await {
                Ok(()) => connect(&mut near, &target(to)).await,
                failed => failed,
            };
            let mut left = Vec::new();
            near.read_to_end(&mut left).await.unwrap();
            drop(near);
            let mut sent = Vec::new();
            far.read_to_end(&mut sent).await.unwrap();
            (done.map_err(|error| error.outcome), sent, left)
        })
    }

    #[test]
    fn names_go_as_names_and_what_follows_the_reply_is_left() {
        let said = b"\x05\x00\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00220 hello";
        let (done, sent, left) = with(said, None, "a.example:443");
        assert_eq!(done, Ok(()));
        assert_eq!(sent, b"\x05\x01\x00\x05\x01\x00\x03\x09a.example\x01\xbb");
        assert_eq!(left, b"220 hello");

        let said = b"\x05\x00\x05\x00\x00\x03\x02ab\x00\x50x";
        let (done, sent, left) = with(said, None, "[2001:db8::1]:80");
        assert_eq!((done, &*left), (Ok(()), &b"x"[..]));
        let v6 = b"\x05\x01\x00\x05\x01\x00\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\0\x50";
        assert_eq!(sent, v6);
    }

    #[test]
    fn a_password_is_the_only_method_that_is_offered_with_one() {
        let login = ParentLogin::new("u".into(), "pw".into());
        let said = b"\x05\x02\x01\x00\x05\x00\x00\x01\x01\x02\x03\x04\x00\x50";
        let (done, sent, _) = with(said, Some(&login), "192.0.2.1:80");
        assert_eq!(done, Ok(()));
        assert_eq!(
            sent,
            b"\x05\x01\x02\x01\x01u\x02pw\x05\x01\x00\x01\xc0\0\x02\x01\0\x50"
        );
        for (said, outcome) in [
            (&b"\x05\xff"[..], ParentOutcome::Login),
            (b"\x05\x02\x01\x01", ParentOutcome::Login),
            // It asks for none, and is therefore another than the one that was meant.
            (b"\x05\x00", ParentOutcome::Malformed),
            (b"HTTP/1.1 400 Bad", ParentOutcome::Malformed),
            (b"\x05", ParentOutcome::Unreachable),
        ] {
            assert_eq!(
                with(said, Some(&login), "192.0.2.1:80").0,
                Err(outcome),
                "{said:?}"
            );
        }
    }

    #[test]
    fn replies_have_their_meaning() {
        for (reply, outcome) in [
            (1, ParentOutcome::Failed),
            (2, ParentOutcome::Denied),
            (4, ParentOutcome::Failed),
            (5, ParentOutcome::Failed),
            (200, ParentOutcome::Failed),
        ] {
            let said = [5, 0, 5, reply, 0, 1, 0, 0, 0, 0, 0, 0];
            assert_eq!(with(&said, None, "a.example:1").0, Err(outcome), "{reply}");
        }
        for (said, outcome) in [
            (&b"\x05\x00"[..], ParentOutcome::Closed),
            (b"\x05\x00\x05\x00\x00\x01\x00", ParentOutcome::Closed),
            (b"\x05\x00\x04\x00\x00\x01\x00", ParentOutcome::Malformed),
            (b"\x05\x00\x05\x00\x00\x02\x00", ParentOutcome::Malformed),
        ] {
            assert_eq!(with(said, None, "a.example:1").0, Err(outcome), "{said:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_odd(said in proptest::collection::vec(any::<u8>(), 0..300), begins: bool) {
            let said = if begins { [b"\x05\x00", &said[..]].concat() } else { said };
            let _ = with(&said, None, "a.example:1");
        }
    }
}

//! SOCKS 5, as an ordinary client speaks it (RFC 1928, RFC 1929).

use super::facts::{SocksAnswer, Trouble, TroubleKind};
use super::proxy::Login;
use super::witness::trouble;
use crate::wire::names::{Authority, Host};
use crate::wire::socks::{NO_METHOD, NO_PASSWORD, PASSWORD};
use std::net::IpAddr;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use zeroize::Zeroizing;

const VERSION: u8 = 5;
/// Of the sub-negotiation (RFC 1929).
const LOGIN_VERSION: u8 = 1;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// Asks for a connection to `to`. Not a byte is read beyond the reply: what follows is the target's.
pub(super) async fn ask(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    to: &Authority,
    login: Option<&Login>,
) -> Result<SocksAnswer, Trouble> {
    let no_socks = || Trouble::new(TroubleKind::Invalid, "what answers there does not speak SOCKS 5");
    let greeting: &[u8] = match login {
        Some(_) => &[VERSION, 2, NO_PASSWORD, PASSWORD],
        None => &[VERSION, 1, NO_PASSWORD],
    };
    send(stream, greeting).await?;
    let mut chosen = [0; 2];
    read(stream, &mut chosen).await?;
    match (chosen, login) {
        ([VERSION, NO_PASSWORD], _) => {}
        ([VERSION, PASSWORD], Some(login)) => {
            if !log_in(stream, login).await? {
                return Ok(SocksAnswer::LoginRefused);
            }
        }
        ([VERSION, NO_METHOD], _) => return Ok(SocksAnswer::WantsLogin),
        _ => return Err(no_socks()),
    }
    let wish =
        wish(to).ok_or_else(|| Trouble::new(TroubleKind::Invalid, "the name is too long for SOCKS"))?;
    send(stream, &wish).await?;
    let mut head = [0; 4];
    read(stream, &mut head).await?;
    let [version, reply, _, kind] = head;
    if version != VERSION {
        return Err(no_socks());
    }
    if reply != 0 {
        return Ok(SocksAnswer::Refused(reply));
    }
    let address = match kind {
        IPV4 => 4,
        IPV6 => 16,
        NAME => {
            let mut length = [0];
            read(stream, &mut length).await?;
            usize::from(length[0])
        }
        _ => return Err(no_socks()),
    };
    // The address that the proxy dials from, and its port.
    let mut bound = vec![0; address + 2];
    read(stream, &mut bound).await?;
    Ok(SocksAnswer::Granted)
}

async fn log_in(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), login: &Login) -> Result<bool, Trouble> {
    let mut said = Zeroizing::new(vec![LOGIN_VERSION]);
    for part in [&login.user, &login.password] {
        // `ProxyUrl` has seen to it that both fit.
        said.push(u8::try_from(part.len()).unwrap_or(u8::MAX));
        said.extend_from_slice(part);
    }
    send(stream, &said).await?;
    let mut verdict = [0; 2];
    read(stream, &mut verdict).await?;
    Ok(verdict[1] == 0)
}

fn wish(to: &Authority) -> Option<Vec<u8>> {
    let mut wish = vec![VERSION, CONNECT, 0];
    match &to.host {
        Host::Name(name) => {
            wish.extend_from_slice(&[NAME, u8::try_from(name.len()).ok()?]);
            wish.extend_from_slice(name.as_bytes());
        }
        Host::Ip(IpAddr::V4(ip)) => {
            wish.push(IPV4);
            wish.extend_from_slice(&ip.octets());
        }
        Host::Ip(IpAddr::V6(ip)) => {
            wish.push(IPV6);
            wish.extend_from_slice(&ip.octets());
        }
    }
    wish.extend_from_slice(&to.port.to_be_bytes());
    Some(wish)
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> Result<(), Trouble> {
    stream.write_all(bytes).await.map_err(|error| trouble(&error))?;
    stream.flush().await.map_err(|error| trouble(&error))
}

async fn read(stream: &mut (impl AsyncRead + Unpin), into: &mut [u8]) -> Result<(), Trouble> {
    let read = stream.read_exact(into).await;
    read.map(drop).map_err(|error| trouble(&error))
}

#[cfg(test)]
mod tests {
    use super::super::proxy::ProxyUrl;
    use super::*;
    use proptest::prelude::*;
    use tokio::io::duplex;

    /// What a proxy that says this is asked, what it comes to, and what is left to read.
    fn with(said: &[u8], proxy: &str, to: &str) -> (Result<SocksAnswer, Trouble>, Vec<u8>, Vec<u8>) {
        let proxy = ProxyUrl::parse(proxy).unwrap();
        let to = Authority::parse(to, None).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (mut near, mut far) = duplex(1024);
            far.write_all(said).await.unwrap();
            far.shutdown().await.unwrap();
            let done = ask(&mut near, &to, proxy.login.as_ref()).await;
            let mut left = Vec::new();
            near.read_to_end(&mut left).await.unwrap();
            drop(near);
            let mut sent = Vec::new();
            far.read_to_end(&mut sent).await.unwrap();
            (done, sent, left)
        })
    }

    #[test]
    fn what_follows_the_reply_is_the_targets() {
        let said = b"\x05\x00\x05\x00\x00\x03\x02ab\x00\x50hello";
        let (done, sent, left) = with(said, "socks5h://p:1", "a.example:443");
        assert_eq!((done, &*left), (Ok(SocksAnswer::Granted), &b"hello"[..]));
        assert_eq!(sent, b"\x05\x01\x00\x05\x01\x00\x03\x09a.example\x01\xbb");
    }

    #[test]
    fn a_password_is_offered_and_shown_only_if_it_is_asked_for() {
        let granted = b"\x05\x00\x00\x01\x01\x02\x03\x04\x00\x50";
        let said = [b"\x05\x02\x01\x00", &granted[..]].concat();
        let (done, sent, _) = with(&said, "socks5://u:pw@p:1", "192.0.2.1:80");
        assert_eq!(done, Ok(SocksAnswer::Granted));
        assert_eq!(
            sent,
            b"\x05\x02\x00\x02\x01\x01u\x02pw\x05\x01\x00\x01\xc0\0\x02\x01\0\x50"
        );
        let said = [b"\x05\x00", &granted[..]].concat();
        let (done, sent, _) = with(&said, "socks5://u:pw@p:1", "[2001:db8::1]:80");
        assert_eq!(done, Ok(SocksAnswer::Granted));
        assert!(!sent.windows(2).any(|two| two == b"pw"), "{sent:?}");
    }

    #[test]
    fn each_answer_has_its_meaning() {
        for (said, proxy, wanted) in [
            (&b"\x05\xff"[..], "socks5://p:1", SocksAnswer::WantsLogin),
            (
                b"\x05\x02\x01\x01",
                "socks5://u:pw@p:1",
                SocksAnswer::LoginRefused,
            ),
            (
                b"\x05\x00\x05\x02\x00\x01",
                "socks5://p:1",
                SocksAnswer::Refused(2),
            ),
            (
                b"\x05\x00\x05\x09\x00\x01",
                "socks5://p:1",
                SocksAnswer::Refused(9),
            ),
        ] {
            assert_eq!(with(said, proxy, "a.example:1").0, Ok(wanted), "{said:?}");
            assert!(!wanted.text().is_empty());
        }
        for said in [
            &b"HTTP/1.1 400 Bad"[..],
            b"\x04\x00",
            // A password that was not offered.
            b"\x05\x02",
            b"\x05\x00\x04\x00\x00\x01",
            b"\x05\x00\x05\x00\x00\x02",
        ] {
            let trouble = with(said, "socks5://p:1", "a.example:1").0.unwrap_err();
            assert_eq!(trouble.kind, TroubleKind::Invalid, "{said:?}");
        }
        let ended = with(b"\x05\x00\x05\x00", "socks5://p:1", "a.example:1")
            .0
            .unwrap_err();
        assert_eq!(ended.kind, TroubleKind::Ended);
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_odd(said in proptest::collection::vec(any::<u8>(), 0..300), begins: bool) {
            let said = if begins { [b"\x05\x00", &said[..]].concat() } else { said };
            let _ = with(&said, "socks5h://p:1", "a.example:1");
        }
    }
}

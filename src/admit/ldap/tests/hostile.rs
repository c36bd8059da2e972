use super::*;
use std::time::Instant;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const SHORT: Duration = Duration::from_millis(100);

/// A directory at this address, without TLS, with short limits for each step.
fn at(address: impl std::fmt::Display) -> LdapConfig {
    LdapConfig {
        servers: vec![LdapUrl::parse(&format!("ldap://{address}")).unwrap()],
        limits: LdapLimits {
            connect: SHORT,
            tls: SHORT,
            bind: SHORT,
            search: SHORT,
            whole: Duration::from_secs(60),
        },
        ..config()
    }
}

/// A server that answers each of its connections with `said` once it has heard something.
async fn says(said: Vec<u8>) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let said = said.clone();
            tokio::spawn(async move {
                let mut buffer = [0; 1024];
                while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                    if stream.write_all(&said).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn a_silent_server_costs_its_limit_and_then_nothing() {
    // Nobody accepts; the kernel does.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let with_tls = Some(Arc::new(
        ServiceTls::new(
            Some(vec![crate::tls::testing::Identity::new(&["a.example"]).root]),
            None,
        )
        .unwrap(),
    ));
    for (tls, word) in [
        (None, "no answer to a bind within 100ms"),
        (with_tls, "no TLS handshake within 100ms"),
    ] {
        let (ldap, _) = told(LdapConfig { tls, ..at(address) });
        let begin = Instant::now();
        let unavailable = ldap.verify(&login("ada"), b"x").await.unwrap_err();
        assert!(unavailable.text.contains(word), "{}", unavailable.text);
        assert!(begin.elapsed() >= SHORT);
        for _ in 0..100 {
            let unavailable = ldap.verify(&login("ada"), b"x").await.unwrap_err();
            assert!(
                unavailable.text.contains("resting after a failure"),
                "{}",
                unavailable.text
            );
            assert!(unavailable.text.contains(word), "{}", unavailable.text);
        }
    }
}

#[tokio::test]
async fn a_silent_server_is_passed_over_for_one_that_answers() {
    let slapd = Slapd::start("ldap://127.0.0.1:9");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = LdapUrl::parse(&format!("ldaps://{}", listener.local_addr().unwrap())).unwrap();
    let (ldap, told) = told(LdapConfig {
        servers: vec![silent, slapd.ldaps()],
        limits: LdapLimits {
            tls: SHORT,
            ..LdapLimits::default()
        },
        ..tls(&slapd)
    });
    for _ in 0..2 {
        assert!(
            ldap.verify(&login("ada"), PASSWORD.as_bytes())
                .await
                .unwrap()
                .is_ok()
        );
    }
    let told = told.take();
    assert_eq!(told.len(), 1, "it was tried once: {told:?}");
}

#[tokio::test]
async fn only_so_many_wait_for_a_silent_server_and_not_for_longer_than_all_of_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = at(listener.local_addr().unwrap());
    config.limits.bind = Duration::from_secs(30);
    config.limits.whole = Duration::from_millis(300);
    (config.connections, config.waiting) = (1, 2);
    let ldap = Arc::new(told(config).0);
    let begin = Instant::now();
    let asked: Vec<_> = (0..10)
        .map(|_| {
            let ldap = Arc::clone(&ldap);
            tokio::spawn(async move { ldap.verify(&login("ada"), b"x").await.unwrap_err().text })
        })
        .collect();
    let mut said = Vec::new();
    for asked in asked {
        said.push(asked.await.unwrap());
    }
    let count = |word: &str| said.iter().filter(|text| text.contains(word)).count();
    assert_eq!(count("2 wait for their turn"), 7, "{said:?}");
    assert_eq!(count("no answer to a bind"), 1, "{said:?}");
    assert_eq!(count("ended in time"), 2, "{said:?}");
    assert!(begin.elapsed() < Duration::from_secs(20));
    // It had less time than it is allowed, so it does not rest.
    let text = ldap.verify(&login("ada"), b"x").await.unwrap_err().text;
    assert!(text.contains("no answer to a bind"), "{text}");
}

#[tokio::test]
async fn nonsense_is_an_error_with_a_text() {
    let deep = {
        let mut bytes = Vec::new();
        for _ in 0..60_000_u32 {
            bytes.extend([0x30, 0x84, 0, 3, 0, 0]);
        }
        [vec![0x30, 0x84, 0, 5, 0x7e, 0x40], bytes].concat()
    };
    for (said, word) in [
        (b"SSH-2.0-OpenSSH\r\n".to_vec(), "the server sent no LDAP message"),
        (
            b"\x30\x84\x7f\xff\xff\xff".to_vec(),
            "the server sent a message that is too large",
        ),
        (deep, "the server sent a m"),
        // A bind that succeeds before anybody asked, or for somebody else.
        (
            b"\x30\x0c\x02\x01\x63\x61\x07\x0a\x01\x00\x04\x00\x04\x00".to_vec(),
            "an answer that nobody asked for",
        ),
        (
            b"\x30\x0c\x02\x01\x01\x65\x07\x0a\x01\x00\x04\x00\x04\x00".to_vec(),
            "an answer to something else",
        ),
        (
            b"\x30\x11\x02\x01\x00\x78\x0c\x0a\x01\x33\x04\x00\x04\x02hm\x8a\x011".to_vec(),
            "the server ended the connection: hm (result 51)",
        ),
        (
            b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x33\x04\x00\x04\x00".to_vec(),
            "no verdict on the service account: busy",
        ),
        (
            b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x0a\x04\x00\x04\x00".to_vec(),
            "referrals are not followed",
        ),
    ] {
        let (ldap, _) = told(LdapConfig {
            rest: Duration::ZERO,
            ..at(says(said).await)
        });
        let unavailable = ldap.verify(&login("ada"), b"x").await.unwrap_err();
        assert!(unavailable.text.contains(word), "{}", unavailable.text);
    }
}

#[tokio::test]
async fn a_server_that_hangs_up_is_an_error_with_a_text() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(stream);
        }
    });
    let (ldap, _) = told(at(address));
    let unavailable = ldap.verify(&login("ada"), b"x").await.unwrap_err();
    assert!(
        unavailable.text.starts_with(&format!("ldap://{address}: ")),
        "{}",
        unavailable.text
    );
}

use super::*;
use crate::accept::Socket;
use crate::breaker::Thresholds;
use crate::decide::nets::Reach;
use crate::decide::{Leaving, Sources};
use crate::wire::names::{Authority, Host};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const DEADLINES: Deadlines = Deadlines {
    dns: Duration::from_secs(5),
    connect: Duration::from_secs(5),
};

/// Hears nothing.
struct Deaf;

impl NameWatch for Deaf {
    fn looked_up(&self, _: LookUpSource, _: LookUpOutcome) {}
    fn queried(&self, _: LookUpOutcome, _: Duration, _: usize) {}
}

impl ParentWatch for Deaf {
    fn asked(&self, _: &str, _: ParentOutcome, _: Duration) {}
    fn is_well(&self, _: &str, _: bool, _: &str) {}
    fn went_direct(&self) {}
}

async fn dial(
    target: &Authority,
    hosts: &Hosts,
    reach: &Reach,
    own: &[SocketAddr],
) -> Result<OriginLeg, DialError> {
    let network = Network {
        hosts,
        resolver: &Resolver::new(DnsConfig::default()).unwrap(),
        reach,
        own,
        deadlines: DEADLINES,
    };
    super::dial(target, &network, &Route::default(), &Arc::new(Deaf)).await
}

fn loopback() -> Reach {
    Reach::new(
        vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()],
        vec![],
    )
}

fn target(host: Host, port: u16) -> Authority {
    Authority { host, port }
}

fn ip(text: &str, port: u16) -> Authority {
    target(Host::Ip(text.parse().unwrap()), port)
}

#[tokio::test]
async fn reaches_what_is_allowed_and_only_that() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let hosts = Hosts::default();
    let to = ip("127.0.0.1", port);
    let stream = dial(&to, &hosts, &loopback(), &[]).await.unwrap();
    assert_eq!(stream.address.unwrap().port(), port);
    assert!(matches!(stream.socket.get_ref(), Socket::Tcp(socket) if socket.nodelay().unwrap()));

    let error = dial(&to, &hosts, &Reach::new(vec![], vec![]), &[])
        .await
        .unwrap_err();
    assert_eq!(error.outcome, DialOutcome::Forbidden);
    assert!(error.text.contains("127.0.0.1"), "{error}");
}

#[tokio::test]
async fn a_name_that_resolves_into_the_network_is_refused_by_its_address() {
    let hosts = Hosts::default();
    let to = target(Host::Name("localhost".to_owned()), 1);
    let error = dial(&to, &hosts, &Reach::new(vec![], vec![]), &[])
        .await
        .unwrap_err();
    assert_eq!(error.outcome, DialOutcome::Forbidden);
}

#[tokio::test]
async fn its_own_listeners_are_a_loop_by_address_and_behind_an_unspecified_one() {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let own = [listener.local_addr().unwrap()];
    let hosts = Hosts::default();
    for address in ["127.0.0.1", "127.9.9.9", "::ffff:127.0.0.1"] {
        let to = ip(address, own[0].port());
        let error = dial(&to, &hosts, &loopback(), &own).await.unwrap_err();
        assert_eq!(error.outcome, DialOutcome::Loop, "{address}");
    }
    let at = |text: &str| text.parse::<SocketAddr>().unwrap();
    for (dialled, own, is_one) in [
        ("0.0.0.0:1", "127.0.0.1:1", true),
        ("[::]:1", "[::1]:1", true),
        ("[::ffff:0.0.0.0]:1", "127.0.0.1:1", true),
        ("0.0.0.0:1", "[::]:1", true),
        ("0.0.0.0:2", "127.0.0.1:1", false),
        ("0.0.0.0:1", "192.0.2.1:1", false),
    ] {
        assert_eq!(
            super::network::is_own(at(dialled), &[at(own)]),
            is_one,
            "{dialled} at {own}"
        );
    }
}

#[tokio::test]
async fn a_refused_connection_says_which_address_and_why() {
    // Bound and dropped: nobody listens there.
    let port = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let error = dial(&ip("127.0.0.1", port), &Hosts::default(), &loopback(), &[])
        .await
        .unwrap_err();
    assert_eq!(error.outcome, DialOutcome::Refused);
    assert!(error.text.contains(&format!("127.0.0.1:{port}")), "{error}");
}

#[tokio::test]
async fn the_second_family_is_tried_when_the_first_fails() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let values = vec!["::1".to_owned(), "127.0.0.1".to_owned()];
    let mut hosts = Hosts::default();
    hosts.insert("two.test", &values).unwrap();
    let to = target(Host::Name("two.test".to_owned()), port);
    let stream = dial(&to, &hosts, &loopback(), &[]).await.unwrap();
    assert!(stream.address.unwrap().is_ipv4());
}

#[tokio::test]
async fn a_connection_leaves_as_it_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let network = Network {
        hosts: &Hosts::default(),
        resolver: &Resolver::new(DnsConfig::default()).unwrap(),
        reach: &loopback(),
        own: &[],
        deadlines: DEADLINES,
    };
    let route = Route {
        leaving: Leaving {
            source: Some(Sources {
                v4: Some([127, 0, 0, 9].into()),
                v6: None,
            }),
            interface: Some("lo".into()),
            dscp: Some(46),
            client: None,
        },
        ..Route::default()
    };
    let to = ip("127.0.0.1", port);
    let leg = super::dial(&to, &network, &route, &Arc::new(Deaf)).await.unwrap();
    let Socket::Tcp(socket) = leg.socket.get_ref() else {
        panic!("{leg:?}");
    };
    assert_eq!(socket.local_addr().unwrap().ip().to_string(), "127.0.0.9");
    let socket = socket2::SockRef::from(socket);
    assert_eq!(socket.tos_v4().unwrap(), 46 << 2);
    assert_eq!(socket.device().unwrap().as_deref(), Some(&b"lo"[..]));
}

#[tokio::test]
async fn what_a_route_denies_is_not_dialled_whatever_name_leads_there() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut hosts = Hosts::default();
    hosts.insert("one.test", &["127.0.0.1".to_owned()]).unwrap();
    let network = Network {
        hosts: &hosts,
        resolver: &Resolver::new(DnsConfig::default()).unwrap(),
        reach: &loopback(),
        own: &[],
        deadlines: DEADLINES,
    };
    let named = target(Host::Name("one.test".to_owned()), port);
    for (denied, is_dialled) in [("127.0.0.0/24", false), ("127.0.1.0/24", true)] {
        let route = Route {
            denied: [denied.parse().unwrap()].into(),
            ..Route::default()
        };
        for to in [&named, &ip("127.0.0.1", port)] {
            let dialled = super::dial(to, &network, &route, &Arc::new(Deaf)).await;
            let outcome = dialled.map_err(|error| error.outcome).err();
            assert_eq!(
                outcome,
                (!is_dialled).then_some(DialOutcome::Forbidden),
                "{to} {denied}"
            );
        }
    }
}

#[tokio::test]
async fn an_origin_is_told_whose_connection_it_is_before_its_first_byte() {
    use crate::decide::ProxyProtocolOut::{V1, V2};
    use crate::wire::Parse;
    use crate::wire::proxy_protocol::parse;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let network = Network {
        hosts: &Hosts::default(),
        resolver: &Resolver::new(DnsConfig::default()).unwrap(),
        reach: &loopback(),
        own: &[],
        deadlines: DEADLINES,
    };
    let here = format!("127.0.0.1:{port}");
    for (proxy_protocol, client, wanted) in [
        (V1, Some("192.0.2.7:4000"), Some(("192.0.2.7:4000", here.clone()))),
        (V2, Some("192.0.2.7:4000"), Some(("192.0.2.7:4000", here.clone()))),
        (
            V2,
            Some("[2001:db8::7]:0"),
            Some(("[2001:db8::7]:0", format!("[::ffff:127.0.0.1]:{port}"))),
        ),
        (V1, None, None),
        (V2, None, None),
    ] {
        let route = Route {
            proxy_protocol,
            client: client.map(|client: &str| client.parse().unwrap()),
            ..Route::default()
        };
        let to = ip("127.0.0.1", port);
        let mut leg = super::dial(&to, &network, &route, &Arc::new(Deaf)).await.unwrap();
        leg.socket.write_all(b"first").await.unwrap();
        drop(leg);
        let (mut origin, _) = listener.accept().await.unwrap();
        let mut bytes = Vec::new();
        origin.read_to_end(&mut bytes).await.unwrap();
        let Parse::Complete((header, length)) = parse(&bytes) else {
            panic!("{bytes:?}");
        };
        assert_eq!(&bytes[length..], b"first");
        let told = header
            .endpoints
            .map(|both| (both.source.to_string(), both.destination.to_string()));
        assert_eq!(told, wanted.map(|(source, to)| (source.to_owned(), to)));
    }
}

/// Whoever gives tickets, after so long.
#[derive(Debug)]
struct Late(Duration, Result<&'static str, &'static str>);

impl TokenSource for Late {
    fn token(&self) -> Pin<Box<dyn Future<Output = Result<String, String>> + Send + '_>> {
        Box::pin(async {
            tokio::time::sleep(self.0).await;
            self.1.map(str::to_owned).map_err(str::to_owned)
        })
    }

    fn refused(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {})
    }
}

#[tokio::test]
async fn the_time_that_a_ticket_takes_is_not_the_parents() {
    let answer = Duration::from_secs(1);
    for given in [Ok("dG9rZW4="), Err("nobody answers")] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = ip("127.0.0.1", listener.local_addr().unwrap().port());
        let config = ParentConfig {
            name: "up".into(),
            protocol: ParentProtocol::Http,
            address,
            tls: None,
            login: None,
            tickets: Some(ParentTickets {
                configured: 1,
                of: Arc::new(Late(answer + Duration::from_millis(200), given)),
            }),
            plain: PlainForm::Connect,
            connect: Duration::from_secs(5),
            answer,
            breaker: Thresholds::default(),
            check: None,
            check_target: None,
        };
        let serve = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                if stream.read_buf(&mut asked).await.unwrap() == 0 {
                    return String::new();
                }
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            String::from_utf8(asked).unwrap()
        });
        let parents = Parents::again(vec![config], None);
        let parent = parents.iter().next().unwrap();
        let network = Network {
            hosts: &Hosts::default(),
            resolver: &Resolver::new(DnsConfig::default()).unwrap(),
            reach: &loopback(),
            own: &[],
            deadlines: DEADLINES,
        };
        let target = ip("192.0.2.1", 443);
        let asked = parent
            .ask(Some(&target), &network, &Leaving::default(), &Arc::new(Deaf))
            .await;
        let error = asked.err().map(|error| (error.outcome, error.text));
        let seen = serve.await.unwrap();
        match given {
            Ok(_) => {
                assert_eq!(error, None);
                assert!(seen.contains("Negotiate dG9rZW4="), "{seen}");
            }
            Err(why) => {
                let (outcome, text) = error.unwrap();
                assert_eq!(outcome, ParentOutcome::Login, "{text}");
                assert!(text.contains(why) && seen.is_empty(), "{text}");
            }
        }
    }
}

use super::super::examine::Findings;
use super::super::facts::{Opened, Timed, Tls, Trouble, Trust};
use super::super::target::Target;
use super::*;
use proptest::prelude::*;

const MOMENT: Duration = Duration::from_millis(5);

fn timed<T>(result: Result<T, Trouble>) -> Timed<T> {
    Timed { result, took: MOMENT }
}

fn opened() -> Socket {
    Socket {
        small: Some(Ok(MOMENT)),
        large: Some(Ok(MOMENT)),
        ..Socket::failed(timed(Ok(Opened::default())), None)
    }
}

/// A road on which everything works.
fn well() -> Road {
    Road {
        dial: Some(timed(Ok("192.0.2.1:443".parse().unwrap()))),
        tls: Some(timed(Ok(Tls {
            trust: Trust {
                leaf: vec![1],
                ..Trust::default()
            },
            ..Tls::default()
        }))),
        http1: Some(timed(Ok(Answer {
            status: 200,
            ..Answer::default()
        }))),
        plain: Some(opened()),
        deflate: Some(opened()),
        ..Road::default()
    }
}

fn judged(proxied: Option<Road>, direct: Road) -> Diagnosis {
    let target = Target::parse("wss://chat.example/").unwrap();
    let findings = Findings { proxied, direct };
    let case = Case {
        target: &target,
        has_credentials: false,
        has_ticket: false,
        healthy: None,
        findings: &findings,
    };
    let steps = case.steps();
    let verdict = case.verdict();
    assert_eq!(
        verdict.whose == Whose::Nobody,
        steps
            .iter()
            .all(|step| step.status != super::super::steps::Status::Failed),
        "{verdict:?} {steps:?}"
    );
    verdict
}

fn over_http2(socket: Socket) -> Road {
    Road {
        over_http2: Some(OverHttp2::Tried(Box::new(socket))),
        ..well()
    }
}

fn silent() -> Socket {
    Socket::failed(timed(Err(Trouble::silence(Duration::from_secs(10)))), None)
}

fn reset() -> Socket {
    let trouble = Trouble::new(TroubleKind::Ended, "the far side sent RST_STREAM");
    Socket::failed(timed(Err(trouble)), None)
}

#[test]
fn what_the_proxy_offers_over_http2_and_does_not_keep_is_its_doing() {
    let not_offered = Road {
        over_http2: Some(OverHttp2::NotOffered),
        ..well()
    };
    for (socket, row) in [(silent(), 13), (reset(), 12)] {
        let verdict = judged(Some(over_http2(socket.clone())), not_offered.clone());
        assert_eq!(
            (verdict.whose, verdict.is_sure, verdict.symptom),
            (Whose::Proxy, true, Some(row))
        );
        let verdict = judged(Some(over_http2(socket.clone())), over_http2(socket.clone()));
        assert_eq!((verdict.whose, verdict.is_sure), (Whose::Origin, true));
        let verdict = judged(Some(over_http2(socket)), over_http2(opened()));
        assert_eq!(
            (verdict.whose, verdict.is_sure, verdict.symptom),
            (Whose::Proxy, true, Some(row))
        );
    }
}

fn idle(result: Result<Duration, SilenceBroken>) -> Road {
    let silence = Silence {
        wanted: Duration::from_secs(120),
        result,
        spoken: false,
    };
    Road {
        silences: vec![silence],
        ..well()
    }
}

#[test]
fn a_flow_that_was_forgotten_is_told_from_one_that_was_ended() {
    let dead = SilenceBroken::Dead(Lost::Ended(Ended {
        how: End::Reset,
        after: Duration::from_secs(120),
    }));
    let verdict = judged(Some(idle(Err(dead))), idle(Ok(MOMENT)));
    assert_eq!((verdict.whose, verdict.symptom), (Whose::Proxy, Some(7)));
    assert!(verdict.remedy.contains("20 to 25 s"));
    let ended = SilenceBroken::Ended(Ended {
        how: End::Closed,
        after: Duration::from_secs(60),
    });
    let verdict = judged(Some(idle(Err(ended.clone()))), idle(Ok(MOMENT)));
    assert_eq!((verdict.whose, verdict.symptom), (Whose::Proxy, Some(6)));
    assert!(verdict.text.contains("after 60 s"));
    let verdict = judged(Some(idle(Err(ended.clone()))), idle(Err(ended)));
    assert_eq!((verdict.whose, verdict.symptom), (Whose::Origin, Some(6)));
}

#[test]
fn all_is_well_if_nothing_is_wrong() {
    let verdict = judged(Some(well()), Road::default());
    assert_eq!(verdict.whose, Whose::Nobody);
    assert!(verdict.line().starts_with("All is well: WebSockets carry"));
    assert_eq!(judged(None, well()).whose, Whose::Nobody);
}

fn refused(status: u16) -> Road {
    Road {
        connect: Some(timed(Ok(Answer {
            status,
            ..Answer::default()
        }))),
        tls: None,
        http1: None,
        plain: None,
        deflate: None,
        ..well()
    }
}

#[test]
fn a_network_without_a_way_out_of_its_own_proves_nothing() {
    let no_dial = |kind| Road {
        dial: Some(timed(Err(Trouble::new(kind, "no")))),
        ..Road::default()
    };
    let no_name = Road {
        names: Some(timed(Err(Trouble::new(TroubleKind::Name, "no")))),
        ..Road::default()
    };
    for (direct, whose, is_sure) in [
        (no_dial(TroubleKind::Silence), Whose::Proxy, false),
        (no_dial(TroubleKind::Refused), Whose::Origin, true),
        (no_name, Whose::Origin, false),
        (well(), Whose::Proxy, true),
    ] {
        let verdict = judged(Some(refused(502)), direct);
        assert_eq!((verdict.whose, verdict.is_sure), (whose, is_sure), "{verdict:?}");
    }
}

#[test]
fn an_expired_certificate_of_a_public_ca_is_nobodys_forgery() {
    let expired = |public: &str| Road {
        tls: Some(timed(Ok(Tls {
            trust: Trust {
                public: Some(public.to_owned()),
                system: Some("it expired on 2026-01-01".to_owned()),
                ..Trust::default()
            },
            ..Tls::default()
        }))),
        ..well()
    };
    let verdict = judged(Some(expired("it expired on 2026-01-01")), Road::default());
    assert_eq!(verdict.whose, Whose::Origin);
    let verdict = judged(Some(expired("its issuer is not known")), Road::default());
    assert_eq!((verdict.whose, verdict.is_sure), (Whose::Proxy, false));
}

#[test]
fn an_answer_that_is_the_same_without_the_proxy_is_not_its_own() {
    let answered = |marks: &[&str]| Road {
        http1: Some(timed(Ok(Answer {
            status: 503,
            marks: marks.iter().map(|mark| (*mark).to_owned()).collect(),
            ..Answer::default()
        }))),
        ..well()
    };
    let target = Target::parse("https://chat.example/").unwrap();
    let whose = |direct: Road| {
        let findings = Findings {
            proxied: Some(answered(&["proxy-status: edge; error=destination_unavailable"])),
            direct,
        };
        let case = Case {
            target: &target,
            has_credentials: false,
            has_ticket: false,
            healthy: None,
            findings: &findings,
        };
        case.verdict().whose
    };
    assert_eq!(whose(answered(&[])), Whose::Origin);
    assert_eq!(whose(well()), Whose::Proxy);
}

fn ends() -> impl Strategy<Value = Ended> {
    let how = prop_oneof![
        (proptest::option::of(1000_u16..5000), "[a-z]{0,4}")
            .prop_map(|(code, reason)| End::Close(code, reason)),
        Just(End::Closed),
        Just(End::Reset),
        "[a-z]{1,4}".prop_map(End::Violation),
    ];
    (how, 0_u64..100_000).prop_map(|(how, millis)| Ended {
        how,
        after: Duration::from_millis(millis),
    })
}

fn sockets() -> impl Strategy<Value = Socket> {
    let lost = || {
        prop_oneof![
            any::<bool>().prop_map(|late| Lost::Silence { waited: MOMENT, late }),
            ends().prop_map(Lost::Ended),
        ]
    };
    prop_oneof![
        3 => Just(opened()),
        1 => Just(silent()),
        1 => Just(reset()),
        2 => (100_u16..600).prop_map(|status| {
            let answer = Answer { status, ..Answer::default() };
            Socket::failed(reset().upgrade, Some(answer))
        }),
        2 => lost().prop_map(|lost| Socket { small: Some(Err(lost)), large: None, ..opened() }),
        2 => lost().prop_map(|lost| Socket { large: Some(Err(lost)), ..opened() }),
        1 => ends().prop_map(|ended| Socket { ended: Some(ended), ..opened() }),
    ]
}

fn roads() -> impl Strategy<Value = Road> {
    let over = prop_oneof![
        Just(None),
        Just(Some(OverHttp2::NotOffered)),
        sockets().prop_map(|socket| Some(OverHttp2::Tried(Box::new(socket)))),
    ];
    (sockets(), sockets(), over).prop_map(|(plain, deflate, over_http2)| Road {
        plain: Some(plain),
        deflate: Some(deflate),
        over_http2,
        ..well()
    })
}

proptest! {
    /// What is the same with and without a proxy is never the proxy's doing, and what works without it is never the
    /// target's.
    #[test]
    fn blame_follows_the_comparison(road in roads()) {
        let same = judged(Some(road.clone()), road.clone());
        prop_assert!(same.whose != Whose::Proxy, "{same:?}");
        let alone = Road { over_http2: road.over_http2.as_ref().map(|_| OverHttp2::NotOffered), ..well() };
        let only = judged(Some(road), alone);
        prop_assert!(matches!(only.whose, Whose::Proxy | Whose::Nobody), "{only:?}");
        prop_assert!(only.whose == Whose::Nobody || only.is_sure);
    }
}

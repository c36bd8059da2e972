use super::super::negotiate::testing::Captured;
use super::super::negotiate::testing::making::{self, Made, NOW};
use super::*;
use std::time::{Duration, UNIX_EPOCH};

/// The server of the captured tokens, which forgets what it has seen.
fn tickets(names: &[&str]) -> Tickets {
    let keytab = Arc::new(Keytab::read(&Captured::read().keytab).unwrap());
    Tickets {
        negotiate: Negotiate::new(keytab, Arc::default()),
        names: Names::of(names.iter().copied()),
    }
}

fn made(names: &[&str]) -> Tickets {
    Tickets {
        negotiate: making::server(&[(18, 1, 3)]),
        names: Names::of(names.iter().copied()),
    }
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW.unsigned_abs())
}

fn base64(token: &[u8]) -> Vec<u8> {
    STANDARD.encode(token).into_bytes()
}

/// The user of a captured token, and its groups.
fn user(tickets: &Tickets, token: &str) -> Identity {
    let captured = Captured::read();
    match tickets.judge(&base64(&captured.token(token)), None, captured.time) {
        Shown::Accepted(user) => user.identity,
        other => panic!("{other:?}"),
    }
}

fn refused(shown: Shown) -> (Unproven, String) {
    match shown {
        Shown::Unproven { why, detail } => (why, detail),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_account_is_the_user_whatever_name_it_logged_in_with() {
    let ours = tickets(&["corp.example"]);
    for (token, name) in [
        ("ada", "ada"),
        ("raw", "ada"),
        ("m.weber", "weber"),
        ("jürgen", "jürgen"),
    ] {
        let ours = tickets(&["corp.example"]);
        assert_eq!(&*user(&ours, token).name, name);
    }
    let groups = user(&ours, "ada").groups.clone();
    assert_eq!(groups.len(), 5);
    assert!(groups.iter().all(|sid| sid.starts_with("s-1-")), "{groups:?}");
    assert_eq!(user(&ours, "many").groups.len(), 302);
    // In a realm that is not one of ours, the name keeps it.
    assert_eq!(
        &*user(&tickets(&["other.example"]), "ada").name,
        "ada@corp.example"
    );
}

#[test]
fn a_foreign_realm_cannot_name_a_user_of_ours() {
    let judged = |client, realm| {
        let token = Made {
            client,
            claims: client,
            realm,
            claims_realm: realm,
            ..Made::default()
        };
        made(&["corp.example"]).judge(&base64(&token.ap_req()), None, now())
    };
    let name = |shown| match shown {
        Shown::Accepted(user) => user.identity.name.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(name(judged("ada", "CORP.EXAMPLE")), "ada");
    assert_eq!(name(judged("ada", "OTHER.EXAMPLE")), "ada@other.example");
    assert_eq!(name(judged("HTTP/web", "CORP.EXAMPLE")), "http/web");
    for client in ["ada@corp.example", "CORP\\ada", "@", "a@b@corp.example"] {
        for realm in ["OTHER.EXAMPLE", "CORP.EXAMPLE"] {
            let (why, detail) = refused(judged(client, realm));
            assert_eq!(why, Unproven::Malformed);
            assert!(detail.contains("cannot be one here"));
        }
    }
    assert_eq!(
        refused(judged("ada", "corp.example@OTHER")).0,
        Unproven::Malformed
    );
}

#[test]
fn a_token_counts_once_and_is_answered() {
    let server = made(&["corp.example"]);
    let token = base64(&making::framed(making::KERBEROS, &Made::default().ap_req()));
    let Shown::Accepted(user) = server.judge(&token, None, now()) else {
        panic!("it is good");
    };
    assert!(user.answer.unwrap().to_str().unwrap().starts_with("Negotiate YG"));
    assert_eq!(refused(server.judge(&token, None, now())).0, Unproven::Replay);
}

#[test]
fn a_directory_is_asked_for_groups_by_their_identifiers_or_for_a_user_of_ours() {
    let captured = Captured::read();
    let judged = tickets(&["corp.example"]).judge(&base64(&captured.token("ada")), None, captured.time);
    let Shown::Accepted(user) = judged else {
        panic!("it is good");
    };
    let Some(Ticketed::Groups(sids)) = user.asked else {
        panic!("it has a PAC");
    };
    assert!(
        sids.len() == 5 && sids.iter().all(|sid| sid.starts_with("S-1-")),
        "{sids:?}"
    );
    // Without a PAC.
    for (realm, asked) in [
        (
            "CORP.EXAMPLE",
            Some(Ticketed::User("ada@CORP.EXAMPLE".to_owned())),
        ),
        ("OTHER.EXAMPLE", None),
    ] {
        let token = Made {
            realm,
            claims_realm: realm,
            ..Made::default()
        };
        match made(&["corp.example"]).judge(&base64(&token.ap_req()), None, now()) {
            Shown::Accepted(user) => assert_eq!(user.asked, asked),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn rounds_of_a_negotiation_belong_to_one_connection() {
    let server = made(&["corp.example"]);
    let mechanisms = [making::NTLM, making::KERBEROS];
    let first = base64(&making::offer(&mechanisms, Some(b"NTLMSSP\0\x01\0\0\0")));
    let token = || making::framed(making::KERBEROS, &Made::default().ap_req());
    let second = || base64(&making::response(None, Some(&token()), None));
    let mic = making::client_mic(&making::key(18, 3), &making::list(&mechanisms));
    let third = base64(&making::response(None, None, Some(&mic)));

    let bound = Bound::default();
    for token in [first.clone(), second()] {
        let shown = server.judge(&token, Some(&bound), now());
        assert!(matches!(shown, Shown::Continue(line) if line.to_str().unwrap().starts_with("Negotiate o")));
    }
    assert!(matches!(
        server.judge(&third, Some(&bound), now()),
        Shown::Accepted(_)
    ));

    // On another connection, or without one.
    let bound = Bound::default();
    assert!(matches!(
        server.judge(&first, Some(&bound), now()),
        Shown::Continue(_)
    ));
    for other in [Some(&Bound::default()), None] {
        assert_eq!(
            refused(server.judge(&second(), other, now())).0,
            Unproven::Malformed
        );
    }
    assert_eq!(refused(server.judge(&first, None, now())).0, Unproven::Malformed);
    // A round that was answered with something else is over.
    let ntlm = refused(server.judge(b"TlRMTVNTUAABAAAA", Some(&bound), now()));
    assert_eq!(ntlm.0, Unproven::Ntlm);
    assert_eq!(
        refused(server.judge(&second(), Some(&bound), now())).0,
        Unproven::Malformed
    );
}

#[test]
fn the_log_says_why_a_ticket_is_not_good() {
    let judged = |made: &Made| {
        let server = self::made(&["corp.example"]);
        refused(server.judge(&base64(&made.ap_req()), None, now()))
    };
    let late = Made {
        client_time: NOW - 900,
        ..Made::default()
    };
    let (why, detail) = judged(&late);
    assert_eq!(why, Unproven::Clock);
    assert!(detail.starts_with("clock: the client's is 900 s behind"));
    let ended = Made {
        end: NOW - 901,
        ..Made::default()
    };
    assert_eq!(judged(&ended).0, Unproven::ExpiredTicket);
    let rc4 = Made {
        ticket_etype: 23,
        ..Made::default()
    };
    assert_eq!(judged(&rc4).0, Unproven::NoKey);
    let other = Made {
        claims: "max",
        ..Made::default()
    };
    assert_eq!(judged(&other).0, Unproven::BadTicket);
    let wrong_key = Made {
        key: making::key(18, 8),
        ..Made::default()
    };
    assert_eq!(judged(&wrong_key).0, Unproven::BadTicket);
    let server = made(&[]);
    for token in [
        &b""[..],
        b"====",
        b"abc",
        b"not base64",
        &[b'A'; 100_000],
        b"YIIF",
    ] {
        assert_eq!(refused(server.judge(token, None, now())).0, Unproven::Malformed);
    }
}

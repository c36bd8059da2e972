//! Real tokens of a Samba domain, and made ones with something wrong in each.

use super::*;
use crate::wire::der;
use std::time::Duration;
use testing::Captured;
use testing::making::{
    KERBEROS, KERBEROS_CUT, Made, NEGOEX, NOW, NTLM, client_mic, framed, key, list, offer, response, server,
};

const NTLM_TOKEN: &[u8] = b"NTLMSSP\0\x01\0\0\0\x97\x82\x08\xe2";

fn server_of(captured: &Captured) -> Negotiate {
    Negotiate::new(Keytab::read(&captured.keytab).unwrap().into(), Arc::default())
}

fn at(seconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds.unsigned_abs())
}

fn proven(accepted: Result<Accepted, NotProven>) -> Proven {
    match accepted {
        Ok(Accepted::Proven(proven)) => proven,
        other => panic!("{other:?}"),
    }
}

fn continued(accepted: Result<Accepted, NotProven>) -> (Vec<u8>, Round) {
    match accepted {
        Ok(Accepted::Continue { reply, round }) => (reply, round),
        other => panic!("{other:?}"),
    }
}

/// What becomes of a made AP-REQ, at [`NOW`].
fn judged(made: &Made) -> Result<Accepted, NotProven> {
    server(&[(18, 1, 3)]).accept(&framed(KERBEROS, &made.ap_req()), None, at(NOW))
}

fn refused(made: &Made) -> NotProven {
    judged(made).map(drop).unwrap_err()
}

#[test]
fn users_of_a_real_domain_are_known_with_all_their_groups() {
    let captured = Captured::read();
    let server = server_of(&captured);
    let shown = |token: &str| {
        let proven = proven(server.accept(&captured.token(token), None, captured.time));
        let Privileges::Verified(pac) = proven.pac else {
            panic!("{:?}", proven.pac);
        };
        assert_eq!(proven.realm, "CORP.EXAMPLE");
        (proven.principal, pac)
    };
    let (principal, ada) = shown("ada");
    assert_eq!((&*principal, &*ada.account), ("ada", "ada"));
    assert_eq!(ada.domain, "CORP");
    assert_eq!(ada.upn.as_deref(), Some("ada@corp.example"));
    assert_eq!(ada.dns_domain.as_deref(), Some("CORP.EXAMPLE"));
    // Domain users, staff, and by it web-users and web-full; and that the domain controller asserts it (S-1-18-1).
    let relative: Vec<_> = ada
        .groups
        .iter()
        .filter_map(|sid| sid.rsplit('-').next())
        .collect();
    assert_eq!(relative, ["1", "1103", "1104", "1105", "513"]);
    let domain = ada.sid.rsplit_once('-').unwrap().0;
    assert!(domain.starts_with("S-1-5-21-"));
    assert!(ada.groups.contains(&format!("{domain}-513")));
    assert!(ada.groups.contains(&"S-1-18-1".to_owned()));

    let (principal, raw) = shown("raw");
    assert_eq!((&*principal, raw), ("ada", ada));
    // An account whose principal name is not made of its own.
    let (principal, weber) = shown("m.weber");
    assert_eq!((&*principal, &*weber.account), ("m.weber@corp.example", "weber"));
    assert_eq!(weber.upn.as_deref(), Some("m.weber@corp.example"));
    assert_eq!(shown("jürgen").1.account, "jürgen");
    assert_eq!(shown("many").1.groups.len(), 302);
}

#[test]
fn a_client_that_wants_proof_gets_it_in_its_own_framing() {
    let captured = Captured::read();
    let server = server_of(&captured);
    let reply = |token: &str| proven(server.accept(&captured.token(token), None, captured.time)).reply;
    let spnego = reply("ada").unwrap();
    assert_eq!(spnego[0], 0xa1);
    assert!(
        spnego
            .windows(11)
            .any(|bytes| bytes.ends_with(&[2, 0]) && bytes.starts_with(KERBEROS))
    );
    let raw = reply("raw").unwrap();
    assert_eq!(raw[0], 0x60);
    let one_sided = reply("one-sided").unwrap();
    // Completed, Kerberos, and nothing else.
    assert_eq!(one_sided, response_of_server(0, Some(KERBEROS)));
    let made = Made {
        options: 0,
        ..Made::default()
    };
    assert_eq!(proven(judged(&made)).reply, None);
}

fn response_of_server(state: u8, mechanism: Option<&[u8]>) -> Vec<u8> {
    let mut fields = der::value(0xa0, &[0x0a, 1, state]);
    fields.extend(
        mechanism
            .map(|oid| der::value(0xa1, &der::value(der::OID, oid)))
            .unwrap_or_default(),
    );
    der::value(0xa1, &der::value(der::SEQUENCE, &fields))
}

#[test]
fn all_types_of_keys_and_both_numbers_of_kerberos_are_accepted() {
    for etype in [17, 18, 19, 20] {
        let made = Made {
            key: key(etype, 1),
            ticket_etype: etype,
            session: key(etype, 2),
            session_etype: etype,
            subkey: Some(key(etype, 3)),
            ..Made::default()
        };
        for oid in [KERBEROS, KERBEROS_CUT] {
            let server = server(&[(etype, 1, 3)]);
            let token = framed(oid, &made.ap_req());
            let negotiated = offer(&[oid, NTLM], Some(&token));
            for token in [&token, &negotiated, &made.ap_req()] {
                let server = self::server(&[(etype, 1, 3)]);
                let proven = proven(server.accept(token, None, at(NOW)));
                assert_eq!((&*proven.principal, &*proven.realm), ("ada", "CORP.EXAMPLE"));
                assert_eq!(proven.pac, Privileges::None);
                assert!(proven.reply.is_some());
            }
            let reply = proven(server.accept(&negotiated, None, at(NOW))).reply.unwrap();
            assert!(reply.starts_with(&[0xa1]) && reply.windows(oid.len()).any(|bytes| bytes == oid));
        }
    }
}

#[test]
fn old_and_new_keys_are_accepted_side_by_side() {
    let server = server(&[(18, 4, 3), (18, 5, 4), (17, 6, 4)]);
    let accepted = |byte, kvno| {
        let made = Made {
            key: key(18, byte),
            kvno,
            ..Made::default()
        };
        server.accept(&made.ap_req(), None, at(NOW)).map(drop)
    };
    for kvno in [Some(3), Some(4), Some(9), None] {
        assert_eq!(accepted(4, kvno), Ok(()), "{kvno:?}");
        assert_eq!(accepted(5, kvno), Ok(()), "{kvno:?}");
    }
    assert_eq!(accepted(7, Some(3)), Err(NotProven::Integrity("the ticket")));
    let unknown = NotProven::NoKey {
        etype: 18,
        kvno: Some(5),
    };
    assert_eq!(accepted(7, Some(5)), Err(unknown));
    assert!(unknown.to_string().contains("key version 5"));
    let made = Made {
        ticket_etype: 23,
        ..Made::default()
    };
    assert_eq!(
        server.accept(&made.ap_req(), None, at(NOW)).map(drop),
        Err(NotProven::NoKey {
            etype: 23,
            kvno: Some(3)
        })
    );
}

#[test]
fn clocks_may_be_five_minutes_apart() {
    let by = |seconds| {
        judged(&Made {
            client_time: NOW + seconds,
            ..Made::default()
        })
        .map(drop)
    };
    for seconds in [0, 299, 300, -300] {
        assert_eq!(by(seconds), Ok(()), "{seconds}");
    }
    for seconds in [301, -301, 900, -900, 86_400] {
        assert_eq!(by(seconds), Err(NotProven::Clock { seconds }));
    }
    let ahead = NotProven::Clock { seconds: 900 }.to_string();
    assert_eq!(
        ahead,
        "clock: the client's is 900 s ahead of the proxy's; 300 s are allowed"
    );
    assert!(
        NotProven::Clock { seconds: -900 }
            .to_string()
            .contains("900 s behind the")
    );
    let ends = |end| {
        judged(&Made {
            end,
            ..Made::default()
        })
        .map(drop)
    };
    assert_eq!(ends(NOW - 300), Ok(()));
    assert_eq!(ends(NOW - 900), Err(NotProven::Expired { seconds: 900 }));
    let starts = |start| {
        judged(&Made {
            start,
            ..Made::default()
        })
        .map(drop)
    };
    assert_eq!(starts(NOW + 300), Ok(()));
    assert_eq!(starts(NOW + 900), Err(NotProven::NotYetValid { seconds: 900 }));
}

#[test]
fn real_tokens_depend_on_the_time_too() {
    let captured = Captured::read();
    let token = captured.token("ada");
    let later = |seconds| {
        let server = server_of(&captured);
        server
            .accept(&token, None, captured.time + Duration::from_secs(seconds))
            .map(drop)
    };
    assert_eq!(later(0), Ok(()));
    assert_eq!(later(290), Ok(()));
    assert!(matches!(
        later(900),
        Err(NotProven::Clock { seconds: -900..=-890 })
    ));
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let other = Made {
        claims: "max",
        ..Made::default()
    };
    assert_eq!(refused(&other), NotProven::OtherClient);
    let other = Made {
        claims_realm: "OTHER.EXAMPLE",
        ..Made::default()
    };
    assert_eq!(refused(&other), NotProven::OtherClient);
    let invalid = Made {
        ticket_flags: 1,
        ..Made::default()
    };
    assert!(matches!(refused(&invalid), NotProven::NotYetValid { .. }));
    let user_to_user = Made {
        options: 0x40,
        ..Made::default()
    };
    assert_eq!(refused(&user_to_user), NotProven::UserToUser);
    let rc4 = Made {
        session_etype: 23,
        ..Made::default()
    };
    assert_eq!(refused(&rc4), NotProven::WeakKey { etype: 23 });
    let mixed = Made {
        session: key(17, 2),
        ..Made::default()
    };
    assert_eq!(
        refused(&mixed),
        NotProven::Malformed("a broken ticket"),
        "a key of 16 bytes that says it has 32"
    );
    let unnamed = Made {
        client: "",
        claims: "",
        ..Made::default()
    };
    assert_eq!(refused(&unnamed), NotProven::Malformed("a broken ticket"));
    let control = Made {
        client: "a\ndmin",
        claims: "a\ndmin",
        ..Made::default()
    };
    assert_eq!(refused(&control), NotProven::Malformed("a broken ticket"));
    let micros = Made {
        cusec: 1_000_000,
        ..Made::default()
    };
    assert_eq!(refused(&micros), NotProven::Malformed("a broken authenticator"));
}

#[test]
fn a_token_is_good_once_and_two_hundred_of_a_second_are_good() {
    let captured = Captured::read();
    let real = server_of(&captured);
    let token = captured.token("ada");
    proven(real.accept(&token, None, captured.time));
    let again = real.accept(&token, None, captured.time + Duration::from_secs(299));
    assert_eq!(again.map(drop), Err(NotProven::Replay));

    let server = server(&[(18, 1, 3)]);
    // All in the same microsecond, and with the same keys: clients have no better clock than this.
    let tokens: Vec<_> = (0..200).map(|_| Made::default().ap_req()).collect();
    for token in &tokens {
        proven(server.accept(token, None, at(NOW)));
    }
    for token in &tokens {
        // In other framing, too.
        let token = offer(&[KERBEROS], Some(&framed(KERBEROS, token)));
        assert_eq!(
            server.accept(&token, None, at(NOW + 100)).map(drop),
            Err(NotProven::Replay)
        );
    }
}

#[test]
fn a_token_that_was_refused_is_not_used_up() {
    let server = server(&[(18, 1, 3)]);
    let token = Made {
        client_time: NOW + 400,
        ..Made::default()
    }
    .ap_req();
    assert!(matches!(
        server.accept(&token, None, at(NOW)),
        Err(NotProven::Clock { .. })
    ));
    proven(server.accept(&token, None, at(NOW + 200)));
}

#[test]
fn ntlm_is_refused_by_name_however_it_comes() {
    let server = server(&[(18, 1, 3)]);
    for token in [
        NTLM_TOKEN.to_vec(),
        offer(&[NTLM], Some(NTLM_TOKEN)),
        offer(&[NTLM], None),
        offer(&[NEGOEX, NTLM], Some(b"NEGOEXTS")),
        offer(&[&[0x2b, 9]], Some(NTLM_TOKEN)),
        response(None, Some(NTLM_TOKEN), None),
    ] {
        let refused = server.accept(&token, None, at(NOW)).map(drop).unwrap_err();
        assert_eq!(refused, NotProven::Ntlm);
        assert!(refused.to_string().contains("no Kerberos ticket"));
    }
    let other = server.accept(&offer(&[&[0x2b, 9]], Some(b"x")), None, at(NOW));
    assert_eq!(other.map(drop), Err(NotProven::NoKerberos));
    // NTLM again, where Kerberos was chosen.
    let (_, round) = continued(server.accept(&offer(&[NTLM, KERBEROS], Some(NTLM_TOKEN)), None, at(NOW)));
    let again = server.accept(&response(None, Some(NTLM_TOKEN), None), Some(round), at(NOW));
    assert_eq!(again.map(drop), Err(NotProven::Ntlm));
}

#[test]
fn kerberos_is_chosen_where_a_client_began_with_something_else() {
    let server = server(&[(18, 1, 3)]);
    let mechanisms = [NEGOEX, NTLM, KERBEROS_CUT, KERBEROS];
    let first = || continued(server.accept(&offer(&mechanisms, Some(NTLM_TOKEN)), None, at(NOW)));
    let (reply, round) = first();
    assert_eq!(reply, response_of_server(3, Some(KERBEROS_CUT)), "request-mic");

    // The ticket in the second round, the signature in the third.
    let made = Made::default();
    let token = framed(KERBEROS, &made.ap_req());
    let (reply, round) = continued(server.accept(&response(None, Some(&token), None), Some(round), at(NOW)));
    assert!(
        reply.windows(5).any(|bytes| bytes == [0xa0, 3, 0x0a, 1, 1]),
        "accept-incomplete"
    );
    let mic = client_mic(&key(18, 3), &list(&mechanisms));
    let last = response(Some(0), None, Some(&mic));
    let known = proven(server.accept(&last, Some(round), at(NOW)));
    assert_eq!(known.principal, "ada");
    assert_eq!(known.reply.unwrap(), response_of_server(0, None));

    // Both at once, by a client that wants no proof, and made no key of its own.
    let made = Made {
        options: 0,
        subkey: None,
        ..Made::default()
    };
    let token = framed(KERBEROS, &made.ap_req());
    let mic = client_mic(&key(18, 2), &list(&mechanisms));
    let both = response(None, Some(&token), Some(&mic));
    assert_eq!(
        proven(server.accept(&both, Some(first().1), at(NOW))).principal,
        "ada"
    );
}

#[test]
fn a_list_of_mechanisms_that_was_changed_on_the_way_is_noticed() {
    let server = server(&[(18, 1, 3)]);
    let mechanisms = [NTLM, KERBEROS];
    let first = || continued(server.accept(&offer(&mechanisms, None), None, at(NOW))).1;
    let second = || {
        let token = framed(KERBEROS, &Made::default().ap_req());
        continued(server.accept(&response(None, Some(&token), None), Some(first()), at(NOW))).1
    };
    let bad = NotProven::Integrity("the signature of the mechanisms");
    for mic in [
        client_mic(&key(18, 3), &list(&[KERBEROS, NTLM])),
        client_mic(&key(18, 2), &list(&mechanisms)),
        b"short".to_vec(),
        Vec::new(),
    ] {
        let last = response(None, None, Some(&mic));
        assert_eq!(server.accept(&last, Some(second()), at(NOW)).map(drop), Err(bad));
        let token = framed(KERBEROS, &Made::default().ap_req());
        let both = response(None, Some(&token), Some(&mic));
        assert_eq!(server.accept(&both, Some(first()), at(NOW)).map(drop), Err(bad));
    }
    let missing = server.accept(&response(Some(0), None, None), Some(second()), at(NOW));
    assert!(matches!(missing, Err(NotProven::Malformed(_))));
    let given_up = server.accept(&response(Some(2), None, None), Some(second()), at(NOW));
    assert_eq!(given_up.map(drop), Err(NotProven::GivenUp));
    // The rounds belong to a connection.
    let mic = client_mic(&key(18, 3), &list(&mechanisms));
    let alone = server.accept(&response(None, None, Some(&mic)), None, at(NOW));
    assert_eq!(alone.map(drop), Err(NotProven::OutOfOrder));
    let token = framed(KERBEROS, &Made::default().ap_req());
    let alone = server.accept(&response(None, Some(&token), None), None, at(NOW));
    assert_eq!(alone.map(drop), Err(NotProven::OutOfOrder));
}

/// Each prefix and each changed byte of a real token: none is accepted, and nothing panics.
#[test]
fn a_token_that_was_changed_is_refused() {
    let captured = Captured::read();
    let token = captured.token("ada");
    let server = server_of(&captured);
    for end in 0..token.len() {
        let cut = server.accept(&token[..end], None, captured.time);
        assert!(cut.is_err(), "{end}");
    }
    let mut unnoticed = Vec::new();
    for at in 0..token.len() {
        for bit in 0..8 {
            let mut bad = token.clone();
            bad[at] ^= 1 << bit;
            // Each on its own: a byte in the framing that nobody reads may be changed.
            if matches!(
                server_of(&captured).accept(&bad, None, captured.time),
                Ok(Accepted::Proven(_))
            ) {
                unnoticed.push(at);
            }
        }
    }
    unnoticed.dedup();
    // Names of the service, lengths and options stand in clear, and are not protected by Kerberos either.
    let protected = |at: &usize| {
        let ciphers = [cipher_range(&token, 3), cipher_range(&token, 4)];
        ciphers.iter().any(|range| range.contains(at))
    };
    assert_eq!(
        unnoticed.into_iter().filter(protected).collect::<Vec<_>>(),
        [0; 0]
    );
}

/// Where the ciphertext of the ticket (3) or of the authenticator (4) stands in a token.
fn cipher_range(token: &[u8], field: u8) -> std::ops::Range<usize> {
    let Some(SpnegoToken::Offer(offer)) = spnego::read(token) else {
        panic!("no offer");
    };
    let (ap_req, _) = spnego::kerberos(offer.token.unwrap()).unwrap();
    let request = ApReq::read(ap_req).unwrap();
    let cipher = if field == 3 {
        request.ticket.cipher
    } else {
        request.authenticator.cipher
    };
    let start = cipher.as_ptr() as usize - token.as_ptr() as usize;
    start..start + cipher.len()
}

#[test]
fn the_parts_that_are_encrypted_are_read_without_a_panic() {
    let captured = Captured::read();
    for name in ["ada", "m.weber"] {
        let token = captured.token(name);
        let Some(SpnegoToken::Offer(offer)) = spnego::read(&token) else {
            panic!("no offer");
        };
        let (ap_req, _) = spnego::kerberos(offer.token.unwrap()).unwrap();
        let request = ApReq::read(ap_req).unwrap();
        let server = server_of(&captured);
        let (service, plain) = server.open(&request.ticket).unwrap();
        let ticket = TicketPart::read(&plain).unwrap();
        let session = ticket.key.clone().unwrap();
        let pac = ticket.pac.unwrap();
        let claims = session
            .decrypt(AUTHENTICATOR, request.authenticator.cipher)
            .unwrap();
        for (part, read) in [
            (
                &plain[..],
                &(|bytes: &[u8]| assert!(TicketPart::read(bytes).is_some() || bytes != plain))
                    as &dyn Fn(&[u8]),
            ),
            (&claims, &|bytes| {
                assert!(Authenticator::read(bytes).is_some() || bytes != claims)
            }),
            (pac, &|bytes| {
                assert!(Pac::read(bytes, service).is_ok() || bytes != pac)
            }),
            (pac, &|bytes| {
                assert!(Pac::read_unsigned(bytes).is_some() || bytes != pac)
            }),
        ] {
            for end in 0..part.len() {
                read(&part[..end]);
            }
            for at in 0..part.len() {
                for value in [0, 1, 0x7f, 0x80, 0xff, part[at] ^ 1, part[at] ^ 0x80] {
                    let mut bad = part.to_vec();
                    bad[at] = value;
                    read(&bad);
                }
            }
        }
    }
}

#[test]
fn groups_are_believed_only_if_the_domain_signed_them() {
    let captured = Captured::read();
    let token = captured.token("ada");
    let Some(SpnegoToken::Offer(offer)) = spnego::read(&token) else {
        panic!("no offer");
    };
    let (ap_req, _) = spnego::kerberos(offer.token.unwrap()).unwrap();
    let server = server_of(&captured);
    let request = ApReq::read(ap_req).unwrap();
    let (service, plain) = server.open(&request.ticket).unwrap();
    let pac = TicketPart::read(&plain).unwrap().pac.unwrap();
    let read = |pac: &[u8]| Pac::read(pac, service).map(|pac| pac.account);
    assert_eq!(read(pac).as_deref(), Ok("ada"));
    assert_eq!(Pac::read(pac, &key(18, 9)), Err(PacProblem::BadSignature));
    assert_eq!(
        Pac::read(pac, &key(17, 9)),
        Err(PacProblem::Unsigned),
        "another type"
    );
    assert_eq!(Pac::read(b"", service), Err(PacProblem::Malformed));
    assert_eq!(Pac::read(&[0; 8], service), Err(PacProblem::Unsigned));
    for at in 8..pac.len() {
        let mut bad = pac.to_vec();
        bad[at] ^= 1;
        // But for the other signature, which is not ours to check, everything is held.
        assert!(read(&bad).is_err() || read(&bad).as_deref() == Ok("ada"), "{at}");
    }

    // A PAC that is not believed does not make the user unknown.
    let made = |pac| Made {
        pac: Some(pac),
        ..Made::default()
    };
    let doubtful = proven(judged(&made(pac.to_vec())));
    assert_eq!(doubtful.principal, "ada");
    assert_eq!(doubtful.pac, Privileges::Doubtful(PacProblem::BadSignature));
    let broken = proven(judged(&made(b"nothing".to_vec())));
    assert_eq!(broken.pac, Privileges::Doubtful(PacProblem::Malformed));
}

#[test]
fn a_token_has_a_largest_size() {
    let server = server(&[(18, 1, 3)]);
    let long = vec![0x60; MAX_TOKEN + 1];
    assert_eq!(
        server.accept(&long, None, at(NOW)).map(drop),
        Err(NotProven::Malformed("it is longer than 65,535 bytes"))
    );
    for token in [&b""[..], b"x", b"\x60\x80", b"NTLMSSP", &[0x60; 60_000]] {
        assert!(matches!(
            server.accept(token, None, at(NOW)),
            Err(NotProven::Malformed(_))
        ));
    }
}

#[test]
fn nothing_secret_shows_in_debug_output() {
    let server = server(&[(18, 0xab, 3)]);
    let shown = format!("{server:?}");
    assert!(
        shown.contains("HTTP/proxy@CORP.EXAMPLE") && !shown.contains("171"),
        "{shown}"
    );
}

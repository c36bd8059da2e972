use super::*;
use proptest::prelude::*;

fn found(secret: Secret, text: &str) -> Vec<&str> {
    let mut spans = Vec::new();
    find(secret, text.as_bytes(), &mut spans);
    spans.into_iter().map(|span| &text[span]).collect()
}

fn body(length: usize) -> String {
    "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7"
        .chars()
        .cycle()
        .take(length)
        .collect()
}

#[test]
fn card_numbers() {
    for card in [
        "4111111111111111",
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "378282246310005",
        "3782 822463 10005",
        "5555555555554444",
        "6011111111111117",
        "2223003122003222",
        "30569309025904",
    ] {
        assert_eq!(found(Secret::CardNumber, &format!("pay {card}, please")), [card]);
    }
    for text in [
        "4111111111111112",
        "14111111111111111",
        "41111111111111110000000",
        "4111-1111 1111-1111",
        "x4111111111111111",
        "0.4111111111111111",
        "1700000000000 1700000000001",
        "0000000000000000",
        "2024-11-23 10-20-30",
    ] {
        assert_eq!(found(Secret::CardNumber, text), Vec::<&str>::new(), "{text}");
    }
    assert_eq!(
        found(Secret::CardNumber, "7 4111 1111 1111 1111 12"),
        ["4111 1111 1111 1111"]
    );
}

#[test]
fn tokens_with_prefixes() {
    for (secret, token) in [
        (Secret::GitHub, format!("ghp_{}", body(36))),
        (Secret::GitHub, format!("github_pat_{}", body(82))),
        (Secret::GitLab, format!("glpat-{}", body(20))),
        (Secret::Slack, format!("xoxb-{}-{}", "123456789012", body(24))),
        (Secret::Stripe, format!("sk_live_{}", body(24))),
        (Secret::Google, format!("AIza{}", body(35))),
        (Secret::AiProvider, format!("sk-ant-api03-{}", body(93))),
        (Secret::AiProvider, format!("sk-{}T3BlbkFJ{}", body(20), body(20))),
        (Secret::Aws, "AKIAQ3EGRT5YHB7NWXZ2".to_owned()),
    ] {
        assert_eq!(found(secret, &format!("key=\"{token}\"")), [token.as_str()]);
        assert_eq!(found(secret, &token[..12]), Vec::<&str>::new());
        assert_eq!(found(secret, &format!("a{token}")), Vec::<&str>::new(), "{token}");
    }
    assert!(found(Secret::GitHub, &format!("ghp_{}", "x".repeat(36))).is_empty());
    assert!(found(Secret::Aws, "AKIAIOSFODNN7EXAMPLE").is_empty());
    let azure = format!("AccountKey={}==", body(86));
    assert_eq!(found(Secret::Azure, &format!("{azure};")), [azure.as_str()]);
}

#[test]
fn aws_secret_keys_need_a_context() {
    let key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzq8sT1vW4y";
    assert_eq!(
        found(Secret::Aws, &format!("aws_secret_access_key = {key}")),
        [key]
    );
    assert_eq!(
        found(Secret::Aws, &format!("AKIAQ3EGRT5YHB7NWXZ2 {key}")).len(),
        2
    );
    assert!(found(Secret::Aws, key).is_empty());
    assert!(
        found(
            Secret::Aws,
            "secret key: da39a3ee5e6b4b0d3255bfef95601890afd80709"
        )
        .is_empty()
    );
}

#[test]
fn private_keys_whole() {
    let key = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----";
    assert_eq!(found(Secret::PrivateKey, &format!("a {key} b")), [key]);
    assert_eq!(
        found(Secret::PrivateKey, "-----BEGIN PRIVATE KEY-----\nMI").len(),
        1
    );
    assert!(found(Secret::PrivateKey, "-----BEGIN PUBLIC KEY-----\nMI").is_empty());
    assert!(found(Secret::PrivateKey, "the PRIVATE KEY is elsewhere").is_empty());
}

#[test]
fn signed_tokens() {
    let jwt = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.\
               dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U";
    assert_eq!(found(Secret::Jwt, &format!("Bearer {jwt}")), [jwt]);
    assert!(
        found(
            Secret::Jwt,
            "eyJhbGciOiJIUzI1NiJ9.notjson.dozjgNryP4J3jVmNHl0w5N_XgL0n"
        )
        .is_empty()
    );
    assert!(found(Secret::Jwt, "eyJ eyJ. eyJ..").is_empty());
}

#[test]
fn bank_accounts_and_social_security_numbers() {
    for iban in [
        "DE89370400440532013000",
        "GB29 NWBK 6016 1331 9268 19",
        "NO9386011117947",
    ] {
        assert_eq!(found(Secret::Iban, &format!("to {iban}.")), [iban]);
    }
    for text in [
        "DE89370400440532013001",
        "DE8937040044053201300",
        "xDE89370400440532013000",
        "AB12",
    ] {
        assert!(found(Secret::Iban, text).is_empty(), "{text}");
    }
    assert_eq!(found(Secret::UsSsn, "ssn 536-90-4399."), ["536-90-4399"]);
    for text in [
        "000-12-3456",
        "666-12-3456",
        "912-12-3456",
        "536-00-4399",
        "078-05-1120",
        "1536-90-4399",
    ] {
        assert!(found(Secret::UsSsn, text).is_empty(), "{text}");
    }
}

proptest! {
    #[test]
    fn luhn_finds_every_wrong_digit(digits in prop::collection::vec(0_u8..10, 12..19), at: prop::sample::Index, by in 1_u8..10) {
        let mut digits = digits;
        digits.push(0);
        let last = digits.len() - 1;
        let check = (0..10).find(|&check| { digits[last] = check; numbers::luhn(&digits) }).unwrap();
        digits[last] = check;
        let at = at.index(digits.len());
        digits[at] = (digits[at] + by) % 10;
        prop_assert!(!numbers::luhn(&digits));
    }

    #[test]
    fn no_content_panics_and_all_spans_are_inside(
        data in prop::collection::vec(
            prop::sample::select(vec![
                &b"4"[..], b"1111", b" ", b"-", b"DE", b"89", b"AKIA", b"secret", b"key=", b"eyJ", b".", b"ghp_",
                b"-----BEGIN ", b"PRIVATE KEY-----", b"-----END ", b"sk-", b"T3BlbkFJ", b"aB3dE6gH9jK2mN5pQ8sT",
                b"\xff", b"service_account", b"\"private_key_id\"", b"PuTTY-User-Key-File-2",
            ]),
            0..40,
        ),
    ) {
        let data = data.concat();
        for &secret in Secret::ALL {
            let mut spans = Vec::new();
            find(secret, &data, &mut spans);
            prop_assert!(spans.iter().all(|span| span.start < span.end && span.end <= data.len()));
        }
    }
}

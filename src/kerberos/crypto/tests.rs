//! The vectors that the RFCs print.

use super::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// RFC 3961 appendix A.1.
#[test]
fn folds_as_the_rfc_does() {
    assert_eq!(fold::<8>(b"012345").to_vec(), hex("be072631276b1955"));
    assert_eq!(fold::<7>(b"password").to_vec(), hex("78a07b6caf85fa"));
    assert_eq!(
        fold::<8>(b"Rough Consensus, and Running Code").to_vec(),
        hex("bb6ed30870b7f0e0")
    );
    assert_eq!(
        fold::<21>(b"password").to_vec(),
        hex("59e4a8ca7c0385c3c37b3f6d2000247cb6e6bd5b3e")
    );
    assert_eq!(
        fold::<24>(b"MASSACHVSETTS INSTITVTE OF TECHNOLOGY").to_vec(),
        hex("db3b0d8f0b061e603282b308a50841229ad798fab9540c1b")
    );
    assert_eq!(
        fold::<21>(b"Q").to_vec(),
        hex("518a54a2 15a8452a 518a54a2 15a8452a 518a54a2 15")
    );
    assert_eq!(
        fold::<16>(b"kerberos").to_vec(),
        hex("6b657262 65726f73 7b9b5b2b 93132b93")
    );
}

/// RFC 3962 appendix B: ciphertext stealing with the key "chicken teriyaki".
#[test]
fn steals_ciphertext_as_the_rfc_does() {
    let text = b"I would like the General Gau's Chicken, please, and wonton soup.";
    for (length, cipher) in [
        (17, "c6353568f2bf8cb4d8a580362da7ff7f97"),
        (
            31,
            "fc00783e0efdb2c1d445d4c8eff7ed2297687268d6ecccc0c07b25e25ecfe5",
        ),
        (
            32,
            "39312523a78662d5be7fcbcc98ebf5a897687268d6ecccc0c07b25e25ecfe584",
        ),
        (
            47,
            "97687268d6ecccc0c07b25e25ecfe584b3fffd940c16a18c1b5549d2f838029e39312523a78662d5be7fcbcc98ebf5",
        ),
        (
            48,
            "97687268d6ecccc0c07b25e25ecfe5849dad8bbb96c4cdc03bc103e1a194bbd839312523a78662d5be7fcbcc98ebf5a8",
        ),
        (
            64,
            "97687268d6ecccc0c07b25e25ecfe58439312523a78662d5be7fcbcc98ebf5a84807efe836ee89a526730dbc2f7bc840
             9dad8bbb96c4cdc03bc103e1a194bbd8",
        ),
    ] {
        let key = || cipher_key(b"chicken teriyaki");
        assert_eq!(
            cts(key().unwrap(), &text[..length]).unwrap(),
            hex(cipher),
            "{length}"
        );
        assert_eq!(uncts(key, &hex(cipher)).unwrap(), text[..length], "{length}");
    }
}

/// RFC 8009 appendix A.
#[test]
fn derives_as_rfc_8009_does() {
    let key = Key::new(Etype::Aes128Sha256, &hex("3705d96080c17728a0e800eab6e0d23c")).unwrap();
    let derived = |purpose| key.derived(2, purpose).unwrap();
    assert_eq!(
        derived(Purpose::Checksum),
        hex("b31a018a48f54776f403e9a396325dc3")
    );
    assert_eq!(
        derived(Purpose::Encryption),
        hex("9b197dd1e8c5609d6e67c3e37c62c72e")
    );
    assert_eq!(
        derived(Purpose::Integrity),
        hex("9fda0e56ab2d85e1569a688696c26a6c")
    );
    let key = "6d404d37faf79f9df0d33568d320669800eb4836472ea8a026d16b7182460c52";
    let key = Key::new(Etype::Aes256Sha384, &hex(key)).unwrap();
    let derived = |purpose| key.derived(2, purpose).unwrap();
    assert_eq!(
        derived(Purpose::Checksum),
        hex("ef5718be86cc84963d8bbb5031e9f5c4ba41f28faf69e73d")
    );
    assert_eq!(
        derived(Purpose::Encryption),
        hex("56ab22bee63d82d7bc5227f6773f8ea7a5eb1c825160c38312980c442e5c7e49")
    );
    assert_eq!(
        derived(Purpose::Integrity),
        hex("69b16514e3cd8e56b82010d5c73012b622c4d00ffc23ed1f")
    );
}

/// RFC 8009 appendix A: encryption and checksums, usage 2.
#[test]
fn encrypts_as_rfc_8009_does() {
    let plain = hex("000102030405060708090a0b0c0d0e0f1011121314");
    for (etype, key, cases, checksum) in [
        (
            Etype::Aes128Sha256,
            "3705d96080c17728a0e800eab6e0d23c",
            [
                (
                    0,
                    "7e5895eaf2672435bad817f545a37148",
                    "ef85fb890bb8472f4dab20394dca781dad877eda39d50c870c0d5a0a8e48c718",
                ),
                (
                    6,
                    "7bca285e2fd4130fb55b1a5c83bc5b24",
                    "84d7f30754ed987bab0bf3506beb09cfb55402cef7e6877ce99e247e52d16ed4421dfdf8976c",
                ),
                (
                    16,
                    "56ab21713ff62c0a1457200f6fa9948f",
                    "3517d640f50ddc8ad3628722b3569d2ae07493fa8263254080ea65c1008e8fc295fb4852e7d83e1e7c48c37eebe6b0d3",
                ),
                (
                    21,
                    "a7a4e29a4728ce10664fb64e49ad3fac",
                    "720f73b18d9859cd6ccb4346115cd336c70f58edc0c4437c5573544c31c813bce1e6d072c186b39a413c2f92ca9b8334
                     a287ffcbfc",
                ),
            ],
            "d78367186643d67b411cba9139fc1dee",
        ),
        (
            Etype::Aes256Sha384,
            "6d404d37faf79f9df0d33568d320669800eb4836472ea8a026d16b7182460c52",
            [
                (
                    0,
                    "f764e9fa15c276478b2c7d0c4e5f58e4",
                    "41f53fa5bfe7026d91faf9be959195a058707273a96a40f0a01960621ac612748b9bbfbe7eb4ce3c",
                ),
                (
                    6,
                    "b80d3251c1f6471494256ffe712d0b9a",
                    "4ed7b37c2bcac8f74f23c1cf07e62bc7b75fb3f637b9f559c7f664f69eab7b6092237526ea0d1f61cb20d69d10f2",
                ),
                (
                    16,
                    "53bf8a0d105265d4e276428624ce5e63",
                    "bc47ffec7998eb91e8115cf8d19dac4bbbe2e163e87dd37f49beca92027764f68cf51f14d798c2273f35df574d1f932e
                     40c4ff255b36a266",
                ),
                (
                    21,
                    "763e65367e864f02f55153c7e3b58af1",
                    "40013e2df58e8751957d2878bcd2d6fe101ccfd556cb1eae79db3c3ee86429f2b2a602ac86fef6ecb647d6295fae077a
                     1feb517508d2c16b4192e01f62",
                ),
            ],
            "45ee791567eefca37f4ac1e0222de80d43c3bfa06699672a",
        ),
    ] {
        let key = Key::new(etype, &hex(key)).unwrap();
        for (length, confounder, cipher) in cases {
            let (plain, cipher) = (&plain[..length], hex(cipher));
            let confounder = hex(confounder).try_into().unwrap();
            assert_eq!(key.encrypt_with(2, confounder, plain).unwrap(), cipher, "{etype:?} {length}");
            assert_eq!(key.decrypt(2, &cipher).unwrap(), plain);
        }
        assert!(key.verifies(2, &[&plain[..3], &plain[3..]], &hex(checksum)));
        assert!(!key.verifies(3, &[&plain], &hex(checksum)));
        assert!(!key.verifies(2, &[&plain], &hex(checksum)[1..]));
    }
}

#[test]
fn what_was_changed_or_belongs_to_another_usage_is_not_decrypted() {
    for etype in [17, 18, 19, 20].map(|number| Etype::from_number(number).unwrap()) {
        let key = Key::new(etype, &vec![7; etype.key_length()]).unwrap();
        for length in [0, 1, 15, 16, 17, 31, 32, 33, 1000] {
            let plain = vec![length as u8; length];
            let cipher = key.encrypt(2, &plain).unwrap();
            assert_eq!(cipher.len(), length + BLOCK + etype.mac_length());
            assert_eq!(key.decrypt(2, &cipher).unwrap(), plain);
            assert_eq!(key.decrypt(3, &cipher), None);
            for end in 0..cipher.len().min(90) {
                assert_eq!(key.decrypt(2, &cipher[..end]), None);
            }
            for at in 0..cipher.len().min(90) {
                let mut bad = cipher.clone();
                bad[at] ^= 1;
                assert_eq!(key.decrypt(2, &bad), None);
            }
        }
    }
    assert!(Key::new(Etype::Aes256Sha1, &[7; 16]).is_none());
    assert!(Etype::from_number(23).is_none());
}

#[test]
fn keys_do_not_show_in_debug_output() {
    let key = Key::new(Etype::Aes128Sha1, &[0xab; 16]).unwrap();
    assert_eq!(format!("{key:?}"), "Key { etype: Aes128Sha1, .. }");
}

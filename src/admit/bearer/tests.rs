use super::testing::{ISSUER, Signer, claims, config, encode, key_set};
use super::*;
use crate::admit::testing::{Told, deaf, straight};
use crate::handshake::ServiceTls;
use crate::tls::testing::Identity;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Mutex;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

fn bearer() -> Bearer {
    Bearer::new(&config(), &Realm::default(), (&deaf(), &straight()), None)
}

async fn judge(bearer: &Bearer, token: &str) -> Result<String, &'static str> {
    match bearer.judge(token.as_bytes(), SystemTime::now()).await {
        Borne::User(user) => Ok(user.name),
        Borne::Unproven { why, .. } => Err(why.label()),
        Borne::Unsure(unsure, _) => Err(unsure.why.label()),
    }
}

fn ada() -> Result<String, &'static str> {
    Ok("ada".to_owned())
}

#[tokio::test]
async fn a_token_of_the_issuer_names_its_user() {
    let bearer = bearer();
    let token = ISSUER.token(&claims("ada"));
    assert_eq!(judge(&bearer, &token).await, ada());
    assert_eq!(
        bearer
            .remembered(token.as_bytes(), SystemTime::now())
            .unwrap()
            .name,
        "ada"
    );
    let header = json!({ "typ": "application/AT+JWT", "jku": "https://evil.example", "x": 1 });
    let odd = ISSUER.token_of(&header, &claims("ada"));
    assert_eq!(judge(&bearer, &odd).await, ada());
}

#[tokio::test]
async fn what_is_known_of_forged_tokens_does_not_work_here() {
    let bearer = bearer();
    let good = ISSUER.token(&claims("ada"));
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (header, payload) = signed.split_once('.').unwrap();
    let (attacker, max) = (Signer::new("one"), claims("max"));
    let with = |header: Value| ISSUER.token_of(&header, &claims("ada"));
    let own_key = attacker.token_of(&json!({ "jwk": attacker.jwk() }), &max);
    let forged = |alg: &str| {
        let header = encode(json!({ "alg": alg, "kid": "one" }).to_string());
        format!("{header}.{}.{}", encode(max.to_string()), encode([7; 32]))
    };
    let none = |signature: &str| {
        let header = encode(json!({ "alg": "none" }).to_string());
        format!("{header}.{}.{signature}", encode(max.to_string()))
    };
    for (what, token, why) in [
        ("none", none(""), "bad_token"),
        ("none with a signature", none(signature), "bad_token"),
        ("None", forged("None"), "bad_token"),
        ("an HMAC", forged("HS256"), "bad_token"),
        ("an algorithm in another case", forged("es256"), "bad_token"),
        (
            "an algorithm of other keys",
            with(json!({ "alg": "RS256" })),
            "no_key",
        ),
        ("another one's key", attacker.token(&max), "bad_token"),
        ("its own key in it", own_key, "bad_token"),
        (
            "a key by an address",
            attacker.token_of(&json!({ "jku": "https://evil.example/k" }), &max),
            "bad_token",
        ),
        (
            "a name of a file",
            attacker.token_of(&json!({ "kid": "../../../dev/null" }), &max),
            "no_key",
        ),
        (
            "a name for a database",
            attacker.token_of(&json!({ "kid": "x' UNION SELECT 'k" }), &max),
            "no_key",
        ),
        (
            "a name that is none",
            with(json!({ "kid": ["one"] })),
            "malformed",
        ),
        (
            "an extension",
            with(json!({ "crit": ["b64"], "b64": false })),
            "bad_token",
        ),
        ("no extension", with(json!({ "crit": null })), "bad_token"),
        ("an encrypted one", with(json!({ "enc": "A256GCM" })), "bad_token"),
        ("a logout", with(json!({ "typ": "logout+jwt" })), "bad_token"),
        (
            "an algorithm twice",
            ISSUER.sign(
                r#"{"alg":"none","alg":"ES256","kid":"one"}"#,
                &claims("ada").to_string(),
            ),
            "malformed",
        ),
        ("no signature", format!("{signed}."), "bad_token"),
        ("no claims", format!("{header}..{signature}"), "bad_token"),
        (
            "other claims",
            format!("{header}.{}.{signature}", encode(max.to_string())),
            "bad_token",
        ),
        (
            "nothing but zeros",
            format!("{signed}.{}", encode([0; 64])),
            "bad_token",
        ),
        ("a longer signature", format!("{good}AA"), "bad_token"),
        ("padding", format!("{good}=="), "malformed"),
        ("four parts", format!("{good}.{signature}"), "malformed"),
        ("five parts", format!("{good}..."), "malformed"),
        ("two parts", signed.to_owned(), "malformed"),
        ("nothing", String::new(), "malformed"),
        ("another alphabet", good.replace('.', ".+"), "malformed"),
        (
            "white space",
            format!("{header}. {payload}.{signature}"),
            "bad_token",
        ),
        ("no object", ISSUER.sign(r#"{"alg":"ES256"}"#, "[]"), "malformed"),
        (
            "no text",
            ISSUER.sign("{\"alg\":\"ES256\"}", "\u{0}"),
            "malformed",
        ),
    ] {
        assert_eq!(judge(&bearer, &token).await, Err(why), "{what}: {token}");
        assert!(
            bearer.remembered(token.as_bytes(), SystemTime::now()).is_none(),
            "{what}"
        );
    }
}

#[tokio::test]
async fn what_is_large_or_deep_is_not_read() {
    let bearer = bearer();
    let large = json!({ "alg": "ES256", "x": "x".repeat(5000) }).to_string();
    let deep = format!(r#"{{"alg":"ES256","x":{}}}"#, "[".repeat(900));
    let mut many = claims("ada");
    many["x"] = json!("x".repeat(40_000));
    for token in [
        ISSUER.sign(&large, "{}"),
        ISSUER.sign(&deep, "{}"),
        ISSUER.sign(r#"{"alg":"ES256"}"#, &"[".repeat(30_000)),
        ISSUER.token(&many),
    ] {
        assert_eq!(judge(&bearer, &token).await, Err("malformed"), "{}", token.len());
    }
}

#[tokio::test]
async fn only_what_is_allowed_is_verified() {
    let config = BearerConfig {
        algorithms: vec![Algorithm::Rs256],
        ..config()
    };
    let bearer = Bearer::new(&config, &Realm::default(), (&deaf(), &straight()), None);
    let token = ISSUER.token(&claims("ada"));
    assert_eq!(judge(&bearer, &token).await, Err("bad_token"));
}

#[tokio::test]
async fn keys_without_names_are_tried_one_after_the_other() {
    let [first, second] = ["", ""].map(Signer::new);
    let bare = |signer: &Signer| {
        let mut jwk = signer.jwk();
        jwk.as_object_mut().unwrap().remove("kid");
        jwk
    };
    let config = BearerConfig {
        keys: KeysFrom::File(Arc::new(key_set(&[bare(&first), bare(&second)]))),
        ..config()
    };
    let bearer = Bearer::new(&config, &Realm::default(), (&deaf(), &straight()), None);
    for signer in [&first, &second] {
        for header in [json!({ "kid": null }), json!({ "kid": "whatever" })] {
            let token = signer.token_of(&header, &claims("ada"));
            assert_eq!(judge(&bearer, &token).await, ada(), "{header}");
        }
    }
    assert_eq!(
        judge(&bearer, &ISSUER.token(&claims("ada"))).await,
        Err("bad_token")
    );
}

#[test]
fn the_examples_of_the_rfcs_are_read() {
    // RFC 7515 appendices A.2 and A.3, RFC 8037 appendix A.4.
    let set = key_set(&[
        json!({ "kty": "RSA", "e": "AQAB", "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ" }),
        json!({ "kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" }),
        json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }),
    ]);
    let payload =
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    for (header, signature) in [
        (
            "eyJhbGciOiJSUzI1NiJ9",
            "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
        ),
        (
            "eyJhbGciOiJFUzI1NiJ9",
            "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
        ),
    ] {
        let text = format!("{header}.{payload}.{signature}");
        let token = BearerToken::read(text.as_bytes(), Algorithm::ALL).unwrap();
        assert_eq!(token.claims(&set).unwrap()["iss"], "joe", "{header}");
    }
    // What it signs is no JSON, which is looked at after the signature.
    let text = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    let token = BearerToken::read(text.as_bytes(), Algorithm::ALL).unwrap();
    assert!(matches!(token.claims(&set), Err(TokenFault::Malformed(_))));
}

#[test]
fn a_set_is_read_without_what_verifies_nothing() {
    let mut others = Vec::new();
    for (name, value) in [
        ("use", json!("enc")),
        ("key_ops", json!(["sign"])),
        ("alg", json!("RS256")),
        ("alg", json!("HS256")),
        ("crv", json!("P-384")),
        ("crv", json!("secp256k1")),
        ("kty", json!("oct")),
        ("kty", json!(7)),
        ("y", json!("AAAA")),
        ("y", json!(encode([1; 32]))),
        ("x", json!("!")),
        ("x", Value::Null),
    ] {
        let mut jwk = ISSUER.jwk();
        jwk[name] = value;
        others.push(jwk);
    }
    let short = json!({ "kty": "RSA", "e": "AQAB", "n": encode([255; 128]) });
    let nothing = json!({ "kty": "RSA", "e": "AQAB", "n": encode([0; 256]) });
    others.extend([short, nothing, json!("text")]);
    let with = [&others[..], &[ISSUER.jwk()]].concat();
    let set = key_set(&with);
    assert_eq!(set.left_out().len(), others.len(), "{:?}", set.left_out());
    assert_eq!(set.named(None).count(), 1);
    for wrong in [
        "",
        "[]",
        "{}",
        r#"{"keys": {}}"#,
        r#"{"keys": []}"#,
        &json!({ "keys": others }).to_string(),
        &json!({ "keys": vec![0; 201] }).to_string(),
        &" ".repeat(1 << 20),
    ] {
        assert!(KeySet::read(wrong.as_bytes()).is_err(), "{wrong}");
    }
    // Numbers may have a zero before them, as some write them.
    let padded = json!({ "kty": "RSA", "e": "AAEAAQ", "n": encode([&[0; 1][..], &[0xc5; 256]].concat()) });
    assert_eq!(key_set(&[padded]).left_out(), [""; 0]);
}

#[test]
fn the_challenge_says_what_is_wrong_with_a_token() {
    let bearer = bearer();
    for (why, line) in [
        (None, r#"Bearer realm="wsbump""#),
        (Some(Unproven::Nothing), r#"Bearer realm="wsbump""#),
        (
            Some(Unproven::Malformed),
            r#"Bearer realm="wsbump", error="invalid_request""#,
        ),
        (
            Some(Unproven::BadToken),
            r#"Bearer realm="wsbump", error="invalid_token""#,
        ),
        (
            Some(Unproven::ExpiredToken),
            r#"Bearer realm="wsbump", error="invalid_token", error_description="the token has ended""#,
        ),
    ] {
        assert_eq!(bearer.challenge(why).unwrap(), line);
    }
}

proptest! {
    #[test]
    fn whatever_comes_is_read_or_refused(token in any::<Vec<u8>>()) {
        prop_assert!(bearer().remembered(&token, SystemTime::now()).is_none());
    }

    #[test]
    fn no_byte_of_a_token_can_be_another(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let good = ISSUER.token(&claims("ada"));
        let mut changed = good.clone().into_bytes();
        let at = at.index(changed.len());
        changed[at] = byte;
        let held = bearer().remembered(&changed, SystemTime::now()).is_some();
        prop_assert_eq!(held, changed == good.into_bytes());
    }
}

/// A server of keys, as it is told to be.
struct Server {
    identity: Identity,
    port: u16,
    said: Arc<Mutex<(Vec<u8>, usize)>>,
}

impl Server {
    async fn start(answer: &str) -> Self {
        let identity = Identity::new(&["localhost"]);
        let (listener, port) = {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            (listener, port)
        };
        let said = Arc::new(Mutex::new((answer.as_bytes().to_vec(), 0)));
        let acceptor = TlsAcceptor::from(Arc::new(identity.server(rustls::ALL_VERSIONS)));
        let saying = Arc::clone(&said);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let Ok(mut tls) = acceptor.accept(stream).await else {
                    continue;
                };
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(tls.read_u8().await.unwrap());
                }
                let answer = {
                    let mut said = saying.lock().unwrap();
                    said.1 += 1;
                    said.0.clone()
                };
                tls.write_all(&answer).await.unwrap();
                let _ = tls.shutdown().await;
            }
        });
        Self { identity, port, said }
    }

    fn says(&self, answer: &str) {
        self.said.lock().unwrap().0 = answer.as_bytes().to_vec();
    }

    fn asked(&self) -> usize {
        self.said.lock().unwrap().1
    }

    fn config(&self) -> FetchedFrom {
        FetchedFrom {
            url: KeysUrl::parse(&format!("https://localhost:{}/keys", self.port)).unwrap(),
            described: None,
            tls: Arc::new(ServiceTls::new(Some(vec![self.identity.root.clone()]), None).unwrap()),
            timeout: Duration::from_secs(30),
            refresh: Duration::from_secs(3600),
            max_age: Duration::from_secs(7200),
            retry_after: Duration::ZERO,
        }
    }
}

fn answer(keys: &[Value]) -> String {
    let body = json!({ "keys": keys }).to_string();
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn fetching(from: FetchedFrom, told: &Arc<Told>) -> Bearer {
    let config = BearerConfig {
        keys: KeysFrom::Url(Arc::new(from)),
        ..config()
    };
    let watch: Arc<dyn AdmitWatch> = told.clone();
    Bearer::new(&config, &Realm::default(), (&watch, &straight()), None)
}

#[tokio::test]
async fn keys_are_fetched_once_and_again_for_one_that_is_new() {
    let (old, new) = (Signer::new("old"), Signer::new("new"));
    let server = Server::start(&answer(&[old.jwk()])).await;
    let told = Arc::<Told>::default();
    let bearer = Arc::new(fetching(server.config(), &told));
    assert!(bearer.remembered(b"", SystemTime::now()).is_none());
    let many: Vec<_> = (0..30)
        .map(|_| {
            let (bearer, token) = (Arc::clone(&bearer), old.token(&claims("ada")));
            tokio::spawn(async move { judge(&bearer, &token).await })
        })
        .collect();
    for one in many {
        assert_eq!(one.await.unwrap(), ada());
    }
    assert_eq!(server.asked(), 1, "thirty at once ask once");
    assert_eq!(told.take(), ["jwks: accepted"]);
    assert_eq!(judge(&bearer, &new.token(&claims("ada"))).await, Err("no_key"));
    server.says(&answer(&[new.jwk()]));
    assert_eq!(judge(&bearer, &new.token(&claims("ada"))).await, ada());
    assert_eq!(judge(&bearer, &old.token(&claims("ada"))).await, Err("no_key"));
    // Keys outlive a configuration that has the same ones.
    let again = Bearer::new(
        &bearer.config,
        &Realm::default(),
        (&deaf(), &straight()),
        Some(&bearer),
    );
    assert!(
        again
            .remembered(new.token(&claims("ada")).as_bytes(), SystemTime::now())
            .is_some()
    );
}

#[tokio::test]
async fn names_that_nobody_knows_do_not_have_keys_fetched_each_time() {
    let server = Server::start(&answer(&[ISSUER.jwk()])).await;
    let config = FetchedFrom {
        retry_after: Duration::from_secs(60),
        ..server.config()
    };
    let bearer = fetching(config, &Arc::default());
    for _ in 0..5 {
        let unknown = Signer::new("unknown").token(&claims("max"));
        assert_eq!(judge(&bearer, &unknown).await, Err("no_key"));
    }
    assert_eq!(judge(&bearer, &ISSUER.token(&claims("ada"))).await, ada());
    assert_eq!(server.asked(), 1);
}

#[tokio::test]
async fn a_server_that_fails_is_no_reason_to_say_no() {
    let server = Server::start("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n").await;
    let told = Arc::<Told>::default();
    let bearer = fetching(server.config(), &told);
    let token = ISSUER.token(&claims("ada"));
    let large = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n{}",
        " ".repeat(600 * 1024)
    );
    let moved = "HTTP/1.1 302 Found\r\nLocation: https://login.example/\r\nContent-Length: 0\r\n\r\n";
    for wrong in [
        "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n",
        &large,
        moved,
        "",
        &answer(&[]),
    ] {
        server.says(wrong);
        assert_eq!(judge(&bearer, &token).await, Err("directory_unavailable"));
        let told = told.take();
        assert_eq!(told[0], "jwks: unavailable");
        assert!(told[1].starts_with("jwks https://localhost:"), "{told:?}");
    }
    server.says(&answer(&[ISSUER.jwk()]));
    assert_eq!(judge(&bearer, &token).await, ada());
    // Keys that are known stay good, and of others nobody can tell.
    server.says("");
    assert_eq!(judge(&bearer, &token).await, ada());
    let unknown = Signer::new("unknown").token(&claims("max"));
    assert_eq!(judge(&bearer, &unknown).await, Err("directory_unavailable"));
    assert_eq!(judge(&bearer, &token).await, ada());
}

#[tokio::test]
async fn keys_are_fetched_anew_beside_and_too_old_ones_are_not_believed() {
    let server = Server::start(&answer(&[ISSUER.jwk()])).await;
    let config = FetchedFrom {
        refresh: Duration::ZERO,
        ..server.config()
    };
    let bearer = fetching(config, &Arc::default());
    let token = ISSUER.token(&claims("ada"));
    assert_eq!(judge(&bearer, &token).await, ada());
    assert_eq!(server.asked(), 1);
    // This one is judged by the keys that are there, and has them fetched.
    server.says("");
    assert!(bearer.remembered(token.as_bytes(), SystemTime::now()).is_some());
    tokio::time::timeout(Duration::from_secs(30), async {
        while server.asked() < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    let config = FetchedFrom {
        max_age: Duration::ZERO,
        ..server.config()
    };
    server.says(&answer(&[ISSUER.jwk()]));
    let bearer = fetching(config, &Arc::default());
    assert_eq!(judge(&bearer, &token).await, ada());
    server.says("");
    assert_eq!(judge(&bearer, &token).await, Err("directory_unavailable"));
}

#[tokio::test]
async fn a_server_is_verified_and_has_only_so_much_time() {
    let server = Server::start(&answer(&[ISSUER.jwk()])).await;
    let token = ISSUER.token(&claims("ada"));
    let told = Arc::<Told>::default();
    let other = Identity::new(&["localhost"]);
    let stranger = FetchedFrom {
        tls: Arc::new(ServiceTls::new(Some(vec![other.root.clone()]), None).unwrap()),
        ..server.config()
    };
    let bearer = fetching(stranger, &told);
    assert_eq!(judge(&bearer, &token).await, Err("directory_unavailable"));
    assert!(told.take()[1].contains("certificate"));
    assert_eq!(server.asked(), 0);
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let slow = FetchedFrom {
        url: KeysUrl::parse(&format!("https://localhost:{port}/")).unwrap(),
        timeout: Duration::from_millis(50),
        ..server.config()
    };
    let bearer = fetching(slow, &told);
    assert_eq!(judge(&bearer, &token).await, Err("directory_unavailable"));
    assert!(told.take()[1].contains("no whole answer within 50ms"));
}

#[test]
fn an_address_is_encrypted() {
    assert!(KeysUrl::parse("https://login.example/keys?a=b").is_ok());
    for wrong in [
        "http://login.example/keys",
        "login.example",
        "",
        "file:///keys",
        "https://a@b/",
    ] {
        assert!(KeysUrl::parse(wrong).is_err(), "{wrong}");
    }
}

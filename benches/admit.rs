//! What a request costs whose client shows who it is: a password whose verdict is remembered, a token, and a connection's
//! certificate.
#![allow(
    clippy::panic,
    clippy::expect_used,
    reason = "a benchmark may stop when it cannot run"
)]

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaPair, KeySize};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256};
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion};
use serde_json::{Value, json};
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use wsbump::admit::{
    Admission, AdmitConfig, AdmitWatch, Admitted, Algorithm, Answer, BasicConfig, BearerConfig,
    CertificateConfig, CredentialsJudged, DirectoryConfig, HtpasswdTable, KeySet, KeysFrom, Names,
    PasswordLimits,
};
use wsbump::handshake::{ClientAuthConfig, NamedBy};

struct Deaf;

impl AdmitWatch for Deaf {
    fn judged(&self, _judged: &CredentialsJudged<'_>) {}
    fn asked(&self, _directory: &'static str, _answer: Answer, _took: Duration) {}
    fn locked_out(&self, _claimed: &str, _client: IpAddr, _attempts: u32, _rest: Duration) {}
}

/// Of "correct horse battery staple", by openssl passwd.
const USERS: &str = "ada:$6$benchmark$OnG4MA5OKaEVfTpJVyuyzYfjHDn8YjuSC.c3UvT4AwVIRNL0uSVTVrElOadRXVgMyNN7hoPoAqUBy4oOdXhAj1\n";

fn admission() -> Admission {
    let names = Names::of(["corp.example", "CORP"]);
    let Ok(mut table) = HtpasswdTable::read(USERS, &names) else {
        panic!("the entry is good")
    };
    let groups: String = (0..30).map(|group| format!("group-{group}: ada\n")).collect();
    let Ok(_) = table.add_groups(&groups, &names) else {
        panic!("the groups are good")
    };
    let config = AdmitConfig {
        names,
        basic: Some(BasicConfig {
            directory: DirectoryConfig::Htpasswd(Arc::new(table)),
            limits: PasswordLimits::DEFAULT,
        }),
        ..AdmitConfig::default()
    };
    Admission::new(config, Arc::new(Deaf))
}

pub(crate) fn admit(c: &mut Criterion) {
    let admission = admission();
    let client = IpAddr::from(Ipv4Addr::LOCALHOST);
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        panic!("there is a runtime")
    };
    let mut group = c.benchmark_group("admit");
    bearer(&mut group);
    certificate(&mut group);
    for (what, name) in [("name", "ada"), ("domain", r"CORP\Ada")] {
        let shown = BASE64_STANDARD.encode(format!("{name}:correct horse battery staple"));
        let shown = format!("Basic {shown}");
        let known = runtime.block_on(admission.judge(Some(shown.as_bytes()), client, None));
        assert!(matches!(known, Admitted::Known(_)));
        group.bench_function(format!("basic from the cache, {what}"), |b| {
            b.iter(|| {
                let judged = pin!(admission.judge(Some(black_box(shown.as_bytes())), client, None));
                match judged.poll(&mut Context::from_waker(Waker::noop())) {
                    Poll::Ready(Admitted::Known(identity)) => identity,
                    _ => panic!("it is remembered"),
                }
            });
        });
    }
    group.finish();
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// Signs the first half of a token.
type Sign = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// A token of OpenID Connect with thirty groups in it: its signature is verified each time.
fn bearer(group: &mut BenchmarkGroup<'_, WallTime>) {
    let client = IpAddr::from(Ipv4Addr::LOCALHOST);
    let random = SystemRandom::new();
    let ec = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
    let (x, y) = ec.public_key().as_ref()[1..].split_at(32);
    let ec_key = json!({ "kty": "EC", "crv": "P-256", "kid": "ec", "x": encode(x), "y": encode(y) });
    let rsa = RsaPair::generate(KeySize::Rsa2048).expect("a key");
    let public = rsa.public_key();
    let rsa_key = json!({
        "kty": "RSA", "kid": "rsa",
        "n": encode(public.modulus().big_endian_without_leading_zero()),
        "e": encode(public.exponent().big_endian_without_leading_zero()),
    });
    let by_ec: Sign = Box::new(move |signed| {
        let signature = ec.sign(&SystemRandom::new(), signed).expect("a signature");
        signature.as_ref().to_vec()
    });
    let by_rsa: Sign = Box::new(move |signed| {
        let mut signature = vec![0; rsa.public_modulus_len()];
        rsa.sign(&RSA_PKCS1_SHA256, &random, signed, &mut signature)
            .expect("a signature");
        signature
    });
    let groups: Vec<_> = (0..30).map(|group| format!("group-{group}")).collect();
    let claims = json!({
        "iss": "https://login.example", "aud": ["wsbump"], "sub": "ada", "exp": 4_000_000_000_u64, "groups": groups,
    });
    let keys = json!({ "keys": [ec_key, rsa_key] }).to_string();
    let config = AdmitConfig {
        bearer: Some(BearerConfig {
            issuer: "https://login.example".to_owned(),
            audiences: vec!["wsbump".to_owned()],
            algorithms: Algorithm::ALL.to_vec(),
            leeway: Duration::from_secs(60),
            name_claim: "sub".to_owned(),
            groups_claim: Some("groups".to_owned()),
            keys: KeysFrom::File(Arc::new(KeySet::read(keys.as_bytes()).expect("keys"))),
        }),
        ..AdmitConfig::default()
    };
    let admission = Admission::new(config, Arc::new(Deaf));
    let token = |algorithm: &str, key: &str, claims: &Value, sign: &Sign| {
        let head = json!({ "alg": algorithm, "typ": "at+jwt", "kid": key }).to_string();
        let signed = format!("{}.{}", encode(head), encode(claims.to_string()));
        let signature = encode(sign(signed.as_bytes()));
        format!("Bearer {signed}.{signature}")
    };
    for (algorithm, key, sign) in [("ES256", "ec", by_ec), ("RS256", "rsa", by_rsa)] {
        let shown = token(algorithm, key, &claims, &sign);
        group.bench_function(format!("bearer token, {algorithm}"), |b| {
            b.iter(|| {
                let known = admission.remembered(Some(black_box(shown.as_bytes())), client, None);
                known.expect("the token holds")
            });
        });
    }
}

/// The name in a certificate: read once for a connection, and known for each of its requests.
fn certificate(group: &mut BenchmarkGroup<'_, WallTime>) {
    let client = IpAddr::from(Ipv4Addr::LOCALHOST);
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, "ada");
    let email = "ada@corp.example".try_into().expect("an address");
    params.subject_alt_names = vec![rcgen::SanType::Rfc822Name(email)];
    let leaf = params.self_signed(&key).expect("a certificate");
    let config = AdmitConfig {
        names: Names::of(["corp.example"]),
        certificate: Some(CertificateConfig {
            name: NamedBy::SanEmail,
            tls: ClientAuthConfig {
                roots: Vec::new(),
                crls: Vec::new(),
                required: true,
            },
            listeners: None,
        }),
        ..AdmitConfig::default()
    };
    let admission = Admission::new(config, Arc::new(Deaf));
    group.bench_function("certificate's name, a connection", |b| {
        b.iter(|| {
            let certified = admission.certified(black_box(leaf.der()), client);
            certified.expect("it names somebody")
        });
    });
    let certified = admission
        .certified(leaf.der(), client)
        .expect("it names somebody");
    group.bench_function("certificate's name, a request", |b| {
        b.iter(|| {
            let known = admission.certified_at_hand(black_box(&certified), client);
            known.expect("it is known")
        });
    });
}

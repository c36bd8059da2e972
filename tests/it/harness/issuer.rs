//! An issuer of tokens: `tests/peers/token_issuer.py`.

use super::certs::certs;
use super::origins::script;
use super::process::Process;
use super::scratch;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Mutex;

/// An issuer, whose server of keys has the certificate of the tests' origins.
pub(crate) struct Issuer {
    process: Mutex<(Process, u64)>,
    port: u16,
    folder: tempfile::TempDir,
}

impl Issuer {
    pub(crate) fn start() -> Self {
        let folder = scratch();
        let mut command = script("token_issuer.py");
        command
            .arg("--cert")
            .arg(&certs().origin.cert)
            .arg("--key")
            .arg(&certs().origin.key)
            .arg("--out")
            .arg(folder.path().join("keys.json"));
        let process = Process::start("token_issuer.py", command);
        let port = process.out("READY", |line| line.strip_prefix("READY ")?.parse().ok());
        Self {
            process: Mutex::new((process, 0)),
            port,
            folder,
        }
    }

    /// The address of its keys.
    pub(crate) fn url(&self) -> String {
        format!("https://localhost:{}/keys", self.port)
    }

    /// The keys that it serves, as a file.
    pub(crate) fn keys(&self) -> PathBuf {
        self.folder.path().join("keys.json")
    }

    fn ask(&self, order: &Value) -> Value {
        let mut process = self.process.lock().unwrap();
        process.1 += 1;
        let id = process.1;
        process.0.say(&order.to_string());
        process.0.out("an answer of the issuer", |line| {
            let answer: Value = serde_json::from_str(line).ok()?;
            (answer["id"] == id).then_some(answer)
        })
    }

    /// The value of `Proxy-Authorization` with a token by this algorithm and key.
    pub(crate) fn token(&self, alg: &str, key: &str, claims: Value) -> String {
        self.token_of(alg, key, claims, json!({}))
    }

    /// The same, with these members of its header beside its own.
    pub(crate) fn token_of(&self, alg: &str, key: &str, claims: Value, header: Value) -> String {
        let order = json!({ "token": claims, "alg": alg, "key": key, "header": header });
        format!("Bearer {}", self.ask(&order)["token"].as_str().unwrap())
    }

    /// Somebody's token, as usual.
    pub(crate) fn of(&self, name: &str) -> String {
        self.token("ES256", "p256", json!({ "sub": name, "groups": ["Staff"] }))
    }

    /// Serves these keys from now on.
    pub(crate) fn publish(&self, keys: &[&str]) {
        self.ask(&json!({ "publish": keys }));
    }

    /// Serves `keys`, or an `error`, `nothing` or too `much`.
    pub(crate) fn serve(&self, what: &str) {
        self.ask(&json!({ "serve": what }));
    }

    /// By what it is called if it has a description of itself.
    pub(crate) fn own(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    /// Describes itself as this issuer from now on, with keys at this address.
    pub(crate) fn describe(&self, issuer: &str, keys: &str) {
        self.ask(&json!({ "describe": issuer, "jwks_uri": keys }));
    }

    /// How often its keys were asked for.
    pub(crate) fn asked(&self) -> u64 {
        self.ask(&json!({}))["asked"].as_u64().unwrap()
    }
}

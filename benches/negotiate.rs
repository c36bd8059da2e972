//! Logins by Kerberos.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use criterion::{BatchSize, Criterion};
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};
use wsbump::admit::{Keytab, Negotiate};

/// A token of a real domain, from the bytes behind `Negotiate` to the name and the groups, with the proof for the client. `many` is
/// in 300 groups.
pub(crate) fn negotiate(c: &mut Criterion) {
    let text = include_str!("../tests/tickets/corp.json");
    let Ok(json) = serde_json::from_str::<serde_json::Value>(text) else {
        return;
    };
    let bytes = |value: &serde_json::Value| {
        STANDARD
            .decode(value.as_str().unwrap_or_default())
            .unwrap_or_default()
    };
    let Ok(keytab) = Keytab::read(&bytes(&json["keytab"])) else {
        return;
    };
    let keytab = Arc::new(keytab);
    let now = UNIX_EPOCH + Duration::from_secs(json["time"].as_u64().unwrap_or_default());
    let mut group = c.benchmark_group("negotiate");
    for user in ["ada", "many"] {
        let token = bytes(&json["tokens"][user]);
        // A token is good once: each login meets a server that has seen none.
        let fresh = || Negotiate::new(Arc::clone(&keytab), Arc::default());
        if fresh().accept(&token, None, now).is_err() {
            return;
        }
        group.bench_function(user, |b| {
            b.iter_batched(
                fresh,
                |server| server.accept(black_box(&token), None, now).is_ok(),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

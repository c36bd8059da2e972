//! Leaves: minted, and out of the cache.

#![allow(clippy::expect_used, reason = "a benchmark may stop when it cannot run")]

use criterion::Criterion;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;
use wsbump::handshake::LeafKey;
use wsbump::handshake::ca::Ca;
use wsbump::handshake::forge::{Forge, ForgeConfig, Mimic};
use wsbump::wire::names::Host;

/// Benches the forge. The origin's certificate to mimic is itself a leaf of another CA.
pub(crate) fn handshake(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let forge = |lifetime| {
        let (ca, _) = Ca::generate("Bench CA").expect("a CA");
        Forge::new(
            Arc::new(ca),
            ForgeConfig {
                entries: 1_000,
                lifetime,
            },
        )
        .expect("a forge")
    };
    let name = Mimic::Name(Host::Name("www.example.com".to_owned()));
    let day = Duration::from_secs(86_400);
    let origin = runtime
        .block_on(forge(day).leaf(&name, LeafKey::P256))
        .expect("a leaf");
    let mimic = Mimic::Certificate(origin.leaf.der().to_vec().into());

    let mut group = c.benchmark_group("handshake");
    for key in [LeafKey::P256, LeafKey::Rsa2048] {
        // A lifetime of zero makes every leaf stale at once.
        let never_cached = forge(Duration::ZERO);
        runtime.block_on(never_cached.leaf(&mimic, key)).expect("a leaf"); // the shared RSA key exists now
        group.bench_function(format!("leaf_minted_{}", key.label()), |b| {
            b.iter(|| {
                runtime
                    .block_on(never_cached.leaf(black_box(&mimic), key))
                    .expect("a leaf")
            });
        });
    }
    let cached = forge(day);
    runtime
        .block_on(cached.leaf(&mimic, LeafKey::P256))
        .expect("a leaf");
    group.bench_function("leaf_cached", |b| {
        b.iter(|| {
            runtime
                .block_on(cached.leaf(black_box(&mimic), LeafKey::P256))
                .expect("a leaf")
        });
    });
    let leaf = cached.leaf(&mimic, LeafKey::P256);
    let leaf = runtime.block_on(leaf).expect("a leaf").leaf;
    group.bench_function("server_config_cached", |b| {
        b.iter(|| black_box(leaf.server_config(black_box(Some(b"http/1.1")))));
    });
    group.finish();
}

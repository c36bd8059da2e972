//! A login whose verdict is remembered: what each request with Basic costs.
#![allow(clippy::panic, reason = "a benchmark may stop when it cannot run")]

use base64::prelude::{BASE64_STANDARD, Engine};
use criterion::Criterion;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use wsbump::admit::{
    Admission, AdmitConfig, AdmitWatch, Admitted, Answer, BasicConfig, DirectoryConfig, HtpasswdTable,
    Judged, Names, PasswordLimits,
};

struct Deaf;

impl AdmitWatch for Deaf {
    fn judged(&self, _judged: &Judged<'_>) {}
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

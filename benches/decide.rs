//! Decisions: how long one look into a large list takes, and how long loading it does.

use crate::policy::Table;
use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, Criterion};
use std::hint::black_box;
use std::sync::Arc;
use wsbump::decide::{Facts, Format, List, ListSet, Policy, PolicyConfig};
use wsbump::wire::names::{Authority, Host};

const ENTRIES: usize = 100_000;

fn at(host: &str) -> Authority {
    Authority {
        host: Host::Name(host.into()),
        port: 443,
    }
}

fn lines(entry: impl Fn(usize) -> String) -> String {
    lines_to(ENTRIES, entry)
}

fn lines_to(count: usize, entry: impl Fn(usize) -> String) -> String {
    (0..count).map(entry).collect::<Vec<_>>().join("\n")
}

/// Lists of 100,000 entries in the forms that are seen in practice, and the article's two lines.
fn lists() -> Vec<(&'static str, Format, String)> {
    vec![
        (
            "article",
            Format::UrlRegex,
            "^wss-(backup|primary|mobile)\\.slack\\.com:443$\n^([^/][^/]*\\.)*slack-msgs\\.com:443$".into(),
        ),
        (
            "domains_100k",
            Format::Domains,
            lines(|i| format!(".host{i}.example")),
        ),
        (
            // As large as the public lists of categories.
            "domains_1m",
            Format::Domains,
            lines_to(10 * ENTRIES, |i| format!(".host{i}.example")),
        ),
        (
            "exact_100k",
            Format::UrlRegex,
            lines(|i| format!("^host{i}\\.example:443$")),
        ),
        (
            "subdomains_100k",
            Format::UrlRegex,
            lines(|i| format!("^([^/][^/]*\\.)*host{i}\\.example:443$")),
        ),
        (
            "substring_100k",
            Format::UrlRegex,
            lines(|i| format!("host{i}\\.example")),
        ),
        (
            "expressions_1k",
            Format::UrlRegex,
            (0..1000)
                .map(|i| format!("^host{i}-[0-9]+\\.example:443$\n"))
                .collect(),
        ),
    ]
}

/// All benchmarks of the `decide` room.
pub(crate) fn decide(c: &mut Criterion) {
    let mut group = c.benchmark_group("decide");
    for (name, format, text) in lists() {
        group.sample_size(10).bench_function(format!("load/{name}"), |b| {
            b.iter_batched(
                || text.as_str(),
                |text| List::parse(name, text, format, true),
                BatchSize::PerIteration,
            );
        });
        let list = match List::parse(name, &text, format, true) {
            Ok(list) => Arc::new(list),
            Err(errors) => return eprintln!("{name}: {errors:?}"),
        };
        let policy = Policy::new(PolicyConfig {
            splice: vec![list],
            ..PolicyConfig::default()
        });
        for (case, target) in [
            ("miss", at("edge.static.example.org")),
            ("hit", at("cdn.host77777.example")),
        ] {
            group
                .sample_size(100)
                .bench_function(format!("{case}/{name}"), |b| {
                    let facts = Facts::tunnel([127, 0, 0, 1].into(), &target).beginning(None);
                    b.iter(|| policy.at_hello(black_box(&facts)));
                });
        }
    }
    set(&mut group);
    table(&mut group);
    group.finish();
}

/// Policies of one rule and of 200, of which the last one holds: the difference is what the others cost.
fn table(group: &mut BenchmarkGroup<'_, WallTime>) {
    group.sample_size(100);
    for count in [1, 200] {
        let Some(table) = Table::of(count) else {
            return eprintln!("the table of {count} rules cannot be made");
        };
        let policy = &table.policy;
        let (ask, hello, named) = (table.tunnel(), table.hello(), table.named_request());
        let inside = table.request(table.hello());
        let remaining = policy.at_hello(&hello).remaining;
        group.bench_function(format!("connect/{count}_rules"), |b| {
            b.iter(|| (policy.at_ask(black_box(&ask)), policy.at_hello(black_box(&hello))));
        });
        group.bench_function(format!("named_request/{count}_rules"), |b| {
            b.iter(|| policy.at_named_request(black_box(&named)));
        });
        group.bench_function(format!("request_in_tunnel/{count}_rules"), |b| {
            // Where no rule waits for a request, none is asked.
            b.iter(|| (remaining.as_ref()).map(|remaining| policy.at_request(black_box(&inside), remaining)));
        });
        group.bench_function(format!("treatment/{count}_rules"), |b| {
            b.iter(|| policy.treatment(black_box(&named)));
        });
    }
}

/// A policy that names 200 lists, asked for one name.
fn set(group: &mut BenchmarkGroup<'_, WallTime>) {
    let list = |at: usize| {
        let text = lines_to(5000, |i| format!(".host{i}.list{at}.example"));
        List::parse(&at.to_string(), &text, Format::Domains, true)
    };
    let lists: Result<Vec<_>, _> = (0..200).map(|at| list(at).map(Arc::new)).collect();
    let Ok(lists) = lists else {
        return;
    };
    group.sample_size(10).bench_function("join/200_lists_of_5k", |b| {
        b.iter(|| ListSet::new(&lists));
    });
    let set = ListSet::new(&lists);
    for (case, target) in [
        ("miss", at("edge.static.example.org")),
        ("hit", at("cdn.host4777.list177.example")),
    ] {
        group
            .sample_size(100)
            .bench_function(format!("{case}/200_lists_of_5k"), |b| {
                b.iter(|| {
                    let matches = set.matches(black_box(&target.host), target.port);
                    (0..set.lists().len()).find(|&list| matches.has(list))
                });
            });
    }
}

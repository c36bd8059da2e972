//! What one pass of the relay pays for its metrics, with one thread and with two that contend.

#![allow(clippy::expect_used, reason = "a benchmark may stop when it cannot run")]

use crate::batch::one_message;
use criterion::Criterion;
use std::hint::black_box;
use std::sync::Barrier;
use std::time::Instant;
use wsbump::relay::{Batch, Meter};
use wsbump::report::{AccessLog, Report, ReportConfig};
use wsbump::wire::frame::Direction;

/// The frame meter's cost per batch.
pub(crate) fn report(c: &mut Criterion) {
    let config = ReportConfig {
        access: AccessLog::Off,
        ..ReportConfig::default()
    };
    let report = Report::new(config).expect("a report without a log file");
    let (there, back) = (one_message(Direction::ToOrigin), one_message(Direction::ToClient));
    let mut group = c.benchmark_group("report");
    group.bench_function("batch", |b| b.iter(|| report.batch(black_box(&there))));
    group.bench_function("batch, two threads", |b| {
        b.iter_custom(|rounds| {
            let start = Barrier::new(2);
            let run = |batch: &Batch| {
                start.wait();
                let begun = Instant::now();
                for _ in 0..rounds {
                    report.batch(black_box(batch));
                }
                begun.elapsed()
            };
            std::thread::scope(|scope| {
                let other = scope.spawn(|| run(&back));
                run(&there).max(other.join().expect("the other thread"))
            })
        });
    });
    group.bench_function("scrape", |b| b.iter(|| black_box(report.scrape())));
    group.finish();
}

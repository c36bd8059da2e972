//! What a run prints: tables in Markdown, and every slice as JSON.

use crate::results::{Cell, Results};
use crate::stats::{Latencies, median};
use serde_json::{Value, json};
use std::fmt::{Error, Write as _};

type Names = [(String, String)];

/// The tables.
pub(crate) fn markdown(
    machine: &[(&str, String)],
    names: &Names,
    results: &[Results],
    bases: &[(&str, &str)],
) -> Result<String, Error> {
    let mut text = String::new();
    for (what, value) in machine {
        writeln!(text, "- {what}: {value}")?;
    }
    writeln!(
        text,
        "\n## CPU time of the proxy alone, and memory (median of the slices)\n"
    )?;
    head(&mut text, names)?;
    for result in results {
        let cell = |at| {
            result
                .value(at)
                .map_or_else(|| absent(result.cells.get(at)), number)
        };
        line(
            &mut text,
            &format!("{}: {}", result.row.title, result.row.unit.name()),
            names,
            cell,
        )?;
    }
    for (base, what) in bases {
        let Some(to) = names.iter().position(|(name, _)| name == base) else {
            continue;
        };
        writeln!(text, "\n## Ratio to {what} (median of the turns)\n")?;
        head(&mut text, names)?;
        for result in results {
            let cell = |at| {
                result
                    .ratio(at, to)
                    .map_or_else(|| "-".into(), |ratio| format!("{ratio:.2}"))
            };
            line(&mut text, result.row.title, names, cell)?;
        }
    }
    writeln!(text, "\n## Throughput and latency (client's view, all slices)\n")?;
    writeln!(
        text,
        "| row | proxy | per second | p50 us | p90 us | p99 us | p99.9 us | max us |"
    )?;
    writeln!(text, "|---|---|---|---|---|---|---|---|")?;
    for result in results {
        for (cell, (name, _)) in result.cells.iter().zip(names) {
            let Ok(slices) = cell else { continue };
            let mut all = Latencies::default();
            slices.iter().for_each(|slice| all.merge(&slice.latencies));
            let rate =
                median(slices.iter().map(|slice| slice.count as f64 / slice.seconds)).unwrap_or_default();
            write!(text, "| {} | {name} | {rate:.0} |", result.row.id)?;
            for share in QUANTILES {
                write!(text, " {} |", number(all.quantile_us(share)))?;
            }
            writeln!(text)?;
        }
    }
    Ok(text)
}

const QUANTILES: [f64; 5] = [0.5, 0.9, 0.99, 0.999, 1.0];

fn head(text: &mut String, names: &Names) -> Result<(), Error> {
    write!(text, "| workload |")?;
    for (name, version) in names {
        write!(text, " {name} {version} |")?;
    }
    writeln!(text, "\n|---|{}", "---|".repeat(names.len()))
}

fn line(text: &mut String, title: &str, names: &Names, cell: impl Fn(usize) -> String) -> Result<(), Error> {
    write!(text, "| {title} |")?;
    for at in 0..names.len() {
        write!(text, " {} |", cell(at))?;
    }
    writeln!(text)
}

fn absent(cell: Option<&Cell>) -> String {
    match cell {
        Some(Err(why)) if !why.is_empty() => format!("failed: {}", why.replace('|', "/")),
        _ => "-".into(),
    }
}

/// Three significant digits.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        0.0..0.9995 => format!("{value:.3}"),
        0.9995..9.995 => format!("{value:.2}"),
        9.995..99.95 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// Every number of every slice.
pub(crate) fn json(machine: &[(&str, String)], names: &Names, results: &[Results]) -> Value {
    let machine: serde_json::Map<_, _> = machine
        .iter()
        .map(|(key, value)| ((*key).into(), json!(value)))
        .collect();
    let position = |base: &str| names.iter().position(|(name, _)| name == base);
    let rows = results.iter().map(|result| {
        let cells = result
            .cells
            .iter()
            .zip(names)
            .enumerate()
            .map(|(at, (cell, (name, version)))| {
                let ratio = |base| position(base).and_then(|to| result.ratio(at, to));
                let slices = cell.as_ref().map(|slices| {
                    slices
                        .iter()
                        .map(|slice| slice_json(result, slice))
                        .collect::<Vec<_>>()
                });
                json!({
                    "proxy": name, "version": version, "value": result.value(at),
                    "ratio_to_bare": ratio("bare"), "ratio_to_haproxy": ratio("haproxy"),
                    "slices": slices.as_deref().unwrap_or_default(), "failed": cell.as_ref().err(),
                })
            });
        json!({
            "row": result.row.id, "title": result.row.title, "unit": result.row.unit.name(),
            "proxies": cells.collect::<Vec<_>>(),
        })
    });
    json!({ "machine": machine, "rows": rows.collect::<Vec<_>>() })
}

fn slice_json(result: &Results, slice: &crate::work::Slice) -> Value {
    let us = |share| slice.latencies.quantile_us(share);
    json!({
        "value": result.row.value(slice.cpu_nanos, slice.idle_kib), "count": slice.count, "seconds": slice.seconds,
        "descriptors": slice.idle_files,
        "p50_us": us(0.5), "p90_us": us(0.9), "p99_us": us(0.99), "p99_9_us": us(0.999), "max_us": us(1.0),
    })
}

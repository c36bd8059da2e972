//! What `scale` shows of what it measured: tables, and the plots of docs/performance.md.

use crate::Fallible;
use crate::measured::{Measured, Point};
use crate::report::number;
use crate::svg::{Line, Plot, Scale};
use std::fmt::{Error, Write as _};
use std::path::Path;

/// Fewer connections than this share too little memory for it to be told from a page more or less.
const MEMORY_FROM: usize = 100;
/// Cost for each byte is drawn from this size on: below, a message's cost is that of its wake-up.
const BYTES_FROM: usize = 4096;
/// The sizes whose latencies are drawn.
const SMALL: usize = 64;
const LARGE: usize = 64 * 1024;

/// The tables.
pub(crate) fn markdown(measured: &Measured) -> Result<String, Error> {
    let mut text = String::new();
    for (what, value) in measured.machine.iter().chain(&measured.proxies) {
        writeln!(text, "- {what}: {value}")?;
    }
    writeln!(text, "\n### Against open connections (64 B, in turn)\n")?;
    writeln!(
        text,
        "| connections | proxy | CPU us/message | PSS KiB/connection | p50 us | p99 us |"
    )?;
    writeln!(text, "|---|---|---|---|---|---|")?;
    for point in &measured.connections {
        let (cpu, pss) = (Some(point.cpu_us), memory(point));
        row(&mut text, &point.x.to_string(), point, [cpu, pss])?;
    }
    writeln!(text, "\n### Against message size (4 connections, 1 in flight)\n")?;
    writeln!(
        text,
        "| size | proxy | CPU us/message | CPU ns/byte | p50 us | p99 us |"
    )?;
    writeln!(text, "|---|---|---|---|---|---|")?;
    for point in &measured.sizes {
        let (cpu, byte) = (Some(point.cpu_us), Some(per_byte(point)));
        row(&mut text, &size(point.x), point, [cpu, byte])?;
    }
    Ok(text)
}

fn row(text: &mut String, x: &str, point: &Point, values: [Option<f64>; 2]) -> Result<(), Error> {
    write!(text, "| {x} | {} |", point.proxy)?;
    for value in values
        .into_iter()
        .chain([latency(point, 0.5), latency(point, 0.99)])
    {
        write!(text, " {} |", value.map_or_else(|| "-".into(), number))?;
    }
    writeln!(text)
}

fn memory(point: &Point) -> Option<f64> {
    point.pss_kib.filter(|_| point.x >= MEMORY_FROM)
}

fn per_byte(point: &Point) -> f64 {
    point.cpu_us * 1e3 / point.x as f64
}

fn latency(point: &Point, share: f64) -> Option<f64> {
    let found = point.latency_us.iter().find(|(of, _)| (of - share).abs() < 1e-9);
    found.map(|(_, us)| *us)
}

fn size(bytes: usize) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..0x10_0000 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}

/// Writes the plots into a folder.
pub(crate) fn write(out: &Path, measured: &Measured) -> Fallible<()> {
    let lines = |points: &[Point], value: fn(&Point) -> Option<f64>| draw(measured, points, "", false, value);
    let both = |points: &[Point]| {
        let mut lines = draw(measured, points, ", p50", false, |point| latency(point, 0.5));
        lines.extend(draw(measured, points, ", p99", true, |point| {
            latency(point, 0.99)
        }));
        lines
    };
    let (open, sizes) = (&measured.connections[..], &measured.sizes[..]);
    let plots = [
        (
            "cpu-connections",
            plot(
                "CPU per message against open connections",
                CONNECTIONS,
                "proxy CPU, us for each 64 B message, one under way",
                lines(open, |point| Some(point.cpu_us)),
            ),
        ),
        (
            "memory-connections",
            plot(
                "Memory per connection against open connections",
                CONNECTIONS,
                "proxy memory (PSS), KiB for each open WebSocket",
                lines(open, memory),
            ),
        ),
        (
            "latency-connections",
            plot(
                "Latency against open connections",
                CONNECTIONS,
                "us from sending a 64 B message to its echo, one under way",
                both(open),
            ),
        ),
        (
            "cpu-size",
            plot(
                "CPU per message against its size",
                SIZES,
                "proxy CPU, us for each message, 4 connections with one under way",
                lines(sizes, |point| Some(point.cpu_us)),
            ),
        ),
        (
            "cpu-byte",
            plot(
                "CPU per byte against message size",
                SIZES,
                "proxy CPU, ns for each byte, 4 connections with one message under way",
                lines(sizes, |point| {
                    Some(per_byte(point)).filter(|_| point.x >= BYTES_FROM)
                }),
            ),
        ),
        (
            "latency-size",
            plot(
                "Latency against message size",
                SIZES,
                "us from sending a message to its echo, 4 connections with one under way",
                both(sizes),
            ),
        ),
        ("latency-percentiles", percentiles(measured)),
    ];
    for (name, mut plot) in plots {
        if name != "latency-percentiles" {
            plot.x_ticks = x_ticks(&plot.lines, plot.x_label == CONNECTIONS);
        }
        // Where all is of one magnitude, a log axis would hide that it is flat.
        if matches!(name, "cpu-connections" | "memory-connections" | "cpu-byte") {
            plot.y = Scale::Linear;
        }
        if plot.lines.iter().any(|line| !line.points.is_empty()) {
            std::fs::write(out.join(format!("{name}.svg")), plot.svg()?)?;
        }
    }
    eprintln!("load: plots are in {}", out.display());
    Ok(())
}

const CONNECTIONS: &str = "open WebSockets";
const SIZES: &str = "bytes in a message";

fn plot(title: &'static str, x_label: &'static str, y_label: &'static str, lines: Vec<Line>) -> Plot {
    Plot {
        title,
        x_label,
        y_label,
        x: Scale::Log,
        y: Scale::Log,
        x_ticks: Vec::new(),
        lines,
    }
}

/// One line for each proxy.
fn draw(
    measured: &Measured,
    points: &[Point],
    more: &str,
    dashed: bool,
    value: impl Fn(&Point) -> Option<f64>,
) -> Vec<Line> {
    let of = |name: &str| {
        points
            .iter()
            .filter(|point| point.proxy == name)
            .filter_map(|point| Some((point.x as f64, value(point)?)))
            .collect()
    };
    let line = |(name, version): &(String, String)| Line {
        of: name.clone(),
        label: if more.is_empty() {
            // Without the packager's part of it.
            format!("{name} {}", version.split('-').next().unwrap_or_default())
        } else {
            format!("{name}{more}")
        },
        dashed,
        points: of(name),
    };
    measured.proxies.iter().map(line).collect()
}

fn x_ticks(lines: &[Line], connections: bool) -> Vec<(f64, String)> {
    let mut all: Vec<f64> = lines
        .iter()
        .flat_map(|line| line.points.iter().map(|point| point.0))
        .collect();
    all.sort_by(f64::total_cmp);
    all.dedup();
    let name = |value: f64| {
        if connections {
            crate::svg::short(value)
        } else {
            size(value as usize)
        }
    };
    all.into_iter().map(|value| (value, name(value))).collect()
}

fn percentiles(measured: &Measured) -> Plot {
    let mut lines = Vec::new();
    for (bytes, dashed) in [(SMALL, false), (LARGE, true)] {
        for (name, _) in &measured.proxies {
            let point = measured
                .sizes
                .iter()
                .find(|point| point.x == bytes && point.proxy == *name);
            lines.push(Line {
                of: name.clone(),
                label: format!("{name}, {}", size(bytes)),
                dashed,
                points: point.map(|point| point.latency_us.clone()).unwrap_or_default(),
            });
        }
    }
    let far = lines
        .iter()
        .flat_map(|line| &line.points)
        .fold(0.9, |far: f64, point| far.max(point.0));
    let ticks = [
        (0.0, "fastest"),
        (0.5, "p50"),
        (0.9, "p90"),
        (0.99, "p99"),
        (0.999, "p99.9"),
        (0.9999, "p99.99"),
    ];
    let x_ticks = ticks
        .into_iter()
        .filter(|(share, _)| *share <= far + 1e-9)
        .map(|(share, name)| (share, name.to_owned()))
        .chain([(far, String::new())]);
    Plot {
        title: "Latency percentiles",
        x_label: "share of the messages",
        y_label: "us from sending a message to its echo, 4 connections with one under way",
        x: Scale::Nines,
        y: Scale::Log,
        x_ticks: x_ticks.collect(),
        lines,
    }
}

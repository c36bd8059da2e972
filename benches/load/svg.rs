//! Line plots as SVG: text stays text, colours follow the reader's light or dark theme, no scripts and no fonts.

use std::fmt::{Result, Write as _};

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 72.0;
const RIGHT: f64 = 36.0;
const BOTTOM: f64 = 56.0;
/// Where the first legend row is; each further row pushes the plot down.
const LEGEND: f64 = 58.0;
const LEGEND_ROW: f64 = 20.0;
/// A generous guess of a character's width at the labels' size, since no font is at hand to ask.
const CHARACTER: f64 = 7.0;

/// Colours of a series on light and on dark ground, by the name of what it shows; others are grey.
const COLOURS: [(&str, &str, &str); 6] = [
    ("wsbump", "#0969da", "#58a6ff"),
    ("bare", "#6e7781", "#9aa4af"),
    ("haproxy", "#bc4c00", "#f0883e"),
    ("nginx", "#1a7f37", "#3fb950"),
    ("squid", "#8250df", "#bc8cff"),
    ("mitmproxy", "#cf222e", "#ff7b72"),
];

/// How values become places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    /// From zero, even steps.
    Linear,
    /// Equal ratios, equal distances.
    Log,
    /// A share of all below 1: each further nine takes the same distance.
    Nines,
}

impl Scale {
    fn place(self, value: f64) -> f64 {
        match self {
            Self::Linear => value,
            Self::Log => value.log10(),
            Self::Nines => -(1.0 - value).log10(),
        }
    }
}

/// One line of a plot.
#[derive(Debug)]
pub(crate) struct Line {
    /// Which colour: a proxy's name.
    pub(crate) of: String,
    /// What the legend says.
    pub(crate) label: String,
    pub(crate) dashed: bool,
    pub(crate) points: Vec<(f64, f64)>,
}

/// A plot.
#[derive(Debug)]
pub(crate) struct Plot {
    pub(crate) title: &'static str,
    pub(crate) x_label: &'static str,
    pub(crate) y_label: &'static str,
    pub(crate) x: Scale,
    pub(crate) y: Scale,
    /// Places on the horizontal axis that are named.
    pub(crate) x_ticks: Vec<(f64, String)>,
    pub(crate) lines: Vec<Line>,
}

/// Where the values of one axis lie on the page.
struct Range {
    scale: Scale,
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Range {
    fn at(&self, value: f64) -> f64 {
        let span = (self.high - self.low).max(f64::MIN_POSITIVE);
        self.from + (self.scale.place(value) - self.low) / span * (self.to - self.from)
    }
}

impl Plot {
    /// The SVG's text.
    pub(crate) fn svg(&self) -> std::result::Result<String, std::fmt::Error> {
        let mut svg = String::new();
        head(&mut svg, self.title)?;
        let top = self.legend(&mut svg)? + 14.0;

        let ticks: Vec<f64> = self.x_ticks.iter().map(|(value, _)| *value).collect();
        let x = range(self.x, &ticks, LEFT, WIDTH - RIGHT);
        let values = self
            .lines
            .iter()
            .flat_map(|line| line.points.iter().map(|point| point.1));
        let y_ticks = ticks_around(self.y, values);
        let y = range(self.y, &y_ticks, HEIGHT - BOTTOM, top);

        for value in &y_ticks {
            let at = y.at(*value);
            writeln!(
                svg,
                r#"<line class="g" x1="{LEFT}" x2="{:.1}" y1="{at:.1}" y2="{at:.1}"/>"#,
                WIDTH - RIGHT
            )?;
            text(&mut svg, "t e", LEFT - 8.0, at + 4.0, &short(*value))?;
        }
        let (base, mut free) = (HEIGHT - BOTTOM, 0.0);
        for (value, name) in &self.x_ticks {
            let (at, half) = (x.at(*value), name.chars().count() as f64 * CHARACTER / 2.0);
            writeln!(
                svg,
                r#"<line class="g" x1="{at:.1}" x2="{at:.1}" y1="{top:.1}" y2="{base:.1}"/>"#
            )?;
            // A name that would touch the one before it is left out; its grid line stays.
            if at - half > free {
                text(&mut svg, "t m", at, base + 18.0, name)?;
                free = at + half + CHARACTER / 2.0;
            }
        }
        text(
            &mut svg,
            "t m",
            f64::midpoint(LEFT, WIDTH - RIGHT),
            HEIGHT - 14.0,
            self.x_label,
        )?;
        for line in &self.lines {
            draw(&mut svg, line, &x, &y)?;
        }
        svg.push_str("</svg>\n");
        Ok(svg)
    }

    /// The vertical axis' label and the names of the lines, in rows; returns where they end.
    fn legend(&self, svg: &mut String) -> std::result::Result<f64, std::fmt::Error> {
        text(svg, "t", 16.0, LEGEND - 16.0, self.y_label)?;
        let (mut left, mut row) = (16.0, LEGEND);
        for line in &self.lines {
            let width = line.label.chars().count() as f64 * CHARACTER + 48.0;
            if left + width > WIDTH - RIGHT {
                (left, row) = (16.0, row + LEGEND_ROW);
            }
            writeln!(
                svg,
                r#"<line class="{}" x1="{left:.0}" x2="{:.0}" y1="{row}" y2="{row}"/>"#,
                class(line),
                left + 24.0
            )?;
            text(svg, "t", left + 30.0, row + 4.0, &line.label)?;
            left += width;
        }
        Ok(row)
    }
}

fn head(svg: &mut String, title: &str) -> Result {
    let title = escape(title);
    writeln!(
        svg,
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" aria-labelledby="title">
<title id="title">{title}</title>
<style>
text{{font:12px system-ui,sans-serif;fill:#1f2328}}.h{{font-size:15px;font-weight:600}}.m{{text-anchor:middle}}.e{{text-anchor:end}}
.b{{fill:#fff}}.g{{stroke:#d8dee4;stroke-width:1}}.s{{fill:none;stroke:#57606a;stroke-width:2;stroke-linejoin:round}}.d{{stroke-dasharray:6 4}}.p{{fill:#57606a}}"#
    )?;
    for (name, light, _) in COLOURS {
        write!(svg, ".s.{name}{{stroke:{light}}}.p.{name}{{fill:{light}}}")?;
    }
    write!(
        svg,
        "\n@media(prefers-color-scheme:dark){{text{{fill:#e6edf3}}.b{{fill:#0d1117}}.g{{stroke:#30363d}}.s{{stroke:#9aa4af}}.p{{fill:#9aa4af}}"
    )?;
    for (name, _, dark) in COLOURS {
        write!(svg, ".s.{name}{{stroke:{dark}}}.p.{name}{{fill:{dark}}}")?;
    }
    writeln!(
        svg,
        "}}\n</style>\n<rect class=\"b\" width=\"{WIDTH}\" height=\"{HEIGHT}\"/>"
    )?;
    text(svg, "h", 16.0, 24.0, &title)
}

/// Writes text that is escaped already or has nothing to escape.
fn text(svg: &mut String, class: &str, x: f64, y: f64, text: &str) -> Result {
    writeln!(
        svg,
        r#"<text class="{class}" x="{x:.1}" y="{y:.1}">{text}</text>"#
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn class(line: &Line) -> String {
    format!("s {}{}", line.of, if line.dashed { " d" } else { "" })
}

fn draw(svg: &mut String, line: &Line, x: &Range, y: &Range) -> Result {
    write!(svg, r#"<polyline class="{}" points=""#, class(line))?;
    for (at, value) in &line.points {
        write!(svg, "{:.1},{:.1} ", x.at(*at), y.at(*value))?;
    }
    writeln!(svg, r#""/>"#)?;
    for (at, value) in &line.points {
        writeln!(
            svg,
            r#"<circle class="p {}" cx="{:.1}" cy="{:.1}" r="3"/>"#,
            line.of,
            x.at(*at),
            y.at(*value)
        )?;
    }
    Ok(())
}

fn range(scale: Scale, ticks: &[f64], from: f64, to: f64) -> Range {
    let places = || ticks.iter().map(|value| scale.place(*value));
    Range {
        scale,
        low: places().fold(f64::INFINITY, f64::min),
        high: places().fold(f64::NEG_INFINITY, f64::max),
        from,
        to,
    }
}

/// Round values that enclose all of `values`: steps of 1, 2 and 5, or powers of ten where those would be many.
fn ticks_around(scale: Scale, values: impl Iterator<Item = f64>) -> Vec<f64> {
    let (low, high) = values.fold((f64::INFINITY, 1e-9), |(low, high), value| {
        (value.min(low), value.max(high))
    });
    let round = |exponent: i32| [1.0, 2.0, 5.0].map(|step| step * 10_f64.powi(exponent));
    if scale == Scale::Linear {
        let step = (-9..12).flat_map(round).find(|step| high / step <= 6.0);
        let step = step.unwrap_or(high);
        return (0..=(high / step).ceil() as u32)
            .map(|n| f64::from(n) * step)
            .collect();
    }
    let all: Vec<f64> = (-9..12).flat_map(round).collect();
    let first = all.iter().rposition(|tick| *tick <= low).unwrap_or(0);
    let last = all
        .iter()
        .position(|tick| *tick >= high)
        .map_or(all.len(), |at| at + 1);
    let few = all.get(first..last.max(first + 2)).unwrap_or_default();
    if few.len() <= 8 {
        return few.to_vec();
    }
    let tens = few.iter().enumerate().filter(|(at, _)| {
        // The ends stay: they are what encloses the values.
        (first + at).is_multiple_of(3) || *at == 0 || *at + 1 == few.len()
    });
    tens.map(|(_, tick)| *tick).collect()
}

/// A value with as few digits as it needs.
pub(crate) fn short(value: f64) -> String {
    if value >= 1000.0 {
        let digits = format!("{value:.0}");
        let (head, tail) = digits.split_at(digits.len() - 3);
        return if head.len() > 3 {
            let (first, head) = head.split_at(head.len() - 3);
            format!("{first},{head},{tail}")
        } else {
            format!("{head},{tail}")
        };
    }
    // Steps of 1, 2 and 5 carry rounding errors far behind their one digit.
    let text = format!("{value:.9}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    text.to_owned()
}

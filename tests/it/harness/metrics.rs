//! What `/metrics` says.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

/// One scrape.
#[derive(Debug)]
pub(crate) struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    /// Scrapes `address`.
    pub(crate) fn scrape(address: &str) -> Self {
        let (status, _, body) = get(address, "/metrics");
        assert_eq!(status, 200, "{body}");
        Self::parse(&body)
    }

    /// Reads the text format.
    pub(crate) fn parse(text: &str) -> Self {
        let samples = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| {
                let (name, value) = line.rsplit_once(' ')?;
                Some((name.to_owned(), value.parse().ok()?))
            });
        Self(samples.collect())
    }

    /// The samples whose names begin with one of these, but for those of times.
    pub(crate) fn counts(&self, prefixes: &[&str]) -> BTreeMap<String, f64> {
        let mut counts = self.0.clone();
        counts.retain(|name, _| {
            prefixes.iter().any(|prefix| name.starts_with(prefix)) && !name.contains("_seconds")
        });
        counts
    }

    /// The sum of the family's samples that carry all these labels; 0 if there is none.
    pub(crate) fn sum(&self, family: &str, labels: &[(&str, &str)]) -> f64 {
        let labels: Vec<String> = labels
            .iter()
            .map(|(name, value)| format!("{name}=\"{value}\""))
            .collect();
        self.0
            .iter()
            .filter(|(name, _)| {
                let (bare, inside) = name.split_once('{').unwrap_or((name, ""));
                bare == family && labels.iter().all(|label| inside.contains(label.as_str()))
            })
            .map(|(_, value)| value)
            .sum()
    }
}

/// A plain HTTP GET: status, head and body.
pub(crate) fn get(address: &str, path: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(super::DEADLINE)).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    assert!(
        !head.to_ascii_lowercase().contains("transfer-encoding"),
        "a length was expected: {head}"
    );
    (status, head.to_owned(), body.to_owned())
}

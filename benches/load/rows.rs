//! The rows of the table.

use crate::echo::Payload;
use crate::work::Work;

/// One workload, as it is named, described and counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    /// What `--only` takes.
    pub(crate) id: &'static str,
    /// What the table says.
    pub(crate) title: &'static str,
    /// Which of the proxy's numbers is the row's, and in what unit.
    pub(crate) unit: Unit,
    /// Which way the load takes.
    pub(crate) over: Over,
    pub(crate) work: Work,
}

/// The ways through a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    /// HTTP/1.1 with the proxy in the middle of TLS.
    H1,
    /// The same, and each connection of the client's has its own to the origin, where the proxy can be told so.
    Paired,
    /// HTTP/2 with the proxy in the middle of TLS.
    H2,
    /// The same as the first, with a key exchange on both sides that holds against quantum computers.
    Hybrid,
    /// TLS from end to end.
    Tunnel,
}

/// What a row divides by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// CPU microseconds for each message.
    UsMessage,
    /// CPU nanoseconds for each byte of an echoed message (it crosses the proxy twice).
    NsByte,
    /// CPU milliseconds for each connection.
    MsConnection,
    /// CPU microseconds for each request.
    UsRequest,
    /// Memory in KiB for each idle connection.
    KibConnection,
}

impl Unit {
    /// The unit as the table prints it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::UsMessage => "us/message",
            Self::NsByte => "ns/byte",
            Self::MsConnection => "ms",
            Self::UsRequest => "us",
            Self::KibConnection => "KiB",
        }
    }
}

/// All rows. `quick` makes the memory rows small.
pub(crate) fn all(quick: bool, idle: usize) -> Vec<Row> {
    let echo = |connections, size, in_flight| Work::Echo {
        payload: Payload::Binary,
        connections,
        size,
        in_flight,
    };
    let row = |id, title, unit, work| Row {
        id,
        title,
        unit,
        over: Over::H1,
        work,
    };
    let spliced = |id, title, unit, work| Row {
        over: Over::Tunnel,
        ..row(id, title, unit, work)
    };
    let h2 = |id, title, unit, work| Row {
        over: Over::H2,
        ..row(id, title, unit, work)
    };
    let h2_get = |streams, path| Work::H2Get {
        connections: 4,
        streams,
        path,
    };
    let h2_echo = |connections, size, in_flight| Work::H2Echo {
        connections,
        size,
        in_flight,
    };
    let texts = |id, title, payload| {
        let work = Work::Echo {
            payload,
            connections: 4,
            size: 1024,
            in_flight: 4,
        };
        row(id, title, Unit::UsMessage, work)
    };
    let (kib, mib) = (64 * 1024, 1024 * 1024);
    let connect = |new_host| Work::Connect {
        connections: 4,
        new_host,
    };
    let get = |path| Work::Get { connections: 4, path };
    let idle = if quick { idle.min(200) } else { idle };
    vec![
        row(
            "pingpong",
            "4 connections, 64 B, 1 in flight",
            Unit::UsMessage,
            echo(4, 64, 1),
        ),
        row(
            "flood",
            "32 connections, 64 B, 32 in flight",
            Unit::UsMessage,
            echo(32, 64, 32),
        ),
        row(
            "64k",
            "4 connections, 64 KiB, 4 in flight",
            Unit::NsByte,
            echo(4, kib, 4),
        ),
        row(
            "1m",
            "2 connections, 1 MiB, 2 in flight",
            Unit::NsByte,
            echo(2, mib, 2),
        ),
        row(
            "connect",
            "CONNECT, TLS, upgrade, 1 echo, close; known host",
            Unit::MsConnection,
            connect(false),
        ),
        Row {
            over: Over::Hybrid,
            ..row(
                "hybrid",
                "the same with X25519MLKEM768 on both sides",
                Unit::MsConnection,
                connect(false),
            )
        },
        row(
            "newhost",
            "as connect, a new host each time",
            Unit::MsConnection,
            connect(true),
        ),
        row("get1k", "GET 1 KiB, keep-alive", Unit::UsRequest, get("/")),
        row("get1m", "GET 1 MB, keep-alive", Unit::UsRequest, get("/1m")),
        row(
            "idle",
            "an idle WebSocket after one message (PSS)",
            Unit::KibConnection,
            Work::Idle {
                payload: Payload::Binary,
                connections: idle,
                size: 64,
                messages: 1,
            },
        ),
        Row {
            over: Over::Paired,
            ..row(
                "httpidle",
                "an idle HTTP/1.1 connection after one GET of 1 KiB (PSS)",
                Unit::KibConnection,
                Work::IdlePage { connections: idle },
            )
        },
        h2(
            "h2get1k",
            "HTTP/2: GET 1 KiB, 4 connections, 1 stream each",
            Unit::UsRequest,
            h2_get(1, "/"),
        ),
        h2(
            "h2many1k",
            "HTTP/2: GET 1 KiB, 4 connections, 25 streams each",
            Unit::UsRequest,
            h2_get(25, "/"),
        ),
        h2(
            "h2get1m",
            "HTTP/2: GET 1 MB, 4 connections, 1 stream each",
            Unit::UsRequest,
            h2_get(1, "/1m"),
        ),
        h2(
            "h2pingpong",
            "WebSocket over HTTP/2: 4 connections, 64 B, 1 in flight",
            Unit::UsMessage,
            h2_echo(4, 64, 1),
        ),
        h2(
            "h2flood",
            "WebSocket over HTTP/2: 32 connections, 64 B, 32 in flight",
            Unit::UsMessage,
            h2_echo(32, 64, 32),
        ),
        h2(
            "h2echo64k",
            "WebSocket over HTTP/2: 4 connections, 64 KiB, 4 in flight",
            Unit::NsByte,
            h2_echo(4, kib, 4),
        ),
        texts(
            "text1k",
            "4 connections, texts of 1 KiB, 4 in flight",
            Payload::Text,
        ),
        texts(
            "deflate1k",
            "the same, deflated with context takeover",
            Payload::Deflated,
        ),
        row(
            "idledeflate",
            "an idle WebSocket after 64 deflated texts of 1 KiB (PSS)",
            Unit::KibConnection,
            Work::Idle {
                payload: Payload::Deflated,
                connections: idle,
                size: 1024,
                messages: 64,
            },
        ),
        spliced(
            "splice64k",
            "spliced: 4 connections, 64 KiB, 4 in flight",
            Unit::NsByte,
            echo(4, kib, 4),
        ),
        spliced(
            "splice64b",
            "spliced: 4 connections, 64 B, 1 in flight",
            Unit::UsMessage,
            echo(4, 64, 1),
        ),
        spliced(
            "spliceconnect",
            "spliced: as connect, TLS from end to end",
            Unit::MsConnection,
            connect(false),
        ),
    ]
}

impl Row {
    /// The row's number from CPU nanoseconds for each completed unit of work, or from memory.
    pub(crate) fn value(&self, cpu_nanos: f64, idle_kib: Option<f64>) -> f64 {
        match (self.unit, self.work) {
            (Unit::KibConnection, _) => idle_kib.unwrap_or(f64::NAN),
            (Unit::NsByte, Work::Echo { size, .. } | Work::H2Echo { size, .. }) => cpu_nanos / size as f64,
            (Unit::MsConnection, _) => cpu_nanos / 1e6,
            _ => cpu_nanos / 1e3,
        }
    }
}

//! The table's state: rows, order, selection, and what a key does to them.

use crate::live::printable;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use serde_json::Value;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long something that was said stays.
const SAID: Duration = Duration::from_secs(5);
/// Rows that a page key goes over.
const PAGE: usize = 10;

/// What a row is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Age,
    Rate,
    Bytes,
    Frames,
    Quiet,
    Host,
    Client,
}

impl Sort {
    const ALL: [Self; 7] = [
        Self::Age,
        Self::Rate,
        Self::Bytes,
        Self::Frames,
        Self::Quiet,
        Self::Host,
        Self::Client,
    ];

    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::Rate => "rate",
            Self::Bytes => "bytes",
            Self::Frames => "frames",
            Self::Quiet => "quiet",
            Self::Host => "host",
            Self::Client => "client",
        }
    }
}

/// A connection, or one of its WebSockets.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Row {
    pub(super) connection: u64,
    pub(super) websocket: Option<u64>,
    pub(super) client: String,
    pub(super) user: String,
    pub(super) host: String,
    pub(super) action: String,
    pub(super) rule: String,
    pub(super) protocol: String,
    pub(super) age: f64,
    /// By direction: towards the origin, and towards the client.
    pub(super) frames: [u64; 2],
    pub(super) bytes: [u64; 2],
    /// Bytes a second, both ways together.
    pub(super) rate: f64,
    /// How long nothing has passed, in seconds; `None` before the first frame and for what has none.
    pub(super) quiet: Option<f64>,
    /// What the last frame spent inside the proxy, in seconds.
    pub(super) inside: Option<f64>,
    /// Everything that is known, for whoever wants to see it.
    pub(super) all: Value,
}

impl Row {
    fn key(&self) -> (u64, Option<u64>) {
        (self.connection, self.websocket)
    }
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Act {
    Nothing,
    Quit,
    Close { connection: u64, websocket: Option<u64> },
}

/// What keys mean now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Mode {
    #[default]
    Rows,
    /// All that is known of the selected row.
    Details,
    /// Whether it is to be closed.
    Confirm,
    /// What the rows are narrowed to is being typed.
    Filter,
}

/// All of it.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<Row>,
    pub(super) total: u64,
    selected: Option<(u64, Option<u64>)>,
    pub(super) sort: Sort,
    pub(super) is_reversed: bool,
    pub(super) mode: Mode,
    pub(super) filter: String,
    said: Option<(String, Instant)>,
    renewed: Option<Instant>,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            total: 0,
            selected: None,
            sort: Sort::Age,
            is_reversed: false,
            mode: Mode::default(),
            filter: String::new(),
            said: None,
            renewed: None,
        }
    }
}

impl Table {
    /// Takes in an answer of the proxy.
    pub(super) fn renew(&mut self, answer: &Value, now: Instant) {
        let since = self
            .renewed
            .map(|before| now.saturating_duration_since(before).as_secs_f64());
        let before: HashMap<_, u64> = (self.rows.iter())
            .map(|row| (row.key(), row.bytes.iter().sum()))
            .collect();
        self.total = answer["total"].as_u64().unwrap_or_default();
        self.rows = answer["connections"]
            .as_array()
            .into_iter()
            .flatten()
            .flat_map(rows)
            .collect();
        for row in &mut self.rows {
            if let (Some(since), Some(before)) = (since.filter(|since| *since > 0.0), before.get(&row.key()))
            {
                let more = row.bytes.iter().sum::<u64>().saturating_sub(*before);
                #[allow(clippy::cast_precision_loss, reason = "it is shown to two digits")]
                let more = more as f64;
                row.rate = more / since;
            }
        }
        self.renewed = Some(now);
        self.order();
    }

    fn order(&mut self) {
        let sort = self.sort;
        self.rows.sort_by(|a, b| {
            let most = |a: f64, b: f64| b.total_cmp(&a);
            let order = match sort {
                Sort::Age => most(a.age, b.age),
                Sort::Rate => most(a.rate, b.rate),
                Sort::Bytes => b.bytes.iter().sum::<u64>().cmp(&a.bytes.iter().sum()),
                Sort::Frames => b.frames.iter().sum::<u64>().cmp(&a.frames.iter().sum()),
                Sort::Quiet => most(a.quiet.unwrap_or(-1.0), b.quiet.unwrap_or(-1.0)),
                Sort::Host => a.host.cmp(&b.host),
                Sort::Client => a.client.cmp(&b.client),
            };
            // A row keeps its place among equals, so that nothing flickers.
            if order == Ordering::Equal {
                a.key().cmp(&b.key())
            } else {
                order
            }
        });
        if self.is_reversed {
            self.rows.reverse();
        }
    }

    /// The rows that are shown.
    pub(super) fn shown(&self) -> Vec<&Row> {
        let wanted = self.filter.to_lowercase();
        let is_in = |text: &String| text.to_lowercase().contains(&wanted);
        let fits = |row: &&Row| {
            wanted.is_empty()
                || [&row.host, &row.client, &row.user, &row.rule, &row.protocol]
                    .into_iter()
                    .any(is_in)
        };
        self.rows.iter().filter(fits).collect()
    }

    /// The place of the selected row among those that are shown.
    pub(super) fn place(&self) -> Option<usize> {
        let shown = self.shown();
        let found = shown.iter().position(|row| Some(row.key()) == self.selected);
        found.or((!shown.is_empty()).then_some(0))
    }

    /// The selected row.
    pub(super) fn row(&self) -> Option<&Row> {
        self.shown().get(self.place()?).copied()
    }

    /// Says something for a while.
    pub(super) fn say(&mut self, text: String) {
        self.said = Some((printable(&text, false).into_owned(), Instant::now()));
    }

    /// What was said lately.
    pub(super) fn said(&self) -> Option<&str> {
        let (text, at) = self.said.as_ref()?;
        (at.elapsed() < SAID).then_some(text)
    }

    fn go(&mut self, to: impl FnOnce(usize, usize) -> usize) {
        let shown = self.shown();
        let Some(last) = shown.len().checked_sub(1) else {
            return;
        };
        let place = to(self.place().unwrap_or_default(), last).min(last);
        self.selected = shown.get(place).map(|row| row.key());
    }

    /// A key was pressed.
    pub(super) fn press(&mut self, key: KeyEvent) -> Act {
        if key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL) {
            return Act::Quit;
        }
        match self.mode {
            Mode::Confirm => return self.confirm(key.code),
            Mode::Filter => self.type_filter(key.code),
            Mode::Details => match key.code {
                KeyCode::Esc | KeyCode::Enter | KeyCode::Char('q') => self.mode = Mode::Rows,
                KeyCode::Char('x') if self.row().is_some() => self.ask(),
                _ => {}
            },
            Mode::Rows => match key.code {
                KeyCode::Char('q') | KeyCode::Esc => return Act::Quit,
                KeyCode::Down | KeyCode::Char('j') => self.go(|at, _| at + 1),
                KeyCode::Up | KeyCode::Char('k') => self.go(|at, _| at.saturating_sub(1)),
                KeyCode::PageDown => self.go(|at, _| at + PAGE),
                KeyCode::PageUp => self.go(|at, _| at.saturating_sub(PAGE)),
                KeyCode::Home => self.go(|_, _| 0),
                KeyCode::End => self.go(|_, last| last),
                KeyCode::Enter if self.row().is_some() => {
                    self.go(|at, _| at);
                    self.mode = Mode::Details;
                }
                KeyCode::Char('x') if self.row().is_some() => self.ask(),
                KeyCode::Char('/') => self.mode = Mode::Filter,
                KeyCode::Char('s') => {
                    let at = Sort::ALL
                        .iter()
                        .position(|sort| *sort == self.sort)
                        .unwrap_or_default();
                    self.sort = Sort::ALL[(at + 1) % Sort::ALL.len()];
                    self.order();
                }
                KeyCode::Char('r') => {
                    self.is_reversed = !self.is_reversed;
                    self.order();
                }
                _ => {}
            },
        }
        Act::Nothing
    }

    /// Asks whether the selected row is meant; it stays the same though others come and go.
    fn ask(&mut self) {
        self.go(|at, _| at);
        self.mode = Mode::Confirm;
    }

    fn confirm(&mut self, code: KeyCode) -> Act {
        self.mode = Mode::Rows;
        // The one that was asked about, if it is still there, and no other.
        let is_there = self.rows.iter().any(|row| Some(row.key()) == self.selected);
        match (code, self.selected) {
            (KeyCode::Char('y'), Some((connection, websocket))) if is_there => Act::Close {
                connection,
                websocket,
            },
            (KeyCode::Char('y'), _) => {
                self.say("it has ended by itself".to_owned());
                Act::Nothing
            }
            _ => Act::Nothing,
        }
    }

    fn type_filter(&mut self, code: KeyCode) {
        match code {
            KeyCode::Enter => self.mode = Mode::Rows,
            KeyCode::Esc => {
                self.filter.clear();
                self.mode = Mode::Rows;
            }
            KeyCode::Backspace => {
                self.filter.pop();
            }
            KeyCode::Char(c) => self.filter.push(c),
            _ => {}
        }
    }
}

/// A connection's rows: its WebSockets, or itself.
fn rows(connection: &Value) -> Vec<Row> {
    let text = |key: &str| {
        let text = connection[key].as_str().unwrap_or_default();
        printable(text, false).into_owned()
    };
    let own = Row {
        connection: connection["id"].as_u64().unwrap_or_default(),
        websocket: None,
        client: text("client"),
        user: text("user"),
        host: text("host"),
        action: text("action"),
        rule: text("rule"),
        protocol: text("protocol"),
        age: connection["seconds"].as_f64().unwrap_or_default(),
        bytes: both(&connection["bytes"]),
        all: connection.clone(),
        ..Row::default()
    };
    let sockets: Vec<_> = (connection["websockets"].as_array().into_iter().flatten())
        .map(|websocket| Row {
            websocket: websocket["id"].as_u64(),
            protocol: match websocket["version"].as_str() {
                Some("HTTP/2.0") => "websocket h2".to_owned(),
                _ => "websocket".to_owned(),
            },
            age: websocket["seconds"].as_f64().unwrap_or_default(),
            frames: both(&websocket["frames"]),
            bytes: both(&websocket["bytes"]),
            quiet: least(&websocket["quiet_seconds"]),
            inside: least(&websocket["inside_seconds"]),
            all: websocket.clone(),
            ..own.clone()
        })
        .collect();
    // A connection of HTTP/2 has requests beside its WebSockets.
    if sockets.is_empty() {
        vec![own]
    } else if own.protocol == "h2" {
        [vec![own], sockets].concat()
    } else {
        sockets
    }
}

fn both(value: &Value) -> [u64; 2] {
    ["to_origin", "to_client"].map(|direction| value[direction].as_u64().unwrap_or_default())
}

/// Of the direction in which something passed last.
fn least(value: &Value) -> Option<f64> {
    let each = ["to_origin", "to_client"]
        .into_iter()
        .filter_map(|direction| value[direction].as_f64());
    each.min_by(f64::total_cmp)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde_json::json;

    pub(in super::super) fn answer(bytes: u64) -> Value {
        let socket = |id: u64, bytes: u64| {
            json!({
                "id": id, "version": "HTTP/1.1", "seconds": 10.0 * id as f64, "frames": { "to_origin": id, "to_client": 2 },
                "bytes": { "to_origin": bytes, "to_client": 0 }, "url": "wss://chat.test/ws",
                "quiet_seconds": { "to_origin": 1.5, "to_client": null },
                "inside_seconds": { "to_origin": 0.0001, "to_client": null },
            })
        };
        json!({ "total": 3, "connections": [
            { "id": 1, "client": "192.0.2.1", "host": "a.test:443", "protocol": "http/1.1", "seconds": 5.0,
              "bytes": { "to_origin": 1, "to_client": 2 }, "websockets": [] },
            { "id": 2, "client": "192.0.2.2", "user": "ada\u{1b}[2J", "host": "chat.test:443", "protocol": "websocket",
              "seconds": 50.0, "bytes": { "to_origin": 0, "to_client": 0 }, "websockets": [socket(7, bytes)] },
            { "id": 3, "client": "192.0.2.3", "host": "h2.test:443", "protocol": "h2", "seconds": 6.0,
              "bytes": { "to_origin": 9, "to_client": 9 }, "websockets": [socket(8, 5), socket(9, 6)] },
        ] })
    }

    fn press(table: &mut Table, keys: &str) -> Act {
        let mut act = Act::Nothing;
        for key in keys.chars() {
            let code = match key {
                '\n' => KeyCode::Enter,
                '\u{1b}' => KeyCode::Esc,
                'v' => KeyCode::Down,
                c => KeyCode::Char(c),
            };
            act = table.press(KeyEvent::new(code, KeyModifiers::NONE));
        }
        act
    }

    fn keys_of(table: &Table) -> Vec<(u64, Option<u64>)> {
        table.shown().iter().map(|row| row.key()).collect()
    }

    #[test]
    fn rows_are_sorted_and_keep_their_places_and_rates_come_with_the_second_answer() {
        let (mut table, now) = (Table::default(), Instant::now());
        table.renew(&answer(100), now);
        assert_eq!(
            keys_of(&table),
            [(3, Some(9)), (3, Some(8)), (2, Some(7)), (3, None), (1, None)]
        );
        assert!(table.shown().iter().all(|row| row.rate == 0.0));
        assert_eq!(table.shown()[2].user, "ada\\x1b[2J");
        table.renew(&answer(2100), now + Duration::from_secs(2));
        press(&mut table, "s");
        assert_eq!((table.sort, keys_of(&table)[0]), (Sort::Rate, (2, Some(7))));
        assert!((table.shown()[0].rate - 1000.0).abs() < 1e-9);
        press(&mut table, "r");
        assert_eq!(keys_of(&table).last(), Some(&(2, Some(7))));
    }

    #[test]
    fn a_selection_stays_with_its_row_and_only_a_confirmed_one_is_closed() {
        let (mut table, now) = (Table::default(), Instant::now());
        table.renew(&answer(1), now);
        press(&mut table, "vv");
        assert_eq!(table.row().unwrap().key(), (2, Some(7)));
        press(&mut table, "sr");
        table.renew(&answer(1), now + Duration::from_secs(1));
        assert_eq!(table.row().unwrap().key(), (2, Some(7)));
        assert_eq!(press(&mut table, "xn"), Act::Nothing);
        assert_eq!(
            press(&mut table, "xy"),
            Act::Close {
                connection: 2,
                websocket: Some(7)
            }
        );
        press(&mut table, "x");
        table.renew(
            &json!({ "total": 0, "connections": [] }),
            now + Duration::from_secs(2),
        );
        assert_eq!(press(&mut table, "y"), Act::Nothing);
        assert!(table.said().is_some() && table.row().is_none());
        assert_eq!(press(&mut table, "q"), Act::Quit);
    }

    #[test]
    fn rows_are_narrowed_by_what_is_typed() {
        let mut table = Table::default();
        table.renew(&answer(1), Instant::now());
        press(&mut table, "/CHAT\n");
        assert_eq!(keys_of(&table), [(2, Some(7))]);
        press(&mut table, "\n");
        assert_eq!(table.mode, Mode::Details);
        press(&mut table, "\u{1b}/\u{1b}");
        assert_eq!((keys_of(&table).len(), table.mode.clone()), (5, Mode::Rows));
    }
}

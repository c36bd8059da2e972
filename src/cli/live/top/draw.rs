//! Draws the table.

use super::model::{Mode, Row, Table};
use crate::cli::live::sizes;
use crate::live::printable;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph, Row as TableRow, Table as Grid, TableState};
use serde_json::Value;

/// What a column is called, and how narrow and wide it may be: numbers that change have a width that does not. The host has what
/// the others leave.
const COLUMNS: [(&str, u16, u16); 11] = [
    ("CLIENT", 9, 39),
    ("USER", 5, 16),
    ("HOST", 4, u16::MAX),
    ("ACTION", 6, 20),
    ("PROTOCOL", 9, 12),
    ("AGE", 7, 7),
    ("FRAMES ->/<-", 13, 13),
    ("BYTES ->/<-", 17, 17),
    ("RATE", 11, 11),
    ("QUIET", 7, 7),
    ("INSIDE", 8, 8),
];
const USER: usize = 1;
const HOST: usize = 2;
/// Which columns go first where there is no room for all, by their places.
const LEAST: [usize; 9] = [10, 6, 4, 8, 3, 7, 1, 9, 0];
/// The host is told from others by so much of it, whatever has to go for that.
const HOST_AT_LEAST: u16 = 28;

/// The columns that there is room for, with their widths.
fn columns(rows: &[[String; 11]], room: u16) -> Vec<(usize, u16)> {
    let widest = |at: usize| {
        let widths = rows.iter().map(|row| row[at].chars().count());
        u16::try_from(widths.max().unwrap_or_default()).unwrap_or(u16::MAX)
    };
    let width = |at: usize| {
        let (_, least, most) = COLUMNS[at];
        widest(at).clamp(least, most)
    };
    let mut all: Vec<(usize, u16)> = (0..COLUMNS.len()).map(|at| (at, width(at))).collect();
    // Where nobody has logged in there is nothing to be seen.
    all.retain(|(at, _)| *at != USER || rows.is_empty() || widest(USER) > 0);
    let host = width(HOST).min(HOST_AT_LEAST);
    for least in LEAST {
        let others = all.iter().filter(|(at, _)| *at != HOST);
        let taken: u16 = others.map(|(_, width)| width + 1).sum();
        if taken + host <= room {
            break;
        }
        all.retain(|(at, _)| *at != least);
    }
    all
}

/// Draws all of it.
pub(super) fn draw(frame: &mut Frame<'_>, table: &Table) {
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(1), Constraint::Length(1)])
            .areas(frame.area());
    let shown = table.shown();
    let reversed = if table.is_reversed { ", reversed" } else { "" };
    let narrowed = match table.filter.as_str() {
        "" => String::new(),
        filter => format!(", narrowed to {:?}", printable(filter, false)),
    };
    let title = format!(
        "wsbump top: {} connections, {} rows by {}{reversed}{narrowed}",
        table.total,
        shown.len(),
        table.sort.label()
    );
    frame.render_widget(
        Paragraph::new(title).style(Style::new().add_modifier(Modifier::BOLD)),
        head,
    );
    let cells: Vec<_> = shown.iter().map(|row| cells(row)).collect();
    let columns = columns(&cells, body.width);
    let rows = cells.iter().map(|row| {
        let cells = columns.iter().map(|(at, _)| row[*at].as_str());
        TableRow::new(cells)
    });
    let widths = columns.iter().map(|(at, width)| match *at {
        HOST => Constraint::Fill(1),
        _ => Constraint::Length(*width),
    });
    let heads = columns.iter().map(|(at, _)| COLUMNS[*at].0);
    let grid = Grid::new(rows, widths)
        .header(TableRow::new(heads).style(Style::new().add_modifier(Modifier::UNDERLINED)))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut state = TableState::default().with_selected(table.place());
    frame.render_stateful_widget(grid, body, &mut state);
    if shown.is_empty() && body.height > 2 {
        let why = match table.filter.is_empty() {
            true => "Nothing is open. Send something through the proxy, and it shows here.",
            false => "No row has this text: / and Esc show all.",
        };
        let place = Rect {
            y: body.y + 2,
            height: 1,
            ..body
        };
        frame.render_widget(Paragraph::new(why), place);
    }
    let keys = match (&table.mode, table.said()) {
        (Mode::Filter, _) => format!("/{}", printable(&table.filter, false)),
        (Mode::Confirm, _) => match table.row() {
            Some(row) => format!(
                "close {} of {}? y closes it, any other key does not",
                name(row),
                row.host
            ),
            None => "it has ended by itself".to_owned(),
        },
        (_, Some(said)) => said.to_owned(),
        (Mode::Details, _) => "Esc back  x close".to_owned(),
        (Mode::Rows, _) => {
            "q quit  arrows select  Enter details  x close  s sort  r reverse  / narrow".to_owned()
        }
    };
    frame.render_widget(Paragraph::new(keys), foot);
    if let (Mode::Details, Some(row)) = (&table.mode, table.row()) {
        details(frame, body, row);
    }
}

fn name(row: &Row) -> String {
    match row.websocket {
        Some(websocket) => format!("WebSocket {websocket} on connection {}", row.connection),
        None => format!("connection {}", row.connection),
    }
}

fn cells(row: &Row) -> [String; 11] {
    let is_socket = row.websocket.is_some();
    let action = match row.rule.as_str() {
        "" => row.action.clone(),
        rule => format!("{} {rule}", row.action),
    };
    [
        row.client.clone(),
        row.user.clone(),
        row.host.clone(),
        action,
        row.protocol.clone(),
        sizes::seconds(row.age),
        if is_socket {
            format!("{}/{}", row.frames[0], row.frames[1])
        } else {
            String::new()
        },
        format!("{}/{}", sizes::bytes(row.bytes[0]), sizes::bytes(row.bytes[1])),
        rate(row.rate),
        row.quiet.map_or(String::new(), sizes::seconds),
        row.inside
            .map_or(String::new(), |inside| format!("{:.0} us", inside * 1e6)),
    ]
}

fn rate(rate: f64) -> String {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate is not negative"
    )]
    let rate = rate.clamp(0.0, 1e18) as u64;
    if rate == 0 {
        String::new()
    } else {
        format!("{}/s", sizes::bytes(rate))
    }
}

/// A key of the interface as people call it.
fn called(key: &str) -> String {
    match key {
        "seconds" => "age".to_owned(),
        "quiet_seconds" => "last frame".to_owned(),
        "inside_seconds" => "time inside the proxy".to_owned(),
        key => key.replace('_', " "),
    }
}

/// A value of the interface as people read it; one for each direction with its arrow.
fn told(key: &str, value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::Bool(is) => if *is { "yes" } else { "no" }.to_owned(),
        Value::String(text) => text.clone(),
        Value::Object(ways) if ways.contains_key("to_origin") => {
            let way = |way: &str| told(key, &value[way]);
            format!("-> {}  <- {}", way("to_origin"), way("to_client"))
        }
        value => match (key, value.as_f64()) {
            ("inside_seconds", Some(time)) => format!("{:.0} us", time * 1e6),
            (_, Some(time)) if key.ends_with("seconds") => sizes::seconds(time),
            ("bytes", _) => sizes::bytes(value.as_u64().unwrap_or_default()),
            _ => value.to_string(),
        },
    }
}

/// All that is known of a row, over the table.
fn details(frame: &mut Frame<'_>, area: Rect, row: &Row) {
    let mut lines = vec![Line::from(name(row)), Line::from(format!("host: {}", row.host))];
    for (key, value) in row.all.as_object().into_iter().flatten() {
        if !value.is_null() && !["websockets", "host", "id"].contains(&key.as_str()) {
            let value = Span::raw(printable(&told(key, value), false).into_owned());
            lines.push(Line::from(vec![Span::raw(format!("{}: ", called(key))), value]));
        }
    }
    let height = u16::try_from(lines.len())
        .unwrap_or(u16::MAX)
        .saturating_add(2)
        .min(area.height);
    let place = Rect { height, ..area };
    frame.render_widget(Clear, place);
    frame.render_widget(
        Paragraph::new(lines).block(Block::bordered().title("details")),
        place,
    );
}

#[cfg(test)]
mod tests {
    use super::super::model::tests::answer;
    use super::*;
    use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use std::time::Instant;

    fn screen(table: &Table) -> String {
        screen_of(table, 160)
    }

    fn screen_of(table: &Table, width: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, 20)).unwrap();
        terminal.draw(|frame| draw(frame, table)).unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn rows_details_and_the_question_are_on_the_screen() {
        let mut table = Table::default();
        table.renew(&answer(100), Instant::now());
        let text = screen(&table);
        for part in [
            "3 connections, 5 rows by age",
            "chat.test:443",
            "7/2",
            "100 B/0 B",
            "100 us",
            "ada\\x1b[2J",
            "q quit",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let mut press = |code| table.press(KeyEvent::new(code, KeyModifiers::NONE));
        press(KeyCode::Enter);
        let text = screen(&table);
        assert!(
            text.contains("details") && text.contains("WebSocket 9 on connection 3"),
            "{text}"
        );
        for part in [
            "bytes: -> 6 B  <- 0 B",
            "last frame: -> 1.5s  <- none",
            "time inside the proxy: -> 100 us  <- none",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        table.press(KeyEvent::new(KeyCode::Char('x'), KeyModifiers::NONE));
        assert!(screen(&table).contains("close WebSocket 9 on connection 3 of h2.test:443?"));
    }

    #[test]
    fn the_host_is_read_in_terminals_of_any_width() {
        let mut answer = answer(100);
        let host = "wss-primary.slack.test:443";
        answer["connections"][1]["host"] = host.into();
        answer["connections"][1]["client"] = "2001:db8:1111:2222:3333:4444:5555:6666".into();
        let mut table = Table::default();
        table.renew(&answer, Instant::now());
        for (width, heads) in [
            (200, &["CLIENT", "USER", "PROTOCOL", "FRAMES", "INSIDE"][..]),
            (120, &["CLIENT", "USER", "AGE", "QUIET"]),
            (80, &["CLIENT", "AGE"]),
            (40, &["AGE"]),
        ] {
            let text = screen_of(&table, width);
            for part in [&[host][..], heads].concat() {
                assert!(text.contains(part), "{width}: {part}: {text}");
            }
        }
        // What nobody has takes no room.
        for connection in answer["connections"].as_array_mut().unwrap() {
            connection.as_object_mut().unwrap().remove("user");
        }
        table.renew(&answer, Instant::now());
        assert!(!screen_of(&table, 200).contains("USER"));
        // And where nothing is open, all columns are named.
        let text = screen_of(&Table::default(), 200);
        assert!(
            text.contains("USER") && text.contains("Nothing is open"),
            "{text}"
        );
    }
}

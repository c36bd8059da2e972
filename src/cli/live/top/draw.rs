//! Draws the table.

use super::model::{Mode, Row, Table};
use crate::cli::live::sizes;
use crate::live::printable;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph, Row as TableRow, Table as Grid, TableState};

const HEADS: [&str; 11] = [
    "CLIENT",
    "USER",
    "HOST",
    "ACTION",
    "PROTOCOL",
    "AGE",
    "FRAMES ->/<-",
    "BYTES ->/<-",
    "RATE",
    "QUIET",
    "INSIDE",
];

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
    let rows = shown.iter().map(|row| TableRow::new(cells(row)));
    let widths = [
        Constraint::Length(15),
        Constraint::Length(12),
        Constraint::Fill(2),
        Constraint::Fill(1),
        Constraint::Length(12),
        Constraint::Length(7),
        Constraint::Length(13),
        Constraint::Length(19),
        Constraint::Length(11),
        Constraint::Length(7),
        Constraint::Length(8),
    ];
    let grid = Grid::new(rows, widths)
        .header(TableRow::new(HEADS).style(Style::new().add_modifier(Modifier::UNDERLINED)))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut state = TableState::default().with_selected(table.place());
    frame.render_stateful_widget(grid, body, &mut state);
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

/// All that is known of a row, over the table.
fn details(frame: &mut Frame<'_>, area: Rect, row: &Row) {
    let mut lines = vec![Line::from(name(row)), Line::from(format!("host: {}", row.host))];
    for (key, value) in row.all.as_object().into_iter().flatten() {
        if key != "websockets" && key != "host" {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let value = Span::raw(printable(&value, false).into_owned());
            lines.push(Line::from(vec![Span::raw(format!("{key}: ")), value]));
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
        let mut terminal = Terminal::new(TestBackend::new(160, 20)).unwrap();
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
        table.press(KeyEvent::new(KeyCode::Char('x'), KeyModifiers::NONE));
        assert!(screen(&table).contains("close WebSocket 9 on connection 3 of h2.test:443?"));
    }
}

//! `wsbump top`: what is open, as a table that renews itself.

mod draw;
mod model;

use super::client::LiveClient;
use crate::cli::args::LivePlace;
use crate::cli::output::CommandError;
use crossterm::event::{self, Event, KeyEventKind};
use model::{Act, Table};
use ratatui::DefaultTerminal;
use serde_json::{Value, json};
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// How often the table is renewed.
const EVERY: Duration = Duration::from_secs(1);
/// How often a thread that waits for keys looks whether it is still needed.
const KEYS: Duration = Duration::from_millis(200);
/// The most rows that are asked for.
const ROWS: usize = 5000;

/// `wsbump top`: shows what is open until `q` is pressed.
///
/// # Errors
/// No proxy answers, or there is no terminal.
pub fn top(place: &LivePlace) -> Result<(), CommandError> {
    let client = LiveClient::of(place)?;
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        let message = "there is no terminal to draw on; `wsbump tail` writes lines";
        return Err(CommandError::Other(message.to_owned()));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| CommandError::Other(format!("cannot start: {error}")))?;
    // Asked before the screen is taken: who is refused reads why.
    let first = runtime.block_on(ask(&client))?;
    let mut terminal = ratatui::init();
    let ended = runtime.block_on(show(&mut terminal, &client, &first));
    ratatui::restore();
    ended
}

async fn ask(client: &LiveClient) -> Result<Value, CommandError> {
    client.get(&format!("/api/v1/connections?limit={ROWS}")).await
}

async fn show(
    terminal: &mut DefaultTerminal,
    client: &LiveClient,
    first: &Value,
) -> Result<(), CommandError> {
    let mut table = Table::default();
    table.renew(first, Instant::now());
    let mut keys = keys();
    let mut renewal = tokio::time::interval(EVERY);
    loop {
        let drawn = terminal.draw(|frame| draw::draw(frame, &table));
        drawn.map_err(|error| CommandError::Other(format!("cannot draw: {error}")))?;
        tokio::select! {
            _ = renewal.tick() => match ask(client).await {
                Ok(answer) => table.renew(&answer, Instant::now()),
                Err(error) => table.say(error.to_string()),
            },
            event = keys.recv() => match event {
                None => return Ok(()),
                Some(Event::Key(key)) if key.kind == KeyEventKind::Press => match table.press(key) {
                    Act::Nothing => {}
                    Act::Quit => return Ok(()),
                    Act::Close { connection, websocket } => {
                        let body = json!({ "websocket": websocket, "reason": "wsbump top" });
                        let path = format!("/api/v1/connections/{connection}/close");
                        match client.post(&path, &body).await {
                            Ok(_) => table.say(format!("connection {connection} is being closed")),
                            Err(error) => table.say(error.to_string()),
                        }
                    }
                },
                Some(_) => {}
            },
        }
    }
}

/// What is typed, read by a thread that ends with its receiver.
fn keys() -> mpsc::UnboundedReceiver<Event> {
    let (sender, keys) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        while !sender.is_closed() {
            match event::poll(KEYS) {
                Ok(false) => {}
                Ok(true) => {
                    let read = event::read();
                    if read.is_err() || read.is_ok_and(|event| sender.send(event).is_err()) {
                        return;
                    }
                }
                Err(_) => return,
            }
        }
    });
    keys
}

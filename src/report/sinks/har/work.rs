//! The thread that puts a recording's pieces together and writes them: nothing of it is on the way of what passes.

use super::entry::{HarExchange, Writing};
use super::files::{self, PartFile};
use super::piece::{HarPiece, MessagePiece};
use super::queue::{HarQueue, Note};
use crate::inspect::Mask;
use crate::inspect::SessionFacts;
use crate::report::config::{Per, RecordConfig};
use crate::report::instance::Instance;
use crate::report::sinks::line::Stamp;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub(super) struct HarWriter {
    config: RecordConfig,
    instance: Instance,
    shared: Arc<HarQueue>,
    connections: HashMap<u64, OpenConnection>,
    /// The window's file, once it has an entry.
    window: Option<PartFile>,
    /// When the window ends.
    due: Option<Instant>,
    /// Nothing of this process is in the directory yet.
    is_first: bool,
    /// The last write failed, and the operator was told.
    failing: bool,
}

/// What is open of one client connection.
#[derive(Default)]
struct OpenConnection {
    exchanges: Vec<(u64, HarExchange)>,
    /// One over HTTP/1.1; over HTTP/2 as many as it has streams.
    sockets: Vec<HarWebSocket>,
    /// Its file, once it has an entry.
    part: Option<PartFile>,
}

/// An open WebSocket.
struct HarWebSocket {
    handshake: HarExchange,
    /// Whose messages are its own, once there was one.
    facts: Option<Arc<SessionFacts>>,
    messages: Vec<MessagePiece>,
    bytes: u64,
    /// What its messages take in memory.
    cost: usize,
    /// Messages beyond the limits, and their bytes.
    left_out: (u64, u64),
    /// Its first entry is written: the next one goes on from there.
    is_continued: bool,
}

impl HarWriter {
    pub(super) fn new(
        config: RecordConfig,
        instance: Instance,
        shared: Arc<HarQueue>,
        is_first: bool,
    ) -> Self {
        Self {
            due: due(config.per),
            config,
            instance,
            shared,
            connections: HashMap::new(),
            window: None,
            is_first,
            failing: false,
        }
    }

    pub(super) fn run(mut self, notes: &Receiver<Note>) {
        if self.is_first {
            let cleared = files::clear(&self.config.directory);
            self.told(cleared);
        }
        loop {
            let next = match self.due {
                Some(due) => notes.recv_timeout(due.saturating_duration_since(Instant::now())),
                None => notes.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match next {
                Ok(Note::Piece(facts, piece, cost)) => self.piece(facts, piece, cost),
                Ok(Note::Ended(connection)) => self.ended(connection),
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Note::Stop) | Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.due.is_some_and(|due| due <= Instant::now()) {
                self.roll();
            }
            self.shared.show();
        }
        self.finish();
        self.shared.show();
    }

    fn piece(&mut self, facts: Arc<SessionFacts>, piece: HarPiece, cost: usize) {
        let id = facts.connection;
        match piece {
            HarPiece::Head(exchange, head) if head.head.status.is_none() => {
                let mut begun = HarExchange::begin(facts, head);
                begun.cost = cost;
                self.connections
                    .entry(id)
                    .or_default()
                    .exchanges
                    .push((exchange, begun));
            }
            HarPiece::Head(exchange, head) => self.with(id, exchange, cost, |it| it.response = Some(head)),
            HarPiece::Body(exchange, direction, part) => {
                self.with(id, exchange, cost, |it| it.bodies[direction.index()] = Some(part));
            }
            HarPiece::End(exchange, ended) => self.with(id, exchange, cost, |it| it.ended = Some(ended)),
            HarPiece::Message(message) => {
                let connection = self.connections.entry(id).or_default();
                let socket = connection.socket(&facts, message.at);
                if !socket.keep(message, cost, &self.config) {
                    self.shared.release(cost);
                }
            }
            HarPiece::Closed { at, end, code } => {
                self.shared.release(cost);
                let connection = self.connections.get_mut(&id);
                let socket = connection.and_then(|it| {
                    let at = it.find(&facts)?;
                    Some(it.sockets.remove(at))
                });
                if let Some(mut socket) = socket {
                    let code = code.map_or(String::new(), |code| format!(" with {code}"));
                    let how = if end == "closed" {
                        String::new()
                    } else {
                        format!(" ({end})")
                    };
                    socket.handshake.comments.push(format!("closed{code}{how}"));
                    self.write_socket(id, &mut socket, at);
                    self.shared.release(socket.handshake.cost);
                }
            }
        }
    }

    /// Does something to an exchange that is known, and writes it if that was the last of it.
    fn with(&mut self, id: u64, exchange: u64, cost: usize, work: impl FnOnce(&mut HarExchange)) {
        let found = self.connections.get_mut(&id).and_then(|connection| {
            let at = connection
                .exchanges
                .iter()
                .position(|(known, _)| *known == exchange)?;
            Some((connection, at))
        });
        // Its beginning was before the recording's, or is lost.
        let Some((connection, at)) = found else {
            return self.shared.release(cost);
        };
        let (_, it) = &mut connection.exchanges[at];
        it.cost += cost;
        work(it);
        if !it.is_over() {
            return;
        }
        let (_, over) = connection.exchanges.swap_remove(at);
        if over.is_websocket() {
            connection.sockets.push(HarWebSocket::new(over));
        } else {
            self.write_exchange(id, over);
        }
    }

    /// A client connection is over, and everything in it.
    fn ended(&mut self, id: u64) {
        let Some(mut connection) = self.connections.remove(&id) else {
            return;
        };
        let open = std::mem::take(&mut connection.exchanges);
        let sockets = std::mem::take(&mut connection.sockets);
        self.connections.insert(id, connection);
        for (_, mut exchange) in open {
            if exchange.ended.is_none() {
                exchange.comments.push("the connection ended first".to_owned());
            }
            self.write_exchange(id, exchange);
        }
        for mut socket in sockets {
            socket.handshake.comments.push("its end was not seen".to_owned());
            self.write_socket(id, &mut socket, now());
            self.shared.release(socket.handshake.cost);
        }
        if let Some(part) = self
            .connections
            .remove(&id)
            .and_then(|connection| connection.part)
        {
            self.complete(part);
        }
        self.shared.forget(id);
    }

    /// The window is over: what there is of open WebSockets goes into its file, and the next one begins.
    fn roll(&mut self) {
        self.due = due(self.config.per);
        let ids: Vec<u64> = self.connections.keys().copied().collect();
        for id in ids {
            let sockets = self
                .connections
                .get_mut(&id)
                .map(|it| std::mem::take(&mut it.sockets));
            for mut socket in sockets.unwrap_or_default() {
                if !socket.is_continued || !socket.messages.is_empty() || socket.left_out.0 > 0 {
                    socket.handshake.comments.push("still open".to_owned());
                    self.write_socket(id, &mut socket, now());
                    let comments = &mut socket.handshake.comments;
                    comments.clear();
                    comments.push("goes on from an earlier file".to_owned());
                }
                self.connections.entry(id).or_default().sockets.push(socket);
            }
        }
        if let Some(part) = self.window.take() {
            self.complete(part);
        }
    }

    /// Writes all that is there.
    fn finish(&mut self) {
        let ids: Vec<u64> = self.connections.keys().copied().collect();
        for id in ids {
            if let Some(connection) = self.connections.get_mut(&id) {
                let open = connection.exchanges.iter_mut().map(|(_, exchange)| exchange);
                let sockets = connection.sockets.iter_mut().map(|socket| &mut socket.handshake);
                for exchange in open.chain(sockets) {
                    exchange.comments.push("the recording ended first".to_owned());
                }
            }
            self.ended(id);
        }
        if let Some(part) = self.window.take() {
            self.complete(part);
        }
    }

    fn writing(&self) -> Writing {
        Writing {
            mask: Mask(self.config.mask),
            body: self.config.body_bytes,
        }
    }

    fn write_exchange(&mut self, id: u64, mut exchange: HarExchange) {
        exchange.comments.extend(self.shared.lost_of(id));
        let entry = exchange.entry(self.writing(), None);
        self.write(id, entry);
        self.shared.release(exchange.cost);
    }

    /// Writes what there is of a WebSocket, and forgets its messages.
    fn write_socket(&mut self, id: u64, socket: &mut HarWebSocket, until: Duration) {
        // A message that waited for its verdict was stated behind those that came after it.
        socket
            .messages
            .sort_by_key(|message| (message.at, message.number));
        let comments = &mut socket.handshake.comments;
        let cut = socket.messages.iter().filter(|message| !message.is_whole).count();
        if cut > 0 {
            comments.push(format!(
                "{cut} messages are not here as a whole, see their _wsbump.size"
            ));
        }
        let ruled = socket
            .messages
            .iter()
            .filter(|message| message.ruled.is_some())
            .count();
        if ruled > 0 {
            comments.push(format!(
                "rules changed or stopped {ruled} messages, see their _wsbump"
            ));
        }
        if socket.left_out.0 > 0 {
            let (messages, bytes) = socket.left_out;
            comments.push(format!(
                "{messages} more messages with {bytes} bytes were left out"
            ));
        }
        comments.extend(self.shared.lost_of(id));
        let entry = socket
            .handshake
            .entry(self.writing(), Some((&socket.messages, until)));
        self.write(id, entry);
        self.shared.release(std::mem::take(&mut socket.cost));
        socket.messages = Vec::new();
        (socket.bytes, socket.left_out, socket.is_continued) = (0, (0, 0), true);
    }

    fn write(&mut self, id: u64, mut entry: serde_json::Value) {
        entry["_instance"] = self.instance.as_str().into();
        let connection = self.connections.entry(id).or_default();
        let (slot, name) = match self.config.per {
            Per::Connection => (&mut connection.part, format!("c{id}")),
            Per::Window(_) => (&mut self.window, "window".to_owned()),
        };
        let mut added = Ok(());
        if slot.is_none() {
            match PartFile::begin(&self.config.directory, &stamp(), &name) {
                Ok(part) => *slot = Some(part),
                Err(error) => added = Err(error),
            }
        }
        if let Some(part) = slot {
            // Writing plain structures into memory cannot fail.
            added = part.add(&serde_json::to_vec(&entry).unwrap_or_default());
        }
        match &added {
            Ok(()) => self.shared.counts.entries.inc(),
            Err(_) => self.shared.counts.write_error.inc(),
        }
        self.told(added);
    }

    fn complete(&mut self, part: PartFile) {
        let entries = part.entries;
        let done = part.finish();
        match &done {
            Ok(()) if entries > 0 => self.shared.counts.files.inc(),
            Ok(()) => {}
            Err(_) => self.shared.counts.write_error.inc_by(entries),
        }
        let done = done.and_then(|()| files::prune(&self.config.directory, self.config.keep));
        self.told(done);
    }

    fn told(&mut self, done: io::Result<()>) {
        if let Err(error) = &done
            && !self.failing
        {
            tracing::error!(
                directory = %self.config.directory.display(), %error,
                "cannot write a recording; entries are lost until it can be written again"
            );
        }
        self.failing = done.is_err();
    }
}

impl OpenConnection {
    /// The WebSocket that these are the facts of. A relay has facts of its own: those of the oldest handshake with the
    /// same path that has had no message yet are taken to be the same WebSocket's.
    fn find(&mut self, facts: &Arc<SessionFacts>) -> Option<usize> {
        let is_it = |socket: &HarWebSocket| {
            socket
                .facts
                .as_ref()
                .is_some_and(|known| Arc::ptr_eq(known, facts))
        };
        if let Some(at) = self.sockets.iter().position(is_it) {
            return Some(at);
        }
        let is_new =
            |socket: &HarWebSocket| socket.facts.is_none() && socket.handshake.facts.path == facts.path;
        let at = self.sockets.iter().position(is_new)?;
        self.sockets[at].facts = Some(Arc::clone(facts));
        Some(at)
    }

    /// The same; one whose handshake was not recorded begins `at` this time.
    fn socket(&mut self, facts: &Arc<SessionFacts>, at: Duration) -> &mut HarWebSocket {
        let index = self.find(facts).unwrap_or_else(|| {
            let mut late = HarWebSocket::new(HarExchange::late(Arc::clone(facts), at));
            late.facts = Some(Arc::clone(facts));
            self.sockets.push(late);
            self.sockets.len() - 1
        });
        &mut self.sockets[index]
    }
}

impl HarWebSocket {
    fn new(handshake: HarExchange) -> Self {
        Self {
            handshake,
            facts: None,
            messages: Vec::new(),
            bytes: 0,
            cost: 0,
            left_out: (0, 0),
            is_continued: false,
        }
    }

    /// Keeps a message within the limits; says whether it did.
    fn keep(&mut self, message: MessagePiece, cost: usize, config: &RecordConfig) -> bool {
        let bytes = self.bytes + message.data.len() as u64;
        // Once something is left out everything is, so that what is there has no holes.
        if self.left_out.0 > 0
            || self.messages.len() >= config.websocket_messages
            || bytes > config.websocket_bytes
        {
            self.left_out = (self.left_out.0 + 1, self.left_out.1 + message.size);
            return false;
        }
        self.bytes = bytes;
        self.cost += cost;
        self.messages.push(message);
        true
    }
}

/// The next time that is a whole number of windows after the epoch.
fn due(per: Per) -> Option<Instant> {
    let Per::Window(window) = per else { return None };
    let window = window.as_millis().max(1);
    let left = window - now().as_millis() % window;
    Some(Instant::now() + Duration::from_millis(u64::try_from(left).unwrap_or(u64::MAX)))
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// `20261124T001122.123Z`: sorts by time, and is good in every file system.
fn stamp() -> String {
    let text = serde_json::to_string(&Stamp::current()).unwrap_or_default();
    text.chars().filter(|c| !matches!(c, '-' | ':' | '"')).collect()
}

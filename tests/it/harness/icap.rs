//! An ICAP server of the tests' own, which does to messages what a test wants.

use super::raw::{Wire, header, prepare};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A message that the server was given.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    /// The ICAP head.
    pub(crate) icap: String,
    /// The head of the request.
    pub(crate) request: String,
    /// The head of the response, with RESPMOD.
    pub(crate) response: String,
    pub(crate) body: Vec<u8>,
    /// Only the beginning was sent yet.
    pub(crate) is_preview: bool,
}

/// What it answers.
pub(crate) enum Says {
    /// 204.
    Unchanged,
    /// The rest of the content, please; only to a preview.
    More,
    /// A head and its content: a request begins with a method, a response with HTTP.
    Message(String, Vec<u8>),
    /// The same, with the content that was given behind it from this byte on (206).
    Part(String, Vec<u8>, usize),
    /// Something else.
    Raw(&'static str),
}

/// A server of the tests' own.
pub(crate) struct OwnIcap {
    pub(crate) port: u16,
    given: Arc<Mutex<Vec<Given>>>,
}

impl OwnIcap {
    /// One that states this preview and answers so.
    pub(crate) fn start(
        preview: Option<usize>,
        says: impl Fn(&Given) -> Says + Send + Sync + 'static,
    ) -> Self {
        Self::allowing("204", preview, says)
    }

    /// The same, which may answer in part.
    pub(crate) fn start_partial(
        preview: Option<usize>,
        says: impl Fn(&Given) -> Says + Send + Sync + 'static,
    ) -> Self {
        Self::allowing("204, 206", preview, says)
    }

    /// The same on this port.
    pub(crate) fn start_on(
        port: u16,
        preview: Option<usize>,
        says: impl Fn(&Given) -> Says + Send + Sync + 'static,
    ) -> Self {
        Self::listening(port, "204", preview, says)
    }

    fn allowing(
        allow: &'static str,
        preview: Option<usize>,
        says: impl Fn(&Given) -> Says + Send + Sync + 'static,
    ) -> Self {
        Self::listening(0, allow, preview, says)
    }

    fn listening(
        port: u16,
        allow: &'static str,
        preview: Option<usize>,
        says: impl Fn(&Given) -> Says + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (given, says) = (Arc::new(Mutex::new(Vec::new())), Arc::new(says));
        let kept = Arc::clone(&given);
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let (says, kept) = (Arc::clone(&says), Arc::clone(&kept));
                std::thread::spawn(move || {
                    prepare(&socket);
                    let mut wire = Wire::new(socket);
                    while serve(&mut wire, (allow, preview), &*says, &kept) {}
                });
            }
        });
        Self { port, given }
    }

    /// What it was given so far.
    pub(crate) fn given(&self) -> Vec<Given> {
        self.given.lock().unwrap().clone()
    }

    /// Its table, under this name.
    pub(crate) fn table(&self, name: &str, more: &str) -> String {
        format!(
            "[[inspect.scanner]]\nname = '{name}'\nurl = 'icap://127.0.0.1:{}/service'\n{more}\n",
            self.port
        )
    }
}

fn serve(
    wire: &mut Wire<TcpStream>,
    (allow, preview): (&str, Option<usize>),
    says: &dyn Fn(&Given) -> Says,
    kept: &Mutex<Vec<Given>>,
) -> bool {
    let Some(icap) = wire.head() else { return false };
    if icap.starts_with("OPTIONS ") {
        let preview = preview.map_or_else(String::new, |most| format!("Preview: {most}\r\n"));
        return wire
            .try_send(format!(
                "ICAP/1.0 200 OK\r\nMethods: REQMOD, RESPMOD\r\nAllow: {allow}\r\n{preview}Encapsulated: null-body=0\r\n\r\n"
            ))
            .is_ok();
    }
    let parts: Vec<(String, usize)> = header(&icap, "encapsulated")
        .unwrap()
        .split(',')
        .map(|part| {
            let (name, at) = part.trim().split_once('=').unwrap();
            (name.to_owned(), at.parse().unwrap())
        })
        .collect();
    let mut given = Given {
        icap: icap.clone(),
        request: String::new(),
        response: String::new(),
        body: Vec::new(),
        is_preview: false,
    };
    for pair in parts.windows(2) {
        let text = String::from_utf8(wire.exactly(pair[1].1 - pair[0].1)).unwrap();
        match &*pair[0].0 {
            "req-hdr" => given.request = text,
            _ => given.response = text,
        }
    }
    if parts.last().unwrap().0 != "null-body" {
        let is_all = chunks(wire, &mut given.body);
        given.is_preview = header(&icap, "preview").is_some() && !is_all;
    }
    let mut answer = says(&given);
    if matches!(answer, Says::More) {
        assert!(given.is_preview, "there is no more");
        wire.send("ICAP/1.0 100 Continue\r\n\r\n");
        chunks(wire, &mut given.body);
        given.is_preview = false;
        answer = says(&given);
    }
    kept.lock().unwrap().push(given);
    let sent = match answer {
        Says::Unchanged => wire.try_send("ICAP/1.0 204 No Content\r\nISTag: \"x\"\r\n\r\n"),
        Says::Raw(text) => wire.try_send(text),
        Says::More => unreachable!("it was given all"),
        Says::Part(head, body, from) => {
            let kind = if head.starts_with("HTTP/") { "res" } else { "req" };
            let mut out = format!(
                "ICAP/1.0 206 Partial Content\r\nISTag: \"x\"\r\nEncapsulated: {kind}-hdr=0, {kind}-body={}\r\n\r\n{head}{:x}\r\n",
                head.len(),
                body.len()
            )
            .into_bytes();
            out.extend(body);
            out.extend(format!("\r\n0; use-original-body={from}\r\n\r\n").into_bytes());
            wire.try_send(out)
        }
        Says::Message(head, body) => {
            let kind = if head.starts_with("HTTP/") { "res" } else { "req" };
            let mut out = format!(
                "ICAP/1.0 200 OK\r\nISTag: \"x\"\r\nEncapsulated: {kind}-hdr=0, {kind}-body={}\r\n\r\n{head}{:x}\r\n",
                head.len(),
                body.len()
            )
            .into_bytes();
            if body.is_empty() {
                out.truncate(out.len() - 3);
            } else {
                out.extend(body);
                out.extend(b"\r\n");
            }
            out.extend(b"0\r\n\r\n");
            wire.try_send(out)
        }
    };
    sent.is_ok()
}

/// Reads chunks up to their end; says whether that is the end of all.
fn chunks(wire: &mut Wire<TcpStream>, body: &mut Vec<u8>) -> bool {
    loop {
        let line = wire.line();
        let mut words = line.trim().split(';');
        let size = usize::from_str_radix(words.next().unwrap().trim(), 16).unwrap();
        body.extend(wire.exactly(size));
        assert_eq!(wire.line(), "\r\n");
        if size == 0 {
            return words.any(|word| word.trim() == "ieof");
        }
    }
}

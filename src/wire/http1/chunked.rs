//! Content as it comes: counted, or out of its chunks (RFC 9112 section 7.1).

use super::Malformed;
use super::field_line::Reading;
use super::fields::Fields;
use super::framing::Framing;

/// The digits of a chunk size: more could not be counted.
const DIGITS: u8 = 16;

/// The longest chunk extension, in bytes. They are dropped: what hides in them or floods with them goes no further.
const EXTENSION: u16 = 4096;

/// Follows the content of one message.
#[derive(Debug)]
pub struct Decoder {
    state: State,
    /// What is left of the length or of the chunk.
    left: u64,
    trailers: Option<Box<Trailers>>,
    trailer_limit: usize,
    /// How its trailers are read.
    reading: Reading,
}

#[derive(Debug, Default)]
struct Trailers {
    text: Vec<u8>,
    parsed: Option<Fields>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// So many bytes, and then it is over.
    Counted,
    /// Up to the end of the connection.
    ToEnd,
    /// The digits of a size, of which there were so many.
    Size(u8),
    /// White space that only an extension may follow.
    Space(u16),
    /// An extension, so long by now.
    Extension(u16),
    /// The carriage return of a chunk line is there.
    LineFeed,
    /// The data of a chunk.
    Data,
    /// The carriage return behind the data is to come.
    DataCarriageReturn,
    /// The line feed behind the data is to come.
    DataLineFeed,
    /// The trailer section.
    Trailers,
    /// It is over.
    Done,
}

/// What was made of some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken<'b> {
    /// How many of them belong to this message.
    pub used: usize,
    /// The content among them.
    pub data: &'b [u8],
}

impl Decoder {
    /// For a response, whose trailers may have white space before a colon.
    pub fn of_response(framing: Framing, trailer_limit: usize) -> Self {
        Self {
            reading: Reading::Trailers,
            ..Self::new(framing, trailer_limit)
        }
    }

    /// For a message with this framing, whose trailers may have so many bytes.
    pub fn new(framing: Framing, trailer_limit: usize) -> Self {
        let (state, left) = match framing {
            Framing::Empty | Framing::Length(0) => (State::Done, 0),
            Framing::Length(length) => (State::Counted, length),
            Framing::Chunked => (State::Size(0), 0),
            Framing::ToEnd => (State::ToEnd, 0),
        };
        Self {
            state,
            left,
            trailers: None,
            trailer_limit,
            reading: Reading::Strict,
        }
    }

    /// Whether the message is over.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Whether it is over when the connection is.
    pub fn ends_with_connection(&self) -> bool {
        matches!(self.state, State::ToEnd | State::Done)
    }

    /// Whether there are trailers that nobody has taken.
    pub fn has_trailers(&self) -> bool {
        self.trailers
            .as_ref()
            .is_some_and(|trailers| trailers.parsed.is_some())
    }

    /// The trailers, once it is over.
    pub fn take_trailers(&mut self) -> Option<Fields> {
        self.trailers.as_mut()?.parsed.take()
    }

    /// Takes in what comes next, at most up to the end of one piece of content; to be called again with what is left,
    /// until it is over or nothing is.
    ///
    /// # Errors
    /// The chunked coding is broken.
    pub fn take<'b>(&mut self, bytes: &'b [u8]) -> Result<Taken<'b>, Malformed> {
        let mut used = 0;
        while let Some(&byte) = bytes.get(used) {
            match self.state {
                State::Done => break,
                State::ToEnd => {
                    return Ok(Taken {
                        used: bytes.len(),
                        data: &bytes[used..],
                    });
                }
                State::Counted | State::Data => {
                    let room = usize::try_from(self.left).unwrap_or(usize::MAX);
                    let data = &bytes[used..];
                    let data = &data[..data.len().min(room)];
                    self.left -= data.len() as u64;
                    if self.left == 0 {
                        self.state = match self.state {
                            State::Data => State::DataCarriageReturn,
                            _ => State::Done,
                        };
                    }
                    return Ok(Taken {
                        used: used + data.len(),
                        data,
                    });
                }
                State::Trailers => {
                    self.trailer(byte)?;
                }
                _ => self.state = self.line(byte)?,
            }
            used += 1;
        }
        Ok(Taken { used, data: &[] })
    }

    /// A byte of a chunk line, or of what is behind the data.
    fn line(&mut self, byte: u8) -> Result<State, Malformed> {
        match (self.state, byte) {
            (State::Size(digits), _) if byte.is_ascii_hexdigit() => {
                if digits == DIGITS {
                    return Err(Malformed::ChunkSize);
                }
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                self.left = self.left << 4 | u64::from(digit);
                Ok(State::Size(digits + 1))
            }
            (State::Size(0), _) => Err(Malformed::ChunkSize),
            (State::Size(_) | State::Extension(_), b'\r') => Ok(State::LineFeed),
            (State::Size(_) | State::Space(_), b';') => Ok(State::Extension(0)),
            (State::Size(_), b' ' | b'\t') => Ok(State::Space(1)),
            (State::Space(length) | State::Extension(length), _) if length == EXTENSION => {
                Err(Malformed::ChunkLine)
            }
            (State::Space(length), b' ' | b'\t') => Ok(State::Space(length + 1)),
            (State::Size(_) | State::Space(_), b'\n') => Err(Malformed::ChunkLine),
            (State::Size(_) | State::Space(_), _) => Err(Malformed::ChunkSize),
            (State::Extension(_), b'\n') => Err(Malformed::ChunkLine),
            (State::Extension(_), 0..=8 | 11..=31 | 127) => Err(Malformed::ChunkExtension),
            (State::Extension(length), _) => Ok(State::Extension(length + 1)),
            (State::LineFeed, b'\n') if self.left == 0 => Ok(State::Trailers),
            (State::LineFeed, b'\n') => Ok(State::Data),
            (State::DataCarriageReturn, b'\r') => Ok(State::DataLineFeed),
            (State::DataLineFeed, b'\n') => Ok(State::Size(0)),
            (State::DataCarriageReturn | State::DataLineFeed, _) => Err(Malformed::ChunkData),
            _ => Err(Malformed::ChunkLine),
        }
    }

    fn trailer(&mut self, byte: u8) -> Result<(), Malformed> {
        let reading = self.reading;
        let trailers = self.trailers.get_or_insert_default();
        let text = &mut trailers.text;
        text.push(byte);
        if text.len() > self.trailer_limit {
            return Err(Malformed::Trailers);
        }
        if byte == b'\n' && !text.ends_with(b"\r\n") {
            return Err(Malformed::BareLineFeed);
        }
        if text == b"\r\n" || text.ends_with(b"\r\n\r\n") {
            let text = std::mem::take(text);
            let mut fields = Fields::parse_trailers(&text, reading)?;
            fields.retain(may_be_trailer);
            trailers.parsed = (!fields.is_empty()).then_some(fields);
            self.state = State::Done;
        }
        Ok(())
    }
}

/// Whether a field may stand behind the content: not one that frames, routes or describes it (RFC 9110 section 6.5.1),
/// and none of the connection's.
fn may_be_trailer(name: &[u8]) -> bool {
    const NEVER: [&[u8]; 18] = [
        b"connection",
        b"content-encoding",
        b"content-length",
        b"content-range",
        b"content-type",
        b"expect",
        b"host",
        b"keep-alive",
        b"max-forwards",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"set-cookie",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"via",
    ];
    !NEVER.iter().any(|never| name.eq_ignore_ascii_case(never))
}

/// The line before so many bytes of data.
pub fn chunk_head(length: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("{length:x}\r\n").as_bytes());
}

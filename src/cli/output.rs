//! What goes to standard output and standard error, and how a run ends badly.

use crate::live::printable;
use crate::settings::{Problems, level};
use std::borrow::Cow;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use tracing_subscriber::EnvFilter;

/// Why the program ends without having done what it was asked for.
#[derive(Debug)]
pub enum CommandError {
    /// The configuration or the command line is wrong: exit code 2.
    Settings(Problems),
    /// Anything else: exit code 1.
    Other(String),
}

impl CommandError {
    /// The exit code.
    pub const fn code(&self) -> u8 {
        match self {
            Self::Settings(_) => 2,
            Self::Other(_) => 1,
        }
    }
}

impl From<Problems> for CommandError {
    fn from(problems: Problems) -> Self {
        Self::Settings(problems)
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings(problems) => problems.fmt(f),
            Self::Other(text) => write!(f, "wsbump: {text}"),
        }
    }
}

/// Writes `bytes` to standard output.
///
/// # Errors
/// Standard output cannot be written to. A reader that has seen enough (`| head`) is no error.
pub fn emit(bytes: &[u8]) -> Result<(), CommandError> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(CommandError::Other(format!(
            "cannot write to standard output: {error}"
        ))),
        _ => Ok(()),
    }
}

/// JSON in which everything that a terminal would obey is an escape of JSON's.
pub(super) fn json_line(event: &serde_json::Value) -> String {
    let text = event.to_string();
    if matches!(printable(&text, false), Cow::Borrowed(_)) {
        return text;
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        let mut bytes = [0; 4];
        if matches!(printable(c.encode_utf8(&mut bytes), false), Cow::Borrowed(_)) {
            safe.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                safe.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    safe
}

/// Writes `text` to standard error. If nobody listens there, there is nobody to tell: `eprintln!` would panic.
pub fn tell(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Starts the operational log on standard error, with the level of `WSBUMP_LOG` or else `configured`. The answer
/// sets another level later; it does nothing while `WSBUMP_LOG` rules.
///
/// # Errors
/// `WSBUMP_LOG` is not a level, or a log has been started before.
pub fn log_to_stderr(configured: &str) -> Result<impl Fn(&str) + Send + Sync + use<>, CommandError> {
    let ruled = std::env::var("WSBUMP_LOG").ok().filter(|text| !text.is_empty());
    if let Some(text) = &ruled {
        level(text).map_err(|message| Problems::of_option("WSBUMP_LOG", message))?;
    }
    let filter = EnvFilter::new(ruled.as_deref().unwrap_or(configured));
    let builder = tracing_subscriber::fmt()
        .compact()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_env_filter(filter)
        .with_filter_reloading();
    let handle = builder.reload_handle();
    builder
        .try_init()
        .map_err(|error| CommandError::Other(format!("cannot start the log: {error}")))?;
    let ruled = ruled.is_some();
    Ok(move |text: &str| {
        if !ruled {
            // The only failure is that the log is gone, and then there is nobody to tell.
            let _ = handle.reload(EnvFilter::new(text));
        }
    })
}

//! How this tool fails.

use std::error::Error;

/// Whatever went wrong: this is a tool for people, so errors are texts.
pub(crate) type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

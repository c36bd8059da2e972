//! Secrets that stand in files or in the environment, and not in the configuration.

use super::files::{as_text, read, warn_of_readers};
use super::problem::{Diagnostics, FileSpan};
use super::reader::At;
use std::path::PathBuf;

/// A secret from the file or the variable that is named; also the key that names it, and its place. `keys` are those of the
/// file and of the variable. What is wrong is stated.
pub(super) fn secret<'a>(
    file: Option<&'a At<PathBuf>>,
    env: Option<&'a At<String>>,
    [file_key, env_key]: [&'static str; 2],
    notes: &mut Diagnostics,
) -> Option<(&'static str, &'a FileSpan, String)> {
    match (file, env) {
        (None, None) => None,
        (Some(_), Some(env)) => {
            let other = file_key.rsplit('.').next().unwrap_or(file_key);
            let message = format!("is there beside {other}; leave one of them out");
            notes.add(&env.span, env_key, message);
            None
        }
        (Some(file), None) => {
            let (path, bytes) = read(&file.value, &file.span, file_key, notes)?;
            warn_of_readers(&path, file_key, notes);
            match as_text(bytes) {
                Ok(text) => {
                    let text = text.trim_end_matches(['\r', '\n']);
                    Some((file_key, &file.span, text.to_owned()))
                }
                Err((place, message)) => {
                    notes.add_in(&path, Some(place), file_key, message);
                    None
                }
            }
        }
        (None, Some(env)) => match std::env::var(&env.value) {
            Ok(text) => Some((env_key, &env.span, text)),
            Err(_) => {
                let message = format!("the environment variable {} is not set, or not UTF-8", env.value);
                notes.add(&env.span, env_key, message);
                None
            }
        },
    }
}

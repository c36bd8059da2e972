//! `wsbump import`: another proxy's configuration, moved.

use super::args::ImportArgs;
use super::output::{CommandError, emit, json_line, tell};
use crate::import::{Imported, LineOutcome, OutputFile, Wishes, import as read};
use crate::live::printable;
use crate::settings::Problems;
use crate::settings::reload::ConfigSource;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Something is not as it was, or has no counterpart.
const WITH_NOTES: u8 = 3;
/// Something that guards was lost.
const GUARD_LOST: u8 = 4;

/// `wsbump import`: writes a configuration with its lists, and says what has become of each line. The exit code is 0 if all is
/// taken over, 3 with notes, and 4 if something that guards was lost; then nothing is written without `--force`.
///
/// # Errors
/// The file cannot be read, Squid would not start with it, or the result cannot be written.
pub fn import(options: &ImportArgs) -> Result<u8, CommandError> {
    let wishes = Wishes {
        insecure: options.allow_invalid_certificates,
    };
    let imported = read(&options.file, wishes)
        .map_err(|error| CommandError::Settings(Problems::of_option("import", error.to_string())))?;
    let code = match imported.outcome() {
        LineOutcome::NotNeeded | LineOutcome::Taken => 0,
        LineOutcome::Surprise | LineOutcome::Changed | LineOutcome::Lost => WITH_NOTES,
        LineOutcome::GuardLost => GUARD_LOST,
    };
    let told: String = imported.notes.iter().map(|note| format!("{note}\n")).collect();
    // The file's own words are in it.
    tell(&printable(&told, true));
    let is_held_back = code == GUARD_LOST && !options.force;
    let mut checked = Ok(());
    if !is_held_back {
        write(&options.output, &imported.files, options.force)?;
        checked = check(&options.output);
    }
    if options.json {
        let told = json_line(&as_json(&imported, code, is_held_back));
        emit(format!("{told}\n").as_bytes())?;
    }
    let place = options.output.join("wsbump.toml");
    tell(&match is_held_back {
        true => "nothing is written, since something that guards would be lost: look at each GUARD LOST above, and use --force to have the rest\n".to_owned(),
        false => format!("{} is written; next: wsbump check --config {}\n", place.display(), place.display()),
    });
    checked?;
    Ok(code)
}

fn write(folder: &Path, files: &[OutputFile], may_replace: bool) -> Result<(), CommandError> {
    for file in files {
        let path = folder.join(&file.path);
        let wrong = |error: io::Error| {
            let advice = match error.kind() {
                io::ErrorKind::AlreadyExists => "choose another --output, or replace it with --force",
                _ => "choose another --output",
            };
            CommandError::Other(format!("cannot write {}: {error}; {advice}", path.display()))
        };
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(wrong)?;
        }
        let mut options = OpenOptions::new();
        options
            .write(true)
            .mode(if file.is_secret { 0o600 } else { 0o644 });
        match may_replace {
            true => options.create(true).truncate(true),
            false => options.create_new(true),
        };
        let mut written = options.open(&path).map_err(wrong)?;
        written.write_all(file.text.as_bytes()).map_err(wrong)?;
    }
    Ok(())
}

/// What is written has to be a configuration, whatever it was made from.
fn check(folder: &Path) -> Result<(), CommandError> {
    let source = ConfigSource {
        config: Some(folder.join("wsbump.toml")),
        data_dir: Some(folder.join("data")),
        ..ConfigSource::default()
    };
    source.load().map(drop).map_err(CommandError::from)
}

fn as_json(imported: &Imported, code: u8, is_held_back: bool) -> serde_json::Value {
    let notes = imported.notes.iter().map(|note| {
        serde_json::json!({
            "file": &*note.place.file,
            "line": note.place.line,
            "directive": note.directive,
            "outcome": note.outcome,
            "text": note.text,
        })
    });
    serde_json::json!({
        "exit_code": code,
        "written": !is_held_back,
        "files": imported.files.iter().map(|file| &file.path).collect::<Vec<_>>(),
        "notes": notes.collect::<Vec<_>>(),
    })
}

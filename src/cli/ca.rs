//! `wsbump ca`: make, show and export the CA.

use super::args::{CaCommand, CertificateFormat, ConfigArgs};
use super::output::{CommandError, emit};
use crate::handshake::ca::Ca;
use crate::settings::Problems;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf, absolute};
use std::sync::Arc;
use std::time::SystemTime;
use x509_parser::time::ASN1Time;

/// Does what `command` says.
///
/// # Errors
/// The configuration is wrong, there is no CA, or a file cannot be written.
pub fn ca(command: &CaCommand) -> Result<(), CommandError> {
    match command {
        CaCommand::Init { data_dir } => init(&ConfigArgs {
            config: None,
            data_dir: data_dir.clone(),
        }),
        CaCommand::Show(place) => {
            let (ca, path) = existing(place)?;
            emit(describe(&ca, &path).as_bytes())
        }
        CaCommand::Export { place, format, out } => export(place, *format, out.as_deref()),
    }
}

fn init(place: &ConfigArgs) -> Result<(), CommandError> {
    let mut settings = place.source().load()?;
    let there = settings.ca.ca().is_some();
    let ca = settings.ca.ca_or_create()?;
    let word = if there {
        "there is a CA already, it stays as it is"
    } else {
        "made a CA"
    };
    emit(format!("{word}:\n{}", describe(&ca, &settings.ca.cert_path())).as_bytes())
}

fn describe(ca: &Ca, path: &Path) -> String {
    format!(
        "  certificate  {}\n  subject      {}\n  valid until  {}\n  SHA-256      {}\n",
        absolute(path).unwrap_or_else(|_| path.into()).display(),
        ca.subject(),
        day(ca.not_after()),
        ca.fingerprint_sha256(),
    )
}

/// `2036-11-20 09:00:00 UTC`
fn day(at: SystemTime) -> String {
    let seconds = at
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let time = i64::try_from(seconds)
        .ok()
        .and_then(|seconds| ASN1Time::from_timestamp(seconds).ok());
    let Some(time) = time.map(|time| time.to_datetime()) else {
        return "the end of time".into();
    };
    let (hour, minute, second) = time.to_hms();
    format!("{} {hour:02}:{minute:02}:{second:02} UTC", time.date())
}

/// The CA of a configuration, which must be there.
fn existing(place: &ConfigArgs) -> Result<(Arc<Ca>, PathBuf), CommandError> {
    let settings = place.source().load()?;
    let path = settings.ca.cert_path();
    match settings.ca.ca() {
        Some(ca) => Ok((ca.clone(), path)),
        None => {
            let message = format!(
                "{}: there is no CA yet; make one with `wsbump ca init`",
                path.display()
            );
            Err(Problems::of_option("data directory", message).into())
        }
    }
}

fn export(place: &ConfigArgs, format: CertificateFormat, out: Option<&Path>) -> Result<(), CommandError> {
    let (ca, _) = existing(place)?;
    let bytes = match format {
        CertificateFormat::Pem => ca.root_pem().into_bytes(),
        CertificateFormat::Der => ca.root_der().to_vec(),
    };
    match out {
        Some(path) => std::fs::write(path, bytes)
            .map_err(|error| CommandError::Other(format!("cannot write {}: {error}", path.display()))),
        None if format == CertificateFormat::Der && io::stdout().is_terminal() => Err(CommandError::Other(
            "DER is binary and would garble the terminal; write it to a file with --out FILE".into(),
        )),
        None => emit(&bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn days_are_written_for_people() {
        let at = |seconds| day(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(at(2_110_784_461), "2036-11-20 09:01:01 UTC");
    }
}

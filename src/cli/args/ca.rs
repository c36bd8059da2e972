//! `wsbump ca`.

use super::place::ConfigArgs;
use clap::{Subcommand, ValueEnum, ValueHint};
use std::path::PathBuf;

pub(super) const AFTER_CA: &str = "\
Examples:
  Make the CA before the first start, say in an image or a package:
      wsbump ca init --data-dir /var/lib/wsbump

  Compare the fingerprint with what a browser shows:
      wsbump ca show

  Trust the CA on Debian:
      wsbump ca export --out /usr/local/share/ca-certificates/wsbump.crt
      update-ca-certificates

  Trust it on Windows, which wants DER:
      wsbump ca export --format der --out wsbump.cer";

/// What to do with the CA.
#[derive(Debug, Subcommand)]
pub enum CaCommand {
    /// Make a CA, unless there is one
    Init {
        /// Where the CA is to be kept (default: as for `run`)
        #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        data_dir: Option<PathBuf>,
    },
    /// Show whose it is, until when it holds, and its fingerprint
    Show(ConfigArgs),
    /// Write the certificate, never the key
    Export {
        /// Which configuration.
        #[command(flatten)]
        place: ConfigArgs,
        /// How the certificate is written
        #[arg(short, long, value_enum, default_value_t = CertificateFormat::Pem)]
        format: CertificateFormat,
        /// Write to this file instead of standard output
        #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        out: Option<PathBuf>,
    },
}

/// How a certificate is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CertificateFormat {
    /// Base64 text, for most programs
    Pem,
    /// Binary, for Windows and some phones
    Der,
}

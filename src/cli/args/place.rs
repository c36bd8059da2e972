//! Which configuration is meant, and which running proxy.

use crate::settings::Overrides;
use crate::settings::reload::ConfigSource;
use clap::{Args, ValueHint};
use std::path::PathBuf;

/// Which configuration is meant.
#[derive(Debug, Clone, Args)]
pub struct ConfigArgs {
    /// The configuration file; without one, everything has its default
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// Where the CA is kept if the configuration names none
    ///
    /// Default: $WSBUMP_DATA_DIR, $STATE_DIRECTORY (set by systemd), $XDG_DATA_HOME/wsbump or
    /// ~/.local/share/wsbump.
    #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub data_dir: Option<PathBuf>,
}

/// Which running proxy is meant.
#[derive(Debug, Clone, Args)]
pub struct LivePlace {
    /// Which configuration it runs with.
    #[command(flatten)]
    pub place: ConfigArgs,
    /// Its live socket; without it, that of the configuration, or live.sock in the data directory
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub socket: Option<PathBuf>,
}

impl ConfigArgs {
    /// The configuration's source, with the data directory's default filled in.
    pub fn source(&self) -> ConfigSource {
        ConfigSource {
            config: self.config.clone(),
            data_dir: self.data_dir.clone().or_else(default_data_dir),
            overrides: Overrides::default(),
        }
    }
}

/// Where the CA is kept if nobody says anything else.
pub(in crate::cli) fn default_data_dir() -> Option<PathBuf> {
    data_dir(|name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    })
}

/// The data directory, from the environment (XDG Base Directory specification; systemd.exec, STATE_DIRECTORY).
fn data_dir(env: impl Fn(&'static str) -> Option<PathBuf>) -> Option<PathBuf> {
    // systemd lists several directories with colons; the first is the service's own.
    let state = || {
        let listed = env("STATE_DIRECTORY")?;
        listed.to_str()?.split(':').next().map(PathBuf::from)
    };
    // The specification has relative paths ignored.
    let xdg = || {
        env("XDG_DATA_HOME")
            .filter(|dir| dir.is_absolute())
            .map(|dir| dir.join("wsbump"))
    };
    let home = || env("HOME").map(|dir| dir.join(".local/share/wsbump"));
    env("WSBUMP_DATA_DIR").or_else(state).or_else(xdg).or_else(home)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_directory_follows_the_environment() {
        let with = |set: &'static [(&str, &str)]| {
            data_dir(move |name| {
                set.iter()
                    .find(|(n, _)| *n == name)
                    .map(|(_, v)| PathBuf::from(v))
            })
        };
        let all = &[
            ("HOME", "/h"),
            ("XDG_DATA_HOME", "/x"),
            ("STATE_DIRECTORY", "/s:/t"),
            ("WSBUMP_DATA_DIR", "/w"),
        ];
        assert_eq!(with(all), Some("/w".into()));
        assert_eq!(with(&all[..3]), Some("/s".into()));
        assert_eq!(with(&all[..2]), Some("/x/wsbump".into()));
        assert_eq!(with(&all[..1]), Some("/h/.local/share/wsbump".into()));
        assert_eq!(
            with(&[("XDG_DATA_HOME", "rel"), ("HOME", "/h")]),
            Some("/h/.local/share/wsbump".into())
        );
        assert_eq!(with(&[]), None);
    }
}

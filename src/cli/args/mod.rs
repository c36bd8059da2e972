//! The words of the command line: a file for each command.

mod auth_test;
mod ca;
mod check;
mod doctor;
mod explain;
mod health;
mod import;
mod message;
mod place;
mod run;
mod tail;
mod test_rules;
mod transparent;

pub use auth_test::AuthTestArgs;
pub use ca::CaCommand;
pub(super) use ca::CertificateFormat;
pub(super) use check::CheckArgs;
pub use doctor::DoctorArgs;
pub use explain::ExplainArgs;
pub use health::HealthArgs;
pub use import::ImportArgs;
pub(super) use message::{MessageKind, MessageWay};
pub(super) use place::default_data_dir;
pub use place::{ConfigArgs, LivePlace};
pub use run::RunOptions;
pub use tail::TailArgs;
pub use test_rules::TestRules;
pub use transparent::TransparentArgs;

use auth_test::AFTER_AUTH_TEST;
use ca::AFTER_CA;
use check::AFTER_CHECK;
use clap::{Parser, Subcommand, ValueHint};
use clap_complete::Shell;
use doctor::AFTER_DOCTOR;
use explain::AFTER_EXPLAIN;
use health::AFTER_HEALTH;
use import::AFTER_IMPORT;
use run::AFTER_RUN;
use std::path::PathBuf;
use tail::{AFTER_CONSOLE, AFTER_TAIL, AFTER_TOP};
use test_rules::AFTER_TEST_RULES;
use transparent::AFTER_TRANSPARENT;

const ABOUT: &str = "A forward proxy that inspects all TLS and never breaks a WebSocket";

const AFTER: &str = "\
Examples:
  Try it, on this machine only, with a CA of its own:
      wsbump run
      curl --proxy http://127.0.0.1:3128 \\
          --cacert ~/.local/share/wsbump/ca.pem https://example.com/

  Check a configuration, ask what it would do, run it:
      wsbump check --config /etc/wsbump/wsbump.toml
      wsbump explain --config /etc/wsbump/wsbump.toml \\
          wss-primary.slack.com:443
      wsbump run --config /etc/wsbump/wsbump.toml

  Try rules on a message:
      wsbump test-rules rules/secrets.toml --message 'AKIA...'

  Load the configuration again after a change (saving a file does it too):
      kill -HUP $(pidof wsbump)

`wsbump help COMMAND` shows each command's examples.";

const AFTER_MAN: &str = "\
Examples:
      wsbump man /usr/local/share/man/man1";

const AFTER_COMPLETIONS: &str = "\
Examples:
      wsbump completions bash > /etc/bash_completion.d/wsbump
      wsbump completions zsh > \"${fpath[1]}/_wsbump\"
      wsbump completions fish > ~/.config/fish/completions/wsbump.fish";

const LONG_VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\nTLS 1.2 and 1.3 by rustls with aws-lc, HTTP/1.1 and HTTP/2, WebSockets over both (RFC 6455, RFC 8441)"
);

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "wsbump",
    version,
    long_version = LONG_VERSION,
    about = ABOUT,
    after_help = AFTER,
    max_term_width = 80,
    arg_required_else_help = true,
    subcommand_required = true
)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program can be told to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the proxy
    #[command(after_help = AFTER_RUN)]
    Run(RunOptions),
    /// Say what is wrong with a configuration, without running it
    #[command(after_help = AFTER_CHECK)]
    Check(CheckArgs),
    /// Say what would happen to a destination, and why
    #[command(after_help = AFTER_EXPLAIN)]
    Explain(ExplainArgs),
    /// Try a login: which steps it takes, and whom the policy then sees
    #[command(after_help = AFTER_AUTH_TEST)]
    AuthTest(AuthTestArgs),
    /// Try rules on messages: which fire, and what comes out
    #[command(
        after_help = AFTER_TEST_RULES,
        override_usage = "wsbump test-rules [FILE] [--config <CONFIG>] <MESSAGES> [OPTIONS]"
    )]
    TestRules(TestRules),
    /// Print what happens in a running proxy, while it happens
    #[command(after_help = AFTER_TAIL)]
    Tail(TailArgs),
    /// Show what is open in a running proxy, as a table that renews itself
    #[command(after_help = AFTER_TOP)]
    Top(LivePlace),
    /// Print an address that logs a browser in at the console, once
    #[command(after_help = AFTER_CONSOLE)]
    Console(LivePlace),
    /// Find out why a program fails behind a proxy, and whose doing it is
    #[command(after_help = AFTER_DOCTOR)]
    Doctor(DoctorArgs),
    /// Print the rules by which the kernel brings connections here, or say what is missing of them
    #[command(after_help = AFTER_TRANSPARENT)]
    TransparentRules(TransparentArgs),
    /// Make, show or export the CA that clients have to trust
    #[command(after_help = AFTER_CA)]
    Ca {
        /// What to do with it.
        #[command(subcommand)]
        command: CaCommand,
    },
    /// Ask a running proxy whether it is well
    #[command(after_help = AFTER_HEALTH)]
    Health(HealthArgs),
    /// Write the manual's pages into a folder
    #[command(hide = true, after_help = AFTER_MAN)]
    Man {
        /// Where to
        #[arg(value_hint = ValueHint::DirPath)]
        folder: PathBuf,
    },
    /// Write a configuration from a squid.conf, and say what has become of it
    #[command(after_help = AFTER_IMPORT)]
    Import(ImportArgs),
    /// Print a completion script for a shell
    #[command(after_help = AFTER_COMPLETIONS)]
    Completions {
        /// Which shell
        shell: Shell,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn clap_finds_the_definitions_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_teaches_by_example_within_80_columns() {
        let mut command = Arguments::command();
        command.build();
        let mut left = vec![command];
        while let Some(mut command) = left.pop() {
            for help in [command.render_help(), command.render_long_help()] {
                let help = help.to_string();
                for line in help.lines() {
                    assert!(line.chars().count() <= 80, "{}: {line}", command.get_name());
                }
            }
            left.extend(
                command
                    .get_subcommands()
                    .filter(|c| c.get_name() != "help")
                    .cloned(),
            );
        }
        for sub in Arguments::command().get_subcommands() {
            let help = sub.clone().render_help().to_string();
            assert!(help.contains("Examples:\n"), "{}", sub.get_name());
        }
    }
}

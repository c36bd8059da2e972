//! `wsbump man`: the manual, from the words of the command line. For who makes packages.

use super::args::Arguments;
use super::output::CommandError;
use clap::CommandFactory as _;
use std::path::Path;

/// `wsbump man`: writes a page for the program and one for each command into a folder.
///
/// # Errors
/// A file cannot be written.
pub fn man(folder: &Path) -> Result<(), CommandError> {
    // Without this each page would also show how to ask for help about help.
    let command = Arguments::command().disable_help_subcommand(true);
    clap_mangen::generate_to(command, folder)
        .map_err(|error| CommandError::Other(format!("{}: {error}", folder.display())))
}

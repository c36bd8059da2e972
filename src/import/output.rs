//! A file that an import comes to.

/// A file to be written, relative to the folder of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputFile {
    /// Its path.
    pub path: String,
    /// Its content.
    pub text: String,
    /// It holds a password.
    pub is_secret: bool,
}

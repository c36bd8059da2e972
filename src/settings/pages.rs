//! `[pages]`: what people see when the proxy answers by itself.

use super::files::{as_text, cannot_read, relative_to};
use super::problem::{Diagnostics, FilePlace};
use super::reader::{At, Section};
use crate::http::{Pages, PagesConfig};
use std::path::{Path, PathBuf};

/// The table as written.
#[derive(Debug)]
pub(super) struct PagesTable {
    texts: PagesConfig,
    directory: Option<At<PathBuf>>,
    language: Option<At<String>>,
    /// Whether a CONNECT that fails is answered inside of its tunnel.
    pub(super) for_connect: bool,
}

impl PagesTable {
    /// Reads the table; what is wrong is stated and left out.
    pub(super) fn read(mut section: Section<'_, '_>) -> Self {
        let mut text = |key| section.text(key).map(|text| text.value).unwrap_or_default();
        let (contact, organisation) = (text("contact"), text("organisation"));
        let language = section.text("language");
        let directory = section.path_to("directory");
        let for_connect = section.flag("for_connect", false);
        section.finish();
        Self {
            texts: PagesConfig {
                contact,
                organisation,
                language: language.as_ref().map_or("en".to_owned(), |at| at.value.clone()),
            },
            directory,
            language,
            for_connect,
        }
    }

    /// What they say of whoever runs the proxy.
    pub(super) fn texts(&self) -> &PagesConfig {
        &self.texts
    }

    /// The pages, with those of the directory; what is wrong with one is stated by its line.
    pub(super) fn resolve(self, notes: &mut Diagnostics) -> Pages {
        let mut pages = Pages::new(self.texts);
        if let Some(At { value, span }) = &self.directory {
            let directory = relative_to(notes.file(), value);
            match files_in(&directory) {
                Ok(files) => files.iter().for_each(|file| add(file, &mut pages, notes)),
                Err(error) => {
                    let message = format!("{}: {}", directory.display(), cannot_read(&error));
                    notes.add(span, "pages.directory", message);
                }
            }
            notes.files.push(directory);
        }
        if let Some(At { value, span }) = self.language.filter(|language| !pages.speaks(&language.value)) {
            let message = format!(
                "there is no page in {value:?}; en and ja are built in, others are files of pages.directory"
            );
            notes.add(&span, "pages.language", message);
        }
        pages
    }
}

/// Every `NAME.LANGUAGE.html`, in the order of their names.
fn files_in(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|kind| kind == "html") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn add(file: &Path, pages: &mut Pages, notes: &mut Diagnostics) {
    let key = "pages.directory";
    notes.files.push(file.into());
    let parts = file.file_stem().and_then(|stem| stem.to_str()?.rsplit_once('.'));
    let Some((name, language)) = parts else {
        notes.add_in(
            file,
            None,
            key,
            "the name says no language; call it NAME.LANGUAGE.html, as in blocked.en.html",
        );
        return;
    };
    let text = std::fs::read(file).map_err(|error| (None, cannot_read(&error)));
    let added = text
        .and_then(|bytes| as_text(bytes).map_err(|(place, why)| (Some(place), why.to_owned())))
        .and_then(|text| {
            let at = |line| Some(FilePlace { line, column: 1 });
            pages
                .add(name, language, &text)
                .map_err(|(line, why)| (at(line), why))
        });
    if let Err((place, message)) = added {
        notes.add_in(file, place, key, message);
    }
}

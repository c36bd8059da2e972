//! The pages that a proxy has: those that are built in, and the operator's.

use super::languages::{negotiate, reason, title};
use super::template::{Field, Template};
use crate::http::error::HttpError;
use crate::wire::headers::Headers;
use http::header::{ACCEPT, ACCEPT_LANGUAGE};
use std::collections::HashMap;

/// The page of what fails; and of what is denied.
const ERROR: &str = "error";
const BLOCKED: &str = "blocked";

const BUILT_IN: [(&str, &str, &str); 4] = [
    (ERROR, "en", include_str!("error.en.html")),
    (ERROR, "ja", include_str!("error.ja.html")),
    (BLOCKED, "en", include_str!("blocked.en.html")),
    (BLOCKED, "ja", include_str!("blocked.ja.html")),
];

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:16px/1.5 system-ui,sans-serif;margin:0;display:grid;place-items:center;min-height:90vh}\
main{max-width:40rem;padding:2rem}\
h1{font-size:1.5rem;margin:0 0 1rem}\
:empty{display:none}\
[data-label]::before{content:attr(data-label) \": \";opacity:.7}\
.organisation{font-size:.85rem;opacity:.7;margin:0 0 1rem}\
.kind{font-weight:600;color:#c33;margin:0}\
.url{overflow-wrap:anywhere;opacity:.8}\
.what{border-left:4px solid #c33;padding-left:1rem;overflow-wrap:anywhere}\
.who,.detail{font-size:.85rem;opacity:.7;overflow-wrap:anywhere}";

/// Who asks: what it is answered with, and in which language.
#[derive(Debug, Clone, Copy)]
pub(in crate::http) struct Audience {
    /// It shows pages to people.
    pub(in crate::http) html: bool,
    /// By its place among the pages' languages.
    language: usize,
}

impl Audience {
    /// A program.
    pub(in crate::http) const PROGRAM: Self = Self {
        html: false,
        language: 0,
    };
}

/// Texts of the operator's own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PagesConfig {
    /// Whom to ask: a name, an address, a number.
    pub contact: String,
    /// Whose proxy it is.
    pub organisation: String,
    /// For whoever asks for no language that there is; English if it is empty.
    pub language: String,
}

/// Every page, in every language.
#[derive(Debug)]
pub struct Pages {
    config: PagesConfig,
    /// The first is English.
    languages: Vec<Box<str>>,
    default: usize,
    templates: HashMap<(Box<str>, usize), Template>,
}

impl Pages {
    /// The pages that are built in, with these texts.
    pub fn new(config: PagesConfig) -> Self {
        let mut pages = Self {
            config,
            languages: Vec::new(),
            default: 0,
            templates: HashMap::new(),
        };
        for (name, language, text) in BUILT_IN {
            // A test holds that they can be read.
            let _ = pages.add(name, language, text);
        }
        pages.choose_default();
        pages
    }

    /// Adds a page, or takes the place of one that is built in.
    ///
    /// # Errors
    /// The line of the template, from 1, that cannot be understood, and why.
    pub fn add(&mut self, name: &str, language: &str, text: &str) -> Result<(), (usize, String)> {
        let template = Template::parse(text)?;
        let known = self.languages.iter().position(|known| &**known == language);
        let at = known.unwrap_or_else(|| {
            self.languages.push(language.into());
            self.languages.len() - 1
        });
        self.templates.insert((name.into(), at), template);
        self.choose_default();
        Ok(())
    }

    fn choose_default(&mut self) {
        let wanted = &*self.config.language;
        self.default = self.place_of(wanted).unwrap_or(0);
    }

    fn place_of(&self, language: &str) -> Option<usize> {
        self.languages
            .iter()
            .position(|known| known.eq_ignore_ascii_case(language))
    }

    /// Whether there is a page in this language.
    pub fn speaks(&self, language: &str) -> bool {
        self.place_of(language).is_some()
    }

    /// Whether there is a page of this name.
    pub fn has(&self, name: &str) -> bool {
        self.templates.keys().any(|(known, _)| &**known == name)
    }

    /// For whom an answer to a request with these fields is.
    pub(in crate::http) fn audience(&self, headers: &impl Headers) -> Audience {
        let texts = |value| std::str::from_utf8(value).ok();
        let html = headers
            .all(&ACCEPT)
            .filter_map(texts)
            .any(|accept| accept.contains("text/html"));
        let language = match html {
            true => negotiate(headers.all(&ACCEPT_LANGUAGE).filter_map(texts), &self.languages),
            false => None,
        };
        Audience {
            html,
            language: language.unwrap_or(self.default),
        }
    }

    /// The page of this name in the language that is nearest to the reader's, and that language.
    fn page(&self, name: &str, language: usize) -> Option<(&Template, &str)> {
        [
            (name, language),
            (name, self.default),
            (name, 0),
            (ERROR, language),
            (ERROR, 0),
        ]
        .into_iter()
        .find_map(|(name, at)| Some((self.templates.get(&(name.into(), at))?, &*self.languages[at])))
    }

    /// A page, and its language.
    pub(super) fn render(
        &self,
        name: Option<&str>,
        audience: Audience,
        error: HttpError,
        value: impl Fn(Field) -> String,
    ) -> (String, &str) {
        let usual = if error == HttpError::Refused {
            BLOCKED
        } else {
            ERROR
        };
        let name = name.filter(|name| self.has(name)).unwrap_or(usual);
        let Some((template, language)) = self.page(name, audience.language) else {
            return (String::new(), "en");
        };
        let page = template.fill(|field| match field {
            Field::Title => title(error, language).to_owned(),
            Field::Text if let Some(reason) = reason(error, language) => reason.to_owned(),
            Field::Detail if reason(error, language).is_none() => String::new(),
            Field::Style => STYLE.to_owned(),
            Field::Contact => self.config.contact.clone(),
            Field::Organisation => self.config.organisation.clone(),
            other => value(other),
        });
        (page, language)
    }
}

impl Default for Pages {
    fn default() -> Self {
        Self::new(PagesConfig::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_that_is_built_in_can_be_read() {
        for (name, language, text) in BUILT_IN {
            let template = Template::parse(text).unwrap_or_else(|why| panic!("{name}.{language}: {why:?}"));
            let page = template.fill(|field| format!("{field:?}"));
            for wanted in [
                "Title",
                "Text",
                "Detail",
                "Url",
                "RequestId",
                "Time",
                "Contact",
                "Organisation",
                "Style",
            ] {
                assert!(page.contains(wanted), "{name}.{language} shows {wanted}");
            }
            assert!(page.contains(&format!("<html lang=\"{language}\">")), "{page}");
        }
        assert_eq!(Pages::default().templates.len(), BUILT_IN.len());
    }

    #[test]
    fn the_operators_pages_come_first_and_the_default_where_nothing_fits() {
        let mut pages = Pages::new(PagesConfig {
            language: "ja".to_owned(),
            ..PagesConfig::default()
        });
        pages.add("blocked", "fr", "fr blocked {{rule}}").unwrap();
        pages.add("legal", "en", "en legal").unwrap();
        let show = |name: Option<&str>, accept: &str, error| {
            let headers = http::HeaderMap::from_iter([
                (ACCEPT, "text/html".parse().unwrap()),
                (ACCEPT_LANGUAGE, accept.parse().unwrap()),
            ]);
            let (page, language) = pages.render(name, pages.audience(&headers), error, |_| "<r>".to_owned());
            (
                page.lines().next().unwrap_or_default().to_owned(),
                language.to_owned(),
            )
        };
        let fr = ("fr blocked &lt;r&gt;".to_owned(), "fr".to_owned());
        assert_eq!(show(None, "fr-CA", HttpError::Refused), fr);
        assert_eq!(show(Some("blocked"), "fr", HttpError::Inspected), fr);
        assert_eq!(
            show(None, "fr", HttpError::Timeout).1,
            "ja",
            "there is no such page"
        );
        assert_eq!(show(None, "de", HttpError::Refused).1, "ja");
        assert_eq!(show(Some("legal"), "ja", HttpError::Refused).0, "en legal");
        assert_eq!(show(Some("none"), "en", HttpError::Refused).1, "en");
        assert!(pages.speaks("FR") && !pages.speaks("de") && pages.has("legal"));
    }
}

//! Templates of pages: HTML with `{{names}}` in it, which are filled in. Nothing else is understood, and whatever is filled in
//! is escaped, so that no template can be written that lets a host or a path become markup.

/// What can be filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Title,
    Text,
    /// The words of the log, where the text is in another language.
    Detail,
    Url,
    Status,
    Reason,
    Error,
    Rule,
    RequestId,
    Time,
    Contact,
    Organisation,
    /// The styles of the pages that are built in: the only one that is not escaped.
    Style,
}

impl Field {
    const ALL: [(&'static str, Self); 13] = [
        ("title", Self::Title),
        ("text", Self::Text),
        ("detail", Self::Detail),
        ("url", Self::Url),
        ("status", Self::Status),
        ("reason", Self::Reason),
        ("error", Self::Error),
        ("rule", Self::Rule),
        ("request_id", Self::RequestId),
        ("time", Self::Time),
        ("contact", Self::Contact),
        ("organisation", Self::Organisation),
        ("style", Self::Style),
    ];
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(Box<str>),
    Field(Field),
}

/// A page to be filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<Piece>);

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// The line, from 1, that cannot be understood, and why.
    pub(super) fn parse(text: &str) -> Result<Self, (usize, String)> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let line = text[..text.len() - after.len()].matches('\n').count() + 1;
            let (name, behind) = after
                .split_once("}}")
                .ok_or((line, "`{{` is never closed by `}}`".to_owned()))?;
            let name = name.trim();
            let field = Field::ALL.iter().find(|(known, _)| *known == name);
            let Some((_, field)) = field else {
                let names = Field::ALL.map(|(name, _)| name).join(", ");
                return Err((
                    line,
                    format!("{name:?} is nothing that a page can show; there are {names}"),
                ));
            };
            pieces.push(Piece::Text(before.into()));
            pieces.push(Piece::Field(*field));
            rest = behind;
        }
        pieces.push(Piece::Text(rest.into()));
        Ok(Self(pieces))
    }

    /// The page, with what `value` gives for each field.
    pub(super) fn fill(&self, value: impl Fn(Field) -> String) -> String {
        let mut page = String::with_capacity(4096);
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => page.push_str(text),
                Piece::Field(field @ Field::Style) => page.push_str(&value(*field)),
                Piece::Field(field) => escape(&value(*field), &mut page),
            }
        }
        page
    }
}

/// The longest value that is shown.
const MAX_TEXT: usize = 1000;

/// Text as HTML has it, in content and in quoted attributes.
fn escape(text: &str, out: &mut String) {
    for c in text.chars().take(MAX_TEXT) {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_filled_in_is_escaped_wherever_it_stands() {
        let template = Template::parse("<a href=\"{{url}}\">{{ rule }}</a>{{style}}{{contact}}").unwrap();
        let page = template.fill(|field| match field {
            Field::Url => "\"><script>alert('1')</script>".to_owned(),
            Field::Rule => "a & b {{title}}".to_owned(),
            Field::Style => "a>b".to_owned(),
            _ => String::new(),
        });
        assert_eq!(
            page,
            "<a href=\"&quot;&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;\">a &amp; b {{title}}</a>a>b"
        );
    }

    #[test]
    fn what_is_wrong_with_a_template_is_told_by_its_line() {
        let (line, message) = Template::parse("a\n{{title}}\n\n{{titel}}").unwrap_err();
        assert_eq!(line, 4);
        assert!(
            message.starts_with("\"titel\" is nothing") && message.contains("request_id"),
            "{message}"
        );
        assert_eq!(Template::parse("\n{{title").unwrap_err().0, 2);
        assert!(Template::parse("{ } }} {title}").is_ok());
    }
}

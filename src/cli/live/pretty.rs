//! JSON with a member on each line, in the order in which it came and with its numbers as they were written.

/// Sets JSON in lines; `None` for what is none.
pub(super) fn json(text: &str, indent: &str) -> Option<String> {
    serde_json::from_str::<serde::de::IgnoredAny>(text).ok()?;
    let (mut out, mut depth, mut in_string, mut escaped) = (String::from(indent), 0_usize, false, false);
    let mut chars = text.chars().filter(|c| !matches!(c, '\r')).peekable();
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.push_str(indent);
        out.extend(std::iter::repeat_n("  ", depth));
    };
    while let Some(c) = chars.next() {
        if in_string {
            out.push(c);
            in_string = c != '"' || escaped;
            escaped = c == '\\' && !escaped;
            continue;
        }
        match c {
            '"' => {
                in_string = true;
                out.push(c);
            }
            '{' | '[' => {
                out.push(c);
                while chars.peek().is_some_and(|next| next.is_ascii_whitespace()) {
                    chars.next();
                }
                if let Some(end) = chars.next_if(|next| matches!(next, '}' | ']')) {
                    out.push(end);
                } else {
                    depth += 1;
                    line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c if c.is_ascii_whitespace() => {}
            c => out.push(c),
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    #[test]
    fn members_stay_in_their_order_and_numbers_as_they_were() {
        let text = r#"{"b":1.50,"a":[ ],"c":{"d":"x, \"{y}","e":[1,2]}}"#;
        let set = "  {\n    \"b\": 1.50,\n    \"a\": [],\n    \"c\": {\n      \"d\": \"x, \\\"{y}\",\n      \"e\": [\n        1,\n        2\n      ]\n    }\n  }";
        assert_eq!(json(text, "  ").unwrap(), set);
        assert_eq!(json("{", ""), None);
        assert_eq!(json("hello", ""), None);
    }

    proptest! {
        #[test]
        fn it_means_the_same(text in r#"\[("[a-z\\\\{}:, ]{0,6}"|[0-9]{1,3}|\{\}|null)(,("[a-z:,]{0,4}"|\[\]|true)){0,4}\]"#) {
            if let Ok(value) = serde_json::from_str::<Value>(&text) {
                prop_assert_eq!(serde_json::from_str::<Value>(&json(&text, " ").unwrap()).unwrap(), value);
            }
        }
    }
}

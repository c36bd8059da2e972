//! Rules that more than one test is about.

/// One of each action on messages, and one that observes; none matches the text of another.
pub(crate) const MESSAGES: &str = r##"
[[inspect.rule]]
name = "words"
mode = "observe"
action = "drop"
keywords = ["watched"]

[[inspect.rule]]
name = "cards"
mode = "enforce"
action = "redact"
with = "[card]"
direction = "to_origin"
secrets = ["card_number"]

[[inspect.rule]]
name = "dropped"
mode = "enforce"
action = "drop"
direction = "to_origin"
keywords = ["leave this out"]

[[inspect.rule]]
name = "answers"
mode = "enforce"
action = "redact"
with = "#"
direction = "to_client"
regex = ["internal-[0-9]+"]

[[inspect.rule]]
name = "closing"
mode = "enforce"
action = "close"
reason = "that may not be said"
keywords = ["unspeakable"]
"##;

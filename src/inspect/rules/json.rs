//! Tests of a JSON document's members (RFC 6901 pointers, `*` for every member or element), and its strings.

use super::super::{JsonTest, Test};
use regex::Regex;
use serde_json::Value;

/// A test of a document's members, with its expression compiled.
#[derive(Debug)]
pub(super) struct Check {
    /// `None` stands for `*`.
    segments: Vec<Option<String>>,
    test: MemberTest,
}

#[derive(Debug)]
enum MemberTest {
    Exists,
    Absent,
    Equals(Value),
    Matches(Regex),
    Above(f64),
    Below(f64),
}

impl Check {
    /// # Errors
    /// What is wrong, and what to write instead.
    pub(super) fn compile(spec: &JsonTest) -> Result<Self, String> {
        let pointer = &spec.pointer;
        let mut segments = Vec::new();
        if let Some(rest) = pointer.strip_prefix('/') {
            for segment in rest.split('/') {
                let plain = segment.replace("~0", "").replace("~1", "");
                if plain.contains('~') {
                    return Err(format!(
                        "`{pointer}`: write `~0` for `~` and `~1` for `/` in a member's name"
                    ));
                }
                let name = segment.replace("~1", "/").replace("~0", "~");
                segments.push((segment != "*").then_some(name));
            }
        } else if !pointer.is_empty() {
            return Err(format!(
                "`{pointer}`: a pointer begins with `/`, for instance `/{pointer}`"
            ));
        }
        let number = |n: f64| {
            n.is_finite()
                .then_some(n)
                .ok_or_else(|| format!("`{pointer}`: {n} cannot be compared with"))
        };
        let test = match &spec.test {
            Test::Exists => MemberTest::Exists,
            Test::Absent => MemberTest::Absent,
            Test::Equals(value) => MemberTest::Equals(value.clone()),
            Test::Matches(text) => {
                MemberTest::Matches(Regex::new(text).map_err(|e| format!("`{pointer}`: {e}"))?)
            }
            Test::Above(n) => MemberTest::Above(number(*n)?),
            Test::Below(n) => MemberTest::Below(number(*n)?),
        };
        Ok(Self { segments, test })
    }

    /// Whether it holds; where `*` leads to several values, one of them is enough.
    pub(super) fn holds(&self, document: &Value) -> bool {
        let any = |test: &dyn Fn(&Value) -> bool| any_at(document, &self.segments, test);
        match &self.test {
            MemberTest::Exists => any(&|_| true),
            MemberTest::Absent => !any(&|_| true),
            MemberTest::Equals(wanted) => any(&|value| equal(value, wanted)),
            MemberTest::Matches(regex) => {
                any(&|value| value.as_str().is_some_and(|text| regex.is_match(text)))
            }
            MemberTest::Above(limit) => any(&|value| value.as_f64().is_some_and(|n| n > *limit)),
            MemberTest::Below(limit) => any(&|value| value.as_f64().is_some_and(|n| n < *limit)),
        }
    }
}

/// `1` and `1.0` are the same number.
fn equal(a: &Value, b: &Value) -> bool {
    a == b || (a.is_number() && a.as_f64() == b.as_f64() && (a.is_f64() || b.is_f64()))
}

fn any_at(value: &Value, segments: &[Option<String>], test: &dyn Fn(&Value) -> bool) -> bool {
    let Some((first, rest)) = segments.split_first() else {
        return test(value);
    };
    let index = |name: &str| {
        let plain = name == "0" || !name.starts_with(['0', '+']);
        plain.then(|| name.parse::<usize>().ok()).flatten()
    };
    match (value, first) {
        (Value::Object(members), None) => members.values().any(|value| any_at(value, rest, test)),
        (Value::Array(elements), None) => elements.iter().any(|value| any_at(value, rest, test)),
        (Value::Object(members), Some(name)) => members.get(name).is_some_and(|v| any_at(v, rest, test)),
        (Value::Array(elements), Some(name)) => index(name)
            .and_then(|at| elements.get(at))
            .is_some_and(|value| any_at(value, rest, test)),
        _ => false,
    }
}

/// Every string of a document, member names included, without its escapes.
pub(super) fn strings(value: Value, into: &mut Vec<Vec<u8>>) {
    match value {
        Value::String(text) => into.push(text.into_bytes()),
        Value::Array(elements) => elements.into_iter().for_each(|value| strings(value, into)),
        Value::Object(members) => members.into_iter().for_each(|(name, value)| {
            into.push(name.into_bytes());
            strings(value, into);
        }),
        // As they are written: a card's number may be one.
        Value::Number(number) => into.push(number.to_string().into_bytes()),
        Value::Null | Value::Bool(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn holds(pointer: &str, test: Test) -> bool {
        let document = json!({"a": [{"n": 1}, {"n": 5}], "x/y": "word", "~": null});
        let spec = JsonTest {
            pointer: pointer.into(),
            test,
        };
        Check::compile(&spec).unwrap().holds(&document)
    }

    #[test]
    fn members_are_found_and_tested() {
        assert!(holds("/a/*/n", Test::Above(4.0)));
        assert!(!holds("/a/*/n", Test::Above(5.0)));
        assert!(holds("/a/0/n", Test::Equals(json!(1.0))));
        assert!(!holds("/a/00/n", Test::Exists));
        assert!(holds("/x~1y", Test::Matches("^wo".into())));
        assert!(holds("/~0", Test::Exists));
        assert!(holds("/b", Test::Absent));
        assert!(holds("", Test::Exists));
    }

    #[test]
    fn bad_pointers_are_refused() {
        for pointer in ["a", "/~2", "/~"] {
            let spec = JsonTest {
                pointer: pointer.into(),
                test: Test::Exists,
            };
            assert!(Check::compile(&spec).is_err(), "{pointer}");
        }
    }
}

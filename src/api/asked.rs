//! What is asked in JSON.

use super::answer::Problem;
use axum::Json;
use axum::extract::rejection::JsonRejection;
use http::StatusCode;
use serde::de::DeserializeOwned;
use serde_json::{Map, Number, Value};

/// What was asked, or why it is no JSON. A list of values in the place of their names is none of it.
pub(super) type Asking = Result<Json<Map<String, Value>>, JsonRejection>;

/// What was asked, or what is wrong with it.
pub(super) fn body<T: DeserializeOwned>(asked: Asking) -> Result<T, Problem> {
    let Json(asked) = asked.map_err(|error| Problem::new(error.status(), error.body_text()))?;
    let asked = asked.into_iter().map(|(name, value)| (name, whole(value)));
    serde_json::from_value(Value::Object(asked.collect()))
        .map_err(|error| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()))
}

/// A number without a fraction is an integer, however it is written (JSON Schema Core 2020-12 section 4.2.3).
fn whole(value: Value) -> Value {
    /// Up to here each integer is a number of its own.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value.as_f64() {
        Some(number) if value.is_f64() && number.fract() == 0.0 && number.abs() <= EXACT => {
            #[allow(clippy::cast_possible_truncation, reason = "it is whole and small enough")]
            let number = number as i64;
            Value::Number(Number::from(number))
        }
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::json;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Question {
        number: Option<u64>,
    }

    fn ask(value: &Value) -> Result<Question, Problem> {
        body(Json::from_bytes(value.to_string().as_bytes()))
    }

    #[test]
    fn names_are_asked_for_and_whole_numbers_taken() {
        for (asked, number) in [
            (json!({ "number": 7 }), Some(7)),
            (json!({ "number": 7.0 }), Some(7)),
            (json!({ "number": u64::MAX }), Some(u64::MAX)),
            (json!({ "number": null }), None),
            (json!({}), None),
        ] {
            assert_eq!(ask(&asked).unwrap(), Question { number }, "{asked}");
        }
        for wrong in [
            json!([7]),
            json!([]),
            json!(null),
            json!("x"),
            json!({ "number": 7.5 }),
            json!({ "number": -1.0 }),
            json!({ "number": 1e300 }),
            json!({ "number": "7" }),
            json!({ "other": 7 }),
        ] {
            assert!(ask(&wrong).is_err(), "{wrong}");
        }
    }
}

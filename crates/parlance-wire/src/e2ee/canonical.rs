//! Canonical JSON (RFC 8785) with integers as the only numbers: each value has exactly one text, so
//! that a hash or a signature over the text is one over the value.
//!
//! Fractions are refused, as they are the difficult part of that RFC.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::Invalid;

/// The largest integer that a double, and thus every implementation, represents exactly (RFC 7493,
/// section 2.2).
const MAX_INTEGER: i64 = (1 << 53) - 1;

/// Serializes a value.
///
/// # Errors
/// `Json`, `Number`: the value cannot be written as JSON with integers only.
pub fn write<T: Serialize>(value: &T) -> Result<String, Invalid> {
    let mut text = String::new();
    append(
        &serde_json::to_value(value).map_err(Invalid::Json)?,
        &mut text,
    )?;
    Ok(text)
}

/// Parses a text of at most `most` bytes, which must be exactly what [`write()`] produces for the
/// result. So a field that `T` does not have, a duplicate field, a space, or another order of
/// fields is refused.
///
/// # Errors
/// `TooLong`, `Json`, `Number`, `NotCanonical`.
pub fn read<T: Serialize + DeserializeOwned>(text: &str, most: usize) -> Result<T, Invalid> {
    if text.len() > most {
        return Err(Invalid::TooLong);
    }
    // Bounds the depth, too, so that writing the value again cannot exhaust the stack.
    let value: T = serde_json::from_str(text).map_err(Invalid::Json)?;
    if write(&value)? == text {
        Ok(value)
    } else {
        Err(Invalid::NotCanonical)
    }
}

fn append(value: &Value, text: &mut String) -> Result<(), Invalid> {
    match value {
        Value::Null | Value::Bool(_) => text.push_str(&value.to_string()),
        Value::Number(number) => {
            let number = number
                .as_i64()
                .filter(|number| (-MAX_INTEGER..=MAX_INTEGER).contains(number))
                .ok_or(Invalid::Number)?;
            text.push_str(&number.to_string());
        }
        Value::String(string) => append_string(string, text)?,
        Value::Array(values) => {
            text.push('[');
            for (place, value) in values.iter().enumerate() {
                if place > 0 {
                    text.push(',');
                }
                append(value, text)?;
            }
            text.push(']');
        }
        Value::Object(fields) => {
            let mut fields: Vec<(&String, &Value)> = fields.iter().collect();
            // By UTF-16 code units, which differs from the order of bytes beyond U+FFFF (RFC 8785,
            // section 3.2.3).
            fields.sort_by(|(one, _), (other, _)| one.encode_utf16().cmp(other.encode_utf16()));
            text.push('{');
            for (place, (name, value)) in fields.into_iter().enumerate() {
                if place > 0 {
                    text.push(',');
                }
                append_string(name, text)?;
                text.push(':');
                append(value, text)?;
            }
            text.push('}');
        }
    }
    Ok(())
}

// serde_json escapes as section 3.2.2.2 requires: the short forms, \u00xx in lower case, and
// nothing else.
fn append_string(string: &str, text: &mut String) -> Result<(), Invalid> {
    text.push_str(&serde_json::to_string(string).map_err(Invalid::Json)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_one_text() {
        let value: Value = serde_json::from_str(
            r#" { "\ud83d\ude02": 1, "\ufb33": 2, "b": [true, null, -7, "\u20ac$\u000f\nA'B\"\\\/"], "a": {} } "#,
        )
        .unwrap();
        // U+1F602 sorts before U+FB33, as its first code unit is smaller (RFC 8785, section 3.2.3).
        let text =
            "{\"a\":{},\"b\":[true,null,-7,\"€$\\u000f\\nA'B\\\"\\\\/\"],\"😂\":1,\"\u{fb33}\":2}";
        assert_eq!(write(&value).unwrap(), text);
        assert_eq!(read::<Value>(text, 1000).unwrap(), value);
    }

    #[test]
    fn every_other_text_is_refused() {
        for text in [
            "{ }",
            "{}\n",
            r#"{"b":1,"a":2}"#,
            r#"{"a":1,"a":1}"#,
            r#"{"a":1.0}"#,
            r#"{"a":1e3}"#,
            r#"{"a":-0}"#,
            r#"{"a":9007199254740992}"#,
            r#"{"a":18446744073709551615}"#,
            r#"{"a":"\u0041"}"#,
            r#"{"a":"\/"}"#,
            r#"{"a":"\u000A"}"#,
            r#"{"a":"\ud800"}"#,
            "{",
            "",
        ] {
            assert!(read::<Value>(text, 1000).is_err(), "{text}");
        }
        assert!(read::<Value>(r#"{"a":9007199254740991}"#, 1000).is_ok());
        assert!(matches!(read::<Value>("[1,2]", 4), Err(Invalid::TooLong)));
    }

    #[test]
    fn depth_is_bounded() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(matches!(
            read::<Value>(&deep, usize::MAX),
            Err(Invalid::Json(_))
        ));
    }
}

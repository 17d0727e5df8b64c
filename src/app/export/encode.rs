//! Single fields of an export as JSON and as text. Ids are written as the shop gave them: the integer 17 as 17, all else as text.

use std::io::{self, Write};

use tidings_core::base::ExternalId;
use tidings_store::export::Holds;

/// Writes a field as a JSON value; `None` as null, and so is a number that JSON has not (NaN, infinity).
pub fn json(holds: Holds, field: Option<&str>, out: &mut Vec<u8>) -> io::Result<()> {
    let Some(text) = field else { return out.write_all(b"null") };
    match holds {
        Holds::Id => id(text, out),
        Holds::Ids => ids(text, out),
        Holds::Integer | Holds::Real | Holds::Double if is_number(text) => out.write_all(text.as_bytes()),
        Holds::Integer | Holds::Real | Holds::Double => out.write_all(b"null"),
        Holds::Boolean => out.write_all(boolean(text).as_bytes()),
        Holds::Time => string(&time(text), out),
        Holds::Json => out.write_all(text.as_bytes()),
        Holds::Text => string(text, out),
    }
}

/// A field as a cell of a CSV file; `None` as an empty one.
pub fn cell(holds: Holds, field: Option<&str>, out: &mut Vec<u8>) -> io::Result<()> {
    let Some(text) = field else { return Ok(()) };
    match holds {
        Holds::Ids => ids(text, out),
        Holds::Boolean => out.write_all(boolean(text).as_bytes()),
        Holds::Time => out.write_all(time(text).as_bytes()),
        _ => out.write_all(text.as_bytes()),
    }
}

fn string(text: &str, out: &mut Vec<u8>) -> io::Result<()> {
    Ok(serde_json::to_writer(out, text)?)
}

fn id(text: &str, out: &mut Vec<u8>) -> io::Result<()> {
    match ExternalId::parse(text) {
        Ok(ExternalId::Integer(number)) => write!(out, "{number}"),
        _ => string(text, out),
    }
}

fn ids(text: &str, out: &mut Vec<u8>) -> io::Result<()> {
    let ids: Vec<String> = serde_json::from_str(text)?;
    out.push(b'[');
    for (place, text) in ids.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        id(text, out)?;
    }
    out.push(b']');
    Ok(())
}

fn is_number(text: &str) -> bool {
    text.strip_prefix('-').unwrap_or(text).starts_with(|first: char| first.is_ascii_digit())
}

fn boolean(text: &str) -> &'static str {
    if text == "t" { "true" } else { "false" }
}

/// RFC 3339 from PostgreSQL's form of a moment in UTC.
pub fn time(text: &str) -> String {
    let text = text.strip_suffix("+00").unwrap_or(text);
    format!("{}Z", text.replacen(' ', "T", 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn as_json(holds: Holds, field: &str) -> String {
        let mut out = Vec::new();
        json(holds, Some(field), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn fields_are_written_as_what_they_are() {
        for (holds, field, expected) in [
            (Holds::Id, "17", "17"),
            (Holds::Id, "017", "\"017\""),
            (Holds::Ids, r#"["17", "a\"b"]"#, r#"[17,"a\"b"]"#),
            (Holds::Double, "-0.5", "-0.5"),
            (Holds::Double, "1e+20", "1e+20"),
            (Holds::Double, "NaN", "null"),
            (Holds::Real, "-Infinity", "null"),
            (Holds::Boolean, "t", "true"),
            (Holds::Time, "2010-12-01 08:26:00.5+00", "\"2010-12-01T08:26:00.5Z\""),
            (Holds::Text, "a\n\"b\"", r#""a\n\"b\"""#),
            (Holds::Json, r#"{"a": 1}"#, r#"{"a": 1}"#),
        ] {
            let written = as_json(holds, field);
            assert_eq!(written, expected);
            assert!(serde_json::from_str::<serde_json::Value>(&written).is_ok());
        }
    }

    #[test]
    fn nothing_is_null_in_json_and_empty_in_a_cell() {
        let (mut json_out, mut cell_out) = (Vec::new(), Vec::new());
        json(Holds::Double, None, &mut json_out).unwrap();
        cell(Holds::Double, None, &mut cell_out).unwrap();
        assert_eq!((json_out.as_slice(), cell_out.as_slice()), (&b"null"[..], &b""[..]));
    }
}

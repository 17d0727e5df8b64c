//! NUL in JSON text, which PostgreSQL's text can't hold.

/// Returns whether JSON has the escape of a NUL in it: the only way for one into a JSON text. O(length).
pub fn has_escaped_nul(json: &[u8]) -> bool {
    let mut rest = json;
    while let Some(place) = rest.iter().position(|byte| *byte == b'\\') {
        let after = rest.get(place + 1..).unwrap_or_default();
        if after.starts_with(b"u0000") {
            return true;
        }
        // What is escaped begins no escape itself.
        rest = after.get(1..).unwrap_or_default();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escaped_backslash_begins_no_nul() {
        for (json, expected) in [
            (r#"{"a":"\u0000"}"#, true),
            (r#""\\\u0000""#, true),
            (r#""\\u0000""#, false),
            (r#""\n\u0001 u0000""#, false),
            (r#""\"#, false),
            ("", false),
        ] {
            assert_eq!(has_escaped_nul(json.as_bytes()), expected, "{json}");
        }
    }
}

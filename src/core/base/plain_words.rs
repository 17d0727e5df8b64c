//! Messages of a parser in words for people who don't read Rust.

/// Names of types as serde writes them, and what they are called.
const WORDS: [(&str, &str); 22] = [
    ("u8", "a whole number from 0 to 255"),
    ("u16", "a whole number from 0 to 65535"),
    ("u32", "a whole number from 0 to 4294967295"),
    ("u64", "a whole number, 0 or more"),
    ("usize", "a whole number, 0 or more"),
    ("i8", "a whole number from -128 to 127"),
    ("i16", "a whole number from -32768 to 32767"),
    ("i32", "a whole number from -2147483648 to 2147483647"),
    ("i64", "a whole number"),
    ("isize", "a whole number"),
    ("f32", "a number"),
    ("f64", "a number"),
    ("a sequence", "a list"),
    ("a map", "a table"),
    ("a boolean", "true or false"),
    ("a string", "a text"),
    ("sequence", "a list"),
    ("map", "a table"),
    ("boolean", "a truth value"),
    ("string", "a text"),
    ("integer", "the number"),
    ("floating point", "the number"),
];

/// Puts what serde says of types into plain words: "invalid type: sequence, expected f64" is "a list, expected a number". Other messages
/// stay as they are.
pub fn plain_words(message: &str) -> String {
    let stripped = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "));
    let (found, rest) = match stripped.and_then(|rest| rest.rsplit_once(", expected ")) {
        Some((found, rest)) => (found, rest),
        None => return message.to_owned(),
    };
    let (expected, place) = match rest.split_once(" at line ") {
        Some((expected, place)) => (expected, format!(" at line {place}")),
        // The parser of TOML ends its messages by a line of their own.
        None => match rest.split_once('\n') {
            Some((expected, place)) => (expected, format!("\n{place}")),
            None => (rest, String::new()),
        },
    };
    format!("{}, expected {}{place}", named(found), named(expected))
}

/// The plain name of a type, with the value behind it.
fn named(what: &str) -> String {
    if what.starts_with("struct ") {
        return "a table".to_owned();
    }
    if what.starts_with("tuple ") || what.starts_with("an array of length") {
        return "a list".to_owned();
    }
    let plain = WORDS.iter().find_map(|(name, plain)| {
        let rest = what.strip_prefix(name)?;
        (rest.is_empty() || rest.starts_with(' ')).then(|| format!("{plain}{rest}"))
    });
    plain.unwrap_or_else(|| what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_called_by_plain_words() {
        for (message, plain) in [
            ("invalid type: sequence, expected f64", "a list, expected a number"),
            (
                "invalid type: string \"9, expected\", expected usize",
                "a text \"9, expected\", expected a whole number, 0 or more",
            ),
            (
                "invalid value: integer `-1`, expected u8 at line 1 column 9",
                "the number `-1`, expected a whole number from 0 to 255 at line 1 column 9",
            ),
            (
                "invalid type: string …, expected struct Cap\nin `policy.caps`",
                "a text …, expected a table\nin `policy.caps`",
            ),
            ("invalid type: map, expected a sequence", "a table, expected a list"),
            ("invalid type: integer `42`, expected a string", "the number `42`, expected a text"),
            ("unknown field `a`, expected `b`", "unknown field `a`, expected `b`"),
            ("half of it", "half of it"),
        ] {
            assert_eq!(plain_words(message), plain);
        }
    }
}

//! Faults of the parser in words that show no value of the file: a value may be a password.

use crate::base::{nearest, plain_words};

/// Fault of a text that is no TOML: message, line and column. The line itself is not shown.
pub fn of_text(text: &str, error: &toml::de::Error) -> String {
    let message = plain_words(&without_values(error.message()));
    let Some(before) = error.span().and_then(|span| text.get(..span.start)) else { return message };
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    format!("line {line}, column {column}: {message}")
}

/// Fault of a value, with the nearest of the names that were expected.
pub fn of_value(error: &toml::de::Error) -> String {
    let whole = error.to_string();
    let message = plain_words(&without_values(whole.trim_end()));
    let mut quoted = message.split('`').skip(1).step_by(2);
    let near = match quoted.next() {
        Some(word) if message.contains("unknown") => nearest(word, quoted),
        _ => None,
    };
    match near {
        Some(near) => format!("{message}, did you mean {near}?"),
        None => message.clone(),
    }
}

/// A message without texts in double quotes, in which the parser repeats what it was given.
fn without_values(message: &str) -> String {
    let mut out = String::new();
    let mut rest = message;
    while let Some((before, after)) = rest.split_once('"') {
        out.push_str(before);
        let mut escaped = false;
        let end = after.char_indices().find(|(_, c)| {
            let ends = *c == '"' && !escaped;
            escaped = *c == '\\' && !escaped;
            ends
        });
        let Some((end, _)) = end else {
            out.push('…');
            return out;
        };
        out.push('…');
        rest = after.get(end + 1..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::without_values;

    #[test]
    fn texts_in_quotes_are_left_out() {
        assert_eq!(
            without_values(r#"invalid type: string "a\"b", expected x"#),
            "invalid type: string …, expected x"
        );
        assert_eq!(without_values("a \"b"), "a …");
    }
}

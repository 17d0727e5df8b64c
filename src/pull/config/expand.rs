//! `${NAME}` in any text of the file: the environment's variable of that name, so that secrets need not stand in it.

use toml::Value;

use super::error::ConfigError;

/// Replaces every `${NAME}`; a variable that is not set is an error. An error names the setting and nothing of its text.
pub fn expand(value: Value, environment: &impl Fn(&str) -> Option<String>) -> Result<Value, ConfigError> {
    expand_at("", value, environment)
}

/// The same below the setting `at`.
fn expand_at(
    at: &str,
    value: Value,
    environment: &impl Fn(&str) -> Option<String>,
) -> Result<Value, ConfigError> {
    Ok(match value {
        Value::String(text) => Value::String(expand_text(at, &text, environment)?),
        Value::Array(values) => Value::Array(
            values.into_iter().map(|value| expand_at(at, value, environment)).collect::<Result<_, _>>()?,
        ),
        Value::Table(table) => Value::Table(
            table
                .into_iter()
                .map(|(key, value)| {
                    let dot = if at.is_empty() { "" } else { "." };
                    let value = expand_at(&format!("{at}{dot}{key}"), value, environment)?;
                    Ok((key, value))
                })
                .collect::<Result<_, ConfigError>>()?,
        ),
        other => other,
    })
}

fn expand_text(
    at: &str,
    text: &str,
    environment: &impl Fn(&str) -> Option<String>,
) -> Result<String, ConfigError> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, after)) = after.split_once('}') else {
            return Err(ConfigError::new(format!("{at}: ${{ without its }}")));
        };
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(ConfigError::new(format!(
                "{at}: what stands between ${{ and }} is no name of a variable: letters, digits and _"
            )));
        }
        let value = environment(name)
            .ok_or_else(|| ConfigError::new(format!("{at}: the environment variable {name} is not set")))?;
        out.push_str(before);
        out.push_str(&value);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

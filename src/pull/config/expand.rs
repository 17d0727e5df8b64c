//! `${NAME}` in any text of the file: the environment's variable of that name, so that secrets need not stand in it.

use toml::Value;

use super::error::ConfigError;

/// Replaces every `${NAME}`; a variable that is not set is an error.
pub fn expand(value: Value, environment: &impl Fn(&str) -> Option<String>) -> Result<Value, ConfigError> {
    Ok(match value {
        Value::String(text) => Value::String(expand_text(&text, environment)?),
        Value::Array(values) => Value::Array(
            values.into_iter().map(|value| expand(value, environment)).collect::<Result<_, _>>()?,
        ),
        Value::Table(table) => Value::Table(
            table
                .into_iter()
                .map(|(key, value)| Ok((key, expand(value, environment)?)))
                .collect::<Result<_, ConfigError>>()?,
        ),
        other => other,
    })
}

fn expand_text(text: &str, environment: &impl Fn(&str) -> Option<String>) -> Result<String, ConfigError> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, after)) = after.split_once('}') else {
            return Err(ConfigError::new(format!("{text:?}: ${{ without its }}")));
        };
        let value = environment(name)
            .ok_or_else(|| ConfigError::new(format!("the environment variable {name} is not set")))?;
        out.push_str(before);
        out.push_str(&value);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

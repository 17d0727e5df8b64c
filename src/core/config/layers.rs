//! Layers of settings, each value remembering where it came from.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::error::ConfigError;
use super::settings::Config;
use super::toml_fault;
use crate::base::{nearest, plain_words};

/// Source of a value, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// Built in.
    Default,
    /// The configuration file.
    File,
    /// An environment variable.
    Environment,
    /// A command-line flag.
    Flag,
}

impl Layer {
    /// For `tidings config`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::File => "file",
            Self::Environment => "environment",
            Self::Flag => "flag",
        }
    }
}

/// One line of `tidings config`.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// `area.field`.
    pub key: String,
    /// TOML form; secrets are masked.
    pub value: String,
    /// Source of the value.
    pub layer: Layer,
}

/// Settings under construction.
#[derive(Clone, Debug)]
pub struct Layered {
    values: BTreeMap<String, (Value, Layer)>,
}

impl Default for Layered {
    fn default() -> Self {
        let mut values = BTreeMap::new();
        if let Ok(table) = Table::try_from(Config::default()) {
            for (area, fields) in table {
                let Value::Table(fields) = fields else { continue };
                for (field, value) in fields {
                    values.insert(format!("{area}.{field}"), (value, Layer::Default));
                }
            }
        }
        Self { values }
    }
}

/// Line, from 1, on which a field of a table is set; `None` where the file writes it in another way than most do.
fn line_of(text: &str, area: &str, field: &str) -> Option<usize> {
    let mut table = String::new();
    for (line, text) in text.lines().enumerate() {
        let text = text.trim();
        if let Some(name) = text.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            name.trim().clone_into(&mut table);
        }
        let key = text.split('=').next().unwrap_or_default().trim();
        if (table == area && key == field) || (table.is_empty() && key == format!("{area}.{field}")) {
            return Some(line + 1);
        }
    }
    None
}

impl Layered {
    /// Lays a TOML file over what is there. An error names the line.
    pub fn file(&mut self, text: &str) -> Result<(), ConfigError> {
        let table: Table =
            text.parse().map_err(|error| ConfigError::File(toml_fault::of_text(text, &error)))?;
        for (area, fields) in table {
            let Value::Table(fields) = fields else {
                return Err(ConfigError::File(format!("{area} must be a table, [{area}]")));
            };
            for (field, value) in fields {
                let put = self.put(format!("{area}.{field}"), value, Layer::File);
                put.map_err(|error| match line_of(text, &area, &field) {
                    Some(line) => ConfigError::File(format!("line {line}: {error}")),
                    None => error,
                })?;
            }
        }
        Ok(())
    }

    /// Lays environment variables over what is there: `DATABASE_URL` and `TIDINGS_<AREA>_<FIELD>`.
    /// Unknown `TIDINGS_…` names are errors, so that a typo can't be believed to work.
    pub fn environment(
        &mut self,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(), ConfigError> {
        let mut variables: Vec<_> = variables.into_iter().collect();
        variables.sort();
        for (name, text) in variables {
            if name == "DATABASE_URL" {
                self.text("database.url", &text, Layer::Environment)?;
            } else if let Some(rest) = name.strip_prefix("TIDINGS_") {
                let key = rest.to_lowercase().replacen('_', ".", 1);
                match key.as_str() {
                    // Read elsewhere: by the logger, by tests, by the command line.
                    "log" | "data" | "token" | "test.keep" => {}
                    _ => self.text(&key, &text, Layer::Environment)?,
                }
            }
        }
        Ok(())
    }

    /// Sets one value from text, read by the type of the default.
    pub fn text(&mut self, key: &str, text: &str, layer: Layer) -> Result<(), ConfigError> {
        let Some((old, _)) = self.values.get(key) else {
            return Err(self.unknown(key));
        };
        let wrong = |expected: &str| ConfigError::Type {
            key: key.to_owned(),
            layer: layer.name(),
            message: format!("expected {expected}, got \"{text}\""),
        };
        let value = match old {
            Value::String(_) => Value::String(text.to_owned()),
            Value::Integer(_) => Value::Integer(text.trim().parse().map_err(|_| wrong("a whole number"))?),
            Value::Float(_) => Value::Float(text.trim().parse().map_err(|_| wrong("a number"))?),
            Value::Boolean(_) => Value::Boolean(text.trim().parse().map_err(|_| wrong("true or false"))?),
            Value::Array(_) if text.trim_start().starts_with('[') => {
                let table: Table = format!("value = {text}").parse().map_err(|_| wrong("a TOML array"))?;
                table.get("value").cloned().ok_or_else(|| wrong("a TOML array"))?
            }
            Value::Array(_) => Value::Array(
                text.split(',')
                    .map(str::trim)
                    .filter(|s| !s.is_empty())
                    .map(|s| Value::String(s.to_owned()))
                    .collect(),
            ),
            Value::Table(_) => {
                let table: Table =
                    format!("value = {text}").parse().map_err(|_| wrong("a TOML inline table"))?;
                table.get("value").cloned().ok_or_else(|| wrong("a TOML inline table"))?
            }
            _ => return Err(wrong("a plain value")),
        };
        self.put(key.to_owned(), value, layer)
    }

    fn put(&mut self, key: String, value: Value, layer: Layer) -> Result<(), ConfigError> {
        match self.values.get_mut(&key) {
            Some(slot) => {
                *slot = (value, layer);
                Ok(())
            }
            None => Err(self.unknown(&key)),
        }
    }

    fn unknown(&self, key: &str) -> ConfigError {
        let near = nearest(key, self.values.keys().map(String::as_str)).map(str::to_owned);
        ConfigError::Unknown { key: key.to_owned(), near }
    }

    /// The validated configuration.
    pub fn build(&self) -> Result<Config, ConfigError> {
        let mut table = Table::new();
        for (key, (value, layer)) in &self.values {
            let Some((area, field)) = key.split_once('.') else { continue };
            let fields = table.entry(area.to_owned()).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(fields) = fields {
                fields.insert(field.to_owned(), value.clone());
            }
            // Each on its own first, so that an error names its key and layer.
            let mut single = Table::new();
            single.insert(
                area.to_owned(),
                Value::Table([(field.to_owned(), value.clone())].into_iter().collect()),
            );
            if let Err(error) = single.try_into::<Config>() {
                return Err(ConfigError::Type {
                    key: key.clone(),
                    layer: layer.name(),
                    message: plain_words(error.message()),
                });
            }
        }
        let config: Config =
            table.try_into().map_err(|error: toml::de::Error| ConfigError::File(error.to_string()))?;
        config.validate()?;
        Ok(config)
    }

    /// Every setting in order of name, secrets masked.
    pub fn settings(&self) -> Vec<Setting> {
        self.values
            .iter()
            .map(|(key, (value, layer))| {
                let value = match (key.as_str(), value) {
                    (
                        "auth.secret"
                        | "database.url"
                        | "encryption.master_key"
                        | "oidc.client_secret"
                        | "webpush.private_key",
                        Value::String(text),
                    ) if !text.is_empty() => "\"***\"".to_owned(),
                    // Some of them are secrets.
                    ("auth.keys", Value::Array(keys)) if !keys.is_empty() => "[\"***\"]".to_owned(),
                    _ => value.to_string(),
                };
                Setting { key: key.clone(), value, layer: *layer }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str, value: &str) -> Vec<(String, String)> {
        vec![(name.to_owned(), value.to_owned())]
    }

    #[test]
    fn a_line_that_is_no_toml_is_named_and_not_shown() {
        let text = "[server]\nport = 8080\n[database]\nurl = \"postgres://ann:hunter2@db/shop\n";
        let error = Layered::default().file(text).unwrap_err().to_string();
        assert!(error.contains("line 4") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn later_layers_win_and_say_so() {
        let mut layered = Layered::default();
        layered.file("[socket]\nping_ms = 1000\npong_ms = 500\n").unwrap();
        layered.environment(environment("TIDINGS_SOCKET_PING_MS", "2000")).unwrap();
        layered.text("server.listen", "127.0.0.1:0", Layer::Flag).unwrap();
        let config = layered.build().unwrap();
        assert_eq!((config.socket.ping_ms, config.socket.pong_ms), (2000, 500));
        let layer = |key| layered.settings().into_iter().find(|setting| setting.key == key).unwrap().layer;
        assert_eq!(layer("socket.ping_ms"), Layer::Environment);
        assert_eq!(layer("socket.pong_ms"), Layer::File);
        assert_eq!(layer("server.listen"), Layer::Flag);
        assert_eq!(layer("server.workers"), Layer::Default);
    }

    #[test]
    fn a_typo_is_an_error_wherever_it_stands() {
        assert!(Layered::default().file("[socket]\nping = 1\n").is_err());
        let error = Layered::default().file("[sockets]\nping_ms = 1\n").unwrap_err().to_string();
        assert!(
            error.starts_with("line 2: unknown setting sockets.ping_ms, did you mean socket.ping_ms?"),
            "{error}"
        );
        assert!(Layered::default().environment(environment("TIDINGS_SOCKET_PONG", "1")).is_err());
        let error =
            Layered::default().environment(environment("TIDINGS_SOCKET_PING_MS", "soon")).unwrap_err();
        assert!(error.to_string().contains("socket.ping_ms (from environment)"), "{error}");
        let mut layered = Layered::default();
        layered.file("[socket]\nping_ms = \"x\"\n").unwrap();
        assert!(layered.build().unwrap_err().to_string().contains("socket.ping_ms (from file)"));
    }

    #[test]
    fn lists_come_from_commas_or_toml() {
        let mut layered = Layered::default();
        layered
            .environment(environment(
                "TIDINGS_SERVER_ALLOWED_ORIGINS",
                "https://a.example, https://b.example",
            ))
            .unwrap();
        assert_eq!(
            layered.build().unwrap().server.allowed_origins,
            ["https://a.example", "https://b.example"]
        );
        layered
            .environment(environment("TIDINGS_POLICY_CAPS", "[{category='*', window_min=1, max=2}]"))
            .unwrap();
        assert_eq!(layered.build().unwrap().policy.caps.len(), 1);
    }

    #[test]
    fn tables_come_from_sections_or_inline_tables() {
        let mut layered = Layered::default();
        layered.file("[money]\nbase = \"EUR\"\n[money.rates]\nJPY = 0.006\nUSD = 1\n").unwrap();
        // TOML's whole numbers are numbers too.
        assert_eq!(layered.build().unwrap().money.rates["USD"], 1.0);
        layered.environment(environment("TIDINGS_MONEY_RATES", "{GBP = 1.15}")).unwrap();
        assert_eq!(layered.build().unwrap().money.rates.into_keys().collect::<Vec<_>>(), ["GBP"]);
        assert!(layered.environment(environment("TIDINGS_MONEY_RATES", "GBP")).is_err());
    }

    #[test]
    fn secrets_are_masked() {
        let mut layered = Layered::default();
        layered.text("auth.secret", "correct horse battery staple 0123456789", Layer::Flag).unwrap();
        let keys = "[{kid = 'a', algorithm = 'HS256', secret = 'a horse that nobody knows 0123456789'}]";
        layered.text("auth.keys", keys, Layer::Flag).unwrap();
        assert!(layered.settings().iter().all(|setting| !setting.value.contains("horse")));
    }
}

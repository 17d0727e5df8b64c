//! Attributes of a user that the shop has set: typed values under names of its own, and conditions about them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::base::Timestamp;

/// Most attributes of a user.
pub const MAX_ATTRIBUTES: usize = 64;
/// Longest name, bytes.
const MAX_NAME_BYTES: usize = 64;
/// Longest text, bytes.
const MAX_TEXT_BYTES: usize = 1_024;
/// Most texts of a list.
const MAX_TEXTS: usize = 64;
/// All attributes of a user as JSON, bytes.
pub const MAX_BYTES: usize = 4_096;
/// Most conditions of a rule.
pub const MAX_CONDITIONS: usize = 16;
/// Most values of `one_of`.
const MAX_CHOICES: usize = 64;

/// A typed value.
#[derive(Clone, Debug, PartialEq)]
pub enum AttributeValue {
    /// A text.
    Text(Box<str>),
    /// A finite number.
    Number(f64),
    /// True or false.
    Boolean(bool),
    /// A day or a moment, as it was written: `2030-01-31` or RFC 3339.
    Date(Box<str>),
    /// A list of texts.
    Texts(Vec<Box<str>>),
}

/// Error of an attribute: which, and what is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct AttributeError {
    /// Description of the error and its fix.
    pub message: String,
}

impl AttributeError {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

/// Moment that a date begins with, in UTC; `None` for a text that is none. PostgreSQL reads the same forms (`attributes_meet`): it
/// knows no year 0, no sign before a year, and no zone 16 hours or more from UTC.
fn moment(date: &str) -> Option<Timestamp> {
    if !date.bytes().all(|byte| byte.is_ascii_digit() || b"T:.Z+-".contains(&byte)) {
        return None;
    }
    let has_year = date.starts_with(|first: char| first.is_ascii_digit()) && !date.starts_with("0000");
    let zone = date.split_once('T').and_then(|(_, time)| time.split_once(['+', '-']));
    let hours = zone.and_then(|(_, zone)| zone.get(..2)?.parse::<u8>().ok());
    let is_near = hours.is_none_or(|hours| hours < 16);
    if !has_year || !is_near {
        return None;
    }
    match date.parse::<jiff::civil::Date>() {
        Ok(_) if date.len() == 10 => Timestamp::parse(&format!("{date}T00:00:00Z")),
        _ => Timestamp::parse(date).filter(|_| date.contains('T')),
    }
}

impl AttributeValue {
    /// From JSON: a text, a number, true or false, a list of texts, or a date as `{"date": "2030-01-31"}`.
    fn from_json(name: &str, value: &Value) -> Result<Self, AttributeError> {
        let shown: String = name.chars().take(MAX_NAME_BYTES).collect();
        let text = |text: &str| {
            if text.len() <= MAX_TEXT_BYTES {
                Ok(Box::from(text))
            } else {
                Err(AttributeError::new(format!(
                    "attribute \"{shown}\": a text has at most {MAX_TEXT_BYTES} bytes"
                )))
            }
        };
        let typeless = || {
            AttributeError::new(format!(
                "attribute \"{shown}\" is a text, a number, true or false, a list of texts, or a date: {{\"date\":\"2030-01-31\"}}"
            ))
        };
        match value {
            Value::String(value) => text(value).map(Self::Text),
            Value::Bool(value) => Ok(Self::Boolean(*value)),
            Value::Number(number) => number.as_f64().map(Self::Number).ok_or_else(typeless),
            Value::Array(values) if values.len() > MAX_TEXTS => Err(AttributeError::new(format!(
                "attribute \"{shown}\": a list has at most {MAX_TEXTS} texts"
            ))),
            Value::Array(values) => values
                .iter()
                .map(|value| value.as_str().ok_or_else(typeless).and_then(text))
                .collect::<Result<_, _>>()
                .map(Self::Texts),
            Value::Object(fields) => match (fields.len(), fields.get("date").and_then(Value::as_str)) {
                (1, Some(date)) if moment(date).is_some() => Ok(Self::Date(date.into())),
                (1, Some(_)) => Err(AttributeError::new(format!(
                    "attribute \"{shown}\": a date is 2030-01-31 or a time such as 2030-01-31T08:00:00Z"
                ))),
                _ => Err(typeless()),
            },
            Value::Null => Err(typeless()),
        }
    }

    /// As stored, and as [`Self::from_json`] reads it.
    fn to_json(&self) -> Value {
        match self {
            Self::Text(text) => json!(text),
            // A whole number stays one.
            Self::Number(number) if number.fract() == 0.0 && number.abs() < 9e15 => json!(*number as i64),
            Self::Number(number) => json!(number),
            Self::Boolean(value) => json!(value),
            Self::Date(date) => json!({ "date": date }),
            Self::Texts(texts) => json!(texts),
        }
    }

    /// As templates read it: a date is a text.
    fn to_plain(&self) -> Value {
        match self {
            Self::Date(date) => json!(date),
            other => other.to_json(),
        }
    }
}

/// Attributes of one user by name. Empty for most.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attributes(BTreeMap<Box<str>, AttributeValue>);

impl Attributes {
    /// From the stored object; what this version can't read is left out.
    pub fn from_stored(stored: &Value) -> Self {
        let fields = stored.as_object().into_iter().flatten();
        let read = fields.filter_map(|(name, value)| {
            Some((name.as_str().into(), AttributeValue::from_json(name, value).ok()?))
        });
        Self(read.collect())
    }

    /// From a whole object, checked.
    pub fn parse(object: &Map<String, Value>) -> Result<Self, AttributeError> {
        if object.len() > MAX_ATTRIBUTES {
            return Err(AttributeError::new(format!(
                "a user has at most {MAX_ATTRIBUTES} attributes, these are {}",
                object.len()
            )));
        }
        let mut read = BTreeMap::new();
        for (name, value) in object {
            if name.is_empty() || name.len() > MAX_NAME_BYTES || name.chars().any(char::is_control) {
                return Err(AttributeError::new(format!(
                    "the name of an attribute has 1…{MAX_NAME_BYTES} bytes and no control characters"
                )));
            }
            read.insert(name.as_str().into(), AttributeValue::from_json(name, value)?);
        }
        let attributes = Self(read);
        let bytes = attributes.to_json().to_string().len();
        if bytes > MAX_BYTES {
            return Err(AttributeError::new(format!(
                "the attributes of a user have at most {MAX_BYTES} bytes of JSON, these have {bytes}"
            )));
        }
        Ok(attributes)
    }

    /// As stored.
    pub fn to_json(&self) -> Value {
        Value::Object(self.0.iter().map(|(name, value)| (name.to_string(), value.to_json())).collect())
    }

    /// As templates read them.
    pub fn to_plain(&self) -> Value {
        Value::Object(self.0.iter().map(|(name, value)| (name.to_string(), value.to_plain())).collect())
    }
}

/// Condition about one attribute: everything it says must hold; a user without the attribute meets `exists: false` only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AttributeCondition {
    /// Name of the attribute.
    pub name: String,
    /// True if the user has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exists: Option<bool>,
    /// One of these texts, numbers or truth values; of a list one of its texts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub one_of: Vec<Value>,
    /// A number, or a date from this one on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<Value>,
    /// A number, or a date before or at this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<Value>,
}

/// Name of the first attribute of conditions, as JSON, that is encrypted: PostgreSQL, which chooses audiences, can't read it.
pub fn encrypted_among(conditions: &str, is_encrypted: impl Fn(&str) -> bool) -> Option<String> {
    let conditions: Vec<AttributeCondition> = serde_json::from_str(conditions).unwrap_or_default();
    conditions.into_iter().map(|condition| condition.name).find(|name| is_encrypted(name))
}

impl AttributeCondition {
    /// Bounds; what is wrong and how to put it right.
    pub fn validate(&self) -> Result<(), String> {
        let name = &self.name;
        if name.is_empty() || name.len() > MAX_NAME_BYTES || name.chars().any(char::is_control) {
            return Err(format!("the name of an attribute has 1…{MAX_NAME_BYTES} bytes"));
        }
        let bounds = [&self.at_least, &self.at_most];
        if self.exists.is_none() && self.one_of.is_empty() && bounds.iter().all(|bound| bound.is_none()) {
            return Err(format!("attribute \"{name}\": say exists, one_of, at_least or at_most"));
        }
        let is_bound =
            |bound: &Value| bound.is_number() || bound.as_str().is_some_and(|date| moment(date).is_some());
        if !bounds.into_iter().flatten().all(is_bound) {
            return Err(format!(
                "attribute \"{name}\": at_least and at_most are numbers or dates such as 2030-01-31"
            ));
        }
        let is_choice = |choice: &Value| match choice {
            // PostgreSQL, which chooses audiences, reads no NUL, and no attribute has one.
            Value::String(text) => text.len() <= MAX_TEXT_BYTES && !text.contains('\0'),
            Value::Number(_) | Value::Bool(_) => true,
            _ => false,
        };
        if self.one_of.len() > MAX_CHOICES || !self.one_of.iter().all(is_choice) {
            return Err(format!(
                "attribute \"{name}\": one_of has at most {MAX_CHOICES} texts without NUL, numbers, true or false"
            ));
        }
        Ok(())
    }

    /// Returns whether the attributes meet it.
    pub fn holds(&self, attributes: &Attributes) -> bool {
        let Some(value) = attributes.0.get(self.name.as_str()) else {
            return self.exists == Some(false)
                && self.one_of.is_empty()
                && self.at_least.is_none()
                && self.at_most.is_none();
        };
        self.exists != Some(false)
            && (self.one_of.is_empty() || self.one_of.iter().any(|choice| value.is(choice)))
            && self
                .at_least
                .as_ref()
                .is_none_or(|least| value.compare(least).is_some_and(|order| order.is_ge()))
            && self.at_most.as_ref().is_none_or(|most| value.compare(most).is_some_and(|order| order.is_le()))
    }
}

impl AttributeValue {
    fn is(&self, choice: &Value) -> bool {
        match self {
            Self::Text(text) | Self::Date(text) => choice.as_str() == Some(text),
            Self::Boolean(value) => choice.as_bool() == Some(*value),
            Self::Number(number) => choice.as_f64() == Some(*number),
            Self::Texts(texts) => texts.iter().any(|text| choice.as_str() == Some(text)),
        }
    }

    /// Order beside a bound; `None` for a bound of another type.
    fn compare(&self, bound: &Value) -> Option<std::cmp::Ordering> {
        match self {
            Self::Number(number) => number.partial_cmp(&bound.as_f64()?),
            Self::Date(date) => Some(moment(date)?.cmp(&moment(bound.as_str()?)?)),
            Self::Text(_) | Self::Boolean(_) | Self::Texts(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(value: Value) -> Result<Attributes, AttributeError> {
        Attributes::parse(value.as_object().unwrap())
    }

    #[test]
    fn values_keep_their_type_and_come_back_as_they_were_written() {
        let given = json!({
            "first name": "Anna", "age": 41, "score": 0.5, "vip": true, "since": {"date": "2024-02-29"},
            "seen": {"date": "2030-01-31T08:00:00+01:00"}, "sizes": ["M", "L"], "none": [], "zip": "01067",
        });
        let read = attributes(given.clone()).unwrap();
        assert_eq!(read.to_json(), given);
        assert_eq!(Attributes::from_stored(&given), read);
        let plain = read.to_plain();
        assert_eq!((&plain["since"], &plain["zip"]), (&json!("2024-02-29"), &json!("01067")));
    }

    #[test]
    fn what_is_no_value_or_too_much_is_named() {
        for (given, says) in [
            (json!({"a": null}), "\"a\""),
            (json!({"a": {"b": 1}}), "a date"),
            (json!({"a": {"date": "31.01.2030"}}), "2030-01-31"),
            (json!({"a": {"date": "2023-02-29"}}), "2030-01-31"),
            (json!({"a": {"date": "0000-02-28"}}), "2030-01-31"),
            (json!({"a": {"date": "-000001-01-01T00:00:00Z"}}), "2030-01-31"),
            (json!({"a": {"date": "+002030-01-31T00:00:00Z"}}), "2030-01-31"),
            (json!({"a": {"date": "2030-01-31T00:00:00+20:00"}}), "2030-01-31"),
            (json!({"a": [1]}), "list of texts"),
            (json!({"a": "x".repeat(1_025)}), "1024 bytes"),
            (json!({"": 1}), "name"),
            (json!({"a\nb": 1}), "name"),
            (json!({"a": vec!["x"; 65]}), "64 texts"),
            (
                json!({"a": "x".repeat(1_024), "b": "x".repeat(1_024), "c": "x".repeat(1_024), "d": "x".repeat(1_024)}),
                "4096",
            ),
        ] {
            let error = attributes(given.clone()).unwrap_err();
            assert!(error.to_string().contains(says), "{given}: {error}");
        }
        let many: Map<String, Value> = (0..65).map(|n| (format!("a{n}"), json!(n))).collect();
        assert!(Attributes::parse(&many).unwrap_err().to_string().contains("at most 64"));
    }

    #[test]
    fn conditions_compare_what_has_their_type() {
        let user = attributes(json!({
            "plan": "pro", "age": 41, "vip": true, "renews": {"date": "2030-01-31"}, "sizes": ["M", "L"],
        }))
        .unwrap();
        for (condition, holds) in [
            (json!({"name": "plan", "one_of": ["free", "pro"]}), true),
            (json!({"name": "plan", "one_of": ["free"]}), false),
            (json!({"name": "plan", "at_least": 1}), false),
            (json!({"name": "age", "at_least": 18, "at_most": 41}), true),
            (json!({"name": "age", "at_most": 40.5}), false),
            (json!({"name": "age", "one_of": [41.0]}), true),
            (json!({"name": "age", "one_of": ["41"]}), false),
            (json!({"name": "vip", "one_of": [true]}), true),
            (json!({"name": "renews", "at_least": "2030-01-31", "at_most": "2030-01-31T00:00:00Z"}), true),
            (json!({"name": "renews", "at_least": "2030-02-01"}), false),
            (json!({"name": "sizes", "one_of": ["L", "XL"]}), true),
            (json!({"name": "sizes", "one_of": ["XL"]}), false),
            (json!({"name": "none", "exists": false}), true),
            (json!({"name": "none", "one_of": ["x"], "exists": false}), false),
            (json!({"name": "none", "one_of": ["x"]}), false),
            (json!({"name": "plan", "exists": false}), false),
            (json!({"name": "plan", "exists": true}), true),
        ] {
            let parsed: AttributeCondition = serde_json::from_value(condition.clone()).unwrap();
            assert_eq!(parsed.validate(), Ok(()), "{condition}");
            assert_eq!(parsed.holds(&user), holds, "{condition}");
        }
        for bad in [
            json!({"name": "a"}),
            json!({"name": "", "exists": true}),
            json!({"name": "a", "at_least": "soon"}),
            json!({"name": "a", "at_least": true}),
            json!({"name": "a", "one_of": [null]}),
            json!({"name": "a", "one_of": ["b", "c\u{0}"]}),
        ] {
            let parsed: AttributeCondition = serde_json::from_value(bad.clone()).unwrap();
            assert!(parsed.validate().is_err(), "{bad}");
        }
    }

    #[test]
    fn conditions_on_an_attribute_that_is_encrypted_name_it() {
        let conditions = r#"[{"name": "plan", "one_of": ["pro"]}, {"name": "born", "exists": true}]"#;
        let among = |encrypted: &[&str]| encrypted_among(conditions, |name| encrypted.contains(&name));
        assert_eq!(among(&["first_name", "born"]).as_deref(), Some("born"));
        assert_eq!(among(&["first_name"]), None);
    }
}

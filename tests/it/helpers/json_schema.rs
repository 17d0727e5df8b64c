//! JSON values against the schemas of an OpenAPI 3.1 document, as far as it uses JSON Schema. Stricter than that: a field that no
//! schema names is a fault.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Fields of an object that schemas name; any name where they leave it open.
#[derive(Default)]
struct Named {
    names: BTreeSet<String>,
    any: bool,
}

impl Named {
    fn add(&mut self, other: Self) {
        self.names.extend(other.names);
        self.any |= other.any;
    }
}

/// A document whose schemas are looked up by reference.
pub struct Schemas<'a>(pub &'a Value);

impl Schemas<'_> {
    /// Fault of a value, with its place; `None` where it is as the schema says.
    pub fn fault(&self, schema: &Value, value: &Value) -> Option<String> {
        self.closed(schema, value, "").err()
    }

    /// The schema, without any field beside those it names.
    fn closed(&self, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
        let named = self.open(schema, value, at)?;
        let unknown = value
            .as_object()
            .filter(|_| !named.any)
            .and_then(|fields| fields.keys().find(|name| !named.names.contains(*name)));
        unknown.map_or(Ok(()), |name| Err(format!("{at}/{name} is not in the schema")))
    }

    fn open(&self, schema: &Value, value: &Value, at: &str) -> Result<Named, String> {
        let mut named = Named::default();
        if let Some(reference) = schema["$ref"].as_str() {
            let target = self.0.pointer(reference.trim_start_matches('#'));
            let target = target.ok_or_else(|| format!("{reference} leads nowhere"))?;
            named.add(self.open(target, value, at)?);
        }
        for part in schema["allOf"].as_array().into_iter().flatten() {
            named.add(self.open(part, value, at)?);
        }
        for (alternatives, is_one) in [("oneOf", true), ("anyOf", false)] {
            if let Some(parts) = schema[alternatives].as_array() {
                named.add(self.one_of(parts, value, at, is_one)?);
            }
        }
        let is_plain = ["$ref", "allOf", "oneOf", "anyOf"].iter().all(|key| schema.get(key).is_none());
        kind(schema, value, at)?;
        bounds(schema, value, at)?;
        match value {
            Value::Object(fields) => named.add(self.fields(schema, fields, at, is_plain)?),
            Value::Array(parts) => self.parts(schema, parts, at)?,
            _ => {}
        }
        Ok(named)
    }

    /// One of several; exactly one where `is_one`.
    fn one_of(&self, parts: &[Value], value: &Value, at: &str, is_one: bool) -> Result<Named, String> {
        let (mut found, mut faults) = (None, Vec::new());
        for part in parts {
            match self.open(part, value, at) {
                Ok(_) if found.is_some() && is_one => {
                    return Err(format!("{at} is more than one of the alternatives"));
                }
                Ok(named) => found = Some(named),
                Err(fault) => faults.push(fault),
            }
        }
        found.ok_or_else(|| format!("{at} is none of the alternatives: {}", faults.join("; ")))
    }

    fn fields(
        &self,
        schema: &Value,
        fields: &Map<String, Value>,
        at: &str,
        is_plain: bool,
    ) -> Result<Named, String> {
        let mut named = Named::default();
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !fields.contains_key(name) {
                return Err(format!("{at}/{name} is missing"));
            }
        }
        let empty = Map::new();
        let known = schema["properties"].as_object().unwrap_or(&empty);
        for (name, of) in known {
            named.names.insert(name.clone());
            if let Some(field) = fields.get(name) {
                self.closed(of, field, &format!("{at}/{name}"))?;
            }
        }
        match &schema["additionalProperties"] {
            Value::Null => named.any = is_plain && known.is_empty(),
            Value::Bool(any) => named.any = *any,
            more => {
                named.any = true;
                for (name, field) in fields.iter().filter(|(name, _)| !known.contains_key(*name)) {
                    self.closed(more, field, &format!("{at}/{name}"))?;
                }
            }
        }
        Ok(named)
    }

    fn parts(&self, schema: &Value, parts: &[Value], at: &str) -> Result<(), String> {
        let items = &schema["items"];
        if items.is_null() || items.is_boolean() {
            return Ok(());
        }
        parts
            .iter()
            .enumerate()
            .try_for_each(|(place, part)| self.closed(items, part, &format!("{at}/{place}")))
    }
}

fn kind(schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let is = |name: &str| match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        _ => value.is_object(),
    };
    let fits = match &schema["type"] {
        Value::String(name) => is(name),
        Value::Array(names) => names.iter().filter_map(Value::as_str).any(is),
        _ => true,
    };
    if fits { Ok(()) } else { Err(format!("{at} is {value}, not {}", schema["type"])) }
}

fn bounds(schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let wrong = |what: &str| Err(format!("{at} is {value}, not {what}"));
    if let Some(values) = schema["enum"].as_array()
        && !values.contains(value)
    {
        return wrong(&schema["enum"].to_string());
    }
    if let Some(constant) = schema.get("const")
        && constant != value
    {
        return wrong(&constant.to_string());
    }
    if let (Some(least), Some(number)) = (schema["minimum"].as_f64(), value.as_f64())
        && number < least
    {
        return wrong(&format!("at least {least}"));
    }
    if let (Some(most), Some(number)) = (schema["maximum"].as_f64(), value.as_f64())
        && number > most
    {
        return wrong(&format!("at most {most}"));
    }
    match (schema["format"].as_str(), value.as_str()) {
        (Some("uuid"), Some(text)) if text.parse::<uuid::Uuid>().is_err() => wrong("a UUID"),
        (Some("date-time"), Some(text)) if text.parse::<jiff::Timestamp>().is_err() => wrong("a moment"),
        _ => Ok(()),
    }
}

#[test]
fn what_is_not_as_the_schema_says_is_found() {
    let document: Value = serde_json::from_str(
        r##"{"Name": {"type": "object", "required": ["a"], "properties": {"a": {"type": ["integer", "null"], "minimum": 0}}},
            "More": {"allOf": [{"$ref": "#/Name"}, {"type": "object", "required": ["b"], "properties": {
                "b": {"type": "array", "items": {"oneOf": [{"type": "null"}, {"$ref": "#/Name"}]}}}}]},
            "Map": {"type": "object", "additionalProperties": {"type": "string", "format": "uuid"}}}"##,
    )
    .unwrap();
    let schemas = Schemas(&document);
    let fault = |name: &str, text: &str| {
        schemas.fault(&document[name], &serde_json::from_str(text).unwrap()).unwrap_or_default()
    };
    for (name, text, expected) in [
        ("Name", r#"{"a": 7}"#, ""),
        ("Name", r#"{"a": null}"#, ""),
        ("Name", r#"{"a": -1}"#, "/a is -1, not at least 0"),
        ("Name", r#"{"a": 1.5}"#, "/a is 1.5, not [\"integer\",\"null\"]"),
        ("Name", r#"{}"#, "/a is missing"),
        ("Name", r#"{"a": 7, "c": 1}"#, "/c is not in the schema"),
        ("More", r#"{"a": 7, "b": [null, {"a": 1}]}"#, ""),
        ("More", r#"{"a": 7, "b": [], "c": 1}"#, "/c is not in the schema"),
        ("More", r#"{"a": 7, "b": [{"d": 1}]}"#, "/b/0 is none of the alternatives"),
        ("Map", r#"{"x": "0192f0a0-0000-7000-8000-000000000000"}"#, ""),
        ("Map", r#"{"x": "y"}"#, "/x is \"y\", not a UUID"),
    ] {
        let found = fault(name, text);
        assert!(
            found.starts_with(expected) && found.is_empty() == expected.is_empty(),
            "{name} {text}: {found}"
        );
    }
}

//! Rows of our fields made from records of other layouts, and what all layouts share in reading theirs.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::attributes;
use crate::fields::id;
use crate::mapping::Field;
use crate::record::{Entry, RecordReader};
use crate::row::Row;

/// Texts that stand for nothing known.
const MISSING: [&str; 6] = ["", "(not set)", "null", "none", "nan", "(data deleted)"];

/// A row of our fields, and attributes of the item it names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Translated {
    /// Texts by field; blank ones are left out.
    pub fields: BTreeMap<Field, String>,
    /// Attributes by name.
    pub attributes: BTreeMap<String, String>,
}

/// Result of the translation of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Translation {
    /// Rows, at least one.
    Rows(Vec<Translated>),
    /// A record of a kind that is of no use here, by its name.
    Unused(String),
}

impl Translated {
    /// Sets a field, unless the text stands for nothing.
    pub fn set(&mut self, field: Field, text: impl AsRef<str>) {
        if let Some(text) = known(text.as_ref()) {
            self.fields.insert(field, text.to_owned());
        }
    }

    /// Sets a field from JSON, unless there is nothing.
    pub fn set_json(&mut self, field: Field, value: Option<&Value>) {
        if let Some(text) = scalar(value) {
            self.fields.insert(field, text);
        }
    }

    /// Sets an attribute, unless the text stands for nothing.
    pub fn attribute(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text.and_then(known) {
            self.attributes.insert(name.to_owned(), text.to_owned());
        }
    }

    /// The item and the event of the row; the error says what is missing or wrong.
    pub fn entries(&self, records: &mut RecordReader) -> Result<Vec<Entry>, String> {
        let row: Row = self.fields.iter().map(|(field, text)| (*field, text.as_str())).collect();
        let mut item = records.item(&row)?;
        if let Some(named) = self.fields.get(&Field::ItemId).filter(|_| item.is_some()) {
            let values = self.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            item = attributes::add(item, id(named, Field::ItemId.name())?, values)?;
        }
        let mut entries: Vec<Entry> = item.into_iter().map(Entry::Item).collect();
        if row.contains_key(&Field::Kind) {
            entries.push(Entry::Event(records.event(&row)?));
        }
        Ok(entries)
    }
}

/// The text, trimmed, if it says anything.
pub(super) fn known(text: &str) -> Option<&str> {
    let text = text.trim();
    (!MISSING.iter().any(|missing| text.eq_ignore_ascii_case(missing))).then_some(text)
}

/// A JSON string or number as text; a whole number without decimals.
pub(super) fn scalar(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) => known(text).map(str::to_owned),
        Value::Number(number) => {
            let text = number.to_string();
            Some(text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_owned))
        }
        _ => None,
    }
}

/// The first of these fields that says something.
pub(super) fn first(object: &Map<String, Value>, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| scalar(object.get(*name)))
}

/// The object below a field; an empty one if there is none.
pub(super) fn object<'a>(parent: &'a Map<String, Value>, name: &str) -> Option<&'a Map<String, Value>> {
    parent.get(name).and_then(Value::as_object)
}

/// The objects of a list below a field.
pub(super) fn objects<'a>(
    parent: &'a Map<String, Value>,
    name: &str,
) -> impl Iterator<Item = &'a Map<String, Value>> {
    parent.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object)
}

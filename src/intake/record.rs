//! Records of one source made into events and items: rows of named texts, and JSON objects as `POST /v1/events` and
//! `PUT /v1/items` take them, other field names by mapping.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use serde_json::{Map, Value};
use tidings_core::catalogue::NewItem;
use tidings_core::event::EventKind;
use tidings_core::profile::StatedUser;

use super::fields::TimeReader;
use super::mapping::{Field, Mapping};
use super::row::{self, EventRecord, Row};
use super::stated;

/// Content of one record.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// Something done.
    Event(EventRecord),
    /// Something of the catalogue.
    Item(NewItem),
    /// Features of a user.
    User(StatedUser),
}

/// How the records of one source are read.
#[derive(Clone, Debug)]
pub struct RecordOptions {
    /// Which column or JSON field means what.
    pub mapping: Mapping,
    /// Kind of events that don't say theirs.
    pub default_kind: Option<EventKind>,
    /// Zone of times that carry none.
    pub time_zone: TimeZone,
}

impl Default for RecordOptions {
    fn default() -> Self {
        Self { mapping: Mapping::default(), default_kind: None, time_zone: TimeZone::UTC }
    }
}

/// Reads the records of one source, one by one.
pub struct RecordReader {
    mapping: Mapping,
    default_kind: Option<EventKind>,
    times: TimeReader,
}

impl RecordReader {
    /// Nothing read yet.
    pub fn new(options: RecordOptions) -> Self {
        let RecordOptions { mapping, default_kind, time_zone } = options;
        Self { mapping, default_kind, times: TimeReader::new(time_zone) }
    }

    /// The event that a row tells of; the error says what is missing or wrong.
    pub fn event(&mut self, row: &Row) -> Result<EventRecord, String> {
        row::event(row, self.default_kind, &mut self.times)
    }

    /// The item of a row; `None` when the row says nothing of it but the id.
    pub fn item(&self, row: &Row) -> Result<Option<NewItem>, String> {
        row::item(row)
    }

    /// The event or item that a JSON object tells of; the error says what is missing or wrong.
    pub fn object(&mut self, object: &Map<String, Value>) -> Result<Entry, String> {
        let mut texts: BTreeMap<Field, String> = BTreeMap::new();
        for field in Field::ALL {
            // JSON names are exact, but for the wire's own aliases.
            let names: &[&str] = match (self.mapping.get(field), field) {
                (Some(name), _) => &[name],
                (None, Field::BasketId) => &["basket_id", "session_id", "order_id"],
                (None, field) if Field::STATED.contains(&field) => field.names(),
                (None, field) => &[field.name()],
            };
            let Some(value) = names.iter().find_map(|name| object.get(*name)) else { continue };
            if let Some(text) = text(value, field)? {
                texts.insert(field, text);
            }
        }
        let row: Row = texts.iter().map(|(field, text)| (*field, text.as_str())).collect();
        if stated::is_user(&row) && self.default_kind.is_none() {
            return stated::user(&row).map(Entry::User);
        }
        if row::is_event(&row) {
            return self.event(&row).map(Entry::Event);
        }
        // The catalogue's own form has what a flat row has not: lists, attributes, consumable.
        if let Ok(item) = serde_json::from_value::<NewItem>(Value::Object(object.clone()))
            && item != NewItem::new(item.item_id.clone())
        {
            return item.validate().map(|()| Entry::Item(item)).map_err(|error| error.to_string());
        }
        match self.item(&row)? {
            Some(item) => Ok(Entry::Item(item)),
            None => Err("is neither an event (kind, user_id, …) nor an item (item_id, title, …)".into()),
        }
    }
}

/// A JSON value as the text that a CSV file would have; `None` for null. Ids are integers or strings.
fn text(value: &Value, field: Field) -> Result<Option<String>, String> {
    let is_id =
        matches!(field, Field::UserId | Field::ItemId | Field::BasketId | Field::EventId | Field::Kind);
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        Value::Number(number) if is_id && number.is_f64() => {
            Err(format!("{}: an id is an integer or a string", field.name()))
        }
        Value::Number(number) => Ok(Some(number.to_string())),
        Value::Array(parts) if field.is_of_item() => {
            Ok(Some(parts.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("|")))
        }
        _ => Err(format!("{} is neither a number nor a string", field.name())),
    }
}

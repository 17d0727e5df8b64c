//! Records made into what is posted: events with an id of source, partition and offset, items, or deletions of items.

use std::sync::Arc;

use serde_json::{Map, Value};
use tidings_core::base::{EventKey, ExternalId, Timestamp};
use tidings_core::catalogue::NewItem;
use tidings_intake::layouts::{Translation, ga4, segment};
use tidings_intake::record::RecordOptions;
use tidings_intake::{DecimalMark, Entry, EventRecord, Field, RecordReader, StatedForms};

use crate::config::{Envelope, Layout, RecordSettings};
use crate::source::{Change, Content, Record};

/// Longest `event_id` that the server takes, bytes.
const MAX_EVENT_ID_BYTES: usize = 128;

/// Result of the translation of a record.
#[derive(Clone, Debug, PartialEq)]
pub enum Outgoing {
    /// An event, as the line of JSON that is posted.
    Event {
        /// Owner of the event: events of one owner keep their order.
        owner: u64,
        /// The line.
        line: String,
    },
    /// An item, new or changed.
    Item(Box<NewItem>),
    /// An item to take out of the catalogue.
    DeletedItem(ExternalId),
    /// Nothing, and why.
    Skipped(&'static str),
}

/// Refusal of a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is not what the settings say: many of these are a fault of the mapping.
    #[error("{0}")]
    Wrong(String),
    /// It comes too late, whatever the settings say: reading on loses nothing that stopping would keep.
    #[error("{0}")]
    Past(String),
}

impl From<String> for Refusal {
    fn from(reason: String) -> Self {
        Self::Wrong(reason)
    }
}

/// Makes records into events and items.
pub struct Translator {
    name: String,
    settings: RecordSettings,
    reader: RecordReader,
}

impl Translator {
    /// For the puller of this name.
    pub fn new(name: &str, settings: &RecordSettings) -> Self {
        // Layouts by name are written by programs.
        let decimal = (settings.layout != Layout::Own).then_some(DecimalMark::Dot);
        let options = RecordOptions {
            mapping: settings.mapping.clone(),
            default_kind: settings.kind,
            time_zone: settings.zone.clone(),
            forms: StatedForms { decimal, ..StatedForms::default() },
            kinds: Arc::clone(&settings.kinds),
            ..RecordOptions::default()
        };
        Self { name: name.to_owned(), settings: settings.clone(), reader: RecordReader::new(options) }
    }

    /// Events and items to post for a record; the error says why it is refused.
    pub fn translate(&mut self, record: &Record, now: Timestamp) -> Result<Vec<Outgoing>, Refusal> {
        let (change, mut object) = match (&record.content, self.settings.envelope) {
            (Content::Unreadable { reason, .. }, _) => return Err(Refusal::Wrong(reason.clone())),
            (Content::Gone(reason), _) => return Err(Refusal::Past(reason.clone())),
            (Content::Fields(fields), _) => (record.change, fields.clone()),
            (Content::Text(text), envelope) => {
                let object = self.parse(text)?;
                match (envelope, object) {
                    (_, None) => return Ok(vec![Outgoing::Skipped("a tombstone: a record without content")]),
                    (Envelope::Plain, Some(object)) => (record.change, object),
                    (Envelope::Debezium, Some(object)) => match debezium(object)? {
                        Some(change) => change,
                        None => return Ok(vec![Outgoing::Skipped("neither a row nor its end")]),
                    },
                }
            }
        };
        match self.settings.layout {
            Layout::Own => {}
            Layout::Segment => return self.rows(segment::translate(&object)?, record, now),
            Layout::Ga4 => return self.rows(ga4::translate(&object)?, record, now),
        }
        self.give_time(&mut object, record);
        let entry = match self.reader.object(&object) {
            Ok(entry) => entry,
            // Of a deleted item often only the key is left.
            Err(reason) if change == Change::Delete => {
                return self.deleted(&object).ok_or(Refusal::Wrong(reason));
            }
            Err(reason) => return Err(reason.into()),
        };
        match (entry, change) {
            (Entry::Event(_), Change::Update | Change::Delete) => {
                Ok(vec![Outgoing::Skipped("a changed or deleted row of a table of events")])
            }
            (Entry::Event(event), Change::New) => {
                self.check_age(record, now)?;
                Ok(vec![self.event(event, &record.id)?])
            }
            (Entry::Item(item), Change::Delete) => Ok(vec![Outgoing::DeletedItem(item.item_id)]),
            (Entry::Item(item), _) => Ok(vec![Outgoing::Item(Box::new(item))]),
            (Entry::User(_), _) => {
                Err("states features of a user, which only an import takes: tidings import".to_owned().into())
            }
        }
    }

    /// The events of a record in another system's layout. What it says of items is not put: an event has no authority on the catalogue.
    fn rows(
        &mut self,
        translation: Translation,
        record: &Record,
        now: Timestamp,
    ) -> Result<Vec<Outgoing>, Refusal> {
        let rows = match translation {
            Translation::Unused(_) => return Ok(vec![Outgoing::Skipped("of a kind that is not used")]),
            Translation::Rows(rows) => rows,
        };
        self.check_age(record, now)?;
        let mut outgoing = Vec::with_capacity(rows.len());
        for (place, row) in rows.iter().enumerate() {
            let id = if rows.len() == 1 { record.id.clone() } else { format!("{}/{place}", record.id) };
            for entry in row.entries(&mut self.reader)? {
                if let Entry::Event(event) = entry {
                    outgoing.push(self.event(event, &id)?);
                }
            }
        }
        Ok(outgoing)
    }

    /// An event as it is posted; `id` is its place in the source.
    fn event(&self, event: EventRecord, id: &str) -> Result<Outgoing, String> {
        let owner = event.user.as_ref().or(event.basket.as_ref());
        let owner = hash(&owner.map(ToString::to_string).unwrap_or_default());
        let kind = self.settings.kinds.name_of(event.kind).to_owned();
        let mut raw = event.into_wire();
        raw.kind = kind;
        if raw.event_id.is_none() {
            raw.event_id = Some(Value::String(self.event_id(id)));
        }
        let line = serde_json::to_string(&raw).map_err(|error| error.to_string())?;
        Ok(Outgoing::Event { owner, line })
    }

    /// `None` for a record without content.
    fn parse(&self, text: &[u8]) -> Result<Option<Map<String, Value>>, String> {
        if text.is_empty() {
            return Ok(None);
        }
        if text.len() > self.settings.max_bytes {
            return Err(format!(
                "has {} bytes, more than records.max_bytes, {}",
                text.len(),
                self.settings.max_bytes
            ));
        }
        match serde_json::from_slice(text) {
            Ok(Value::Object(object)) => Ok(Some(object)),
            Ok(Value::Null) => Ok(None),
            Ok(_) => Err("is JSON but not an object".to_owned()),
            Err(error) => Err(format!("is not JSON: {error}")),
        }
    }

    /// Sets the time of the source where the record has none and the settings allow it.
    fn give_time(&self, object: &mut Map<String, Value>, record: &Record) {
        let name = self.settings.mapping.get(Field::OccurredAt).unwrap_or(Field::OccurredAt.name());
        if self.settings.time_of_record
            && let Some(at) = record.at
            && object.get(name).is_none_or(Value::is_null)
            && (self.settings.kind.is_some() || self.names(object, Field::Kind))
        {
            object.insert(name.to_owned(), Value::String(at.to_string()));
        }
    }

    fn names(&self, object: &Map<String, Value>, field: Field) -> bool {
        object.contains_key(self.settings.mapping.get(field).unwrap_or(field.name()))
    }

    fn deleted(&self, object: &Map<String, Value>) -> Option<Vec<Outgoing>> {
        if self.settings.kind.is_some() || self.names(object, Field::UserId) {
            return Some(vec![Outgoing::Skipped("a changed or deleted row of a table of events")]);
        }
        let name = self.settings.mapping.get(Field::ItemId).unwrap_or(Field::ItemId.name());
        ExternalId::from_json(object.get(name)?).ok().map(|id| vec![Outgoing::DeletedItem(id)])
    }

    /// Returns whether the server still knows if it has this event.
    fn check_age(&self, record: &Record, now: Timestamp) -> Result<(), Refusal> {
        let Some(at) = record.at else { return Ok(()) };
        let days = now.days_since(at);
        if days <= f64::from(self.settings.max_age_days) {
            return Ok(());
        }
        Err(Refusal::Past(format!(
            "the source took it {days:.0} days ago, more than records.max_age_days, {}: the server can't tell any more whether \
             it has it; import it with tidings import",
            self.settings.max_age_days
        )))
    }

    /// Name of the puller, partition and offset; where that is too long, its hash.
    fn event_id(&self, id: &str) -> String {
        let whole = format!("{}/{id}", self.name);
        if whole.len() <= MAX_EVENT_ID_BYTES {
            return whole;
        }
        EventKey::from_parts(&[b"pull", whole.as_bytes()]).0.to_string()
    }
}

/// A change of a row, and the row.
type Changed = (Change, Map<String, Value>);

/// The change of a table that Debezium tells of, with or without its schema; `None` for its heartbeats and ends of transactions.
fn debezium(mut object: Map<String, Value>) -> Result<Option<Changed>, String> {
    if object.contains_key("schema")
        && let Some(Value::Object(payload)) = object.remove("payload")
    {
        object = payload;
    }
    let (change, image) = match object.get("op").and_then(Value::as_str) {
        Some("c" | "r") => (Change::New, "after"),
        Some("u") => (Change::Update, "after"),
        Some("d") => (Change::Delete, "before"),
        Some(_) => return Ok(None),
        None if object.contains_key("ts_ms") || object.contains_key("status") => return Ok(None),
        None => {
            return Err(
                "is no change of Debezium: there is no \"op\" (records.envelope is \"debezium\")".to_owned()
            );
        }
    };
    match object.remove(image) {
        Some(Value::Object(row)) => Ok(Some((change, row))),
        _ => Err(format!("is a change of Debezium without {image:?}")),
    }
}

/// FNV-1a, the same in every run.
fn hash(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

#[cfg(test)]
mod tests;

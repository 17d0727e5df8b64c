//! Records of one source made into events and items: rows of named texts, and JSON objects as `POST /v1/events` and
//! `PUT /v1/items` take them, other field names by mapping.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::tz::TimeZone;
use serde_json::{Map, Value};
use tidings_core::base::{EventKey, Timestamp};
use tidings_core::catalogue::NewItem;
use tidings_core::event::{EventKind, NewEvent, OwnKinds};
use tidings_core::profile::StatedUser;

use super::conditions::Condition;
use super::dates::TimeReader;
use super::forms::{FormSurvey, Forms, StatedForms};
use super::json_item;
use super::mapping::{Field, Mapping};
use super::row::{self, EventRecord, Row, RowRules};
use super::scale::Scale;
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

/// Moments of events whose records don't say when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OccurredAt {
    /// The same for all.
    Fixed(Timestamp),
    /// A second after the record before, beginning here: the order of the records, and nothing else.
    Order(Timestamp),
}

/// Options by which the records of one source are read.
#[derive(Clone, Debug)]
pub struct RecordOptions {
    /// Meaning of each column or JSON field.
    pub mapping: Mapping,
    /// Kind of events that don't say theirs.
    pub default_kind: Option<EventKind>,
    /// Zone of times that carry none.
    pub time_zone: TimeZone,
    /// Forms of values, where they are not to be found.
    pub forms: StatedForms,
    /// Scale of ratings.
    pub scale: Scale,
    /// Moments of events that don't say theirs.
    pub occurred_at: Option<OccurredAt>,
    /// Records that are taken: those for which all hold.
    pub conditions: Vec<Condition>,
    /// Kinds of the shop's own.
    pub kinds: Arc<OwnKinds>,
}

impl Default for RecordOptions {
    fn default() -> Self {
        Self {
            mapping: Mapping::default(),
            default_kind: None,
            time_zone: TimeZone::UTC,
            forms: StatedForms::default(),
            scale: Scale::default(),
            occurred_at: None,
            conditions: Vec::new(),
            kinds: Arc::default(),
        }
    }
}

/// Reads the records of one source, one by one.
pub struct RecordReader {
    mapping: Mapping,
    rules: RowRules,
    occurred_at: Option<OccurredAt>,
    conditions: Vec<Condition>,
    forms: Forms,
    times: TimeReader,
    /// Events read so far.
    events: i64,
    /// Number of times that each key of a line of an order has been seen.
    lines: HashMap<u64, u32>,
}

impl RecordReader {
    /// For records whose values have the stated forms, or can mean one thing only.
    pub fn new(options: RecordOptions) -> Self {
        let forms = Forms::stated(&options.forms);
        Self::with_forms(options, forms)
    }

    /// For records whose values have these forms.
    pub fn with_forms(options: RecordOptions, forms: Forms) -> Self {
        let RecordOptions {
            mapping,
            default_kind,
            time_zone,
            forms: _,
            scale,
            occurred_at,
            conditions,
            kinds,
        } = options;
        Self {
            mapping,
            rules: RowRules { default_kind, scale, kinds },
            occurred_at,
            conditions,
            times: TimeReader::new(forms.dates.clone(), time_zone),
            forms,
            events: 0,
            lines: HashMap::new(),
        }
    }

    /// Forms of the values.
    pub fn forms(&self) -> &Forms {
        &self.forms
    }

    /// The records that follow come from another file: their columns have these forms, and its lines are counted anew, so that those
    /// of two exports that overlap are the same events.
    pub fn begin_file(&mut self, forms: Forms) {
        self.times.set_form(forms.dates.clone());
        self.forms = forms;
        self.lines.clear();
    }

    /// The event that a row tells of; the error says what is missing or wrong.
    pub fn event(&mut self, row: &Row) -> Result<EventRecord, String> {
        self.read_event(row, &[])
    }

    /// The item of a row; `None` when the row says nothing of it but the id.
    pub fn item(&self, row: &Row) -> Result<Option<NewItem>, String> {
        row::item(row, &self.forms, &[])
    }

    /// The event for the bulk import. A second line of an order that is equal to one before is another unit, with a key of its
    /// own that is the same whenever the file is read again.
    pub fn new_event(&mut self, record: EventRecord) -> NewEvent {
        let is_line =
            matches!(record.kind, EventKind::Purchase | EventKind::Return) && record.event_id.is_none();
        let mut event = record.into_event();
        if is_line {
            let (high, low) = event.key.0.as_u64_pair();
            let seen = self.lines.entry(high ^ low).or_default();
            if *seen > 0 {
                event.key = EventKey::from_parts(&[b"line", event.key.0.as_bytes(), &seen.to_le_bytes()]);
            }
            *seen += 1;
        }
        event
    }

    /// The event or item that a JSON object tells of; the error says what is missing or wrong.
    pub fn object(&mut self, object: &Map<String, Value>) -> Result<Entry, String> {
        let texts = texts(object, &self.mapping)?;
        let row = texts.row();
        if stated::is_user(&row) && self.rules.default_kind.is_none() {
            return stated::user(&row).map(Entry::User);
        }
        if row::is_event(&row) {
            return self.read_event(&row, &texts.exact).map(Entry::Event);
        }
        match json_item::read(object, &self.mapping, (&row, &self.forms, &texts.exact))? {
            Some(item) => Ok(Entry::Item(item)),
            None => Err("is neither an event (kind, user_id, …) nor an item (item_id, title, …)".into()),
        }
    }

    /// Returns whether a JSON object is one of those that are taken.
    pub fn takes(&self, object: &Map<String, Value>) -> bool {
        self.conditions.iter().all(|condition| match object.get(&condition.column) {
            None | Some(Value::Null) => condition.holds(""),
            Some(Value::String(text)) => condition.holds(text),
            Some(value) => condition.holds(&value.to_string()),
        })
    }

    fn read_event(&mut self, row: &Row, exact: &[Field]) -> Result<EventRecord, String> {
        let moment = match self.occurred_at {
            None => None,
            Some(OccurredAt::Fixed(moment)) => Some(moment),
            Some(OccurredAt::Order(first)) => {
                Some(Timestamp(first.0.saturating_add(self.events * 1_000_000)))
            }
        };
        self.events += 1;
        row::event(row, &self.forms, &self.rules, &mut self.times, moment, exact)
    }
}

/// Notes the texts of a JSON object, before anything is read; what is no field of ours says nothing.
pub fn note_object(survey: &mut FormSurvey, line: u64, object: &Map<String, Value>, mapping: &Mapping) {
    if let Ok(mut texts) = texts(object, mapping) {
        for field in &texts.exact {
            texts.by_field.remove(field);
        }
        survey.note(line, &texts.row());
    }
}

/// Texts of a JSON object by field.
struct Texts {
    by_field: BTreeMap<Field, String>,
    /// Fields whose values are JSON numbers.
    exact: Vec<Field>,
}

impl Texts {
    fn row(&self) -> Row<'_> {
        self.by_field.iter().map(|(field, text)| (*field, text.as_str())).collect()
    }
}

fn texts(object: &Map<String, Value>, mapping: &Mapping) -> Result<Texts, String> {
    let mut texts = Texts { by_field: BTreeMap::new(), exact: Vec::new() };
    for field in Field::ALL {
        // JSON names are exact.
        let value = match mapping.get(field) {
            Some(name) => object.get(name),
            None => field.wire_names().iter().find_map(|name| object.get(*name)),
        };
        let Some(value) = value else { continue };
        if let Some(text) = text(value, field)? {
            texts.by_field.insert(field, text);
        }
        if value.is_number() && (field.is_number() || field == Field::OccurredAt) {
            texts.exact.push(field);
        }
    }
    Ok(texts)
}

/// Returns whether a number has more digits than a double keeps and came as one.
fn is_beyond(number: &serde_json::Number, id: f64) -> bool {
    number.is_f64() && id.abs() > (1_u64 << 53) as f64
}

/// A JSON value as the text that a CSV file would have; `None` for null. Ids are integers or strings.
fn text(value: &Value, field: Field) -> Result<Option<String>, String> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        // 17850.0 is what programs write that have no integers.
        Value::Number(number)
            if field.is_id() && number.as_f64().is_some_and(|number| number.fract() != 0.0) =>
        {
            Err(format!("{}: an id is an integer or a string", field.name()))
        }
        Value::Number(number) if field.is_id() && number.as_f64().is_some_and(|id| is_beyond(number, id)) => {
            Err(format!(
                "{}: a number this long loses its last digits in JSON; write it as a string: {number}",
                field.name()
            ))
        }
        Value::Number(number) => Ok(Some(number.to_string())),
        Value::Array(parts) if field.is_of_item() => {
            if field == Field::Embedding {
                return Ok(Some(value.to_string()));
            }
            let separator = if field == Field::Category { ">" } else { "|" };
            Ok(Some(parts.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(separator)))
        }
        _ => Err(format!("{} is neither a number nor a string", field.name())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(json: &str) -> Map<String, Value> {
        serde_json::from_str(json).unwrap()
    }

    fn event(reader: &mut RecordReader, json: &str) -> Result<EventRecord, String> {
        match reader.object(&object(json))? {
            Entry::Event(event) => Ok(event),
            other => panic!("no event: {other:?}"),
        }
    }

    #[test]
    fn three_equal_lines_of_an_order_are_three_units_and_the_same_when_read_again() {
        let keys = || {
            let mut reader = RecordReader::new(RecordOptions::default());
            let line =
                r#"{"kind":"purchase","order_id":"o1","item_id":"A","occurred_at":1600000000,"value":5}"#;
            let view = r#"{"kind":"view","user_id":"ann","item_id":"A","occurred_at":1600000000}"#;
            let mut key = |json| {
                let record = event(&mut reader, json).unwrap();
                reader.new_event(record).key
            };
            [key(line), key(line), key(line), key(view), key(view)]
        };
        let first = keys();
        assert_eq!(first, keys());
        assert!(first[0] != first[1] && first[1] != first[2] && first[0] != first[2]);
        // The same click twice is the same click.
        assert_eq!(first[3], first[4]);
    }

    #[test]
    fn records_without_times_are_dated_as_stated() {
        let view = r#"{"kind":"view","user_id":1,"item_id":2}"#;
        let mut reader = RecordReader::new(RecordOptions::default());
        assert!(event(&mut reader, view).unwrap_err().contains("occurred_at"));
        let start = Timestamp::from_seconds(1_600_000_000);
        let with = |occurred_at| {
            RecordReader::new(RecordOptions { occurred_at: Some(occurred_at), ..RecordOptions::default() })
        };
        let mut reader = with(OccurredAt::Order(start));
        let moments =
            [view, view, view].map(|json| event(&mut reader, json).unwrap().occurred_at.as_seconds());
        assert_eq!(moments, [1_600_000_000, 1_600_000_001, 1_600_000_002]);
        let mut reader = with(OccurredAt::Fixed(start));
        assert_eq!(event(&mut reader, view).unwrap().occurred_at, start);
        let dated = r#"{"kind":"view","user_id":1,"item_id":2,"occurred_at":1500000000}"#;
        assert_eq!(event(&mut reader, dated).unwrap().occurred_at.as_seconds(), 1_500_000_000);
    }

    #[test]
    fn numbers_of_json_are_what_they_are_and_texts_have_forms() {
        let mut reader = RecordReader::new(RecordOptions::default());
        let paid = |value: &str| {
            format!(
                r#"{{"kind":"purchase","user_id":1.0,"item_id":2,"occurred_at":1600000000,"value":{value}}}"#
            )
        };
        let read = event(&mut reader, &paid("1.299")).unwrap();
        assert_eq!((read.value, read.user), (Some(1.299), Some(tidings_core::base::ExternalId::Integer(1))));
        assert_eq!(event(&mut reader, &paid("\"19,90 €\"")).unwrap().currency.as_deref(), Some("EUR"));
        assert!(event(&mut reader, &paid("\"1.299\"")).unwrap_err().contains("--decimal"));
        let mut survey = FormSurvey::new(StatedForms::default());
        // A time that is a number says nothing of those that are texts.
        let mixed = r#"{"kind":"view","user_id":1,"item_id":2,"occurred_at":"2020-09-13 12:26:40"}"#;
        note_object(&mut survey, 0, &object(mixed), &Mapping::default());
        for (line, value) in [(1, "\"1.299\""), (2, "\"19,90\""), (3, "2.125")] {
            note_object(&mut survey, line, &object(&paid(value)), &Mapping::default());
        }
        let forms = survey.finish(|field| field.name().to_owned()).unwrap();
        let mut reader = RecordReader::with_forms(RecordOptions::default(), forms);
        assert_eq!(event(&mut reader, &paid("\"1.299\"")).unwrap().value, Some(1299.0));
        let last = event(&mut reader, &paid("2.125")).unwrap();
        assert_eq!((last.value, last.occurred_at.as_seconds()), (Some(2.125), 1_600_000_000));
        assert_eq!(event(&mut reader, mixed).unwrap().occurred_at, last.occurred_at);
    }

    #[test]
    fn an_id_that_lost_digits_is_refused() {
        let mut reader = RecordReader::new(RecordOptions::default());
        let view =
            |id: &str| format!(r#"{{"kind":"view","user_id":{id},"item_id":2,"occurred_at":1600000000}}"#);
        assert!(event(&mut reader, &view("4.00638e12")).is_ok());
        assert!(event(&mut reader, &view("9007199254740993")).is_ok());
        for id in ["9.007199254740993e18", "\"9,00720E+18\""] {
            assert!(event(&mut reader, &view(id)).unwrap_err().contains("digits"), "{id}");
        }
    }

    #[test]
    fn records_are_taken_by_condition() {
        let conditions = vec!["status=paid".parse().unwrap(), "test!=true".parse().unwrap()];
        let reader = RecordReader::new(RecordOptions { conditions, ..RecordOptions::default() });
        assert!(reader.takes(&object(r#"{"status":"paid"}"#)));
        assert!(!reader.takes(&object(r#"{"status":"open"}"#)));
        assert!(!reader.takes(&object(r#"{"status":"paid","test":true}"#)));
    }
}

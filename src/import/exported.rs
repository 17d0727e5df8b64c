//! `exported`: events or items as `tidings export` wrote them, CSV or NDJSON, read back exactly. Keys of events are those of the
//! export, so that a second run, or one into the database they came from, changes nothing; nothing is cleaned, guessed or filled.

use std::io::BufRead;

use anyhow::bail;
use serde::Deserialize;
use serde_json::{Map, Number, Value};
use uuid::Uuid;

use super::input::{Source, for_each_line};
use super::sink::Sink;
use super::table::Table;
use tidings_core::base::{EventKey, ExternalId, Timestamp, plain_words};
use tidings_core::catalogue::NewItem;
use tidings_core::event::{NewEvent, OwnKinds};

/// Columns of items that the catalogue sets itself.
const OF_CATALOGUE: [&str; 3] = ["active", "created_at", "updated_at"];
/// Columns that hold numbers with a fraction: read from the text, digit by digit.
const NUMBERS: [&str; 3] = ["value", "price", "quantity"];

/// An event as exported.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnEvent {
    event_key: Uuid,
    kind: String,
    user_id: Option<ExternalId>,
    item_id: Option<ExternalId>,
    occurred_at: Timestamp,
    /// Of the database that exported it; this one received it now.
    #[serde(rename = "received_at")]
    _received_at: Option<Timestamp>,
    dwell_ms: Option<u32>,
    quantity: f32,
    value: Option<f64>,
    currency: Option<String>,
    basket: Option<String>,
    query: Option<String>,
    /// Absent in older exports.
    #[serde(default)]
    list_id: Option<Uuid>,
}

/// Reads one file.
pub fn read(mut source: Source, name: &str, kinds: &OwnKinds, sink: &mut Sink) -> anyhow::Result<()> {
    let beginning = source.fill_buf()?;
    let is_json = beginning.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    let inactive =
        if is_json { of_lines(source, name, kinds, sink)? } else { of_table(source, name, kinds, sink)? };
    if inactive > 0 {
        sink.note(format!("{name}: {inactive} items that had left the catalogue, left out"));
    }
    Ok(())
}

fn of_lines(source: Source, name: &str, kinds: &OwnKinds, sink: &mut Sink) -> anyhow::Result<u64> {
    let mut inactive = 0;
    for_each_line(source, |number, line| {
        match serde_json::from_str::<Map<String, Value>>(line) {
            Ok(mut object) => {
                check(name, |column| object.contains_key(column))?;
                exact(line, &mut object);
                inactive += u64::from(hand_over(object, kinds, (number, line), sink)?);
            }
            Err(error) => sink.reject(number, format!("is no JSON object: {error}"), line)?,
        }
        Ok(())
    })?;
    Ok(inactive)
}

/// Numbers as they are written: the parser of JSON may be off by the last bit.
fn exact(line: &str, object: &mut Map<String, Value>) {
    for name in NUMBERS {
        let Some(read) = object.get(name).and_then(Value::as_f64) else { continue };
        // In a string the quotes would stand behind backslashes, and lists and objects come after the numbers.
        let text = line.split_once(&format!("\"{name}\":")).map(|(_, rest)| rest);
        let written = text.and_then(|rest| rest.split([',', '}']).next()?.trim().parse::<f64>().ok());
        let is_it = |written: &f64| (written - read).abs() <= read.abs() * 1e-12;
        if let Some(number) = written.filter(is_it).and_then(Number::from_f64) {
            object.insert(name.to_owned(), Value::Number(number));
        }
    }
}

fn of_table(source: Source, name: &str, kinds: &OwnKinds, sink: &mut Sink) -> anyhow::Result<u64> {
    let mut table = Table::open(source, b',')?;
    let header = table.header().to_vec();
    check(name, |column| header.iter().any(|name| name == column))?;
    let mut inactive = 0;
    while let Some(line) = table.next_row()? {
        let raw = table.raw();
        if table.n_fields() != header.len() {
            sink.reject(line, format!("has {} fields instead of {}", table.n_fields(), header.len()), &raw)?;
            continue;
        }
        let cells = header.iter().enumerate().map(|(place, name)| (name, table.field(place)));
        let object: Result<Map<String, Value>, String> =
            cells.map(|(name, cell)| Ok((name.clone(), value(name, cell)?))).collect();
        match object {
            Ok(object) => inactive += u64::from(hand_over(object, kinds, (line, &raw), sink)?),
            Err(reason) => sink.reject(line, reason, &raw)?,
        }
    }
    Ok(inactive)
}

/// The value of a cell, by the name of its column; empty is null.
fn value(name: &str, cell: &str) -> Result<Value, String> {
    if cell.is_empty() {
        return Ok(Value::Null);
    }
    let wrong = || format!("{name} can't be read: {cell:?}");
    match name {
        "value" | "price" | "quantity" => {
            let number = cell.parse::<f64>().ok().and_then(Number::from_f64);
            number.map(Value::Number).ok_or_else(wrong)
        }
        "dwell_ms" | "stock" => cell.parse::<i64>().map(Value::from).map_err(|_| wrong()),
        "category" | "tags" | "attributes" | "consumable" | "embedding" | "translations" | "prices"
        | "active" => serde_json::from_str(cell).map_err(|_| wrong()),
        _ => Ok(Value::String(cell.to_owned())),
    }
}

/// Refuses a file that is no export of events or items.
fn check(name: &str, has: impl Fn(&str) -> bool) -> anyhow::Result<()> {
    if has("event_key") || (has("item_id") && has("title") && has("active")) {
        return Ok(());
    }
    bail!(
        "{name} is no export of events or items: those of tidings export have a column event_key, or item_id, title and \
         active. Decisions, outcomes, recommendations and users are results and are not read back"
    )
}

/// Passes an event or an item on; true for an item that had left the catalogue, which is passed over.
fn hand_over(
    mut object: Map<String, Value>,
    kinds: &OwnKinds,
    (line, raw): (u64, &str),
    sink: &mut Sink,
) -> anyhow::Result<bool> {
    if object.contains_key("event_key") {
        match event(object, kinds) {
            Ok(event) => sink.event(event, false)?,
            Err(reason) => sink.reject(line, reason, raw)?,
        }
        return Ok(false);
    }
    let is_active = object.get("active").and_then(Value::as_bool).unwrap_or(true);
    for name in OF_CATALOGUE {
        object.remove(name);
    }
    let item = serde_json::from_value::<NewItem>(Value::Object(object))
        .map_err(|error| plain_words(&error.to_string()));
    match item.and_then(|item| item.validate().map(|()| item).map_err(|error| error.to_string())) {
        Ok(item) => {
            sink.other_row()?;
            if is_active {
                sink.item(item)?;
            }
        }
        Err(reason) => sink.reject(line, reason, raw)?,
    }
    Ok(!is_active)
}

fn event(object: Map<String, Value>, kinds: &OwnKinds) -> Result<NewEvent, String> {
    let own: OwnEvent =
        serde_json::from_value(Value::Object(object)).map_err(|error| plain_words(&error.to_string()))?;
    let basket = own.basket.map(|basket| basket.parse::<i64>()).transpose();
    Ok(NewEvent {
        key: EventKey(own.event_key),
        deduplicate: true,
        user: own.user_id,
        item: own.item_id,
        kind: kinds.find(&own.kind).map_err(|says| format!("kind is {:?}, {says}", own.kind))?,
        occurred_at: own.occurred_at,
        dwell_ms: own.dwell_ms,
        query: own.query,
        quantity: own.quantity,
        value: own.value,
        currency: own.currency,
        basket: basket.map_err(|error| format!("basket: {error}"))?,
        list: own.list_id,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::{Batch, collect};
    use crate::table::source;

    const KEY: &str = "0190a0c0-0000-8000-8000-000000000001";

    fn read_all(text: &str) -> anyhow::Result<Batch> {
        collect(|sink| read(source(text), "x", OwnKinds::NONE, sink))
    }

    #[test]
    fn both_forms_say_the_same_to_the_last_bit() {
        let value = 0.1 + 0.2;
        let csv = read_all(&format!(
            "event_key,kind,user_id,item_id,occurred_at,received_at,dwell_ms,quantity,value,currency,basket,query\n\
             {KEY},purchase,17,A1,2010-12-01T08:26:00.5Z,2010-12-01T08:26:01Z,,0.1,{value},GBP,-9223372036854775808,\n"
        ))
        .unwrap();
        let json = read_all(&format!(
            "{{\"event_key\":\"{KEY}\",\"kind\":\"purchase\",\"user_id\":17,\"item_id\":\"A1\",\
             \"occurred_at\":\"2010-12-01T08:26:00.5Z\",\"received_at\":null,\"dwell_ms\":null,\"quantity\":0.1,\
             \"value\":{value},\"currency\":\"GBP\",\"basket\":\"-9223372036854775808\",\"query\":null}}\n"
        ))
        .unwrap();
        assert_eq!((csv.rejects.len(), json.rejects.len()), (0, 0), "{:?} {:?}", csv.rejects, json.rejects);
        assert_eq!(csv.events, json.events);
        let event = &csv.events[0].0;
        assert_eq!((event.value, event.quantity, event.basket), (Some(value), 0.1, Some(i64::MIN)));
        assert_eq!(event.key.0.to_string(), KEY);
    }

    #[test]
    fn items_come_back_but_those_that_left_the_catalogue() {
        let batch = read_all(
            "item_id,title,category,tags,price,attributes,consumable,active,created_at\n\
             7,Watch,\"[\"\"A/B\"\",\"\"C\"\"]\",[],9.95,\"{\"\"brand\"\": \"\"x\"\"}\",true,true,2010-12-01T00:00:00Z\n\
             8,Clock,[],[],,{},false,false,2010-12-01T00:00:00Z\n",
        )
        .unwrap();
        assert_eq!(
            (batch.items.len(), batch.rejects.len(), batch.notes.len()),
            (1, 0, 1),
            "{:?}",
            batch.rejects
        );
        assert_eq!(batch.items[0].category.as_deref(), Some(&["A/B".to_owned(), "C".to_owned()][..]));
        assert_eq!((batch.items[0].price, batch.items[0].consumable), (Some(9.95), Some(true)));
    }

    #[test]
    fn other_files_are_refused_and_bad_rows_named() {
        let error = read_all("user_id,rank,item_id\n1,1,2\n").err().unwrap().to_string();
        assert!(error.contains("no export of events or items"), "{error}");
        let rows = format!("{KEY},dance,1,2026-11-01T00:00:00Z\n{KEY},view,1,soon\n");
        let batch = read_all(&format!("event_key,kind,quantity,occurred_at\n{rows}")).unwrap();
        let reasons: Vec<&str> = batch.rejects.iter().map(|reject| reject.reason.as_str()).collect();
        assert_eq!(reasons.len(), 2);
        assert!(reasons[0].contains("dance") && reasons[1].contains("RFC 3339"), "{reasons:?}");
    }
}

//! `ndjson`: one JSON object a line, an event as `POST /v1/events` takes it or an item as `PUT /v1/items` does; other
//! field names by mapping. Unlike over HTTP an event must say when it happened, or a second run would store it twice.

use anyhow::bail;
use serde_json::Value;

use super::delimited::Items;
use super::input::{Source, for_each_line};
use super::sink::Sink;
use crate::intake::{Entry, RecordReader};

/// Reads one file.
pub fn read(
    source: Source,
    name: &str,
    records: &mut RecordReader,
    items: &mut Items,
    sink: &mut Sink,
) -> anyhow::Result<()> {
    let mut first = true;
    for_each_line(source, |number, line| {
        let object = match serde_json::from_str(line) {
            Ok(Value::Object(object)) => object,
            Ok(_) => {
                sink.reject(number, "is JSON but not an object", line)?;
                return Ok(());
            }
            Err(error) => {
                if first && !line.trim_start().starts_with('{') {
                    bail!(
                        "{name} is not NDJSON: expected one JSON object a line, e.g. {{\"kind\":\"view\",\"user_id\":1,\
                         \"item_id\":2,\"occurred_at\":\"2026-01-31T12:00:00Z\"}}"
                    );
                }
                sink.reject(number, format!("is not JSON: {error}"), line)?;
                return Ok(());
            }
        };
        first = false;
        match records.object(&object) {
            Ok(Entry::Item(item)) => {
                items.note(item);
                sink.other_row()?;
            }
            Ok(Entry::User(user)) => sink.user(user)?,
            Ok(Entry::Event(event)) => sink.event(event.into_event(), false)?,
            Err(reason) => sink.reject(number, reason, line)?,
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::import::sink::{Batch, collect};
    use crate::app::import::table::source;
    use crate::base::ExternalId;
    use crate::event::EventKind;
    use crate::intake::RecordOptions;

    fn read_as(text: &str, mapping: &str) -> anyhow::Result<Batch> {
        collect(|sink| {
            let mut items = Items::default();
            let options = RecordOptions { mapping: mapping.parse()?, ..RecordOptions::default() };
            let mut records = RecordReader::new(options);
            read(source(text), "x.ndjson", &mut records, &mut items, sink)?;
            items.finish(sink)
        })
    }

    #[test]
    fn events_and_items_by_their_own_names() {
        let batch = read_as(
            "{\"kind\":\"search\",\"user_id\":\"ann\",\"query\":\"dive watch\",\"occurred_at\":1600000000}\n\
             {\"kind\":\"purchase\",\"item_id\":7,\"order_id\":\"o1\",\"value\":9.5,\"occurred_at\":\"2020-09-13T12:26:40Z\"}\n\
             {\"item_id\":7,\"title\":\"Watch\",\"category\":[\"Watches\"],\"attributes\":{\"brand\":\"Tide\"}}\n",
            "",
        )
        .unwrap();
        assert_eq!((batch.events.len(), batch.items.len(), batch.rejects.len()), (2, 1, 0));
        assert_eq!(batch.events[0].0.query.as_deref(), Some("dive watch"));
        assert_eq!(batch.events[1].0.user, None);
        assert_eq!(batch.events[0].0.occurred_at, batch.events[1].0.occurred_at);
        assert_eq!(batch.items[0].attributes.as_ref().unwrap()["brand"], "Tide");
    }

    #[test]
    fn other_names_by_mapping() {
        let batch = read_as(
            "{\"type\":\"click\",\"who\":17,\"sku\":\"A\",\"at\":1600000000000}\n{\"sku\":\"A\",\"name\":\"Watch\",\"tags\":[\"x\",\"y\"]}\n",
            "kind=type,user_id=who,item_id=sku,occurred_at=at,title=name",
        )
        .unwrap();
        assert_eq!(batch.events[0].0.user, Some(ExternalId::Integer(17)));
        assert_eq!(batch.events[0].0.kind, EventKind::View);
        assert_eq!(batch.items[0].title.as_deref(), Some("Watch"));
        assert_eq!(batch.items[0].tags.as_ref().unwrap().len(), 2);
    }

    #[test]
    fn each_bad_line_is_rejected_with_its_reason() {
        let batch = read_as(
            "{\"kind\":\"view\",\"user_id\":1,\"item_id\":2,\"occurred_at\":1600000000}\nnot json\n[1]\n\
             {\"kind\":\"view\",\"user_id\":1,\"item_id\":2}\n{\"kind\":\"view\",\"user_id\":1.5,\"item_id\":2,\"occurred_at\":1}\n\
             {\"colour\":\"red\"}\n",
            "",
        )
        .unwrap();
        assert_eq!(batch.events.len(), 1);
        let lines: Vec<u64> = batch.rejects.iter().map(|reject| reject.line).collect();
        assert_eq!(lines, [2, 3, 4, 5, 6]);
        assert!(batch.rejects[2].reason.contains("occurred_at"));
    }

    #[test]
    fn a_file_of_another_format_is_refused() {
        let error = read_as("user,item\n1,2\n", "").err().unwrap().to_string();
        assert!(error.contains("one JSON object a line"), "{error}");
    }
}

//! `ndjson`: one JSON object a line, an event as `POST /v1/events` takes it or an item as `PUT /v1/items` does; other
//! field names by mapping. Unlike over HTTP an event must say when it happened, or a second run would store it twice.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use anyhow::bail;
use serde_json::Value;

use super::input::{Source, for_each_line, lines_until};
use super::items::Items;
use super::options::ImportOptions;
use super::sink::Sink;
use super::text::as_text;
use super::understood::{SURVEYED_ROWS, Understanding, Understood, UsedColumn};
use tidings_intake::{Entry, Field, FormSurvey, Forms, Mapping, RecordReader, json_item, record};

/// Names of fields told as not used.
const MAX_NAMES: usize = 200;

/// Looks at the objects of one file until the forms of their values are known.
pub fn prepare(source: Source, name: &str, options: &ImportOptions) -> anyhow::Result<Understanding> {
    let (source, text) = as_text(source, options.encoding)?;
    let records = &options.records;
    let reader = RecordReader::new(records.clone());
    let mut survey = FormSurvey::new(records.forms.clone());
    let (mut objects, mut names) = (0, BTreeSet::new());
    lines_until(source, |number, line| {
        let object = match serde_json::from_str(line) {
            Ok(Value::Object(object)) => object,
            Err(_) if objects == 0 && !line.trim_start().starts_with('{') => bail!(
                "{name} is not NDJSON: expected one JSON object a line, e.g. {{\"kind\":\"view\",\"user_id\":1,\
                 \"item_id\":2,\"occurred_at\":\"2026-01-31T12:00:00Z\"}}"
            ),
            _ => return Ok(ControlFlow::Continue(())),
        };
        if names.len() < MAX_NAMES {
            names.extend(object.keys().cloned());
        }
        if reader.takes(&object) {
            record::note_object(&mut survey, number, &object, &records.mapping);
        }
        objects += 1;
        let is_enough = objects >= SURVEYED_ROWS && survey.is_settled();
        Ok(if is_enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    let given = |field: Field| records.mapping.get(field).map(str::to_owned);
    let forms = survey.finish(|field| given(field).unwrap_or_else(|| field.name().to_owned()))?;
    let layout = format!("{} ({}), one JSON object a line", text.encoding, text.reason);
    let understood =
        Understood { file: name.to_owned(), layout, ..understand(&names, &forms, &records.mapping) };
    Ok(Understanding { forms, understood })
}

/// Names of the objects that are used, and those that are not.
fn understand(names: &BTreeSet<String>, forms: &Forms, mapping: &Mapping) -> Understood {
    let mut understood = Understood::default();
    for name in names {
        let is_it = |field: &Field| match mapping.get(*field) {
            Some(given) => given == name,
            None => field.wire_names().contains(&name.as_str()),
        };
        match Field::ALL.into_iter().find(is_it) {
            Some(field) => {
                let mut reason = mapping.reason(field, name).to_owned();
                if let Some(form) = forms.describe(field) {
                    reason = format!("{reason}; {form}");
                }
                understood.used.push(UsedColumn { column: name.clone(), field: field.name(), reason });
            }
            None => match json_item::JSON_ONLY.into_iter().find(|field| field.name() == name) {
                Some(field) => {
                    let reason = "its own name; of items".to_owned();
                    understood.used.push(UsedColumn { column: name.clone(), field: field.name(), reason });
                }
                None => understood.unused.push(name.clone()),
            },
        }
    }
    understood
}

/// Reads one file.
pub fn read(
    source: Source,
    options: &ImportOptions,
    records: &mut RecordReader,
    items: &mut Items,
    sink: &mut Sink,
) -> anyhow::Result<()> {
    let (source, _) = as_text(source, options.encoding)?;
    for_each_line(source, |number, line| {
        sink.at(number);
        match serde_json::from_str(line) {
            Ok(Value::Object(object)) if !records.takes(&object) => sink.left_out()?,
            Ok(Value::Object(object)) => match records.object(&object) {
                Ok(Entry::Item(item)) => {
                    items.note(item, sink)?;
                    sink.other_row()?;
                }
                Ok(Entry::User(user)) => sink.user(user)?,
                Ok(Entry::Event(event)) => sink.event(records.new_event(event), false)?,
                Err(reason) => sink.reject(number, reason, line)?,
            },
            Ok(_) => sink.reject(number, "is JSON but not an object", line)?,
            Err(error) => sink.reject(number, format!("is not JSON: {error}"), line)?,
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::{Batch, collect};
    use crate::table::source;
    use tidings_core::base::ExternalId;
    use tidings_core::event::EventKind;
    use tidings_intake::RecordOptions;

    fn read_as(text: &str, mapping: &str) -> anyhow::Result<Batch> {
        let records = RecordOptions { mapping: mapping.parse()?, ..RecordOptions::default() };
        let options = ImportOptions { records, ..ImportOptions::default() };
        let Understanding { forms, .. } = prepare(source(text), "x.ndjson", &options)?;
        collect(|sink| {
            let mut items = Items::default();
            let mut records = RecordReader::with_forms(options.records.clone(), forms);
            read(source(text), &options, &mut records, &mut items, sink)?;
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

    #[test]
    fn what_is_used_of_an_object_is_told() {
        let text = "{\"kind\":\"view\",\"user_id\":1,\"sku\":\"A\",\"occurred_at\":\"1.2.2026\",\"colour\":\"red\"}\n\
                    {\"sku\":\"A\",\"attributes\":{\"colour\":\"red\"}}\n";
        let records = RecordOptions { mapping: "item_id=sku".parse().unwrap(), ..RecordOptions::default() };
        let options = ImportOptions { records, ..ImportOptions::default() };
        let understood = prepare(source(text), "x", &options).unwrap().understood;
        let used: Vec<(&str, &str)> =
            understood.used.iter().map(|used| (used.column.as_str(), used.field)).collect();
        let expected = [
            ("attributes", "attributes"),
            ("kind", "kind"),
            ("occurred_at", "occurred_at"),
            ("sku", "item_id"),
            ("user_id", "user_id"),
        ];
        assert_eq!(used, expected);
        assert!(understood.used[2].reason.contains("day first"), "{understood}");
        assert_eq!(understood.unused, ["colour"]);
    }
}

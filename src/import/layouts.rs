//! Files in the layouts of other systems by name: rows and JSON records are translated by [`tidings_intake::layouts`], then read like
//! any others. Records of a kind that is of no use here are counted by name.

use std::collections::{BTreeMap, HashMap};
use std::io::BufRead;

use anyhow::{anyhow, bail};
use serde::de::{DeserializeSeed, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::format::Format;
use super::input::{Source, for_each_line};
use super::items::Items;
use super::options::ImportOptions;
use super::produced::Shape;
use super::sink::{Sink, Stopped};
use super::table::Table;
use super::text::as_text;
use jiff::tz::TimeZone;
use tidings_core::base::Timestamp;
use tidings_core::event::clean::grouped;
use tidings_intake::layouts::{Translated, Translation, ga4, rees46, segment, shopify, woocommerce};
use tidings_intake::{Entry, RecordReader};

/// Names of unused kinds that are told apart.
const MOST_NAMES: usize = 32;
/// And those that are shown.
const SHOWN_NAMES: usize = 8;

/// State over all files of an import.
#[derive(Default)]
pub struct Layouts {
    orders: shopify::Orders,
    calls: segment::Orders,
    unused: BTreeMap<String, u64>,
}

/// Destinations of rows of records.
struct Output<'a, 'b> {
    records: &'a mut RecordReader,
    items: &'a mut Items,
    sink: &'a mut Sink<'b>,
    /// Records are about items, rather than about what was done with them.
    of_items: bool,
    unused: &'a mut BTreeMap<String, u64>,
    /// Calls of Segment before the one at hand.
    calls: &'a mut segment::Orders,
}

impl Output<'_, '_> {
    /// One record. It is refused as a whole when one of its rows can't be read, so that no order is stored in part.
    fn record(
        &mut self,
        line: u64,
        translation: Result<Translation, String>,
        raw: impl FnOnce() -> String,
    ) -> Result<(), Stopped> {
        let rows = match translation {
            Ok(Translation::Rows(rows)) => rows,
            Ok(Translation::Unused(name)) => {
                let is_told = self.unused.len() < MOST_NAMES || self.unused.contains_key(&name);
                let name = if is_told { name } else { "others".to_owned() };
                *self.unused.entry(name).or_default() += 1;
                return self.sink.other_row();
            }
            Err(reason) => return self.sink.reject(line, reason, &raw()),
        };
        let read: Result<Vec<Vec<Entry>>, String> =
            rows.iter().map(|row: &Translated| row.entries(self.records)).collect();
        match read {
            Ok(entries) => entries.into_iter().flatten().try_for_each(|entry| match entry {
                Entry::Event(event) => {
                    self.sink.at(line);
                    let event = self.records.new_event(event);
                    self.sink.event(event, false)
                }
                Entry::Item(item) if self.of_items => self.items.note(item, self.sink),
                Entry::Item(item) => {
                    self.items.note_of_event(item);
                    Ok(())
                }
                Entry::User(user) => self.sink.user(user),
            }),
            Err(reason) => self.sink.reject(line, reason, &raw()),
        }
    }
}

impl Layouts {
    /// Reads one file.
    pub fn read(
        &mut self,
        source: Source,
        format: Format,
        name: &str,
        options: &ImportOptions,
        (records, items): (&mut RecordReader, &mut Items),
        sink: &mut Sink,
    ) -> anyhow::Result<()> {
        let Self { orders, calls, unused } = self;
        let of_items = format == Format::WooCommerceProducts;
        let output = Output { records, items, sink, of_items, unused, calls };
        match format.shape() {
            Shape::Records => read_records(as_text(source, options.encoding)?.0, format, name, output),
            Shape::Table => read_table(source, format, name, options, orders, output),
        }
    }

    /// Tells what was of no use.
    pub fn finish(self, sink: &mut Sink) {
        if self.calls.taken_back > 0 {
            sink.note(format!(
                "{} returns name only their order: all of its lines went back",
                grouped(self.calls.taken_back)
            ));
        }
        let all: u64 = self.unused.values().sum();
        if all == 0 {
            return;
        }
        let mut named: Vec<(String, u64)> = self.unused.into_iter().collect();
        named.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let more = named.len().saturating_sub(SHOWN_NAMES);
        named.truncate(SHOWN_NAMES);
        let named: Vec<String> = named
            .iter()
            .map(|(name, count)| format!("{} {}", name.escape_debug(), grouped(*count)))
            .collect();
        let more = if more > 0 { format!(", {more} kinds more") } else { String::new() };
        sink.note(format!(
            "{} records are of kinds that are not used: {}{more}",
            grouped(all),
            named.join(", ")
        ));
    }
}

fn read_table(
    source: Source,
    format: Format,
    name: &str,
    options: &ImportOptions,
    orders: &mut shopify::Orders,
    mut output: Output,
) -> anyhow::Result<()> {
    let (source, _) = as_text(source, options.encoding)?;
    let mut table = Table::detect(source, options.delimiter, options.quotation)?;
    let places: HashMap<String, usize> =
        table.header().iter().enumerate().map(|(place, name)| (name.clone(), place)).collect();
    let expected: &[&str] = match format {
        Format::ShopifyOrders => &shopify::COLUMNS,
        Format::WooCommerceProducts => &woocommerce::COLUMNS,
        _ => &rees46::COLUMNS,
    };
    if let Some(missing) = expected.iter().find(|column| !places.contains_key(**column)) {
        bail!(
            "{name} is not a file of {}: there is no column {missing:?}; there are {}",
            format.name(),
            table.columns()
        );
    }
    let (now, utc) = (Timestamp::now(), TimeZone::UTC);
    let zone = options.time_zone.as_ref().unwrap_or(&utc);
    while let Some(line) = table.next_row()? {
        let get = |column: &str| places.get(column).map_or("", |place| table.field(*place));
        let translation = match format {
            Format::ShopifyOrders => orders.translate(get),
            Format::WooCommerceProducts => woocommerce::translate(get, now, zone),
            _ => rees46::translate(get),
        };
        output.record(line, translation, || table.raw())?;
    }
    Ok(())
}

fn translate(
    format: Format,
    calls: &mut segment::Orders,
    record: &Map<String, Value>,
) -> Result<Translation, String> {
    match format {
        Format::Ga4 => ga4::translate(record),
        _ => calls.translate(record),
    }
}

/// One JSON object a line, or one array of objects.
fn read_records(mut source: Source, format: Format, name: &str, mut output: Output) -> anyhow::Result<()> {
    let beginning = source.fill_buf()?;
    let first = beginning.iter().copied().find(|byte| !byte.is_ascii_whitespace());
    match first {
        Some(b'[') => return read_array(source, format, output),
        Some(b'{') | None => {}
        Some(_) => bail!("{name} is not a file of {}: expected one JSON object a line", format.name()),
    }
    for_each_line(source, |number, line| {
        let translation = match serde_json::from_str(line) {
            Ok(Value::Object(record)) => translate(format, output.calls, &record),
            Ok(_) => Err("is JSON but not an object".to_owned()),
            Err(error) => Err(format!("is not JSON: {error}")),
        };
        Ok(output.record(number, translation, || line.to_owned())?)
    })
}

fn read_array(source: Source, format: Format, output: Output) -> anyhow::Result<()> {
    let mut stopped = false;
    let elements = Elements { format, output, stopped: &mut stopped };
    let read = elements.deserialize(&mut serde_json::Deserializer::from_reader(source));
    match read {
        Err(_) if stopped => Err(Stopped.into()),
        read => read.map_err(|error| anyhow!("is not an array of JSON objects: {error}")),
    }
}

/// Takes the elements of an array one by one, each as a line of its number.
struct Elements<'a, 'b, 'c> {
    format: Format,
    output: Output<'a, 'b>,
    stopped: &'c mut bool,
}

impl<'de> DeserializeSeed<'de> for Elements<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Elements<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("an array of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut elements: A) -> Result<(), A::Error> {
        let mut number = 0;
        while let Some(element) = elements.next_element::<Value>()? {
            number += 1;
            let translation = match &element {
                Value::Object(record) => translate(self.format, self.output.calls, record),
                _ => Err("is JSON but not an object".to_owned()),
            };
            if self.output.record(number, translation, || element.to_string()).is_err() {
                *self.stopped = true;
                return Err(serde::de::Error::custom("stopped"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::{Batch, collect};
    use crate::table::source;
    use tidings_core::event::EventKind;
    use tidings_intake::RecordOptions;

    fn read_as(format: Format, text: &str) -> anyhow::Result<Batch> {
        read_source(format, source(text))
    }

    fn read_source(format: Format, source: Source) -> anyhow::Result<Batch> {
        collect(|sink| {
            let mut items = Items::default();
            let mut records = RecordReader::new(RecordOptions::default());
            let mut layouts = Layouts::default();
            let options = ImportOptions::default();
            layouts.read(source, format, "file", &options, (&mut records, &mut items), sink)?;
            layouts.finish(sink);
            items.finish(sink)
        })
    }

    const CALL: &str = r#"{"type":"track","event":"Product Viewed","userId":"ann","timestamp":"2026-01-31T12:00:00Z","properties":{"product_id":"A1","name":"Watch"}}"#;

    #[test]
    fn records_are_lines_or_an_array() {
        let page = r#"{"type":"page"}"#;
        for text in [
            format!("{CALL}\n{page}\n{{\"type\":\"track\",\"event\":\"Order Completed\"}}\n"),
            format!("[{CALL},\n{page},{{\"type\":\"track\",\"event\":\"Order Completed\"}}]"),
        ] {
            let batch = read_as(Format::Segment, &text).unwrap();
            assert_eq!(
                (batch.events.len(), batch.event_items.len(), batch.rejects.len(), batch.rows),
                (1, 1, 1, 3)
            );
            assert_eq!(batch.rejects[0].line, 3);
            assert_eq!(batch.notes, ["1 records are of kinds that are not used: page 1"]);
        }
    }

    #[test]
    fn records_in_utf_16_with_a_mark_are_read() {
        let bytes = |text: &str, big: bool| -> Vec<u8> {
            let unit = |unit: u16| if big { unit.to_be_bytes() } else { unit.to_le_bytes() };
            std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(unit).collect()
        };
        let event = r#"{"event_name":"view_item","event_timestamp":1612069510766593,"user_pseudo_id":"1","items":[{"item_id":"é"}]}"#;
        for (format, text) in [
            (Format::Segment, format!("{CALL}\n{CALL}\n")),
            (Format::Segment, format!("[{CALL},{CALL}]")),
            (Format::Ga4, format!("{event}\n{event}\n")),
        ] {
            for big in [true, false] {
                let batch = read_source(format, Box::new(std::io::Cursor::new(bytes(&text, big)))).unwrap();
                assert_eq!((batch.events.len(), batch.rejects.len()), (2, 0), "{text}");
            }
        }
        let marked = read_as(Format::Segment, &format!("\u{feff}{CALL}\n")).unwrap();
        assert_eq!((marked.events.len(), marked.rejects.len()), (1, 0));
    }

    #[test]
    fn returns_of_whole_orders_are_told() {
        let call = |event: &str, products: &str| {
            format!(
                r#"{{"type":"track","event":"{event}","userId":"ann","timestamp":"2026-01-31T12:00:00Z","properties":{{"order_id":"o1"{products}}}}}"#
            )
        };
        let bought = call("Order Completed", r#","products":[{"product_id":"A","price":5}]"#);
        let text = format!("{bought}\n{}\n", call("Order Cancelled", ""));
        let batch = read_as(Format::Segment, &text).unwrap();
        let kinds: Vec<EventKind> = batch.events.iter().map(|(event, _)| event.kind).collect();
        assert_eq!(kinds, [EventKind::Purchase, EventKind::Return]);
        assert_eq!(batch.notes, ["1 returns name only their order: all of its lines went back"]);
    }

    #[test]
    fn a_table_of_another_layout_is_refused_by_the_column_that_is_missing() {
        let error = read_as(Format::ShopifyOrders, "Name,Total\n#1,2\n").err().unwrap().to_string();
        assert!(error.contains("\"Created at\"") && error.contains("Name, Total"), "{error}");
        let error = read_as(Format::Ga4, "event_name,items\n").err().unwrap().to_string();
        assert!(error.contains("one JSON object a line"), "{error}");
    }

    #[test]
    fn behaviour_of_rees46_is_read() {
        let batch = read_as(
            Format::Rees46,
            "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session\n\
             2019-11-01 00:00:00 UTC,view,1003461,2053013555631882655,electronics.smartphone,xiaomi,489.07,520088904,4d3b30da\n\
             2019-11-01 00:00:05 UTC,purchase,1003461,2053013555631882655,electronics.smartphone,xiaomi,489.07,520088904,4d3b30da\n",
        )
        .unwrap();
        assert_eq!((batch.events.len(), batch.event_items.len(), batch.rejects.len()), (2, 1, 0));
        assert_eq!((batch.events[1].0.kind, batch.events[1].0.value), (EventKind::Purchase, Some(489.07)));
        assert_eq!(batch.event_items[0].category.as_ref().unwrap(), &["electronics", "smartphone"]);
    }
}

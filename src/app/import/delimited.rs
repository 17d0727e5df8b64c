//! `csv`: any delimited file with a header, its columns mapped by name. One file may tell of events, of items, or of both
//! in one row.

use std::collections::{BTreeMap, HashMap};
use std::io::BufRead;

use anyhow::bail;

use super::input::Source;
use super::options::ImportOptions;
use super::sink::Sink;
use super::stated;
use super::table::Table;
use crate::base::ExternalId;
use crate::catalogue::NewItem;
use crate::intake::fields::id as read_id;
use crate::intake::{Field, RecordReader, Row, attributes};

/// Items as the rows describe them, the last word on each; handed over at the end, since a title stands in thousands of
/// rows.
#[derive(Default)]
pub struct Items(HashMap<ExternalId, NewItem>);

impl Items {
    /// Keeps what is new about an item.
    pub fn note(&mut self, item: NewItem) {
        match self.0.get_mut(&item.item_id) {
            Some(known) if *known == item => {}
            Some(known) => {
                let before = known.clone();
                *known = NewItem {
                    title: item.title.or(before.title),
                    category: item.category.or(before.category),
                    tags: item.tags.or(before.tags),
                    price: item.price.or(before.price),
                    currency: item.currency.or(before.currency),
                    stock: item.stock.or(before.stock),
                    url: item.url.or(before.url),
                    image_url: item.image_url.or(before.image_url),
                    attributes: item.attributes.or(before.attributes),
                    consumable: item.consumable.or(before.consumable),
                    ..NewItem::new(item.item_id)
                };
            }
            None => {
                self.0.insert(item.item_id.clone(), item);
            }
        }
    }

    /// Hands them over in order of id.
    pub fn finish(self, sink: &mut Sink) -> anyhow::Result<()> {
        let mut items: Vec<NewItem> = self.0.into_values().collect();
        items.sort_by(|one, other| one.item_id.cmp(&other.item_id));
        for item in items {
            sink.item(item)?;
        }
        Ok(())
    }
}

/// The most frequent of comma, semicolon, tab and bar in the first line; the comma if there is none.
pub fn guess_delimiter(source: &mut Source) -> std::io::Result<u8> {
    let beginning = source.fill_buf()?;
    let header = beginning.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let count = |delimiter: u8| header.iter().filter(|byte| **byte == delimiter).count();
    let mut best = b',';
    for delimiter in [b';', b'\t', b'|'] {
        if count(delimiter) > count(best) {
            best = delimiter;
        }
    }
    Ok(best)
}

/// Reads one file.
pub fn read(
    mut source: Source,
    name: &str,
    options: &ImportOptions,
    records: &mut RecordReader,
    items: &mut Items,
    sink: &mut Sink,
) -> anyhow::Result<()> {
    let delimiter = match options.delimiter {
        Some(delimiter) => delimiter,
        None => guess_delimiter(&mut source)?,
    };
    let mut table = Table::open(source, delimiter)?;
    let places = options.mapping.locate(table.header())?;
    if options.default_kind.is_none() && stated::is_table(&places) {
        return stated::read(&mut table, &places, sink);
    }
    let attributes =
        attributes::columns(table.header(), |place| places.values().any(|taken| *taken == place));
    let of_event = [Field::UserId, Field::BasketId].iter().any(|field| places.contains_key(field));
    let of_item = places.contains_key(&Field::ItemId)
        && (!attributes.is_empty() || places.keys().any(|field| field.is_of_item()));
    if !of_event && !of_item {
        bail!(
            "{name}: found neither events (user_id or basket_id, item_id, kind, occurred_at) nor items (item_id, title, \
             price, …) among the columns {}; say which is which, e.g. --map user_id=customer,item_id=sku",
            table.header().join(", ")
        );
    }
    if of_event && !places.contains_key(&Field::OccurredAt) {
        bail!("{name}: no column for occurred_at among {}", table.header().join(", "));
    }
    if of_event && options.default_kind.is_none() && !places.contains_key(&Field::Kind) {
        bail!(
            "{name}: no column for kind among {}; map one, or give a kind for all rows",
            table.header().join(", ")
        );
    }
    while let Some(line) = table.next_row()? {
        if table.n_fields() > table.header().len() {
            let reason = format!("has {} fields instead of {}", table.n_fields(), table.header().len());
            sink.reject(line, reason, &table.raw())?;
            continue;
        }
        let row = fields(&table, &places);
        let read = (|| {
            let item = if of_item { records.item(&row)? } else { None };
            let item = with_attributes(item, &row, &table, &attributes)?;
            let event = if of_event { Some(records.event(&row)?) } else { None };
            Ok::<_, String>((item, event))
        })();
        match read {
            Ok((item, event)) => {
                if let Some(item) = item {
                    items.note(item);
                }
                match event {
                    Some(event) => sink.event(event.into_event(), false)?,
                    None => sink.other_row()?,
                }
            }
            Err(reason) => sink.reject(line, reason, &table.raw())?,
        }
    }
    Ok(())
}

fn with_attributes(
    item: Option<NewItem>,
    row: &Row,
    table: &Table,
    columns: &[(usize, String)],
) -> Result<Option<NewItem>, String> {
    let Some(id) = row.get(&Field::ItemId).filter(|_| !columns.is_empty()) else { return Ok(item) };
    let id = read_id(id, Field::ItemId.name())?;
    attributes::add(item, id, columns.iter().map(|(place, name)| (name.as_str(), table.field(*place))))
}

fn fields<'a>(table: &'a Table, places: &BTreeMap<Field, usize>) -> Row<'a> {
    places
        .iter()
        .map(|(field, place)| (*field, table.field(*place)))
        .filter(|(_, text)| !text.trim().is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::import::sink::{Batch, collect};
    use crate::app::import::table::source;
    use crate::base::Timestamp;
    use crate::event::EventKind;
    use jiff::tz::TimeZone;

    fn read_as(text: &str, mapping: &str, kind: Option<EventKind>) -> anyhow::Result<Batch> {
        collect(|sink| {
            let mut items = Items::default();
            let options =
                ImportOptions { mapping: mapping.parse()?, default_kind: kind, ..ImportOptions::default() };
            let mut records = RecordReader::new(options.records(TimeZone::UTC));
            read(source(text), "shop.csv", &options, &mut records, &mut items, sink)?;
            items.finish(sink)
        })
    }

    #[test]
    fn mapped_columns_become_events() {
        let batch = read_as(
            "who;sku;what;when;eur\n7;A1;buy;2020-01-01 10:00;9.5\n8;A2;view;2020-01-01T11:00:00Z;\n",
            "user_id=who,item_id=sku,kind=what,occurred_at=when,value=eur",
            None,
        )
        .unwrap();
        assert_eq!((batch.events.len(), batch.rejects.len()), (2, 0));
        let first = &batch.events[0].0;
        assert_eq!((first.kind, first.value), (EventKind::Purchase, Some(9.5)));
        assert_eq!(Some(first.occurred_at), Timestamp::parse("2020-01-01T10:00:00Z"));
    }

    #[test]
    fn one_kind_for_all_rows() {
        let batch = read_as("user,item,ts\n1,2,1600000000\n", "", Some(EventKind::Purchase)).unwrap();
        assert_eq!(batch.events[0].0.kind, EventKind::Purchase);
        let error = read_as("user,item,ts\n1,2,3\n", "", None).err().unwrap().to_string();
        assert!(error.contains("kind"), "{error}");
    }

    #[test]
    fn a_catalogue_and_rows_that_carry_both() {
        let batch = read_as("sku,name,price\nA1,Watch,9\nA2,Clock,-3\n", "", None).unwrap();
        assert_eq!((batch.events.len(), batch.items.len(), batch.rejects.len()), (0, 1, 1));
        let batch =
            read_as("user,item,ts,kind,title\n1,A1,1600000000,view,Watch\n2,A1,1600000001,view,\n", "", None)
                .unwrap();
        assert_eq!((batch.events.len(), batch.items.len()), (2, 1));
        assert_eq!(batch.items[0].title.as_deref(), Some("Watch"));
    }

    #[test]
    fn rejects_name_line_and_reason() {
        let batch = read_as(
            "user,item,ts,kind\n1,A1,1600000000,view\n1,A1,soon,view\n,A1,1600000000,view\n1,A1,1600000000,jump\n1,2,3,view,5\n",
            "",
            None,
        )
        .unwrap();
        let lines: Vec<u64> = batch.rejects.iter().map(|reject| reject.line).collect();
        assert_eq!(lines, [3, 4, 5, 6]);
        assert_eq!(batch.rejects[0].reason, "occurred_at is not a time: \"soon\"");
        assert_eq!(batch.rejects[0].raw, "1,A1,soon,view");
    }

    #[test]
    fn a_file_that_maps_to_nothing_is_refused() {
        let error = read_as("a,b\n1,2\n", "", None).err().unwrap().to_string();
        assert!(error.contains("--map") && error.contains("a, b"), "{error}");
    }
}

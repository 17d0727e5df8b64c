//! `csv`: any delimited file with a header, its columns mapped by name. One file may tell of events, of items, or of both
//! in one row.

use std::collections::BTreeMap;

use anyhow::bail;

use super::input::Source;
use super::items::Items;
use super::options::ImportOptions;
use super::sink::Sink;
use super::stated;
use super::table::Table;
use super::text::{TextForm, as_text, printable};
use super::understood::{SURVEYED_ROWS, Understanding, Understood, UsedColumn};
use tidings_core::catalogue::NewItem;
use tidings_core::event::EventKind;
use tidings_intake::local::{self, LocalColumn};
use tidings_intake::{Condition, Field, FormSurvey, Forms, RecordOptions, RecordReader, Row, attributes};

/// Meaning of the columns of a file.
struct Layout {
    places: BTreeMap<Field, usize>,
    /// Rows are about events.
    of_event: bool,
    /// Rows say something of items.
    of_item: bool,
    /// Columns of attributes of items, and their names.
    attributes: Vec<(usize, String)>,
    /// Columns of words and prices of items for other languages and currencies.
    local: Vec<(usize, LocalColumn)>,
    /// Conditions, and the columns they are about.
    conditions: Vec<(usize, Condition)>,
}

impl Layout {
    fn of(table: &Table, name: &str, options: &ImportOptions) -> anyhow::Result<Self> {
        let records = &options.records;
        let places = records.mapping.locate(table.header())?;
        let of_event = [Field::UserId, Field::BasketId].iter().any(|field| places.contains_key(field));
        let attributes =
            attributes::columns(table.header(), |place| places.values().any(|taken| *taken == place));
        let local = local::columns(table.header(), |place| places.values().any(|taken| *taken == place));
        let says = !attributes.is_empty() || !local.is_empty();
        let of_item =
            places.contains_key(&Field::ItemId) && (says || places.keys().any(|field| field.is_of_item()));
        if !of_event && !of_item {
            bail!(
                "{name}: found neither events (user_id or basket_id, item_id, kind, occurred_at) nor items (item_id, title, \
                 price, …) among the columns {}; say which is which, e.g. --map user_id=customer,item_id=sku",
                table.columns()
            );
        }
        if of_event && records.occurred_at.is_none() && !places.contains_key(&Field::OccurredAt) {
            bail!(
                "{name}: no column for occurred_at among {}; map one, or state a time with --occurred-at",
                table.columns()
            );
        }
        if of_event && records.default_kind.is_none() && !places.contains_key(&Field::Kind) {
            bail!(
                "{name}: no column for kind among {}; map one, or give a kind for all rows with --kind",
                table.columns()
            );
        }
        let mut conditions = Vec::new();
        for condition in &records.conditions {
            match table.header().iter().position(|column| *column == condition.column) {
                Some(place) => conditions.push((place, condition.clone())),
                None => bail!(
                    "{name}: --where names no column {:?}; there are {}",
                    condition.column,
                    table.columns()
                ),
            }
        }
        Ok(Self { places, of_event, of_item, attributes, local, conditions })
    }

    fn takes(&self, table: &Table) -> bool {
        self.conditions.iter().all(|(place, condition)| condition.holds(table.field(*place)))
    }

    /// The item of a row, with its attributes and what stands there for other languages and currencies.
    fn item(&self, table: &Table, row: &Row, records: &RecordReader) -> Result<Option<NewItem>, String> {
        if !self.of_item {
            return Ok(None);
        }
        let item = records.item(row)?;
        if self.attributes.is_empty() && self.local.is_empty() {
            return Ok(item);
        }
        let Some(id) = records.forms().id(row, Field::ItemId)? else { return Ok(None) };
        let values = self.attributes.iter().map(|(place, name)| (name.as_str(), table.field(*place)));
        let item = attributes::add(item, id.clone(), values)?;
        if self.local.is_empty() {
            return Ok(item);
        }
        let (is_known, nothing) = (item.is_some(), NewItem::new(id));
        let values = self.local.iter().map(|(place, column)| (column, table.field(*place)));
        let item = local::add(item.unwrap_or(nothing.clone()), records.forms(), values)?;
        Ok((is_known || item != nothing).then_some(item))
    }

    fn row<'a>(&self, table: &'a Table) -> Row<'a> {
        self.places
            .iter()
            .map(|(field, place)| (*field, table.field(*place)))
            .filter(|(_, text)| !text.trim().is_empty())
            .collect()
    }
}

/// Looks at the rows of one file until the forms of its columns are known.
pub fn prepare(source: Source, name: &str, options: &ImportOptions) -> anyhow::Result<Understanding> {
    let (source, text) = as_text(source, options.encoding)?;
    let mut table = Table::detect(source, options.delimiter, options.quotation)?;
    if let Some(places) = stated_places(&table, options)? {
        return Ok(Understanding {
            understood: of_stated(&table, &places, name, &text),
            ..Understanding::default()
        });
    }
    let layout = Layout::of(&table, name, options)?;
    let mut survey = FormSurvey::new(options.records.forms.clone());
    let mut rows = 0;
    while let Some(line) = table.next_row()? {
        if layout.takes(&table) {
            survey.note(line, &layout.row(&table));
        }
        rows += 1;
        if rows >= SURVEYED_ROWS && survey.is_settled() {
            break;
        }
    }
    let column = |field: Field| match layout.places.get(&field) {
        Some(place) => table.header().get(*place).cloned().unwrap_or_default(),
        None => field.name().to_owned(),
    };
    let forms = survey.finish(column)?;
    let understood = Understood {
        file: name.to_owned(),
        layout: format!("{} ({}), {} between columns", text.encoding, text.reason, table.delimiter()),
        used: used_columns(&table, &layout, &forms, &options.records),
        unused: unused_columns(&table, &layout),
        notes: notes(&layout, &options.records),
    };
    Ok(Understanding { forms, understood })
}

/// Places of the columns of a table that states features of users; `None` for any other.
fn stated_places(table: &Table, options: &ImportOptions) -> anyhow::Result<Option<BTreeMap<Field, usize>>> {
    let places = options.records.mapping.locate(table.header())?;
    Ok((options.records.default_kind.is_none() && stated::is_table(&places)).then_some(places))
}

fn of_stated(table: &Table, places: &BTreeMap<Field, usize>, name: &str, text: &TextForm) -> Understood {
    let column = |place: usize| table.header().get(place).cloned().unwrap_or_default();
    let used = |(field, place): (&Field, &usize)| UsedColumn {
        column: column(*place),
        field: field.name(),
        reason: "a feature of users, stated".to_owned(),
    };
    let is_used = |place: &usize| places.values().any(|used| used == place);
    Understood {
        file: name.to_owned(),
        layout: format!("{} ({}), {} between columns", text.encoding, text.reason, table.delimiter()),
        used: places.iter().map(used).collect(),
        unused: (0..table.header().len()).filter(|place| !is_used(place)).map(column).collect(),
        notes: Vec::new(),
    }
}

fn used_columns(table: &Table, layout: &Layout, forms: &Forms, options: &RecordOptions) -> Vec<UsedColumn> {
    let used = |(field, place): (&Field, &usize)| {
        let column = table.header().get(*place).cloned().unwrap_or_default();
        let mut reason = options.mapping.reason(*field, &column).to_owned();
        if let Some(form) = forms.describe(*field) {
            reason = format!("{reason}; {form}");
        }
        if *field == Field::Price && layout.of_event && !layout.places.contains_key(&Field::Value) {
            reason.push_str("; of a purchase what was paid for a unit");
        }
        UsedColumn { column, field: field.name(), reason }
    };
    let attribute = |(place, name): &(usize, String)| UsedColumn {
        column: table.header().get(*place).cloned().unwrap_or_default(),
        field: "attributes",
        reason: format!("its own name; attribute {}", printable(name)),
    };
    let local = |(place, meaning): &(usize, LocalColumn)| UsedColumn {
        column: table.header().get(*place).cloned().unwrap_or_default(),
        field: meaning.field(),
        reason: match meaning {
            LocalColumn::Words(field, tag) => format!("its own name; {} in {tag}", field.name()),
            LocalColumn::Price(code) => format!("its own name; price in {code}"),
        },
    };
    let more = layout.attributes.iter().map(attribute).chain(layout.local.iter().map(local));
    layout.places.iter().map(used).chain(more).collect()
}

fn unused_columns(table: &Table, layout: &Layout) -> Vec<String> {
    let is_used = |place: &usize| {
        layout.places.values().any(|used| used == place)
            || layout.attributes.iter().any(|(used, _)| used == place)
            || layout.local.iter().any(|(used, _)| used == place)
            || layout.conditions.iter().any(|(used, _)| used == place)
    };
    let columns = table.header().iter().enumerate();
    columns.filter(|(place, _)| !is_used(place)).map(|(_, column)| column.clone()).collect()
}

fn notes(layout: &Layout, options: &RecordOptions) -> Vec<String> {
    let mut notes = Vec::new();
    if layout.of_event
        && let Some(kind) = options.default_kind
    {
        let which = if layout.places.contains_key(&Field::Kind) { "rows that say none" } else { "all rows" };
        notes.push(format!("kind: {} for {which}", EventKind::name(kind)));
    }
    if !options.mapping.is_empty() {
        notes.push("columns beside those of --map are used only under their own names".to_owned());
    }
    notes
}

/// Reads one file.
pub fn read(
    source: Source,
    name: &str,
    options: &ImportOptions,
    records: &mut RecordReader,
    items: &mut Items,
    sink: &mut Sink,
) -> anyhow::Result<()> {
    let (source, text) = as_text(source, options.encoding)?;
    let mut table = Table::detect(source, options.delimiter, options.quotation)?;
    if let Some(places) = stated_places(&table, options)? {
        return stated::read(&mut table, &places, sink);
    }
    let layout = Layout::of(&table, name, options)?;
    let mut left_out = LeftOut::default();
    while let Some(line) = table.next_row()? {
        if table.is_blank() {
            continue;
        }
        sink.at(line);
        if table.n_fields() > table.header().len() {
            let reason = format!("has {} fields instead of {}", table.n_fields(), table.header().len());
            sink.reject(line, reason, &table.raw())?;
            continue;
        }
        if !layout.takes(&table) {
            sink.left_out()?;
            continue;
        }
        if let Err(reason) = read_row(&layout, &table, records, items, sink, &mut left_out)? {
            sink.reject(line, reason, &table.raw())?;
        }
    }
    if let LeftOut { count, first: Some((line, reason)) } = left_out {
        sink.note(format!(
            "{name}: what {count} rows say of their items was left out, e.g. line {line}: {reason}"
        ));
    }
    if text.lost() > 0 {
        sink.note(format!("{name} has bytes that are no {}; they became U+FFFD", text.encoding));
    }
    if table.recoded() > 0 {
        sink.note(format!("{name}: {} fields are not UTF-8 and were read as windows-1252", table.recoded()));
    }
    Ok(())
}

/// Items of rows about events that can't be read: the event stands, whatever its row says of the item.
#[derive(Default)]
struct LeftOut {
    count: u64,
    first: Option<(u64, String)>,
}

fn read_row(
    layout: &Layout,
    table: &Table,
    records: &mut RecordReader,
    items: &mut Items,
    sink: &mut Sink,
    left_out: &mut LeftOut,
) -> anyhow::Result<Result<(), String>> {
    let row = layout.row(table);
    let item = layout.item(table, &row, records);
    if layout.of_event {
        let event = match records.event(&row) {
            Ok(event) => event,
            Err(reason) => return Ok(Err(reason)),
        };
        match item {
            Ok(item) => item.into_iter().for_each(|item| items.note_of_event(item)),
            Err(reason) => {
                left_out.count += 1;
                left_out.first.get_or_insert((sink.line(), reason));
            }
        }
        sink.event(records.new_event(event), false)?;
        return Ok(Ok(()));
    }
    match item {
        Ok(Some(item)) => items.note(item, sink)?,
        Ok(None) if records.forms().text(&row, Field::ItemId).is_none() => {
            return Ok(Err("names no item: item_id is missing".into()));
        }
        Ok(None) => {}
        Err(reason) => return Ok(Err(reason)),
    }
    sink.other_row()?;
    Ok(Ok(()))
}

#[cfg(test)]
mod tests;

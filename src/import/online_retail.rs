//! UCI Online Retail (and Online Retail II, the same shop a year longer): a British gift shop's invoice lines,
//! `InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country`.
//! Chen, Sain, Guo 2012, <https://doi.org/10.24432/C5BW33>.
//!
//! Times carry no zone: the shop is in London, so they are read as Europe/London. Times are `2010-12-01 08:26:00` or,
//! in Kaggle's copy, `12/1/2010 8:26`; which of its numbers is the month is found from the whole file, as in any other. An invoice is a basket; `C…` invoices are returns; lines without a
//! customer are anonymous baskets. Codes that differ only in case (`85123A`, `85123a`) are one item. The data has no
//! catalogue: titles, prices and categories are gathered from all lines and handed over at the end, so one pass is
//! enough.

use std::collections::HashMap;

use anyhow::bail;
use jiff::tz::TimeZone;

use super::input::Source;
use super::options::ImportOptions;
use super::sink::Sink;
use super::table::Table;
use super::text::as_text;
use super::understood::{SURVEYED_ROWS, Understanding, Understood, UsedColumn};
use tidings_core::base::{EventKey, ExternalId};
use tidings_core::catalogue::NewItem;
use tidings_core::event::clean::{CleaningStep, SetAside};
use tidings_core::event::wire::hash_id;
use tidings_core::event::{EventKind, NewEvent};
use tidings_intake::categories::categorise;
use tidings_intake::fields::{id, squeeze, tidy};
use tidings_intake::{Field, FormSurvey, Forms, Row, TimeReader};

/// The zone of the shop's clock.
pub const TIME_ZONE: &str = "Europe/London";
const CURRENCY: &str = "GBP";
const EXPECTED: &str = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country";

/// Codes of lines that are no products: postage, carriage, manual entries, discounts, samples, bank and marketplace
/// fees, bad debt, a charity's share.
const NOT_PRODUCTS: [&str; 12] =
    ["POST", "DOT", "C2", "C3", "M", "D", "S", "B", "BANK CHARGES", "AMAZONFEE", "CRUK", "GIFT"];
/// Beginnings of more of them: gift vouchers, adjustments, tests of the till.
const NOT_PRODUCT_PREFIXES: [&str; 3] = ["GIFT_", "ADJUST", "TEST"];

/// The format's own cleaning step.
pub fn set_aside() -> SetAside {
    SetAside {
        step: "not_products".into(),
        description: "postage, fees, vouchers, manual and adjustment lines, by stock code".into(),
    }
}

/// Facts about one stock code, from all its lines.
#[derive(Default)]
struct Gathered {
    descriptions: HashMap<String, u32>,
    prices: Vec<f32>,
}

/// Items as gathered so far, over all files.
#[derive(Default)]
pub struct Catalogue(HashMap<ExternalId, Gathered>);

impl Catalogue {
    /// Gathers what one sale says about its item.
    fn note(&mut self, item: &ExternalId, description: String, price: f64) {
        let gathered = self.0.entry(item.clone()).or_default();
        if !description.is_empty() {
            *gathered.descriptions.entry(description).or_default() += 1;
        }
        gathered.prices.push(price as f32);
    }
}

struct Columns {
    invoice: usize,
    code: usize,
    description: usize,
    quantity: usize,
    date: usize,
    price: usize,
    customer: usize,
    country: usize,
}

fn columns(table: &Table) -> anyhow::Result<Columns> {
    let find = |names: &[&str]| table.column(names);
    match (
        find(&["InvoiceNo", "Invoice"]),
        find(&["StockCode"]),
        find(&["Description"]),
        find(&["Quantity"]),
        find(&["InvoiceDate"]),
        find(&["UnitPrice", "Price"]),
        find(&["CustomerID", "Customer"]),
        find(&["Country"]),
    ) {
        (
            Some(invoice),
            Some(code),
            Some(description),
            Some(quantity),
            Some(date),
            Some(price),
            Some(customer),
            Some(country),
        ) => Ok(Columns { invoice, code, description, quantity, date, price, customer, country }),
        _ => bail!(
            "this is not Online Retail: expected the header\n  {EXPECTED}\nbut found\n  {}",
            table.columns()
        ),
    }
}

/// Values of a line that have forms, by field.
fn row<'a>(table: &'a Table, columns: &Columns) -> Row<'a> {
    Row::from([
        (Field::OccurredAt, table.field(columns.date)),
        (Field::Quantity, table.field(columns.quantity)),
        (Field::UnitPrice, table.field(columns.price)),
    ])
}

/// Looks at the lines of one file until the forms of times and numbers are known.
pub fn prepare(source: Source, name: &str, options: &ImportOptions) -> anyhow::Result<Understanding> {
    let (source, text) = as_text(source, options.encoding)?;
    let mut table = Table::detect(source, options.delimiter, options.quotation)?;
    let columns = columns(&table)?;
    let mut survey = FormSurvey::new(options.records.forms.clone());
    let mut rows = 0;
    while let Some(line) = table.next_row()? {
        survey.note(line, &row(&table, &columns));
        rows += 1;
        if rows >= SURVEYED_ROWS && survey.is_settled() {
            break;
        }
    }
    let places = [
        (Field::OccurredAt, columns.date),
        (Field::Quantity, columns.quantity),
        (Field::UnitPrice, columns.price),
    ];
    let column = |place: usize| table.header().get(place).cloned().unwrap_or_default();
    let of = |field: Field| places.iter().find(|(known, _)| *known == field).map(|(_, place)| column(*place));
    let forms = survey.finish(|field| of(field).unwrap_or_default())?;
    let used = places.into_iter().filter_map(|(field, place)| {
        Some(UsedColumn { column: column(place), field: field.name(), reason: forms.describe(field)? })
    });
    let understood = Understood {
        file: name.to_owned(),
        layout: format!(
            "Online Retail, {} ({}), {} between columns",
            text.encoding,
            text.reason,
            table.delimiter()
        ),
        used: used.collect(),
        ..Understood::default()
    };
    Ok(Understanding { forms, understood })
}

/// Reads one file.
pub fn read(
    source: Source,
    options: &ImportOptions,
    forms: &Forms,
    zone: &TimeZone,
    catalogue: &mut Catalogue,
    sink: &mut Sink,
) -> anyhow::Result<()> {
    let (source, _) = as_text(source, options.encoding)?;
    let mut table = Table::detect(source, options.delimiter, options.quotation)?;
    let columns = columns(&table)?;
    let mut times = TimeReader::new(forms.dates.clone(), zone.clone());
    while let Some(line) = table.next_row()? {
        sink.at(line);
        match event(&table, &columns, forms, &mut times, catalogue) {
            Ok((event, aside)) => sink.event(event, aside)?,
            Err(reason) => sink.reject(line, reason, &table.raw())?,
        }
    }
    Ok(())
}

fn event(
    table: &Table,
    columns: &Columns,
    forms: &Forms,
    times: &mut TimeReader,
    catalogue: &mut Catalogue,
) -> Result<(NewEvent, bool), String> {
    if table.n_fields() != table.header().len() {
        return Err(format!("has {} fields instead of {}", table.n_fields(), table.header().len()));
    }
    let invoice = id(table.field(columns.invoice), "InvoiceNo")?;
    let code = stock_code(table.field(columns.code));
    let item = id(&code, "StockCode")?;
    let number = |field: Field, place: usize, name: &str| match forms.number(table.field(place), field) {
        Some(number) => Ok(number),
        None => Err(format!("{name} is not a number: {:?}", table.field(place))),
    };
    let quantity = number(Field::Quantity, columns.quantity, "Quantity")?;
    let price = number(Field::UnitPrice, columns.price, "UnitPrice")?;
    let date = table.field(columns.date);
    let occurred_at = times
        .read(date, false)
        .ok_or_else(|| format!("InvoiceDate is no time {}: {date:?}", times.form()))?;
    let customer = customer(table.field(columns.customer))?;
    let description = tidy(table.field(columns.description));
    let key = EventKey::from_parts(&[
        b"online-retail",
        invoice.to_string().as_bytes(),
        code.as_bytes(),
        description.as_bytes(),
        &quantity.to_bits().to_le_bytes(),
        &occurred_at.0.to_le_bytes(),
        &price.to_bits().to_le_bytes(),
        customer.as_ref().map(ToString::to_string).unwrap_or_default().as_bytes(),
        table.field(columns.country).trim().as_bytes(),
    ]);
    let cancelled = matches!(table.field(columns.invoice).trim().as_bytes().first(), Some(b'C' | b'c'));
    let (kind, quantity) =
        if cancelled { (EventKind::Return, quantity.abs()) } else { (EventKind::Purchase, quantity) };
    let aside = is_not_product(&code);
    // A line with a price of 0 or a negative quantity is a note about the stock ("damages", "?"), not a sale.
    if !aside && quantity > 0.0 && price > 0.0 {
        catalogue.note(&item, description, price);
    }
    let event = NewEvent {
        key,
        deduplicate: true,
        user: customer,
        item: Some(item),
        kind,
        occurred_at,
        dwell_ms: None,
        query: None,
        quantity: quantity as f32,
        value: Some(round(quantity * price)),
        currency: Some(CURRENCY.into()),
        basket: Some(hash_id(&invoice)),
        list: None,
    };
    Ok((event, aside))
}

/// Prices have up to three decimals; the product of two binary fractions has more.
fn round(amount: f64) -> f64 {
    (amount * 1e4).round() / 1e4
}

/// Product codes are five digits with letters behind; only their case varies by mistake.
fn stock_code(text: &str) -> String {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 5 { text.to_uppercase() } else { text.to_owned() }
}

fn is_not_product(code: &str) -> bool {
    let code = code.to_uppercase();
    NOT_PRODUCTS.contains(&code.as_str())
        || NOT_PRODUCT_PREFIXES.iter().any(|prefix| code.starts_with(prefix))
}

/// `17850`, or `17850.0` as pandas writes a column that has gaps.
fn customer(text: &str) -> Result<Option<ExternalId>, String> {
    let text = text.trim();
    let text = text.strip_suffix(".0").unwrap_or(text);
    if text.is_empty() || squeeze(text) == "nan" { Ok(None) } else { id(text, "CustomerID").map(Some) }
}

impl Catalogue {
    /// Hands over every product: its most frequent description (ties: the first in the alphabet), its median price,
    /// and the category that the words of all titles suggest.
    pub fn finish(self, sink: &mut Sink) -> anyhow::Result<()> {
        let mut items: Vec<(ExternalId, Gathered)> = self.0.into_iter().collect();
        items.sort_by(|(one, _), (other, _)| one.cmp(other));
        let titles: Vec<Option<String>> = items.iter().map(|(_, gathered)| gathered.title()).collect();
        let categories = categorise(&titles);
        let (mut named_otherwise, mut untitled) = (0u64, 0u64);
        for (((item_id, mut gathered), title), category) in items.into_iter().zip(titles).zip(categories) {
            let lines = gathered.prices.len() as u64;
            match &title {
                Some(title) => {
                    let own = gathered.descriptions.get(title).copied().unwrap_or(0);
                    named_otherwise += lines.saturating_sub(u64::from(own));
                }
                None => untitled += 1,
            }
            sink.item_of_events(NewItem {
                title: title.map(|title| legible(&title)),
                category: category.map(|category| vec![category]),
                price: median(&mut gathered.prices),
                currency: Some(CURRENCY.into()),
                ..NewItem::new(item_id)
            })?;
        }
        sink.step(CleaningStep {
            step: "titles".into(),
            description: format!(
                "items titled by their most frequent description, where a line says something else or nothing; \
                 {untitled} items without any"
            ),
            dropped: 0,
            changed: named_otherwise,
        });
        Ok(())
    }
}

impl Gathered {
    fn title(&self) -> Option<String> {
        self.descriptions
            .iter()
            .max_by(|(text, count), (other, others)| count.cmp(others).then_with(|| other.cmp(text)))
            .map(|(text, _)| text.clone())
    }
}

/// The lower of the two middle ones when their number is even: a price that was really asked.
fn median(prices: &mut [f32]) -> Option<f64> {
    let middle = prices.len().checked_sub(1)? / 2;
    let (_, median, _) = prices.select_nth_unstable_by(middle, f32::total_cmp);
    Some(round(f64::from(*median)))
}

/// The data shouts: "WHITE METAL LANTERN" reads "White Metal Lantern". Words with digits and texts that are not all
/// capitals stay.
fn legible(title: &str) -> String {
    if title.chars().any(char::is_lowercase) {
        return title.to_owned();
    }
    let mut text = String::with_capacity(title.len());
    let mut begins = true;
    for word in title.split_inclusive([' ', '-', '/', '+', '&', '(', ',', '.']) {
        if word.chars().any(|c| c.is_ascii_digit()) {
            text.push_str(word);
            continue;
        }
        for c in word.chars() {
            if begins {
                text.push(c)
            } else {
                text.extend(c.to_lowercase())
            }
            begins = false;
        }
        begins = true;
    }
    text
}

#[cfg(test)]
mod tests;

//! UCI Online Retail (and Online Retail II, the same shop a year longer): a British gift shop's invoice lines,
//! `InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country`.
//! Chen, Sain, Guo 2012, <https://doi.org/10.24432/C5BW33>.
//!
//! Times carry no zone: the shop is in London, so they are read as Europe/London. Times are `2010-12-01 08:26:00` or,
//! in Kaggle's copy, `12/1/2010 8:26`, month first. An invoice is a basket; `C…` invoices are returns; lines without a
//! customer are anonymous baskets. Codes that differ only in case (`85123A`, `85123a`) are one item. The data has no
//! catalogue: titles, prices and categories are gathered from all lines and handed over at the end, so one pass is
//! enough.

use std::collections::HashMap;

use anyhow::bail;

use super::categories::categorise;
use super::fields::{TimeReader, id, number, squeeze, tidy};
use super::input::Source;
use super::sink::Sink;
use super::table::Table;
use crate::base::{EventKey, ExternalId};
use crate::catalogue::NewItem;
use crate::event::clean::{CleaningStep, SetAside};
use crate::event::wire::hash_id;
use crate::event::{EventKind, NewEvent};

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

/// What all lines say about one stock code.
#[derive(Default)]
struct Gathered {
    descriptions: HashMap<String, u32>,
    prices: Vec<f32>,
}

/// Items as gathered so far, over all files.
#[derive(Default)]
pub struct Catalogue(HashMap<ExternalId, Gathered>);

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
            table.header().join(",")
        ),
    }
}

/// Reads one file.
pub fn read(
    source: Source,
    times: &mut TimeReader,
    catalogue: &mut Catalogue,
    sink: &mut Sink,
) -> anyhow::Result<()> {
    let mut table = Table::open(source, b',')?;
    let columns = columns(&table)?;
    while let Some(line) = table.next_row()? {
        match event(&table, &columns, times, catalogue) {
            Ok((event, aside)) => sink.event(event, aside)?,
            Err(reason) => sink.reject(line, reason, &table.raw())?,
        }
    }
    Ok(())
}

fn event(
    table: &Table,
    columns: &Columns,
    times: &mut TimeReader,
    catalogue: &mut Catalogue,
) -> Result<(NewEvent, bool), String> {
    if table.n_fields() != table.header().len() {
        return Err(format!("has {} fields instead of {}", table.n_fields(), table.header().len()));
    }
    let invoice = id(table.field(columns.invoice), "InvoiceNo")?;
    let code = stock_code(table.field(columns.code));
    let item = id(&code, "StockCode")?;
    let quantity = number(table.field(columns.quantity), "Quantity")?;
    let price = number(table.field(columns.price), "UnitPrice")?;
    let date = table.field(columns.date);
    let occurred_at = times.read(date).ok_or_else(|| format!("InvoiceDate is not a time: {date:?}"))?;
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
        let gathered = catalogue.0.entry(item.clone()).or_default();
        if !description.is_empty() {
            *gathered.descriptions.entry(description).or_default() += 1;
        }
        gathered.prices.push(price as f32);
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
            sink.item(NewItem {
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
mod tests {
    use super::*;
    use crate::app::import::sink::{Batch, collect};
    use crate::app::import::table::source;
    use crate::base::Timestamp;
    use jiff::tz::TimeZone;

    const HEADER: &str =
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n";

    fn read_all(text: &str) -> anyhow::Result<Batch> {
        collect(|sink| {
            let mut times = TimeReader::new(TimeZone::get(TIME_ZONE).unwrap());
            let mut catalogue = Catalogue::default();
            read(source(text), &mut times, &mut catalogue, sink)?;
            catalogue.finish(sink)
        })
    }

    fn rows(rows: &str) -> Batch {
        read_all(&format!("{HEADER}{rows}")).unwrap()
    }

    #[test]
    fn a_line_of_an_invoice_is_a_purchase() {
        let batch = rows(
            "536365,85123A,WHITE HANGING HEART T-LIGHT HOLDER,6,2010-12-01 08:26:00,2.55,17850.0,United Kingdom\n",
        );
        let (event, aside) = &batch.events[0];
        assert!(!aside);
        assert_eq!(event.user, Some(ExternalId::Integer(17850)));
        assert_eq!(event.item, Some(ExternalId::Text("85123A".into())));
        assert_eq!(event.kind, EventKind::Purchase);
        assert_eq!(Some(event.occurred_at), Timestamp::parse("2010-12-01T08:26:00Z"));
        assert_eq!((event.quantity, event.value), (6.0, Some(15.3)));
        assert_eq!(event.currency.as_deref(), Some("GBP"));
        assert_eq!(event.basket, Some(hash_id(&ExternalId::Integer(536365))));
        let item = &batch.items[0];
        assert_eq!(item.title.as_deref(), Some("White Hanging Heart T-Light Holder"));
        assert_eq!(item.price, Some(2.55));
        assert_eq!(item.validate(), Ok(()));
    }

    #[test]
    fn summer_times_are_londons() {
        let batch = rows("1,22423,CAKESTAND,1,2011-07-01 10:00:00,12.75,1,UK\n");
        assert_eq!(Some(batch.events[0].0.occurred_at), Timestamp::parse("2011-07-01T09:00:00Z"));
    }

    #[test]
    fn a_cancelled_invoice_is_a_return_with_positive_amounts() {
        let batch = rows("C536379,22423,CAKESTAND,-2,2010-12-01 09:41:00,10.95,14527.0,UK\n");
        let event = &batch.events[0].0;
        assert_eq!((event.kind, event.quantity, event.value), (EventKind::Return, 2.0, Some(21.9)));
    }

    #[test]
    fn a_line_without_a_customer_is_an_anonymous_basket() {
        let batch = rows("536414,22139,TEA SET,56,2010-12-01 11:52:00,1,,UK\n");
        let event = &batch.events[0].0;
        assert_eq!(event.user, None);
        assert!(event.basket.is_some());
    }

    #[test]
    fn postage_and_its_like_are_set_aside_and_make_no_item() {
        let batch = rows(
            "1,POST,POSTAGE,1,2010-12-01 08:26:00,18,1,UK\n1,m,Manual,1,2010-12-01 08:26:00,1,1,UK\n\
             1,gift_0001_20,Voucher,1,2010-12-01 08:26:00,20,1,UK\n1,BANK CHARGES,,1,2010-12-01 08:26:00,15,1,UK\n\
             1,PADS,PADS TO MATCH ALL CUSHIONS,1,2010-12-01 08:26:00,0.01,1,UK\n",
        );
        let aside: Vec<bool> = batch.events.iter().map(|(_, aside)| *aside).collect();
        assert_eq!(aside, [true, true, true, true, false]);
        assert_eq!(batch.items.len(), 1);
    }

    #[test]
    fn rows_that_cant_be_read_are_rejected_with_line_and_reason() {
        let batch = rows(
            "1,22423,CAKESTAND,x,2010-12-01 08:26:00,1,1,UK\n1,22423,CAKESTAND,1,yesterday,1,1,UK\n1,22423\n\
             1,,CAKESTAND,1,2010-12-01 08:26:00,1,1,UK\n1,22423,CAKESTAND,1,2010-12-01 08:26:00,1,1,UK\n",
        );
        let rejects: Vec<(u64, &str)> =
            batch.rejects.iter().map(|reject| (reject.line, reject.reason.as_str())).collect();
        assert_eq!(
            rejects,
            [
                (2, "Quantity is not a number: \"x\""),
                (3, "InvoiceDate is not a time: \"yesterday\""),
                (4, "has 2 fields instead of 8"),
                (5, "StockCode: an id must have at least one character"),
            ]
        );
        assert_eq!(batch.rejects[0].raw, "1,22423,CAKESTAND,x,2010-12-01 08:26:00,1,1,UK");
        assert_eq!((batch.rows, batch.events.len()), (5, 1));
    }

    #[test]
    fn keys_depend_on_content_and_not_on_how_it_is_written() {
        let plain = rows("1,85123A,A  LANTERN ,1,2010-12-01 08:26:00,2.50,17850.0,UK\n");
        let kaggle = rows("1,85123a,A LANTERN,1,12/1/2010 8:26,2.5,17850,UK\n");
        assert_eq!(plain.events[0].0.key, kaggle.events[0].0.key);
        let other = rows("1,85123a,A LANTERN,2,12/1/2010 8:26,2.5,17850,UK\n");
        assert_ne!(plain.events[0].0.key, other.events[0].0.key);
    }

    #[test]
    fn a_title_is_the_most_frequent_description_and_a_price_the_median() {
        let batch = rows(
            "1,85123A,WHITE HOLDER,1,2010-12-01 08:26:00,2.55,1,UK\n2,85123A,WHITE HOLDER,1,2010-12-02 08:26:00,2.95,1,UK\n\
             3,85123a,CREAM HOLDER,1,2010-12-03 08:26:00,5.79,1,UK\n4,85123A,?,-5,2010-12-03 08:26:00,0,,UK\n\
             5,85123A,?,-5,2010-12-03 08:27:00,0,,UK\n6,85123A,?,-5,2010-12-03 08:28:00,0,,UK\n",
        );
        assert_eq!(batch.items.len(), 1);
        assert_eq!(batch.items[0].title.as_deref(), Some("White Holder"));
        assert_eq!(batch.items[0].price, Some(2.95));
        assert_eq!(batch.events.len(), 6);
        assert_eq!((batch.steps[0].step.as_str(), batch.steps[0].changed), ("titles", 1));
    }

    #[test]
    fn another_file_is_refused_with_what_was_expected() {
        let error = read_all("userId,movieId,rating,timestamp\n1,2,3,4\n").err().unwrap().to_string();
        assert!(error.contains("InvoiceNo,StockCode") && error.contains("userId,movieId"), "{error}");
    }

    #[test]
    fn the_second_edition_names_its_columns_differently() {
        let batch = read_all(
            "Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country\n\
             489434,85048,LIGHTS,12,2009-12-01 07:45:00,6.95,13085.0,UK\n",
        )
        .unwrap();
        assert_eq!(batch.events[0].0.user, Some(ExternalId::Integer(13085)));
    }

    #[test]
    fn titles_read_like_titles() {
        for (shouted, read) in [
            ("SET/6 RED T-LIGHTS", "Set/6 Red T-Lights"),
            ("CHARLIE+LOLA BAG", "Charlie+Lola Bag"),
            ("60CM CAKE CASE", "60CM Cake Case"),
            ("CHILDREN'S APRON", "Children's Apron"),
            ("Bag 500g", "Bag 500g"),
        ] {
            assert_eq!(legible(shouted), read, "{shouted}");
        }
    }
}

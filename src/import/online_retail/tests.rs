use super::*;
use crate::sink::{Batch, collect};
use crate::table::source;
use jiff::tz::TimeZone;
use tidings_core::base::Timestamp;

const HEADER: &str = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n";

fn read_with(text: &str, options: &ImportOptions) -> anyhow::Result<Batch> {
    let forms = prepare(source(text), "retail.csv", options)?.forms;
    collect(|sink| {
        let mut catalogue = Catalogue::default();
        let zone = TimeZone::get(TIME_ZONE).unwrap();
        read(source(text), options, &forms, &zone, &mut catalogue, sink)?;
        catalogue.finish(sink)
    })
}

fn read_all(text: &str) -> anyhow::Result<Batch> {
    read_with(text, &ImportOptions::default())
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
    let item = &batch.event_items[0];
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
    assert_eq!(batch.event_items.len(), 1);
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
            (3, "InvoiceDate is no time as 2026-11-01 10:00:00: \"yesterday\""),
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
    let late = "9,85123a,A LANTERN,1,12/31/2010 8:26,2.5,17850,UK\n";
    let kaggle = rows(&format!("1,85123a,A LANTERN,1,12/1/2010 8:26,2.5,17850,UK\n{late}"));
    assert_eq!(plain.events[0].0.key, kaggle.events[0].0.key);
    let other = rows(&format!("1,85123a,A LANTERN,2,12/1/2010 8:26,2.5,17850,UK\n{late}"));
    assert_ne!(plain.events[0].0.key, other.events[0].0.key);
}

#[test]
fn a_title_is_the_most_frequent_description_and_a_price_the_median() {
    let batch = rows(
        "1,85123A,WHITE HOLDER,1,2010-12-01 08:26:00,2.55,1,UK\n2,85123A,WHITE HOLDER,1,2010-12-02 08:26:00,2.95,1,UK\n\
         3,85123a,CREAM HOLDER,1,2010-12-03 08:26:00,5.79,1,UK\n4,85123A,?,-5,2010-12-03 08:26:00,0,,UK\n\
         5,85123A,?,-5,2010-12-03 08:27:00,0,,UK\n6,85123A,?,-5,2010-12-03 08:28:00,0,,UK\n",
    );
    assert_eq!(batch.event_items.len(), 1);
    assert_eq!(batch.event_items[0].title.as_deref(), Some("White Holder"));
    assert_eq!(batch.event_items[0].price, Some(2.95));
    assert_eq!(batch.events.len(), 6);
    assert_eq!((batch.steps[0].step.as_str(), batch.steps[0].changed), ("titles", 1));
}

#[test]
fn another_file_is_refused_with_what_was_expected() {
    let error = read_all("userId,movieId,rating,timestamp\n1,2,3,4\n").err().unwrap().to_string();
    assert!(error.contains("InvoiceNo,StockCode") && error.contains("userId, movieId"), "{error}");
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

#[test]
fn dates_with_the_day_first_are_read_right_or_refused() {
    let line = |date: &str| format!("1,22423,CAKESTAND,1,{date},\"12,75\",1,UK\n");
    let european = [line("1/12/2010 8:26"), line("13/12/2010 8:26")].concat();
    let batch = rows(&european);
    assert_eq!(Some(batch.events[0].0.occurred_at), Timestamp::parse("2010-12-01T08:26:00Z"));
    assert_eq!(batch.events[0].0.value, Some(12.75));
    let undecided = format!("{HEADER}{}", line("1/12/2010 8:26"));
    let error = read_all(&undecided).err().unwrap().to_string();
    assert!(error.contains("InvoiceDate") && error.contains("--date-format day-first"), "{error}");
    let mut options = ImportOptions::default();
    options.records.forms.dates = Some("month-first".parse().unwrap());
    let batch = read_with(&undecided, &options).unwrap();
    assert_eq!(Some(batch.events[0].0.occurred_at), Timestamp::parse("2010-01-12T08:26:00Z"));
    let mixed = format!("{HEADER}{european}{}", line("12/31/2010 8:26"));
    let error = read_all(&mixed).err().unwrap().to_string();
    assert!(error.contains("contradict") && error.contains("line 3") && error.contains("line 4"), "{error}");
}

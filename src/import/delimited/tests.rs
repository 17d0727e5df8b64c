use super::*;
use crate::sink::{Batch, collect};
use crate::table::source;
use tidings_core::base::Timestamp;

fn options(mapping: &str, kind: Option<EventKind>) -> ImportOptions {
    let records =
        RecordOptions { mapping: mapping.parse().unwrap(), default_kind: kind, ..RecordOptions::default() };
    ImportOptions { records, ..ImportOptions::default() }
}

fn read_with(text: &str, options: &ImportOptions) -> anyhow::Result<Batch> {
    let forms = prepare(source(text), "shop.csv", options)?.forms;
    collect(|sink| {
        let mut items = Items::default();
        let mut records = RecordReader::with_forms(options.records.clone(), forms);
        read(source(text), "shop.csv", options, &mut records, &mut items, sink)?;
        items.finish(sink)
    })
}

fn read_as(text: &str, mapping: &str, kind: Option<EventKind>) -> anyhow::Result<Batch> {
    read_with(text, &options(mapping, kind))
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
    assert_eq!(batch.places[1].1, 3);
}

#[test]
fn one_kind_for_all_rows() {
    let batch = read_as("user,item,ts\n1,2,1600000000\n", "", Some(EventKind::Purchase)).unwrap();
    assert_eq!(batch.events[0].0.kind, EventKind::Purchase);
    let error = read_as("user,item,ts\n1,2,3\n", "", None).err().unwrap().to_string();
    assert!(error.contains("--kind"), "{error}");
}

#[test]
fn a_catalogue_and_rows_that_carry_both() {
    let batch = read_as("sku,name,price\nA1,Watch,9\nA2,Clock,-3\nnan,Lamp,4\nA4,,\n", "", None).unwrap();
    assert_eq!((batch.events.len(), batch.items.len(), batch.rejects.len()), (0, 1, 2));
    let rows = "user,item,ts,kind,title\n1,A1,1600000000,view,Watch\n2,A1,1600000001,view,\n";
    let batch = read_as(rows, "", None).unwrap();
    // What rows about events say of items is kept apart.
    assert_eq!((batch.events.len(), batch.items.len(), batch.event_items.len()), (2, 0, 1));
    assert_eq!(batch.event_items[0].title.as_deref(), Some("Watch"));
}

#[test]
fn words_and_prices_for_other_languages_and_currencies_are_those_of_the_item() {
    let text = "sku;name;price;title_de;price_chf;category_id;url_fr\nA1;Mug;9,50;Becher;10,25;77;\nA2;Cup;8,00;;;78;\n";
    let batch = read_as(text, "", None).unwrap();
    assert_eq!((batch.items.len(), batch.rejects.len()), (2, 0));
    let mug = &batch.items[0];
    assert_eq!(mug.price, Some(9.5));
    assert_eq!(mug.prices, Some([("CHF".to_owned(), 10.25)].into()));
    let words = mug.translations.as_ref().unwrap();
    assert_eq!(words.len(), 1);
    assert_eq!(words["de"].title.as_deref(), Some("Becher"));
    assert_eq!((&batch.items[1].translations, &batch.items[1].prices), (&None, &None));
    let understood = prepare(source(text), "shop.csv", &options("", None)).unwrap().understood;
    assert_eq!(understood.unused, ["category_id"]);
    let shown = understood.to_string();
    assert!(shown.contains("title in de") && shown.contains("price in CHF"), "{shown}");
}

#[test]
fn rejects_name_line_and_reason() {
    let rows =
        "1,A1,1600000000,view\n1,A1,soon,view\n,A1,1600000000,view\n1,A1,1600000000,jump\n1,2,3,view,5\n";
    let batch = read_as(&format!("user,item,ts,kind\n{rows}"), "", None).unwrap();
    let lines: Vec<u64> = batch.rejects.iter().map(|reject| reject.line).collect();
    assert_eq!(lines, [3, 4, 5, 6]);
    assert_eq!(batch.rejects[0].reason, "occurred_at is no time as 1793527200, seconds since 1970: \"soon\"");
    assert_eq!(batch.rejects[0].raw, "1,A1,soon,view");
}

#[test]
fn a_file_that_maps_to_nothing_is_refused() {
    let error = read_as("a,b\n1,2\n", "", None).err().unwrap().to_string();
    assert!(error.contains("--map") && error.contains("a, b"), "{error}");
}

#[test]
fn columns_that_nobody_mapped_are_not_used_and_said_so() {
    let header = "Name,Email,Lineitem sku,Created at,Lineitem price,Lineitem quantity,Tags,Customer";
    let text = format!("{header}\n#1001,ann@x.example,A1,2026-01-31 10:00:00 +0500,\"1.299,00\",2,vip,7\n");
    let mapping = "user_id=Email,item_id=Lineitem sku,occurred_at=Created at,unit_price=Lineitem price,quantity=Lineitem quantity";
    let options = options(mapping, Some(EventKind::Purchase));
    let batch = read_with(&text, &options).unwrap();
    assert!(batch.items.is_empty() && batch.event_items.is_empty());
    assert_eq!(batch.events[0].0.value, Some(2598.0));
    let understood = prepare(source(&text), "orders.csv", &options).unwrap().understood;
    assert_eq!(understood.unused, ["Name", "Tags", "Customer"]);
    let shown = understood.to_string();
    for line in ["Lineitem price     unit_price   --map; numbers as 1.299,00", "kind: purchase for all rows"]
    {
        assert!(shown.contains(line), "{shown}");
    }
}

#[test]
fn rows_are_taken_by_condition_and_their_forms_alone_count() {
    let text = "user,item,ts,status\n1,A,31/12/2020,paid\n2,A,12/31/2020,test\n3,A,1/2/2021,paid\n";
    let mut options = options("", Some(EventKind::Purchase));
    options.records.conditions = vec!["status=paid".parse().unwrap()];
    let batch = read_with(text, &options).unwrap();
    assert_eq!((batch.events.len(), batch.left_out, batch.rows), (2, 1, 3));
    assert_eq!(Some(batch.events[1].0.occurred_at), Timestamp::parse("2021-02-01T00:00:00Z"));
    options.records.conditions = vec!["state=paid".parse().unwrap()];
    let error = read_with(text, &options).err().unwrap().to_string();
    assert!(error.contains("\"state\"") && error.contains("status"), "{error}");
}

#[test]
fn files_of_spreadsheets_and_of_other_encodings_are_read() {
    let text = "sep=;\r\nsku;title;price\r\nA1;Crème brûlée;\"19,90\"\r\n";
    let wide: Vec<u8> =
        std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let latin: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    for bytes in [wide, latin, text.as_bytes().to_vec()] {
        let source = || -> Source { Box::new(std::io::Cursor::new(bytes.clone())) };
        let options = ImportOptions::default();
        let forms = prepare(source(), "shop.csv", &options).unwrap().forms;
        let batch = collect(|sink| {
            let mut items = Items::default();
            let mut records = RecordReader::with_forms(options.records.clone(), forms);
            read(source(), "shop.csv", &options, &mut records, &mut items, sink)?;
            items.finish(sink)
        })
        .unwrap();
        assert_eq!(batch.items[0].title.as_deref(), Some("Crème brûlée"));
        assert_eq!(batch.items[0].price, Some(19.9));
    }
}

#[test]
fn what_a_row_says_wrongly_of_its_item_does_not_refuse_the_event() {
    let text = "user,item,ts,kind,stock\n1,A1,1600000000,view,-3\n1,A2,1600000000,view,3\n";
    let batch = read_as(text, "", None).unwrap();
    assert_eq!((batch.events.len(), batch.event_items.len(), batch.rejects.len()), (2, 1, 0));
    assert!(batch.notes[0].contains("line 2") && batch.notes[0].contains("stock"), "{:?}", batch.notes);
}

#[test]
fn blank_rows_of_a_spreadsheet_are_none() {
    let text = "user,item,ts,kind\n1,A,1600000000,view\n,,,\n , ,,\n2,A,1600000001,view\n,,,\n";
    let batch = read_as(text, "", None).unwrap();
    assert_eq!((batch.events.len(), batch.rejects.len(), batch.rows), (2, 0, 2));
    assert_eq!(batch.places[1].1, 5);
}

#[test]
fn a_column_that_is_there_twice_is_not_guessed() {
    let error = read_as("user,item,ts,kind,price,price\n1,A,1600000000,view,1,2\n", "", None).err().unwrap();
    assert!(error.to_string().contains("several columns \"price\""), "{error}");
}

#[test]
fn an_id_that_a_spreadsheet_shortened_is_refused_and_dates_as_numbers_are_hinted_at() {
    let text = "user;item;ts;kind\n1;4,00638E+12;1600000000;view\n1;4006380000000;1600000000;view\n";
    let batch = read_as(text, "", None).unwrap();
    assert_eq!((batch.events.len(), batch.rejects.len()), (1, 1));
    assert!(batch.rejects[0].reason.contains("format the column as text"), "{}", batch.rejects[0].reason);
    let error = read_as("user,item,ts,kind\n1,A,43831.5,view\n", "", None).err().unwrap().to_string();
    assert!(error.contains("--date-format spreadsheet"), "{error}");
}

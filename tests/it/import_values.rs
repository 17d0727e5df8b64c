//! `tidings import` as a conversation: what is refused with the cure, what is left alone, and what scripts are told.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use tempfile::TempDir;
use tidings::base::{ExternalId, Timestamp};
use tidings::catalogue::NewItem;
use tidings::event::EventKind;
use tidings::import::{CatalogueMode, Format, ImportOptions, ImportSummary, run};
use tidings::store::{Store, items};

use crate::helpers::database::TestDatabase;

fn write(directory: &TempDir, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = directory.path().join(name);
    fs::write(&path, bytes).unwrap();
    path
}

fn options(directory: &TempDir, kind: Option<EventKind>) -> ImportOptions {
    let mut options = ImportOptions {
        rejects: Some(directory.path().join("rejects.csv")),
        quiet: true,
        ..ImportOptions::default()
    };
    options.records.default_kind = kind;
    options
}

fn import(store: &Store, text: &str, change: impl FnOnce(&mut ImportOptions)) -> ImportSummary {
    let directory = tempfile::tempdir().unwrap();
    let mut options = options(&directory, Some(EventKind::Purchase));
    change(&mut options);
    run(store, Format::Csv, &[write(&directory, "orders.csv", text)], &options).unwrap()
}

/// What a query answers as JSON.
fn json(store: &Store, query: &str) -> serde_json::Value {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        json: String,
    }
    let query = format!("SELECT coalesce(json_agg(t)::text, '[]') AS json FROM ({query}) t");
    let row: Row = store.run_blocking(|conn| Ok(diesel::sql_query(query).get_result(conn)?)).unwrap();
    serde_json::from_str(&row.json).unwrap()
}

fn count(store: &Store, query: &str) -> i64 {
    #[derive(QueryableByName)]
    struct Count {
        #[diesel(sql_type = BigInt)]
        count: i64,
    }
    let query = format!("SELECT count(*) AS count FROM {query}");
    let count: Count = store.run_blocking(|conn| Ok(diesel::sql_query(query).get_result(conn)?)).unwrap();
    count.count
}

/// Exit code and both outputs of `tidings import` in a directory of its own, where no database was made.
fn dry_run(directory: &TempDir, arguments: &[&str]) -> (Option<i32>, String) {
    let data = directory.path().join("data");
    let output = Command::new(env!("CARGO_BIN_EXE_tidings"))
        .arg("import")
        .args(arguments)
        .arg("--dry-run")
        .current_dir(directory.path())
        .env_remove("DATABASE_URL")
        .env("TIDINGS_SERVER_DATA_DIR", &data)
        .output()
        .unwrap();
    assert!(!data.exists(), "{arguments:?} made {}", data.display());
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (output.status.code(), text)
}

#[test]
fn the_price_of_an_order_is_the_orders_own() {
    let database = TestDatabase::new();
    let store = &database.store;
    let watch = NewItem {
        title: Some("Watch".into()),
        price: Some(249.0),
        currency: Some("EUR".into()),
        ..NewItem::new(ExternalId::Text("A1".into()))
    };
    let now = Timestamp::from_seconds(1_700_000_000);
    store.run_blocking(|conn| items::upsert_at(conn, &[watch], now)).unwrap();
    let orders = "user,item,ts,price,currency,title\n\
                  7,A1,2023-05-01T10:00:00Z,349,EUR,OLD WATCH\n7,B9,2023-05-01T10:00:00Z,5,EUR,Discontinued\n";
    let catalogue = "SELECT external_id, title, price FROM items ORDER BY external_id";
    let untouched = serde_json::json!([
        {"external_id": "A1", "title": "Watch", "price": 249},
        {"external_id": "B9", "title": null, "price": null},
    ]);
    let summary = import(store, orders, |_| ());
    assert_eq!((summary.loaded.events, summary.items_not_used), (2, 2));
    assert_eq!(json(store, catalogue), untouched);
    let values = json(store, "SELECT value, currency FROM events ORDER BY value");
    assert_eq!(
        values,
        serde_json::json!([{"value": 5, "currency": "EUR"}, {"value": 349, "currency": "EUR"}])
    );
    assert!(summary.to_string().contains("--catalogue fill"), "{summary}");
    // Filling leaves what is there, and replacing does not.
    import(store, orders, |options| options.catalogue = Some(CatalogueMode::Fill));
    let filled = serde_json::json!([
        {"external_id": "A1", "title": "Watch", "price": 249},
        {"external_id": "B9", "title": "Discontinued", "price": 5},
    ]);
    assert_eq!(json(store, catalogue), filled);
    import(store, orders, |options| options.catalogue = Some(CatalogueMode::Replace));
    assert_eq!(json(store, catalogue)[0]["price"], 349);
}

#[test]
fn orders_fill_an_empty_catalogue() {
    let database = TestDatabase::new();
    let summary = import(&database.store, "user,item,ts,title\n7,A1,2023-05-01T10:00:00Z,Watch\n", |_| ());
    assert_eq!((summary.catalogue, summary.items_not_used), (CatalogueMode::Fill, 0));
    assert_eq!(count(&database.store, "items WHERE title = 'Watch'"), 1);
}

#[test]
fn three_equal_lines_of_an_order_are_three_units_however_often_the_file_is_read() {
    let database = TestDatabase::new();
    let line = "o1,7,A1,2023-05-01T10:00:00Z,9.90\n";
    let text = format!("order_id,user,item,ts,value\n{line}{line}{line}");
    let first = import(&database.store, &text, |_| ());
    assert_eq!((first.loaded.events, first.cleaning.step("duplicates").unwrap().dropped), (3, 0));
    let second = import(&database.store, &text, |_| ());
    assert_eq!((second.loaded.events, second.loaded.known_events), (0, 3));
    assert_eq!(count(&database.store, "events"), 3);
}

#[test]
fn missing_users_are_nobody_and_a_number_with_gaps_is_one_user() {
    let database = TestDatabase::new();
    let mut text = "user,order_id,item,ts\n".to_owned();
    for (n, user) in ["17850", "17850.0", "NULL", "None", "(not set)", "nan", ""].iter().enumerate() {
        text += &format!("{user},o{n},A1,2023-05-01T10:00:0{n}Z\n");
    }
    let summary = import(&database.store, &text, |_| ());
    assert_eq!((summary.loaded.events, summary.anonymous, summary.rejects), (7, 5, 0));
    assert_eq!(
        json(&database.store, "SELECT external_id FROM users"),
        serde_json::json!([{"external_id": "17850"}])
    );
}

#[test]
fn each_row_has_its_own_currency() {
    let database = TestDatabase::new();
    let mut text = "user,item,ts,value,currency\n".to_owned();
    for n in 0..3_000 {
        text += &format!("{n},A1,2023-05-01T10:00:00Z,100.00,EUR\n");
    }
    text += "7,A2,2023-05-01T10:00:00Z,\"25,000.00\",JPY\n8,A2,2023-05-01T10:00:00Z,5.00,\n";
    import(&database.store, &text, |_| ());
    let sums = json(&database.store, "SELECT currency, sum(value) AS sum FROM events GROUP BY 1 ORDER BY 1");
    let expected = serde_json::json!([
        {"currency": "EUR", "sum": 300_000},
        {"currency": "JPY", "sum": 25_000},
        {"currency": null, "sum": 5},
    ]);
    assert_eq!(sums, expected);
}

#[test]
fn nothing_is_made_before_a_file_is_understood_and_the_cure_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let retail = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n\
                  1,22423,CAKESTAND,1,01/12/2010 08:26,12.75,1,UK\n";
    write(&directory, "retail.csv", retail);
    write(&directory, "rows.csv", "user,item,ts,value\n1,A,2023-05-01,\"1,299\"\n");
    write(&directory, "bytes.csv", b"PK\x03\x04\0\0\x08\0\x1b[31m\0\0\0");
    write(&directory, "odd.csv", "a\u{1b}[31m,b\n1,2\n");
    for (arguments, says) in [
        (&["online-retail", "retail.csv"][..], "--date-format day-first"),
        (&["csv", "rows.csv", "--kind", "buy"], "--decimal ,"),
        (&["csv", "rows.csv"], "--kind"),
        (&["csv", "bytes.csv"], "zip archive"),
        (&["csv", "odd.csv"], "a\\u{1b}[31m, b"),
    ] {
        let (code, text) = dry_run(&directory, arguments);
        assert_eq!(code, Some(1), "{arguments:?}: {text}");
        assert!(text.contains(says) && !text.contains('\u{1b}'), "{arguments:?}: {text}");
    }
    // The same without --dry-run: a database is not made for a file that is refused.
    let data = directory.path().join("data");
    let refused = Command::new(env!("CARGO_BIN_EXE_tidings"))
        .args(["import", "online-retail", "retail.csv"])
        .current_dir(directory.path())
        .env_remove("DATABASE_URL")
        .env("TIDINGS_SERVER_DATA_DIR", &data)
        .output()
        .unwrap();
    assert!(!refused.status.success() && !data.exists());
}

#[test]
fn a_file_of_which_too_much_is_refused_fails_with_the_reasons() {
    let directory = tempfile::tempdir().unwrap();
    let mut text = "user,item,rating,date\n".to_owned();
    for n in 0..500 {
        text += &format!("{n},A{},{},20221101\n", n % 9, n % 10 + 1);
    }
    write(&directory, "ratings.csv", &text);
    let map = [
        "csv",
        "ratings.csv",
        "--kind",
        "rate",
        "--map",
        "user_id=user,item_id=item,occurred_at=date,value=rating",
    ];
    let (code, text) = dry_run(&directory, &map);
    assert_eq!(code, Some(1), "{text}");
    for says in [
        "refused  250 × a rating beyond 5 stars",
        "line 7 of ratings.csv",
        "--scale 1-10",
        "times as 20261101",
    ] {
        assert!(text.contains(says), "{says}: {text}");
    }
    let (code, text) = dry_run(&directory, &[&map[..], &["--scale", "1-10"]].concat());
    assert_eq!(code, Some(0), "{text}");
    let (code, text) = dry_run(&directory, &[&map[..], &["--max-refused", "50%"]].concat());
    assert_eq!(code, Some(0), "{text}");
}

#[test]
fn a_file_without_times_is_dated_as_stated() {
    let directory = tempfile::tempdir().unwrap();
    write(&directory, "clicks.csv", "user,item\n1,A\n1,B\n");
    let (code, text) = dry_run(&directory, &["csv", "clicks.csv", "--kind", "view"]);
    assert!(code == Some(1) && text.contains("--occurred-at"), "{text}");
    let (code, text) =
        dry_run(&directory, &["csv", "clicks.csv", "--kind", "view", "--occurred-at", "order"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("item B 2000-01-01T00:00:01Z"), "{text}");
    let fixed = ["csv", "clicks.csv", "--kind", "view", "--occurred-at", "2023-05-01T10:00:00Z"];
    assert!(dry_run(&directory, &fixed).1.contains("item B 2023-05-01T10:00:00Z"));
    assert!(!Path::new(&directory.path().join("clicks.csv.rejects.csv")).exists());
}

//! What items cost since when: written whichever way a price comes, pruned, read back at start.

use serde_json::json;
use tidings::base::{ItemId, Timestamp};
use tidings::catalogue::{Catalogue, NewItem};
use tidings::store::bulk::Loader;
use tidings::store::{Connection, item_prices, items};

use crate::helpers::database::TestDatabase;

fn day(n: f64) -> Timestamp {
    Timestamp::from_seconds(1_700_000_000).plus_days(n)
}

fn put(conn: &mut Connection, at: Timestamp, item: serde_json::Value) -> items::Upserted {
    let item: NewItem = serde_json::from_value(item).unwrap();
    items::upsert_at(conn, &[item], at).unwrap()
}

fn prices(upserted: &items::Upserted) -> Vec<f64> {
    upserted.prices.iter().map(|(_, point)| point.price).collect()
}

/// The catalogue as a server reads it at its start.
fn at_start(conn: &mut Connection, now: Timestamp) -> Catalogue {
    let mut catalogue = Catalogue::from_items(items::load_all(conn).unwrap());
    catalogue.note_prices(&item_prices::load_changes(conn, now).unwrap());
    catalogue
}

const COUNT: &str = "SELECT count(*) AS n FROM item_prices";

#[test]
fn a_price_is_written_when_it_changes_and_what_no_reduction_needs_is_pruned() {
    let database = TestDatabase::new();
    let mut conn = database.connection();
    let first =
        put(&mut conn, day(0.0), json!({"item_id": 7, "title": "Mug", "price": 10.0, "currency": "EUR"}));
    assert_eq!(prices(&first), [10.0]);
    let same = put(&mut conn, day(1.0), json!({"item_id": 7, "price": 10.0, "stock": 3}));
    assert!(same.prices.is_empty() && database.count(COUNT) == 1);
    let raised = put(&mut conn, day(2.0), json!({"item_id": 7, "price": 20.0}));
    assert_eq!(prices(&raised), [10.0, 20.0], "the one before comes with it");
    assert_eq!(raised.prices[1].1.since, day(2.0));
    // A clock that was set back; another currency at the same price.
    let back = put(&mut conn, day(1.5), json!({"item_id": 7, "price": 11.0}));
    assert!(back.prices[1].1.since > day(2.0));
    assert_eq!(put(&mut conn, day(3.0), json!({"item_id": 7, "currency": "USD"})).prices.len(), 2);
    assert_eq!(database.count(COUNT), 4);
    // 61 days after the third ended, it and what was before it is of no use.
    put(&mut conn, day(64.0), json!({"item_id": 7, "price": 9.0}));
    assert_eq!(database.count(COUNT), 2);
}

#[test]
fn a_catalogue_read_at_start_knows_what_the_running_one_knew() {
    let database = TestDatabase::new();
    let mut conn = database.connection();
    let mut running = Catalogue::default();
    for (at, id, price) in [(0.0, 7, 100.0), (0.0, 8, 5.0), (1.0, 7, 200.0), (2.0, 7, 110.0), (70.0, 7, 90.0)]
    {
        let json = json!({"item_id": id, "title": "Mug", "price": price, "currency": "EUR"});
        let upserted = put(&mut conn, day(at), json);
        running.note_prices(&upserted.prices);
        upserted.items.into_iter().for_each(|item| running.upsert(item));
        let started = at_start(&mut conn, day(at));
        for id in [0, 1].map(ItemId) {
            assert_eq!(started.prices(id), running.prices(id), "{at} {id:?}");
        }
    }
    let known = |id| running.prices(ItemId(id)).map(|prices| prices.len());
    assert_eq!((known(0), known(1)), (Some(2), None), "only what has changed, and lately");
    let reduction = running.prices(ItemId(0)).unwrap().reduction(day(71.0)).unwrap();
    assert_eq!(reduction.before, 110.0);
    assert_eq!(running.price_at(ItemId(1), day(-9.0)), Some(5.0));
}

#[test]
fn an_import_writes_prices_that_change() {
    let database = TestDatabase::new();
    let mut conn = database.connection();
    let item = |price: f64| vec![serde_json::from_value(json!({"item_id": 7, "price": price})).unwrap()];
    let mut loader = Loader::default();
    for price in [10.0, 10.0, 8.0] {
        loader.items(&mut conn, &item(price)).unwrap();
    }
    assert_eq!(database.count(COUNT), 2);
}

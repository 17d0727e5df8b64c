//! Google Analytics 4, as it exports events to BigQuery: one JSON object an event with `event_params[]` of typed values and
//! `items[]`, numbers as numbers or as strings. `purchase` and `refund` have a line for each item.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use tidings_core::base::Timestamp;
use tidings_core::event::EventKind;

use super::translated::{Translated, Translation, first, object, objects, scalar};
use crate::mapping::Field;

/// Levels of an item's category below the first.
const LOWER_LEVELS: [&str; 4] = ["item_category2", "item_category3", "item_category4", "item_category5"];

fn kind(event: &str) -> Option<EventKind> {
    Some(match event {
        "view_item" | "select_item" => EventKind::View,
        "search" | "view_search_results" => EventKind::Search,
        "add_to_cart" => EventKind::AddToCart,
        "remove_from_cart" => EventKind::RemoveFromCart,
        "add_to_wishlist" => EventKind::Like,
        "purchase" | "in_app_purchase" | "ecommerce_purchase" => EventKind::Purchase,
        "refund" | "purchase_refund" => EventKind::Return,
        _ => return None,
    })
}

/// Rows of one event; the error says what is missing.
pub fn translate(record: &Map<String, Value>) -> Result<Translation, String> {
    let event = first(record, &["event_name"]).ok_or("does not say its event_name")?;
    let Some(kind) = kind(&event) else { return Ok(Translation::Unused(event)) };
    let user = first(record, &["user_id", "user_pseudo_id"]).unwrap_or_default();
    let micros = first(record, &["event_timestamp"]).and_then(|text| text.parse().ok());
    let moment =
        micros.map(|micros| Timestamp(micros).to_string()).ok_or("does not say its event_timestamp")?;
    let transaction = object(record, "ecommerce").and_then(|sale| scalar(sale.get("transaction_id")));
    let transaction = transaction.or_else(|| parameter(record, "transaction_id"));
    let session = parameter(record, "ga_session_id").map(|session| format!("{user}.{session}"));
    let currency = parameter(record, "currency");
    let common = |mut row: Translated| {
        row.set(Field::Kind, kind.name());
        row.set(Field::UserId, &user);
        row.set(Field::OccurredAt, &moment);
        row.set(Field::BasketId, transaction.as_ref().or(session.as_ref()).map_or("", String::as_str));
        row
    };
    if kind == EventKind::Search {
        let mut row = common(Translated::default());
        row.set(Field::Query, parameter(record, "search_term").ok_or("a search without search_term")?);
        return Ok(Translation::Rows(vec![row]));
    }
    let mut rows: Vec<Translated> =
        objects(record, "items").map(|line| common(item(line, currency.as_deref(), kind))).collect();
    if let Some(transaction) = transaction.as_ref().filter(|_| kind == EventKind::Purchase) {
        name_lines(&mut rows, transaction);
    }
    if rows.is_empty() { Err(format!("{event} names no items")) } else { Ok(Translation::Rows(rows)) }
}

/// Gives the lines of a purchase ids of their own: a page that is loaded again reports its transaction again.
fn name_lines(rows: &mut [Translated], transaction: &str) {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for row in rows {
        let item = row.fields.get(&Field::ItemId).cloned().unwrap_or_default();
        let times = seen.entry(item.clone()).or_default();
        let again = if *times == 0 { String::new() } else { format!("/{times}") };
        *times += 1;
        row.set(Field::EventId, format!("{transaction}/{item}{again}"));
    }
}

/// The value of a parameter, whichever type it has.
fn parameter(record: &Map<String, Value>, name: &str) -> Option<String> {
    let found = objects(record, "event_params")
        .find(|parameter| parameter.get("key").and_then(Value::as_str).is_some_and(|key| key == name))?;
    match found.get("value")? {
        Value::Object(value) => first(value, &["string_value", "int_value", "double_value", "float_value"]),
        plain => scalar(Some(plain)),
    }
}

/// Item that a line is about. Its price is that in the currency of the event, else that in US dollars; without either the money of
/// the whole line counts.
fn item(line: &Map<String, Value>, currency: Option<&str>, kind: EventKind) -> Translated {
    let is_money = matches!(kind, EventKind::Purchase | EventKind::Return | EventKind::AddToCart);
    let mut row = Translated::default();
    row.set(Field::ItemId, first(line, &["item_id"]).unwrap_or_default());
    row.set_json(Field::Title, line.get("item_name"));
    if let Some(top) = scalar(line.get("item_category")) {
        // Some shops write the whole path into the first one, e.g. Home/Apparel/Men's.
        let levels = LOWER_LEVELS.iter().filter_map(|level| scalar(line.get(*level)));
        row.set(Field::Category, std::iter::once(top).chain(levels).collect::<Vec<_>>().join(" > "));
    }
    row.attribute("brand", scalar(line.get("item_brand")).as_deref());
    row.attribute("variant", scalar(line.get("item_variant")).as_deref());
    let own = scalar(line.get("price")).zip(currency.map(str::to_owned));
    let price = own.or_else(|| Some((scalar(line.get("price_in_usd"))?, "USD".to_owned())));
    if let Some((price, currency)) = price.or_else(|| Some((scalar(line.get("price"))?, String::new()))) {
        row.set(Field::Price, &price);
        row.set(Field::Currency, currency);
        if is_money {
            row.set(Field::UnitPrice, price);
        }
    } else if let Some((value, currency)) = revenue(line, currency, kind) {
        row.set(Field::Value, value);
        row.set(Field::Currency, currency);
    }
    if is_money {
        row.set_json(Field::Quantity, line.get("quantity"));
    }
    row
}

/// Money of a whole line that names no price, and its currency.
fn revenue(line: &Map<String, Value>, currency: Option<&str>, kind: EventKind) -> Option<(String, String)> {
    let (own, in_usd) = match kind {
        EventKind::Purchase => (["item_revenue", "item_revenue"], "item_revenue_in_usd"),
        EventKind::Return => (["item_refund", "item_revenue"], "item_refund_in_usd"),
        _ => return None,
    };
    let own = first(line, &own);
    match (own, currency, scalar(line.get(in_usd))) {
        (Some(own), Some(currency), _) => Some((own, currency.to_owned())),
        (_, _, Some(in_usd)) => Some((in_usd, "USD".to_owned())),
        (own, ..) => Some((own?, String::new())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Entry, RecordOptions, RecordReader};
    use serde_json::json;

    fn rows(record: Value) -> Vec<Translated> {
        match translate(record.as_object().unwrap()).unwrap() {
            Translation::Rows(rows) => rows,
            Translation::Unused(name) => panic!("{name} is not used"),
        }
    }

    #[test]
    fn a_purchase_is_a_line_for_each_item() {
        let rows = rows(json!({
            "event_date": "20210131", "event_timestamp": "1612069510766593", "event_name": "purchase",
            "user_pseudo_id": "1026454.4271112504", "user_id": null,
            "event_params": [
                {"key": "currency", "value": {"string_value": "EUR", "int_value": null}},
                {"key": "ga_session_id", "value": {"string_value": null, "int_value": "661084800"}},
            ],
            "ecommerce": {"transaction_id": "741471", "total_item_quantity": "2"},
            "items": [
                {"item_id": "9195231", "item_name": "Tee", "item_brand": "(not set)", "item_category": "Apparel",
                 "item_category2": "Tops", "price": 14.0, "price_in_usd": 17.0, "quantity": "2"},
                {"item_id": "9197439", "item_name": "Mug", "price_in_usd": 8.0, "quantity": 1},
            ],
        }));
        let mut records = RecordReader::new(RecordOptions::default());
        let entries: Vec<Entry> = rows.iter().flat_map(|row| row.entries(&mut records).unwrap()).collect();
        let Some(Entry::Item(tee)) = entries.first() else { panic!("{entries:?}") };
        assert_eq!(tee.category.as_ref().unwrap(), &["Apparel", "Tops"]);
        assert_eq!(tee.attributes, None);
        let events = entries.iter().filter_map(|entry| match entry {
            Entry::Event(event) => Some((
                event.value,
                event.currency.clone().unwrap(),
                event.basket.clone().unwrap().to_string(),
            )),
            _ => None,
        });
        let events: Vec<_> = events.collect();
        assert_eq!(
            events,
            [
                (Some(28.0), "EUR".to_owned(), "741471".to_owned()),
                (Some(8.0), "USD".to_owned(), "741471".to_owned()),
            ]
        );
        let Some(Entry::Event(first)) = entries.get(1) else { panic!("{entries:?}") };
        assert_eq!(first.occurred_at.to_string(), "2021-01-31T05:05:10.766593Z");
    }

    #[test]
    fn a_transaction_that_is_reported_twice_is_one_purchase() {
        let purchase = |at: i64| {
            json!({
                "event_timestamp": at, "event_name": "purchase", "user_pseudo_id": "1.2",
                "ecommerce": {"transaction_id": "T1"},
                "items": [{"item_id": "A", "price": 5}, {"item_id": "A", "price": 6}, {"item_id": "B", "price": 7}],
            })
        };
        let keys = |at: i64| {
            let mut records = RecordReader::new(RecordOptions::default());
            let entries: Vec<Entry> =
                rows(purchase(at)).iter().flat_map(|row| row.entries(&mut records).unwrap()).collect();
            let events = entries.into_iter().filter_map(|entry| match entry {
                Entry::Event(event) => Some(event),
                _ => None,
            });
            events.map(|event| records.new_event(event).key).collect::<Vec<_>>()
        };
        let first = keys(1_612_069_510_766_593);
        assert_eq!(first, keys(1_612_069_570_766_593));
        assert!(first[0] != first[1] && first[1] != first[2], "two lines of one item are two");
    }

    #[test]
    fn a_line_without_a_price_has_the_revenue_of_its_item() {
        let value = |name: &str, line: Value| {
            let record = json!({
                "event_timestamp": 1_612_069_510_766_593_i64, "event_name": name, "user_pseudo_id": "1.2",
                "event_params": [{"key": "currency", "value": {"string_value": "EUR"}}], "items": [line],
            });
            let mut records = RecordReader::new(RecordOptions::default());
            match rows(record)[0].entries(&mut records).unwrap().pop() {
                Some(Entry::Event(event)) => (event.value, event.currency),
                other => panic!("{other:?}"),
            }
        };
        let euros = |value: f64| (Some(value), Some("EUR".to_owned()));
        assert_eq!(
            value("purchase", json!({"item_id": "A", "quantity": 2, "item_revenue": 28.0})),
            euros(28.0)
        );
        assert_eq!(value("refund", json!({"item_id": "A", "quantity": 2, "item_refund": 14})), euros(14.0));
        let in_usd = value("purchase", json!({"item_id": "A", "item_revenue_in_usd": 31.5}));
        assert_eq!(in_usd, (Some(31.5), Some("USD".to_owned())));
        assert_eq!(
            value("purchase", json!({"item_id": "A", "price": 5, "quantity": 2, "item_revenue": 9})),
            euros(10.0)
        );
    }

    #[test]
    fn searches_have_their_words_and_other_events_are_named() {
        let search = rows(
            json!({"event_name": "view_search_results", "event_timestamp": 1612069510766593_i64,
            "user_pseudo_id": "1.2", "event_params": [{"key": "search_term", "value": {"string_value": "dive watch"}}]}),
        );
        assert_eq!(search[0].fields[&Field::Query], "dive watch");
        let unused = json!({"event_name": "scroll", "event_timestamp": 1});
        assert_eq!(translate(unused.as_object().unwrap()), Ok(Translation::Unused("scroll".into())));
        assert!(
            translate(json!({"event_name": "purchase", "event_timestamp": 1}).as_object().unwrap()).is_err()
        );
    }
}

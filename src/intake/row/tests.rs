use super::*;
use crate::forms::StatedForms;
use jiff::tz::TimeZone;
use tidings_core::event::EventLimits;

fn forms() -> Forms {
    Forms::stated(&StatedForms::default())
}

fn read_with(pairs: &[(Field, &'static str)], rules: &RowRules) -> Result<EventRecord, String> {
    let forms = forms();
    let mut times = TimeReader::new(forms.dates.clone(), TimeZone::UTC);
    event(&pairs.iter().copied().collect(), &forms, rules, &mut times, None, &[])
}

fn read(pairs: &[(Field, &'static str)]) -> Result<EventRecord, String> {
    read_with(pairs, &RowRules::default())
}

fn purchase(pairs: &[(Field, &'static str)]) -> Result<EventRecord, String> {
    let whole = [
        (Field::Kind, "buy"),
        (Field::BasketId, "o1"),
        (Field::ItemId, "2"),
        (Field::OccurredAt, "2020-01-01"),
    ];
    read(&whole.into_iter().chain(pairs.iter().copied()).collect::<Vec<_>>())
}

#[test]
fn an_event_id_gives_the_key_that_it_has_when_sent_live() {
    let raw: RawEvent = serde_json::from_str(
        r#"{"kind":"view","user_id":1,"item_id":2,"occurred_at":1600000000,"event_id":"e-7"}"#,
    )
    .unwrap();
    let limits = EventLimits::at(Timestamp::from_seconds(1_700_000_000));
    let live = raw.validate(None, &limits).unwrap();
    let imported = read(&[
        (Field::Kind, "view"),
        (Field::UserId, "1"),
        (Field::ItemId, "2"),
        (Field::OccurredAt, "1600000000"),
        (Field::EventId, "e-7"),
    ])
    .unwrap();
    assert_eq!(live, imported.clone().into_event());
    assert_eq!(imported.into_wire().validate(None, &limits), Ok(live));
}

#[test]
fn what_is_missing_is_named_and_null_is_missing() {
    let whole = [
        (Field::Kind, "purchase"),
        (Field::UserId, "1"),
        (Field::ItemId, "2"),
        (Field::OccurredAt, "2020-01-01"),
    ];
    assert!(read(&whole).is_ok());
    for (field, says) in [
        (Field::Kind, "kind"),
        (Field::UserId, "user_id"),
        (Field::ItemId, "item_id"),
        (Field::OccurredAt, "occurred_at"),
    ] {
        let rest: Vec<_> = whole.iter().copied().filter(|(other, _)| *other != field).collect();
        let error = read(&rest).unwrap_err();
        assert!(error.contains(says), "{error}");
        for blank in ["  ", "NULL", "None", "(not set)", "nan"] {
            let blank: Vec<_> = rest.iter().copied().chain([(field, blank)]).collect();
            assert_eq!(read(&blank).unwrap_err(), error);
        }
    }
}

#[test]
fn a_unit_price_becomes_the_value_of_all_units() {
    let event =
        purchase(&[(Field::Quantity, "3"), (Field::UnitPrice, "2.5"), (Field::Currency, "eur")]).unwrap();
    assert_eq!((event.value, event.currency.as_deref()), (Some(7.5), Some("EUR")));
    assert_eq!(event.user, None);
}

#[test]
fn the_price_in_a_row_about_a_purchase_is_what_was_paid() {
    let bought = purchase(&[(Field::Price, "349"), (Field::Quantity, "2")]).unwrap();
    assert_eq!((bought.value, bought.quantity), (Some(698.0), 2.0));
    let stated = purchase(&[(Field::Price, "349"), (Field::Value, "300")]).unwrap();
    assert_eq!(stated.value, Some(300.0));
    // To look at something costs nothing.
    let mut seen = [(Field::Kind, "view"), (Field::UserId, "1"), (Field::ItemId, "2")].to_vec();
    seen.extend([(Field::OccurredAt, "2020-01-01"), (Field::Price, "349")]);
    assert_eq!(read(&seen).unwrap().value, None);
    assert!(purchase(&[(Field::Price, "many")]).is_err());
}

#[test]
fn each_row_keeps_its_own_currency() {
    for (pairs, value, currency) in [
        (vec![(Field::Value, "25000"), (Field::Currency, "JPY")], 25_000.0, Some("JPY")),
        (vec![(Field::Value, "100.00 EUR")], 100.0, Some("EUR")),
        (vec![(Field::Value, "19,90 €")], 19.9, Some("EUR")),
        (vec![(Field::Value, "$12.50"), (Field::Currency, "CAD")], 12.5, Some("CAD")),
        (vec![(Field::Value, "$12.50")], 12.5, None),
    ] {
        let event = purchase(&pairs).unwrap();
        assert_eq!((event.value, event.currency.as_deref()), (Some(value), currency), "{pairs:?}");
    }
    let error = purchase(&[(Field::Value, "5 €"), (Field::Currency, "JPY")]).unwrap_err();
    assert!(error.contains("JPY") && error.contains("EUR"), "{error}");
}

#[test]
fn what_goes_back_is_written_with_a_minus_or_without() {
    for pairs in [
        vec![(Field::Value, "-19.90"), (Field::Quantity, "2")],
        vec![(Field::Value, "(19.90)"), (Field::Quantity, "-2")],
        vec![(Field::UnitPrice, "9.95"), (Field::Quantity, "-2")],
        vec![(Field::UnitPrice, "-9.95"), (Field::Quantity, "2")],
    ] {
        let mut row = pairs;
        row.extend([(Field::Kind, "refund"), (Field::UserId, "1"), (Field::ItemId, "2")]);
        row.push((Field::OccurredAt, "2020-01-01"));
        let event = read(&row).unwrap();
        assert_eq!(
            (event.kind, event.value, event.quantity),
            (EventKind::Return, Some(19.9), 2.0),
            "{row:?}"
        );
    }
    // Of a purchase it remains what it is: impossible.
    assert_eq!(purchase(&[(Field::Value, "-5")]).unwrap().value, Some(-5.0));
}

#[test]
fn a_currency_that_does_not_exist_is_refused() {
    for pairs in [vec![(Field::Value, "19.90 XYZ")], vec![(Field::Value, "19.90"), (Field::Currency, "XYZ")]]
    {
        let error = purchase(&pairs).unwrap_err();
        assert!(error.contains("XYZ"), "{error}");
    }
    assert_eq!(purchase(&[(Field::Value, "19.90 DEM")]).unwrap().currency.as_deref(), Some("DEM"));
}

#[test]
fn a_stock_that_is_no_whole_number_of_the_range_is_refused() {
    let stock = |text| {
        let row = Row::from([(Field::ItemId, "A1"), (Field::Stock, text)]);
        super::item(&row, &forms(), &[]).map(|item| item.unwrap().stock)
    };
    assert_eq!((stock("3"), stock("3.0"), stock("0")), (Ok(Some(3)), Ok(Some(3)), Ok(Some(0))));
    for text in ["3.7", "99999999999", "-1"] {
        let error = stock(text).unwrap_err();
        assert!(error.contains("stock") && error.contains("2147483647"), "{error}");
    }
}

#[test]
fn ratings_of_another_scale_become_stars() {
    let rules = RowRules {
        default_kind: Some(EventKind::Rate),
        scale: "1-10".parse().unwrap(),
        ..RowRules::default()
    };
    let mut row = [(Field::UserId, "1"), (Field::ItemId, "2"), (Field::OccurredAt, "2020-01-01")].to_vec();
    assert!(read_with(&row, &rules).unwrap_err().contains("stars"));
    row.push((Field::Value, "10"));
    assert_eq!(read_with(&row, &rules).unwrap().value, Some(5.0));
    assert_eq!(read_with(&row, &RowRules { scale: Scale::default(), ..rules }).unwrap().value, Some(10.0));
}

#[test]
fn an_item_is_read_from_the_fields_about_it() {
    let item = |row: &Row| super::item(row, &forms(), &[]);
    let row = Row::from([
        (Field::ItemId, "A1"),
        (Field::Title, " Dive  watch"),
        (Field::Category, "Watches > Dive"),
        (Field::Tags, "steel|blue"),
        (Field::Price, "99.5"),
        (Field::Currency, "EUR"),
    ]);
    let watch = item(&row).unwrap().unwrap();
    assert_eq!(watch.title.as_deref(), Some("Dive watch"));
    assert_eq!(watch.category.unwrap(), ["Watches", "Dive"]);
    assert_eq!(watch.tags.unwrap(), ["steel", "blue"]);
    assert_eq!((watch.price, watch.currency.as_deref()), (Some(99.5), Some("EUR")));
    assert_eq!(item(&Row::from([(Field::ItemId, "A1")])), Ok(None));
    assert_eq!(item(&Row::from([(Field::ItemId, "A1"), (Field::Title, "NULL")])), Ok(None));
    assert_eq!(item(&Row::from([(Field::ItemId, "nan"), (Field::Title, "Watch")])), Ok(None));
    assert!(item(&Row::from([(Field::ItemId, "A1"), (Field::Price, "-1")])).is_err());
}

#[test]
fn the_first_picture_counts_and_further_categories_are_tags() {
    let row = Row::from([
        (Field::ItemId, "A1"),
        (Field::Category, "Clothing > Tshirts, Clothing > Hoodies"),
        (Field::Tags, "cotton"),
        (Field::ImageUrl, "https://x.example/a.png, https://x.example/b.png"),
    ]);
    let item = super::item(&row, &forms(), &[]).unwrap().unwrap();
    assert_eq!(item.category.unwrap(), ["Clothing", "Tshirts"]);
    assert_eq!(item.tags.unwrap(), ["cotton", "Hoodies"]);
    assert_eq!(item.image_url.as_deref(), Some("https://x.example/a.png"));
}

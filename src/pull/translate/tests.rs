use super::*;
use jiff::tz::TimeZone;
use tidings_core::event::EventKind;

fn settings(map: &str, kind: Option<EventKind>, envelope: Envelope) -> RecordSettings {
    RecordSettings {
        envelope,
        layout: Layout::Own,
        kinds: Arc::default(),
        mapping: map.parse().unwrap(),
        kind,
        zone: TimeZone::UTC,
        time_of_record: false,
        max_age_days: 29,
        max_bytes: 1 << 20,
    }
}

fn record(text: &str) -> Record {
    Record {
        id: "orders/0/17".to_owned(),
        at: Some(Timestamp::from_seconds(1_700_000_000)),
        change: Change::New,
        content: Content::Text(text.as_bytes().to_vec()),
    }
}

fn refusal(settings: &RecordSettings, record: &Record) -> Result<Vec<Outgoing>, Refusal> {
    Translator::new("shop", settings).translate(record, Timestamp::from_seconds(1_700_000_100))
}

fn translate(settings: &RecordSettings, record: &Record) -> Result<Vec<Outgoing>, String> {
    refusal(settings, record).map_err(|refusal| refusal.to_string())
}

fn event(outgoing: &[Outgoing]) -> Value {
    let [Outgoing::Event { line, .. }] = outgoing else { panic!("{outgoing:?}") };
    serde_json::from_str(line).unwrap()
}

const VIEW: &str = r#"{"kind":"view","user_id":1,"item_id":2,"occurred_at":1699999999}"#;

#[test]
fn an_event_has_an_id_of_source_partition_and_offset() {
    let plain = settings("", None, Envelope::Plain);
    let event = event(&translate(&plain, &record(VIEW)).unwrap());
    assert_eq!(event["event_id"], "shop/orders/0/17");
    let long = Record { id: "x".repeat(200), ..record(VIEW) };
    let line = self::event(&translate(&plain, &long).unwrap());
    assert_eq!(line["event_id"].as_str().unwrap().len(), 36);
}

#[test]
fn the_shops_own_event_id_is_kept() {
    let text = r#"{"type":"buy","who":"ann","sku":"A","at":"2023-11-14T22:00:00Z","no":7}"#;
    let mapped =
        settings("kind=type,user_id=who,item_id=sku,occurred_at=at,event_id=no", None, Envelope::Plain);
    let event = event(&translate(&mapped, &record(text)).unwrap());
    assert_eq!((event["kind"].as_str(), event["event_id"].as_str()), (Some("purchase"), Some("7")));
}

#[test]
fn what_the_server_may_have_forgotten_is_refused() {
    let old = Record { at: Some(Timestamp::from_seconds(1_700_000_000 - 30 * 86_400)), ..record(VIEW) };
    let error = translate(&settings("", None, Envelope::Plain), &old).unwrap_err();
    assert!(error.contains("tidings import"), "{error}");
    assert!(matches!(refusal(&settings("", None, Envelope::Plain), &old), Err(Refusal::Past(_))));
    let gone = Record { content: Content::Gone("was deleted".to_owned()), ..old.clone() };
    assert!(matches!(refusal(&settings("", None, Envelope::Plain), &gone), Err(Refusal::Past(_))));
    // An item is put as often as one likes.
    let item = Record { content: Content::Text(br#"{"item_id":2,"title":"Watch"}"#.to_vec()), ..old };
    assert!(matches!(&*translate(&settings("", None, Envelope::Plain), &item).unwrap(), [Outgoing::Item(_)]));
}

#[test]
fn the_time_of_the_record_is_used_only_where_it_is_asked_for() {
    let text = r#"{"kind":"view","user_id":1,"item_id":2}"#;
    let mut settings = settings("", None, Envelope::Plain);
    assert!(translate(&settings, &record(text)).unwrap_err().contains("occurred_at"));
    settings.time_of_record = true;
    assert_eq!(event(&translate(&settings, &record(text)).unwrap())["occurred_at"], "2023-11-14T22:13:20Z");
}

#[test]
fn changes_of_debezium_are_taken_by_their_kind() {
    let events = settings(
        "user_id=customer,item_id=sku,occurred_at=at",
        Some(EventKind::Purchase),
        Envelope::Debezium,
    );
    let row = r#"{"customer":1,"sku":"A","at":1699999999000}"#;
    let insert = format!(r#"{{"schema":{{}},"payload":{{"op":"c","before":null,"after":{row}}}}}"#);
    assert_eq!(event(&translate(&events, &record(&insert)).unwrap())["kind"], "purchase");
    for text in [
        format!(r#"{{"op":"u","before":{row},"after":{row}}}"#),
        format!(r#"{{"op":"d","before":{row},"after":null}}"#),
        String::new(),
        r#"{"ts_ms":1}"#.to_owned(),
    ] {
        let outgoing = translate(&events, &record(&text)).unwrap();
        assert!(matches!(&*outgoing, [Outgoing::Skipped(_)]), "{text}: {outgoing:?}");
    }
    assert!(translate(&events, &record(VIEW)).unwrap_err().contains("Debezium"));
    let items = settings("item_id=sku,title=name", None, Envelope::Debezium);
    let item = translate(&items, &record(r#"{"op":"u","after":{"sku":"A","name":"Watch"}}"#)).unwrap();
    assert!(matches!(&*item, [Outgoing::Item(_)]), "{item:?}");
    let gone = translate(&items, &record(r#"{"op":"d","before":{"sku":"A"},"after":null}"#)).unwrap();
    assert!(matches!(&*gone, [Outgoing::DeletedItem(_)]), "{gone:?}");
}

#[test]
fn what_can_not_be_read_is_refused_with_the_reason() {
    let mut plain = settings("", None, Envelope::Plain);
    for (text, says) in
        [("nonsense", "not JSON"), ("[1]", "not an object"), (r#"{"colour":"red"}"#, "neither")]
    {
        let error = translate(&plain, &record(text)).unwrap_err();
        assert!(error.contains(says), "{text}: {error}");
    }
    plain.max_bytes = 64;
    assert!(
        translate(&plain, &record(&format!("\"{}\"", "x".repeat(64)))).unwrap_err().contains("max_bytes")
    );
}

#[test]
fn an_order_of_another_layout_is_a_line_for_each_product_and_puts_no_item() {
    let segment = RecordSettings { layout: Layout::Segment, ..settings("", None, Envelope::Plain) };
    let order = r#"{"type":"track","event":"Order Completed","userId":"ann","timestamp":"2023-11-14T22:00:00Z","properties":
        {"order_id":"o","currency":"EUR","products":[{"product_id":"A","name":"Watch","price":9.125,"quantity":2},
        {"product_id":"B","price":3}]}}"#;
    let outgoing = translate(&segment, &record(order)).unwrap();
    let events: Vec<Value> = outgoing.chunks(1).map(event).collect();
    let read = |field: &str| events.iter().map(|event| event[field].clone()).collect::<Vec<_>>();
    assert_eq!(read("item_id"), ["A", "B"]);
    assert_eq!(read("value"), [18.25, 3.0]);
    assert_eq!(read("event_id"), ["shop/orders/0/17/0", "shop/orders/0/17/1"]);
    let page = translate(&segment, &record(r#"{"type":"page","name":"Home"}"#)).unwrap();
    assert!(matches!(&*page, [Outgoing::Skipped(_)]), "{page:?}");
    let ga4 = RecordSettings { layout: Layout::Ga4, ..segment };
    let view = r#"{"event_name":"view_item","event_timestamp":"1699999999000000","user_pseudo_id":"7.1","items":[{"item_id":"A"}]}"#;
    let event = event(&translate(&ga4, &record(view)).unwrap());
    assert_eq!(
        (event["kind"].as_str(), event["event_id"].as_str()),
        (Some("view"), Some("shop/orders/0/17"))
    );
}

#[test]
fn kinds_of_the_shops_own_go_by_their_names() {
    let mut kinds = tidings_core::event::OwnKinds::default();
    kinds.add("share", tidings_core::event::OwnKind::new(100, 0.0, false), true);
    let own = RecordSettings { kinds: Arc::new(kinds), ..settings("", None, Envelope::Plain) };
    let share = VIEW.replace("view", "share");
    assert_eq!(event(&translate(&own, &record(&share)).unwrap())["kind"], "share");
    let error = translate(&own, &record(&VIEW.replace("view", "shaer"))).unwrap_err();
    assert!(error.contains("did you mean share?"), "{error}");
}

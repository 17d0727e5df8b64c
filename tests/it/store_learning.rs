//! The catalogue, feedback and its rates, decisions, models, features, jobs.

use serde_json::json;
use tidings::base::{EventKey, ExternalId, ItemId, Millis, ModelVersion, NotificationId, Timestamp, UserId};
use tidings::catalogue::Money;
use tidings::catalogue::{Item, NewItem};
use tidings::decide::record::{Inputs, TraceStep};
use tidings::event::{EventKind, NewEvent};
use tidings::notify::Priority;
use tidings::notify::policy::{Muted, PreferenceChange};
use tidings::response::Probabilities;
use tidings::store::acknowledgements::{self, Acknowledged};
use tidings::store::decisions::{self, DecisionFilter, DecisionRow, Trace};
use tidings::store::feedback::{self, FeedbackRow};
use tidings::store::jobs::{self, JobRow};
use tidings::store::notifications::NewNotification;
use tidings::store::{
    Connection, Fields, cleaning, decision_log, events, items, outcomes, preferences, server, timeline, users,
};
use uuid::Uuid;

use crate::helpers::database::TestDatabase;

pub const WINDOW: Millis = Millis::hours(72);

pub fn now() -> Timestamp {
    Timestamp::from_seconds(1_700_000_000)
}

pub fn new_item(json: serde_json::Value) -> NewItem {
    serde_json::from_value(json).unwrap()
}

pub fn upsert(conn: &mut Connection, items: &[NewItem]) -> Vec<Item> {
    items::upsert_at(conn, items, Timestamp::now()).unwrap().items
}

#[test]
fn an_absent_field_keeps_what_is_stored() {
    let database = TestDatabase::new();
    let mut conn = database.connection();
    let full = json!({"item_id": "A", "title": "Watch \"one\"", "category": ["Watches", "Dive"], "tags": [], "price": 9.5,
        "currency": "GBP", "stock": 3, "url": "/a", "image_url": "/a.svg", "attributes": {"brand": "Ö"}, "consumable": true});
    let batch =
        [new_item(full), new_item(json!({"item_id": 7})), new_item(json!({"item_id": "A", "stock": 2}))];
    let first = upsert(&mut conn, &batch);
    assert_eq!(first.len(), 3, "one answer for each, in order");
    assert_eq!(first[0], first[2], "of two with one id the later fields count");
    assert_eq!((first[0].stock, first[0].price), (Some(2), Some(9.5)));
    assert_eq!(first[0].category, ["Watches", "Dive"]);
    assert_eq!(first[0].attributes["brand"], "Ö");
    assert_eq!((first[1].title.clone(), first[1].external_id.clone()), (None, ExternalId::Integer(7)));
    let changed = upsert(&mut conn, &[new_item(json!({"item_id": "A", "price": 8}))]);
    assert_eq!((changed[0].price, changed[0].stock, changed[0].consumable), (Some(8.0), Some(2), true));
    assert_eq!(changed[0].title.as_deref(), Some("Watch \"one\""));
    assert_eq!(items::load_all(&mut conn).unwrap().len(), 2);
}

#[test]
fn many_new_items_are_told_as_they_are_stored() {
    let database = TestDatabase::new();
    let mut conn = database.connection();
    let bare = |id: i64| json!({"item_id": id});
    let full = |id: i64| {
        json!({"item_id": id, "title": format!("Uhr „{id}“"), "category": "Watches > Dive", "tags": ["ä", "b"], "price": 9.99,
            "currency": "EUR", "stock": 0, "url": "/a", "image_url": "/a.svg", "attributes": {"größe": "4\n", "a": "b"},
            "consumable": true})
    };
    let mut batch: Vec<NewItem> =
        (0..150).map(|id| new_item(if id % 3 == 0 { bare(id) } else { full(id) })).collect();
    batch.push(new_item(json!({"item_id": 4, "price": 5, "category": []})));
    let told = items::upsert_at(&mut conn, &batch, now()).unwrap();
    assert_eq!(told.items.len(), 151, "one answer for each, in order");
    assert_eq!((told.items[4].price, &told.items[4]), (Some(5.0), &told.items[150]));
    let mut by_id = told.items.clone();
    by_id.truncate(150);
    by_id.sort_by_key(|item| item.id);
    assert_eq!(by_id, items::load_all(&mut conn).unwrap());
    assert_eq!((told.prices.len(), database.count("SELECT count(*) AS n FROM item_prices")), (100, 100));
    let again = items::upsert_at(&mut conn, &batch, now()).unwrap();
    assert_eq!((again.items, again.prices.len()), (told.items, 0));
}

#[test]
fn a_deleted_item_is_gone_until_the_shop_names_it_again() {
    let database = TestDatabase::new();
    let mut conn = database.connection();
    let id = ExternalId::Integer(7);
    let item = upsert(&mut conn, &[NewItem::new(id.clone())]).remove(0);
    assert!(items::deactivate(&mut conn, &id).unwrap());
    assert!(!items::deactivate(&mut conn, &id).unwrap());
    assert!(items::load_all(&mut conn).unwrap().is_empty());
    assert_eq!(items::find(&mut conn, &id).unwrap(), Some(item.id));
    assert_eq!(upsert(&mut conn, &[NewItem::new(id)])[0], item);
    assert_eq!(items::load(&mut conn, &[item.id]).unwrap(), [item]);
}

fn message(number: u128, user: u32, item: u32, minutes: i64) -> NewNotification {
    NewNotification {
        notification_id: NotificationId(Uuid::from_u128(number)),
        user: UserId(user),
        offset: i64::try_from(number).unwrap(),
        kind: "recommendation".into(),
        category: "similar_items".into(),
        trigger: if number.is_multiple_of(2) { "view" } else { "login" }.into(),
        model_version: ModelVersion(i32::from(number > 2)),
        segment: (number != 1).then_some(1),
        items: vec![ItemId(item), ItemId(item + 1)],
        frame: "{}".into(),
        created_at: now() + Millis::seconds(minutes.unsigned_abs() * 60),
        expires_at: now() + Millis::hours(24),
        collapse_key: None,
        priority: Priority::default(),
        channel: tidings::notify::Channel::Socket,
        call: None,
    }
}

fn outcome(number: u128, outcome: i16) -> FeedbackRow {
    FeedbackRow {
        notification_id: NotificationId(Uuid::from_u128(number)),
        outcome,
        user: UserId(1),
        item: None,
        value: (outcome == 4).then_some(20.0),
        occurred_at: now(),
    }
}

#[test]
fn rates_count_each_message_once_over_all_and_by_group() {
    let database = TestDatabase::new();
    let mut conn = database.connection();
    assert_eq!(
        outcomes::rates(&mut conn, now(), WINDOW, Money::NONE).unwrap().overall,
        outcomes::Rates::default()
    );
    let messages: Vec<NewNotification> = (1..=4).map(|number| message(number, 1, 10, 0)).collect();
    decision_log::insert(&mut conn, &database.store, &messages, &[]).unwrap();
    let acknowledged = Acknowledged { user: UserId(1), up_to: 2, at: now() };
    acknowledgements::put(&mut conn, &[acknowledged]).unwrap();
    let batch = [outcome(1, 1), outcome(1, 2), outcome(1, 2), outcome(3, 3), outcome(1, 4)];
    assert_eq!(feedback::insert(&mut conn, &batch).unwrap(), [true, true, false, true, true]);
    assert_eq!(feedback::insert(&mut conn, &[outcome(1, 2), outcome(2, 5)]).unwrap(), [false, true]);

    let rates = outcomes::rates(&mut conn, now(), WINDOW, Money::NONE).unwrap();
    let (all, shares) = (&rates.overall.counts, &rates.overall);
    // 1 and 2 were acknowledged; 3 was dismissed, so it was delivered as well; 4 is on its way.
    assert_eq!((all.sent, all.delivered, all.displayed, all.clicked), (4, 3, 1, 1));
    assert_eq!((all.dismissed, all.muted, all.converted), (1, 1, 1));
    assert_eq!(shares.click_through_rate, Some(1.0 / 3.0));
    assert_eq!(shares.conversion_rate, Some(1.0 / 3.0));
    let named = |group: &[outcomes::NamedRates]| {
        group
            .iter()
            .map(|one| (one.name.clone(), one.rates.counts.sent, one.rates.counts.clicked))
            .collect::<Vec<_>>()
    };
    assert_eq!(named(&rates.by_kind), [("recommendation".into(), 4, 1)]);
    assert_eq!(named(&rates.by_trigger), [("login".into(), 2, 1), ("view".into(), 2, 0)]);
    assert_eq!(named(&rates.by_model), [("1".into(), 2, 0), ("none".into(), 2, 1)]);
    assert_eq!(named(&rates.by_segment), [("B".into(), 3, 0), ("none".into(), 1, 1)]);
    let later = outcomes::rates(&mut conn, now() + Millis::seconds(1), WINDOW, Money::NONE).unwrap();
    assert_eq!((later.overall.counts.sent, later.overall.click_through_rate), (0, None));
    let json = serde_json::to_value(&rates.by_segment[0]).unwrap();
    assert_eq!((json["name"].as_str(), json["sent"].as_i64()), (Some("B"), Some(3)));
}

fn traded(user: u32, item: u32, kind: EventKind, minutes: i64, value: f64) -> NewEvent {
    NewEvent {
        key: EventKey(Uuid::now_v7()),
        deduplicate: false,
        user: Some(ExternalId::Integer(i64::from(user))),
        item: Some(ExternalId::Integer(i64::from(item))),
        kind,
        occurred_at: Timestamp(now().0 + minutes * 60_000_000),
        dwell_ms: None,
        query: None,
        quantity: 1.0,
        value: Some(value),
        currency: Some("EUR".into()),
        basket: Some(5),
        list: None,
    }
}

#[test]
fn purchases_are_summed_by_message_and_returns_taken_off() {
    use EventKind::{Purchase, Return};
    let database = TestDatabase::new();
    let mut conn = database.connection();
    // So that inner ids are those that the events name.
    let ids: Vec<ExternalId> = (0..12).map(ExternalId::Integer).collect();
    for id in &ids {
        users::resolve(&mut conn, std::slice::from_ref(id)).unwrap();
        upsert(&mut conn, &[NewItem::new(id.clone())]);
    }
    let messages = [message(1, 1, 10, 0), message(2, 1, 10, 10), message(3, 2, 10, 0), message(4, 3, 10, 60)];
    decision_log::insert(&mut conn, &database.store, &messages, &[]).unwrap();
    // What clients say of it adds nothing to purchases on record, and counts where there is none.
    let claims = [outcome(1, 4), outcome(4, 4)];
    feedback::insert(&mut conn, &claims).unwrap();
    let batch = [
        traded(1, 10, Purchase, 5, 1.0),    // of message 1: the second was not sent yet
        traded(1, 10, Purchase, 30, 100.0), // of message 2, as both next
        traded(1, 11, Purchase, 30, 100.0),
        traded(1, 11, Purchase, 31, 100.0),
        traded(2, 10, Purchase, 20, 50.0), // sent back
        traded(2, 10, Return, 40, 50.0),
        traded(3, 10, Purchase, -1_140, 70.0), // twenty hours before its message
        traded(4, 10, Purchase, 20, 30.0),     // without a message
    ];
    // In any order of arrival.
    events::append(&mut conn, &Fields::default(), &batch.iter().rev().cloned().collect::<Vec<_>>()).unwrap();
    let rates = outcomes::rates(&mut conn, now(), WINDOW, Money::NONE).unwrap().overall.counts;
    // The claim about the last message is of a moment before it.
    assert_eq!((rates.converted, rates.revenue), (2, 301.0));
    let narrow =
        outcomes::rates(&mut conn, now(), Millis::seconds(60 * 15), Money::NONE).unwrap().overall.counts;
    assert_eq!((narrow.converted, narrow.revenue), (1, 1.0));
    let of = |user| {
        let moments = timeline::of(
            &mut database.connection(),
            &Fields::default(),
            UserId(user),
            now() + Millis::hours(9),
            50,
            WINDOW,
            Money::NONE,
        );
        let values = moments.unwrap().into_iter().filter_map(|moment| match moment.what {
            timeline::What::Feedback { value, .. } => value,
            _ => None,
        });
        values.sum::<f64>()
    };
    assert_eq!([of(1), of(2), of(3)], [301.0, 0.0, 0.0]);
}

#[test]
fn decisions_come_newest_first_and_by_user() {
    let database = TestDatabase::new();
    let mut conn = database.connection();
    let decision = |number: u128, user: u32, reasons: &[&str]| DecisionRow {
        decision_id: Uuid::from_u128(number),
        decided_at: now() + Millis::seconds(u64::try_from(number).unwrap()),
        user: UserId(user),
        trigger: "view".into(),
        category: "similar_items".into(),
        outcome: "defer".into(),
        reasons: reasons.iter().map(|reason| (*reason).to_owned()).collect(),
        notification_id: (number == 1).then(|| NotificationId(Uuid::from_u128(7))),
        model_version: ModelVersion(2),
        segment: None,
        items: if number == 1 { vec![] } else { vec![ItemId(3), ItemId(1)] },
        propensity: 1.0,
        until: (number == 2).then(now),
        expected: (number != 1).then_some(Probabilities { click: 0.25, purchase: 0.01, mute: 0.005 }),
        features: if number == 2 { vec![1.5, -0.1, 3e-7] } else { vec![] },
        trace: Trace {
            channel: "push".into(),
            campaign: "spring".into(),
            dedupe_key: Some(-7),
            policy_version: 3,
            holdout: number == 2,
            counted: number != 2,
            alternatives: vec!["a".into(), "b".into()],
            steps: vec![TraceStep {
                step: "consent".into(),
                verdict: "pass".into(),
                reason: "consented".into(),
                text: "consent: given, or not needed".into(),
            }],
            slice: if number == 2 { "holdout" } else { "ordinary" }.into(),
            variant: (number == 3).then(|| "warm".into()),
            variant_propensity: Some(0.25),
            arms: [("greeting".to_owned(), "warm".to_owned())].into(),
            inputs: Inputs { definitions: 7, catalogue: 3, learner: 2, draw: u64::MAX },
        },
        call: (number == 3).then(|| Uuid::from_u128(9)),
    };
    let rows =
        [decision(1, 1, &[]), decision(2, 2, &["quiet hours, until 07:00", "cap"]), decision(3, 1, &["x"])];
    // The second time after a commit whose answer was lost.
    for _ in 0..2 {
        decision_log::insert(&mut conn, &database.store, &[] as &[NewNotification], &rows).unwrap();
    }
    let mut read =
        |limit, user, after| decisions::recent(&mut conn, &DecisionFilter { limit, user, after }).unwrap();
    assert_eq!(read(2, None, None), [rows[2].clone(), rows[1].clone()]);
    assert_eq!(read(10, Some(UserId(1)), None), [rows[2].clone(), rows[0].clone()]);
    assert_eq!(read(10, None, Some(Uuid::from_u128(2))), [rows[2].clone()]);
}

#[test]
fn jobs_of_a_server_that_is_gone_have_failed() {
    let database = TestDatabase::new();
    let mut conn = database.connection();
    let job = |number: u128, state: &str| JobRow {
        job_id: Uuid::from_u128(number),
        kind: "train".into(),
        state: state.into(),
        stage: "read".into(),
        progress: 0.25,
        message: None,
        created_at: now() + Millis::seconds(u64::try_from(number).unwrap()),
        finished_at: None,
    };
    jobs::save(&mut conn, &job(1, "queued")).unwrap();
    jobs::save(&mut conn, &JobRow { progress: 1.0, finished_at: Some(now()), ..job(1, "succeeded") })
        .unwrap();
    jobs::save(&mut conn, &job(2, "running")).unwrap();
    assert_eq!(jobs::fail_unfinished(&mut conn, now()).unwrap(), 1);
    let state =
        |conn: &mut Connection, number| jobs::find(conn, Uuid::from_u128(number)).unwrap().unwrap().state;
    assert_eq!((state(&mut conn, 1), state(&mut conn, 2)), ("succeeded".into(), "failed".into()));
    assert_eq!(jobs::find(&mut conn, Uuid::from_u128(1)).unwrap().unwrap().finished_at, Some(now()));
    assert_eq!(jobs::find(&mut conn, Uuid::from_u128(3)).unwrap(), None);
}

#[test]
fn preferences_reports_and_the_epoch_are_kept() {
    let database = TestDatabase::new();
    let mut conn = database.connection();
    let user = users::resolve(&mut conn, &[ExternalId::Integer(1)]).unwrap()[0];
    let change = |at, zone: &str| PreferenceChange {
        time_zone: Some(zone.to_owned()),
        ..PreferenceChange::mute(at, Muted::Category("cart_reminder".to_owned()))
    };
    let early = now().plus_days(-1.0);
    preferences::change(&mut conn, user, &change(early, "Asia/Tokyo")).unwrap();
    let stored = preferences::get(&mut conn, user).unwrap();
    assert_eq!(
        (stored.muted.as_slice(), stored.time_zone.as_deref()),
        (&["cart_reminder".to_owned()][..], Some("Asia/Tokyo"))
    );
    // Not dated by when it was stored: the next one was made before that.
    preferences::change(&mut conn, user, &change(early, "Asia/Kolkata")).unwrap();
    assert_eq!(preferences::get(&mut conn, user).unwrap().time_zone.as_deref(), Some("Asia/Kolkata"));
    preferences::put(&mut conn, user, &Default::default()).unwrap();
    // A change from before the document was replaced mutes, and that is all.
    preferences::change(&mut conn, user, &change(early, "Asia/Tokyo")).unwrap();
    let stored = preferences::get(&mut conn, user).unwrap();
    assert_eq!((stored.muted.as_slice(), stored.time_zone), (&["cart_reminder".to_owned()][..], None));
    preferences::put(&mut conn, user, &Default::default()).unwrap();
    assert_eq!(preferences::get(&mut conn, user).unwrap(), Default::default());
    let report = cleaning::NewCleaning {
        source: "csv x".into(),
        rows_read: 10,
        rows_kept: 9,
        steps: json!([{"step": "duplicates", "dropped": 1}]),
    };
    cleaning::insert(&mut conn, &report).unwrap();
    assert_eq!(cleaning::recent(&mut conn, 5).unwrap()[0].report, report);
    let epoch = server::epoch(&mut conn).unwrap();
    assert_eq!(epoch.len(), 12);
    let other = TestDatabase::empty();
    other.store.migrate().unwrap();
    assert_ne!(epoch, server::epoch(&mut other.connection()).unwrap());
}

#[actix_web::test]
async fn work_waits_for_a_connection_and_a_panic_does_not_lose_one() {
    let database = TestDatabase::new();
    for _ in 0..8 {
        let lost = database.store.run(|_| -> Result<(), _> { panic!("on purpose") }).await;
        assert!(lost.is_err());
    }
    let counts = (0..16).map(|_| database.store.run(users::count));
    for count in futures_util::future::join_all(counts).await {
        assert_eq!(count.unwrap(), 0);
    }
}

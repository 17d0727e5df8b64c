//! The simulated shop in a real database.

use tidings::app::demo::{self, DemoSize};
use tidings::base::{ExternalId, Timestamp};
use tidings::catalogue::NewItem;
use tidings::store::{cleaning, events, items, users};

use crate::helpers::database::TestDatabase;

const SIZE: DemoSize = DemoSize { seed: 1, n_items: 240, n_shoppers: 120 };

fn count_events(database: &TestDatabase) -> usize {
    let mut n = 0;
    let each = |_| {
        n += 1;
        std::ops::ControlFlow::Continue(())
    };
    events::for_each(&mut database.connection(), each).unwrap();
    n
}

#[test]
fn a_demo_shop_is_loaded_once_with_its_cleaning_told() {
    let database = TestDatabase::new();
    let mut heard = Vec::new();
    let now = Timestamp::now();
    let first =
        demo::load_sized(&database.store, SIZE, now, &mut |step, done| heard.push((step, done))).unwrap();
    assert!(!first.was_there());
    assert!(heard.iter().any(|(step, done)| *step == "store" && *done >= 1.0), "{heard:?}");
    let conn = &mut database.connection();
    let catalogue = items::load_all(conn).unwrap();
    assert_eq!(catalogue.len(), 240);
    assert_eq!(catalogue[0].external_id, ExternalId::Integer(101));
    assert!(catalogue.iter().all(|item| item.title.is_some() && item.image_url.is_some()));
    assert_eq!(users::robots(conn).unwrap().len(), 3);
    assert_eq!(users::count(conn).unwrap(), 123);
    let stored = count_events(&database);
    assert!(stored > 120 * 60 && stored as u64 <= first.events, "{stored} of {}", first.events);
    let report = &cleaning::recent(conn, 10).unwrap()[0].report;
    assert_eq!(report.rows_kept, first.events as i64);

    // A later start finds it.
    let later = now.plus_days(2.0);
    let second = demo::load_sized(&database.store, SIZE, later, &mut |_, _| panic!("nothing to do")).unwrap();
    assert!(second.was_there());
    assert_eq!(count_events(&database), stored);
}

#[test]
fn the_catalogue_of_somebody_else_is_left_alone() {
    let database = TestDatabase::new();
    let theirs = NewItem { title: Some("Theirs".to_owned()), ..NewItem::new(ExternalId::Integer(101)) };
    items::upsert(&mut database.connection(), &[theirs]).unwrap();
    let error = demo::load_sized(&database.store, SIZE, Timestamp::now(), &mut |_, _| {}).unwrap_err();
    assert!(error.to_string().contains("another catalogue"), "{error}");
    assert_eq!(count_events(&database), 0);
}

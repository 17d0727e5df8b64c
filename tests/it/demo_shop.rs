//! The simulated shop in a real database.

use tidings::base::{ExternalId, ItemId, Timestamp};
use tidings::catalogue::NewItem;
use tidings::demo::shop::FIRST_ITEM;
use tidings::demo::{self, DemoSize, Shop};
use tidings::event::EventKind;
use tidings::ml::threads::Threads;
use tidings::recommend::models::association_rules::{AssociationRules, RuleParameters};
use tidings::recommend::models::frequent_itemsets::{ItemsetParameters, mine};
use tidings::recommend::models::purchase_baskets::purchase_baskets;
use tidings::store::{cleaning, events, items, robots, users};

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
    assert!(first.cleaning.is_some());
    assert!(heard.iter().any(|(step, done)| *step == "store" && *done >= 1.0), "{heard:?}");
    let conn = &mut database.connection();
    let catalogue = items::load_all(conn).unwrap();
    assert_eq!(catalogue.len(), 240);
    assert_eq!(catalogue[0].external_id, ExternalId::Integer(101));
    assert!(catalogue.iter().all(|item| item.title.is_some() && item.image_url.is_some()));
    assert_eq!(robots::list(conn, "", 10).unwrap().len(), 3);
    assert_eq!(users::count(conn).unwrap(), 123);
    let stored = count_events(&database);
    assert!(stored > 120 * 60 && stored as u64 <= first.events, "{stored} of {}", first.events);
    let report = &cleaning::recent(conn, 10).unwrap()[0].report;
    assert_eq!(report.rows_kept, first.events as i64);

    // A later start finds it.
    let later = now.plus_days(2.0);
    let second = demo::load_sized(&database.store, SIZE, later, &mut |_, _| panic!("nothing to do")).unwrap();
    assert_eq!((second.events, second.cleaning), (0, None));
    assert_eq!(count_events(&database), stored);
}

/// What was planted is found: a watch and its strap, not chance.
#[test]
fn things_and_their_companions_become_association_rules() {
    let database = TestDatabase::new();
    let size = DemoSize { seed: 1, n_items: 240, n_shoppers: 600 };
    demo::load_sized(&database.store, size, Timestamp::now(), &mut |_, _| {}).unwrap();
    let conn = &mut database.connection();
    let mut bought = Vec::new();
    let purchases = |event: tidings::event::Event| {
        if event.kind == EventKind::Purchase {
            bought.push(event);
        }
        std::ops::ControlFlow::Continue(())
    };
    events::for_each(conn, purchases).unwrap();
    let baskets = purchase_baskets(&bought);
    let threads = Threads::new(2).unwrap();
    let go_on = |_| std::ops::ControlFlow::Continue(());
    let itemsets = mine(&baskets, &ItemsetParameters::default(), &threads, go_on).unwrap();
    let rules = AssociationRules::new(&itemsets, &RuleParameters::default());
    let shop = Shop::generate(size.seed, size.n_items).unwrap();
    let items = items::load_all(conn).unwrap();
    let index = |item: ItemId| {
        let known = items.iter().find(|known| known.id == item).unwrap();
        let ExternalId::Integer(id) = known.external_id else { panic!("{known:?}") };
        (id - FIRST_ITEM) as usize
    };
    let planted = rules
        .rules()
        .iter()
        .filter(|rule| {
            let ([a], [b]) = (&*rule.antecedent, &*rule.consequent) else { return false };
            let (a, b) = (index(*a), index(*b));
            shop.companions[a] == Some(b) || shop.companions[b] == Some(a)
        })
        .count();
    println!("{} rules, {planted} of them planted", rules.rules().len());
    assert!(planted >= 60, "{planted} of {}", rules.rules().len());
    assert!(planted * 3 > rules.rules().len(), "{planted} of {}", rules.rules().len());
    assert!(rules.rules().iter().any(|rule| rule.lift > 5.0 && rule.confidence > 0.2));
}

#[test]
fn the_catalogue_of_somebody_else_is_left_alone() {
    let database = TestDatabase::new();
    let theirs = NewItem { title: Some("Theirs".to_owned()), ..NewItem::new(ExternalId::Integer(101)) };
    items::upsert_at(&mut database.connection(), &[theirs], Timestamp::now()).unwrap();
    let error = demo::load_sized(&database.store, SIZE, Timestamp::now(), &mut |_, _| {}).unwrap_err();
    assert!(error.to_string().contains("another catalogue"), "{error}");
    assert_eq!(count_events(&database), 0);
}

//! Half a million real purchases, when the data is there: trained, measured, and judged by the words of the titles.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use tidings::base::{ExternalId, ItemId, Timestamp, UserId};
use tidings::catalogue::{Catalogue, Item};
use tidings::evaluate::train_and_evaluate;
use tidings::event::{Event, EventKind};
use tidings::profile::Profile;
use tidings::recommend::serve::placement::Wants;
use tidings::recommend::serve::selection::Selection;
use tidings::recommend::train::{TrainingData, TrainingParameters};
use tidings::recommend::{ModelSet, Reason, Recommendation, Request};

use crate::models_data;

struct Shop {
    data: TrainingData,
    catalogue: Catalogue,
    users: HashMap<String, UserId>,
    items: HashMap<String, ItemId>,
}

/// Product codes only (five digits and letters); C invoices are returns; no customer = an anonymous basket.
fn load() -> Option<Shop> {
    let text = models_data::read("online-retail/online_retail.csv.gz")?;
    let mut shop = Shop {
        data: TrainingData::default(),
        catalogue: Catalogue::default(),
        users: HashMap::new(),
        items: HashMap::new(),
    };
    let mut titles: HashMap<ItemId, String> = HashMap::new();
    for record in csv::Reader::from_reader(text.as_bytes()).records() {
        let record = record.unwrap();
        let code = record[1].trim().to_uppercase();
        if code.len() < 5 || !code.bytes().take(5).all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let (quantity, price): (f64, f64) = (record[3].parse().unwrap(), record[5].parse().unwrap());
        if price <= 0.0 || quantity == 0.0 {
            continue;
        }
        let next = shop.items.len() as u32;
        let item = *shop.items.entry(code).or_insert(ItemId(next));
        if !record[2].is_empty() {
            titles.insert(item, record[2].to_owned());
        }
        let user = (!record[6].is_empty()).then(|| {
            let next = shop.users.len() as u32;
            *shop.users.entry(record[6].trim_end_matches(".0").to_owned()).or_insert(UserId(next))
        });
        let invoice: i64 = record[0].trim_start_matches(|c: char| !c.is_ascii_digit()).parse().unwrap();
        shop.data.events.push(Event {
            occurred_at: Timestamp::parse(&format!("{}Z", record[4].replace(' ', "T"))).unwrap(),
            user,
            item: Some(item),
            kind: if quantity > 0.0 { EventKind::Purchase } else { EventKind::Return },
            dwell_ms: None,
            quantity: quantity.abs() as f32,
            value: Some(quantity.abs() * price),
            currency: None,
            basket: Some(invoice),
        });
    }
    shop.data.events.sort_by_key(|event| event.occurred_at);
    shop.data.n_users = shop.users.len();
    shop.catalogue = Catalogue::from_items(shop.items.iter().map(|(code, id)| Item {
        id: *id,
        external_id: ExternalId::parse(code).unwrap(),
        title: titles.get(id).cloned(),
        category: Vec::new(),
        tags: Vec::new(),
        price: None,
        currency: None,
        stock: None,
        url: None,
        image_url: None,
        attributes: Default::default(),
        consumable: false,
        local: None,
        created_at: Timestamp(0),
    }));
    Some(shop)
}

fn show(what: &str, list: &[Recommendation], catalogue: &Catalogue) {
    println!("-- {what}");
    for known in list {
        let title = catalogue.get(known.item).unwrap().name();
        println!("   {:.3} {title} ({})", known.score.get(), known.reason.text(catalogue));
    }
}

#[test]
fn half_a_million_real_purchases() {
    let Some(shop) = load() else { return models_data::absent("online-retail") };
    let now = shop.data.events.last().unwrap().occurred_at;
    let started = Instant::now();
    let mut stages: Vec<(&str, Duration)> = Vec::new();
    let mut longest = Duration::ZERO;
    let mut last = started;
    let trained = train_and_evaluate(
        &shop.data,
        &shop.catalogue,
        now,
        &TrainingParameters::default(),
        &mut |stage, _| {
            longest = longest.max(last.elapsed());
            last = Instant::now();
            if stages.last().is_none_or(|(name, _)| *name != stage.name()) {
                stages.push((stage.name(), started.elapsed()));
            }
            ControlFlow::Continue(())
        },
    )
    .unwrap();
    println!(
        "{} events, {} users, {} items",
        shop.data.events.len(),
        shop.data.n_users,
        shop.catalogue.len()
    );
    println!("trained in {:?}; stages began {stages:?}; longest silence {longest:?}", started.elapsed());
    println!("rule {:?}\nmetrics {:#?}", trained.model.ensemble().ranker(), trained.metrics);
    for summary in trained.model.segmentation.as_ref().unwrap().summaries() {
        println!("{summary:?}");
    }

    let metrics = &trained.metrics;
    // Half of the users held out: the other half taught the rule.
    assert!(metrics["users"] > 250.0);
    for single in ["popularity", "item_knn", "content"] {
        assert!(
            metrics["ndcg@10"] >= 0.95 * metrics[&format!("{single}.ndcg@10")],
            "{single} alone is better"
        );
    }
    assert!(metrics["ndcg@10"] > 0.06, "{}", metrics["ndcg@10"]);

    let encoded = Instant::now();
    let bytes = trained.model.encode().unwrap();
    let encoded = encoded.elapsed();
    let loading = Instant::now();
    let model = ModelSet::decode(&bytes).unwrap();
    println!("artefact {} KB, written in {encoded:?}, loaded in {:?}", bytes.len() / 1024, loading.elapsed());
    assert_eq!(model, trained.model);

    let mut profiles = vec![Profile::default(); shop.data.n_users];
    for event in &shop.data.events {
        if let Some(user) = event.user {
            profiles[user.index()].apply(event, &shop.catalogue);
        }
    }
    let memory: usize = profiles.iter().map(Profile::memory).sum();
    println!("profiles: {} bytes each in the mean", memory / profiles.len());
    // The features of training are those of the live fold.
    for (user, features, segment) in &trained.features {
        assert_eq!(
            *features,
            profiles[user.index()].features(model.observed.context(None, now, shop.catalogue.money()))
        );
        assert_eq!(*segment, model.segment(features));
    }

    let request = |user: UserId, n: usize| {
        let profile = &profiles[user.index()];
        let segment = model.segment(&profile.features(now));
        Request { segment, ..Request::new(profile, &shop.catalogue, now, n) }
    };
    let mut took: Vec<Duration> = (0..shop.data.n_users as u32)
        .map(|user| {
            let started = Instant::now();
            let list = model.recommend(&request(UserId(user), 10));
            let took = started.elapsed();
            assert_eq!(list.len(), 10);
            took
        })
        .collect();
    took.sort();
    println!(
        "recommend: p50 {:?}, p99 {:?}, max {:?}",
        took[took.len() / 2],
        took[took.len() * 99 / 100],
        took[took.len() - 1]
    );

    let user = shop.users["17850"];
    let list = model.recommend(&request(user, 10));
    show("customer 17850", &list, &shop.catalogue);
    assert!(list.iter().all(|known| !profiles[user.index()].has_bought(known.item)));
    let both = Selection { wants: Some(Wants::Both), ..Selection::NONE };
    let list = model.recommend(&Request { selection: &both, ..request(user, 10) });
    show("customer 17850, with what is due again", &list, &shop.catalogue);
    let again = |known: &Recommendation| matches!(known.reason, Reason::BuyAgain(_));
    assert!(list.iter().all(|known| again(known) || !profiles[user.index()].has_bought(known.item)));
    let holder = shop.items["85123A"];
    let stranger = Profile::default();
    let similar = model.similar(
        holder,
        &Request { seed: Some(holder), ..Request::new(&stranger, &shop.catalogue, now, 10) },
    );
    show("similar to 85123A", &similar.items, &shop.catalogue);
    for code in ["85123A", "22423", "84879", "22086"] {
        let mut viewer = profiles[user.index()].clone();
        viewer.apply(
            &Event { kind: EventKind::View, item: Some(shop.items[code]), ..shop.data.events[0] },
            &shop.catalogue,
        );
        let seed = Some(shop.items[code]);
        let list = model.recommend(&Request { profile: &viewer, seed, ..request(user, 6) });
        show(
            &format!("17850 views {}", shop.catalogue.get(shop.items[code]).unwrap().name()),
            &list,
            &shop.catalogue,
        );
        let list = model.recommend(&Request { profile: &stranger, segment: None, seed, ..request(user, 6) });
        show("a stranger views it", &list, &shop.catalogue);
    }
    show(
        "a stranger",
        &model.recommend(&Request { profile: &stranger, segment: None, ..request(user, 6) }),
        &shop.catalogue,
    );
    let alike = similar
        .items
        .iter()
        .filter(|known| {
            let title = shop.catalogue.get(known.item).unwrap().name();
            ["HEART", "T-LIGHT", "HOLDER", "LANTERN", "CANDLE"].iter().any(|word| title.contains(word))
        })
        .count();
    assert!(alike >= 7, "only {alike} of 10 would be called similar");
}

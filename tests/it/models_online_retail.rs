//! Half a million real purchases, when the data is there: trained, measured, and judged by the words of the titles.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use tidings::base::{ExternalId, ItemId, Timestamp, UserId};
use tidings::catalogue::{Catalogue, Item};
use tidings::evaluate::train_and_evaluate;
use tidings::event::{Event, EventKind};
use tidings::ml::metrics::Metrics;
use tidings::profile::Profile;
use tidings::recommend::serve::placement::Wants;
use tidings::recommend::serve::selection::Selection;
use tidings::recommend::train::{Stage, Trained, TrainingData, TrainingParameters};
use tidings::recommend::{ModelSet, Reason, Recommendation, Request};

use crate::models_data;

struct Shop {
    data: TrainingData,
    catalogue: Catalogue,
    users: HashMap<String, UserId>,
    items: HashMap<String, ItemId>,
}

impl Shop {
    fn now(&self) -> Timestamp {
        self.data.events.last().unwrap().occurred_at
    }
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
    let trained = train(&shop);
    assert_ensemble_is_no_worse_than_its_members(&trained.metrics);
    let model = stored_and_read(&trained.model);
    let profiles = profiles(&shop);
    // The features of training are those of the live fold.
    for (user, features, segment) in &trained.features {
        let context = model.observed.context(None, shop.now(), shop.catalogue.money());
        assert_eq!(*features, profiles[user.index()].features(context));
        assert_eq!(*segment, model.segment(features));
    }
    let counter = Counter { shop: &shop, model: &model, profiles: &profiles };
    counter.serve_everybody();
    counter.serve_a_customer();
    counter.serve_viewers();
    counter.serve_similar();
}

fn train(shop: &Shop) -> Trained {
    let started = Instant::now();
    let mut stages: Vec<(&str, Duration)> = Vec::new();
    let mut longest = Duration::ZERO;
    let mut last = started;
    let mut hear = |stage: Stage, _: f32| {
        longest = longest.max(last.elapsed());
        last = Instant::now();
        if stages.last().is_none_or(|(name, _)| *name != stage.name()) {
            stages.push((stage.name(), started.elapsed()));
        }
        ControlFlow::Continue(())
    };
    let parameters = TrainingParameters::default();
    let trained =
        train_and_evaluate(&shop.data, &shop.catalogue, shop.now(), &parameters, &mut hear).unwrap();
    let (events, users, items) = (shop.data.events.len(), shop.data.n_users, shop.catalogue.len());
    println!("{events} events, {users} users, {items} items");
    println!("trained in {:?}; stages began {stages:?}; longest silence {longest:?}", started.elapsed());
    println!("rule {:?}\nmetrics {:#?}", trained.model.ensemble().ranker(), trained.metrics);
    for summary in trained.model.segmentation.as_ref().unwrap().summaries() {
        println!("{summary:?}");
    }
    trained
}

fn assert_ensemble_is_no_worse_than_its_members(metrics: &Metrics) {
    // Half of the users held out: the other half taught the rule.
    assert!(metrics["users"] > 250.0);
    for single in ["popularity", "item_knn", "content"] {
        assert!(
            metrics["ndcg@10"] >= 0.95 * metrics[&format!("{single}.ndcg@10")],
            "{single} alone is better"
        );
    }
    assert!(metrics["ndcg@10"] > 0.06, "{}", metrics["ndcg@10"]);
}

/// The model as its artefact gives it back.
fn stored_and_read(trained: &ModelSet) -> ModelSet {
    let encoded = Instant::now();
    let bytes = trained.encode().unwrap();
    let encoded = encoded.elapsed();
    let loading = Instant::now();
    let model = ModelSet::decode(&bytes).unwrap();
    println!("artefact {} KB, written in {encoded:?}, loaded in {:?}", bytes.len() / 1024, loading.elapsed());
    assert_eq!(model, *trained);
    model
}

/// Profiles of all users, folded event by event.
fn profiles(shop: &Shop) -> Vec<Profile> {
    let mut profiles = vec![Profile::default(); shop.data.n_users];
    for event in &shop.data.events {
        if let Some(user) = event.user {
            profiles[user.index()].apply(event, &shop.catalogue);
        }
    }
    let memory: usize = profiles.iter().map(Profile::memory).sum();
    println!("profiles: {} bytes each in the mean", memory / profiles.len());
    profiles
}

/// Lists of the trained model for users of the shop.
struct Counter<'a> {
    shop: &'a Shop,
    model: &'a ModelSet,
    profiles: &'a [Profile],
}

impl Counter<'_> {
    fn request(&self, user: UserId, n: usize) -> Request<'_> {
        let profile = &self.profiles[user.index()];
        let segment = self.model.segment(&profile.features(self.shop.now()));
        Request { segment, ..Request::new(profile, &self.shop.catalogue, self.shop.now(), n) }
    }

    fn customer(&self) -> UserId {
        self.shop.users["17850"]
    }

    fn serve_everybody(&self) {
        let mut took: Vec<Duration> = (0..self.shop.data.n_users as u32)
            .map(|user| {
                let started = Instant::now();
                let list = self.model.recommend(&self.request(UserId(user), 10));
                let took = started.elapsed();
                assert_eq!(list.len(), 10);
                took
            })
            .collect();
        took.sort();
        let n = took.len();
        println!("recommend: p50 {:?}, p99 {:?}, max {:?}", took[n / 2], took[n * 99 / 100], took[n - 1]);
    }

    /// With and without what is due again.
    fn serve_a_customer(&self) {
        let user = self.customer();
        let has_bought = |known: &Recommendation| self.profiles[user.index()].has_bought(known.item);
        let list = self.model.recommend(&self.request(user, 10));
        show("customer 17850", &list, &self.shop.catalogue);
        assert!(!list.iter().any(has_bought));
        let both = Selection { wants: Some(Wants::Both), ..Selection::NONE };
        let list = self.model.recommend(&Request { selection: &both, ..self.request(user, 10) });
        show("customer 17850, with what is due again", &list, &self.shop.catalogue);
        let again = |known: &Recommendation| matches!(known.reason, Reason::BuyAgain(_));
        assert!(list.iter().all(|known| again(known) || !has_bought(known)));
    }

    /// The customer and a stranger while they look at an item; printed, for a human to judge.
    fn serve_viewers(&self) {
        let (user, stranger) = (self.customer(), Profile::default());
        let catalogue = &self.shop.catalogue;
        for code in ["85123A", "22423", "84879", "22086"] {
            let item = self.shop.items[code];
            let mut viewer = self.profiles[user.index()].clone();
            let view = Event { kind: EventKind::View, item: Some(item), ..self.shop.data.events[0] };
            viewer.apply(&view, catalogue);
            let seed = Some(item);
            let list = self.model.recommend(&Request { profile: &viewer, seed, ..self.request(user, 6) });
            show(&format!("17850 views {}", catalogue.get(item).unwrap().name()), &list, catalogue);
            let request = Request { profile: &stranger, segment: None, seed, ..self.request(user, 6) };
            show("a stranger views it", &self.model.recommend(&request), catalogue);
        }
        let request = Request { profile: &stranger, segment: None, ..self.request(user, 6) };
        show("a stranger", &self.model.recommend(&request), catalogue);
    }

    fn serve_similar(&self) {
        let (holder, stranger) = (self.shop.items["85123A"], Profile::default());
        let catalogue = &self.shop.catalogue;
        let request = Request::new(&stranger, catalogue, self.shop.now(), 10);
        let similar = self.model.similar(holder, &Request { seed: Some(holder), ..request });
        show("similar to 85123A", &similar.items, catalogue);
        let is_alike = |known: &&Recommendation| {
            let title = catalogue.get(known.item).unwrap().name();
            ["HEART", "T-LIGHT", "HOLDER", "LANTERN", "CANDLE"].iter().any(|word| title.contains(word))
        };
        let alike = similar.items.iter().filter(is_alike).count();
        assert!(alike >= 7, "only {alike} of 10 would be called similar");
    }
}

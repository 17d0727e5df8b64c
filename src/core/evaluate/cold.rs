//! Cold start, measured: items that nobody touched before, found by text and attributes alone, and users known by one event. What
//! is held out is left out of the training whole; the model is trained and its blend learnt as for serving, and asked for
//! lists of the whole catalogue.

use std::collections::{BTreeMap, HashSet};

use rand::seq::SliceRandom;

use crate::base::{ItemId, Timestamp, UserId, random};
use crate::catalogue::Catalogue;
use crate::event::Event;
use crate::ml::metrics::Metrics;
use crate::ml::threads::Threads;
use crate::profile::interest;
use crate::recommend::ensemble::{BaseModel, Ranker, SideFeature};
use crate::recommend::serve::user_scores::only;
use crate::recommend::train::{Progress, Stage, TrainError, TrainingData, TrainingParameters};
use crate::recommend::{ModelSet, Request};

use super::backtest::train_and_evaluate;
use super::measure::{Setting, each};
use super::ranking::Tally;
use super::split::{self, Case};

/// Share of the items that are made cold beside those that are new by themselves.
const ITEM_SHARE: f64 = 0.2;
/// Share of the users with several items who are made cold.
const USER_SHARE: f64 = 0.1;

/// Side of the table that is held out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cold {
    /// A fifth of the items, in training without any event, and those first seen in the held-out part of time.
    Items,
    /// A tenth of the users, known by their first event.
    Users,
}

/// Training part of the data, and the cases that are held out.
struct HoldOut {
    train: Vec<Event>,
    /// Events that users are known by when asked.
    known: Vec<Event>,
    cases: Vec<Case>,
    /// Items without events; empty for cold users.
    items: HashSet<u32>,
}

/// Trains without the cold part and measures lists of all items: `ndcg@k`, `recall@k`, `hit_rate@k`, `mrr@k`, `coverage@k` of the
/// served blend, `content.…` and `popularity.…` of one column alone, and `users`. Of cold items also `among_cold.…` and
/// `among_cold.content.…`, where only cold items are ranked, and `cold_items`, their number. Where items have embeddings, `embedding.…` and
/// `among_cold.embedding.…` as well. Errors: nothing to ask about.
pub fn measure(
    data: &TrainingData,
    catalogue: &Catalogue,
    cold: Cold,
    parameters: &TrainingParameters,
    ks: &[usize],
    progress: &mut Progress<'_>,
) -> Result<Metrics, TrainError> {
    let held = match cold {
        Cold::Items => HoldOut::items(data, catalogue, parameters),
        Cold::Users => HoldOut::users(data, parameters),
    };
    if held.cases.is_empty() || held.train.is_empty() {
        let (items, users) = ("users who turn to an item without history", "users with several items");
        return Err(TrainError::NotEnoughData {
            needs: if cold == Cold::Items { items } else { users },
            has: format!("none of them among {} events", data.events.len()),
        });
    }
    let now = held.train.last().map_or(Timestamp(0), |event| event.occurred_at);
    let HoldOut { train, known, cases, items } = held;
    let train = TrainingData { events: train, n_users: data.n_users, stated: data.stated.clone() };
    let model = train_and_evaluate(&train, catalogue, now, parameters, progress)?.model;
    let threads = Threads::new(parameters.n_threads)?;
    let setting = Setting { model: &model, catalogue, events: &known, n_users: data.n_users, now };
    let n = ks.iter().copied().max().unwrap_or(0);
    let ways = Way::all(&model, cold, catalogue);
    let make = |case: &Case, request: &Request<'_>| -> Vec<Vec<u32>> {
        let request = Request { n, ..*request };
        let personal = model.personal(&request);
        let list = |way: &Way| {
            let allowed =
                |item: ItemId| !case.seen.contains(&item.0) && (!way.among_cold || items.contains(&item.0));
            match &way.rule {
                None => model.list(&personal, &request, allowed),
                Some(rule) => model.list_by(&personal, rule, &request, allowed),
            }
        };
        ways.iter().map(list).collect()
    };
    let lists = each(&setting, &cases, &threads, |done| progress(Stage::Evaluate, done), make)
        .ok_or(TrainError::Cancelled)?;
    let mut metrics = Metrics::new();
    for (place, way) in ways.iter().enumerate() {
        let mut tally = Tally::new(ks);
        for (case, lists) in cases.iter().zip(&lists) {
            tally.add(lists.get(place).map_or(&[][..], Vec::as_slice), &case.relevant);
        }
        tally.write(way.prefix, if way.among_cold { items.len() } else { catalogue.len() }, &mut metrics);
    }
    if cold == Cold::Items {
        metrics.insert("cold_items".to_owned(), items.len() as f64);
    }
    Ok(metrics)
}

impl HoldOut {
    /// Cold items are those of the catalogue that are drawn, and those without events before the cut.
    fn items(data: &TrainingData, catalogue: &Catalogue, parameters: &TrainingParameters) -> Self {
        let seed = parameters.seed;
        let split = split::temporal(&data.events, parameters.holdout_share, usize::MAX, seed);
        let (cut, cases) = split.map_or((0, Vec::new()), |split| (split.cut, split.cases));
        let before = data.events.get(..cut).unwrap_or_default();
        let mut all: Vec<u32> = catalogue.iter().map(|item| item.id.0).collect();
        all.sort_unstable();
        let wanted = (all.len() as f64 * ITEM_SHARE) as usize;
        let seen: HashSet<u32> = before.iter().filter_map(|event| event.item).map(|item| item.0).collect();
        let mut items: HashSet<u32> = all.iter().copied().filter(|item| !seen.contains(item)).collect();
        items.extend(all.partial_shuffle(&mut random::rng(seed, "cold items"), wanted).0.iter());
        let is_cold = |event: &Event| event.item.is_some_and(|item| items.contains(&item.0));
        let train: Vec<Event> = before.iter().filter(|event| !is_cold(event)).copied().collect();
        let cases = cases.into_iter().filter_map(|mut case| {
            case.relevant.retain(|item| items.contains(item));
            let is_known = case.seen.iter().any(|item| !items.contains(item));
            (is_known && !case.relevant.is_empty()).then_some(case)
        });
        let cases = split::some(cases.collect(), parameters.max_test_users, (seed, "cold cases"));
        Self { known: train.clone(), train, cases, items }
    }

    /// Cold users are drawn among those who turned to two items and more.
    fn users(data: &TrainingData, parameters: &TrainingParameters) -> Self {
        let mut histories: BTreeMap<UserId, Vec<&Event>> = BTreeMap::new();
        for event in data.events.iter().filter(|event| event.item.is_some() && interest(event) > 0.0) {
            if let Some(user) = event.user {
                histories.entry(user).or_default().push(event);
            }
        }
        let mut cases: Vec<(Case, Event)> = histories
            .into_iter()
            .filter_map(|(user, events)| {
                let first = *events.first()?;
                let seen: HashSet<u32> = first.item.map(|item| item.0).into_iter().collect();
                let later = events.iter().filter_map(|event| event.item).map(|item| item.0);
                let relevant: HashSet<u32> = later.filter(|item| !seen.contains(item)).collect();
                (!relevant.is_empty()).then(|| (Case { user, relevant, seen, again: HashSet::new() }, *first))
            })
            .collect();
        let wanted = ((cases.len() as f64 * USER_SHARE).ceil() as usize).min(parameters.max_test_users);
        let drawn = cases.partial_shuffle(&mut random::rng(parameters.seed, "cold users"), wanted).0;
        let (mut cases, known): (Vec<Case>, Vec<Event>) = drawn.iter().cloned().unzip();
        cases.sort_by_key(|case| case.user);
        let cold: HashSet<UserId> = cases.iter().map(|case| case.user).collect();
        let is_warm = |event: &&Event| event.user.is_none_or(|user| !cold.contains(&user));
        let train = data.events.iter().filter(is_warm).copied().collect();
        Self { train, known, cases, items: HashSet::new() }
    }
}

/// A way to order items, measured under a prefix.
struct Way {
    prefix: &'static str,
    /// `None`: the rule that serves.
    rule: Option<Ranker>,
    /// Only cold items are ranked.
    among_cold: bool,
}

impl Way {
    fn all(model: &ModelSet, cold: Cold, catalogue: &Catalogue) -> Vec<Self> {
        let members = model.ensemble().models().members();
        let alone = |feature: SideFeature| {
            let is_it = |member: &BaseModel| *member == BaseModel::SideFeature(feature);
            Some(only(members, |member| f32::from(u8::from(is_it(member)))))
        };
        let way = |prefix, rule, among_cold| Self { prefix, rule, among_cold };
        let mut ways = vec![
            way("", None, false),
            way("content.", alone(SideFeature::Content), false),
            way("popularity.", alone(SideFeature::Popular), false),
        ];
        if cold == Cold::Items {
            ways.push(way("among_cold.", None, true));
            ways.push(way("among_cold.content.", alone(SideFeature::Content), true));
        }
        if !catalogue.embeddings().is_empty() {
            ways.push(way("embedding.", alone(SideFeature::Embedding), false));
            if cold == Cold::Items {
                ways.push(way("among_cold.embedding.", alone(SideFeature::Embedding), true));
            }
        }
        ways
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::*;
    use rand::RngExt;

    use crate::base::ExternalId;
    use crate::catalogue::{Embedding, Item};
    use crate::event::EventKind;

    /// Forty items of four tastes, each told by its category and its tag.
    fn catalogue() -> Catalogue {
        Catalogue::from_items((0..40u32).map(|id| Item {
            id: ItemId(id),
            external_id: ExternalId::Integer(i64::from(id)),
            title: Some(format!("{} number{id}", ["Watch", "Mug", "Lamp", "Chair"][id as usize / 10])),
            category: vec![["Watches", "Mugs", "Lamps", "Chairs"][id as usize / 10].into()],
            tags: vec![format!("taste{}", id / 10)],
            price: Some(10.0),
            currency: None,
            stock: None,
            url: None,
            image_url: None,
            attributes: BTreeMap::default(),
            consumable: false,
            local: None,
            created_at: Timestamp(0),
        }))
    }

    /// Each of 240 users buys eight of the ten items of their taste, one a day.
    fn tastes() -> TrainingData {
        let event = |day: u32, user: u32| Event {
            occurred_at: Timestamp::from_seconds(i64::from(day) * 86_400 + i64::from(user)),
            user: Some(UserId(user)),
            item: Some(ItemId(user % 4 * 10 + (user / 4 + day * 3) % 10)),
            kind: EventKind::Purchase,
            dwell_ms: None,
            quantity: 1.0,
            value: None,
            currency: None,
            basket: None,
        };
        let events = (0..8).flat_map(|day| (0..240).map(move |user| event(day, user))).collect();
        TrainingData { events, n_users: 240, ..TrainingData::default() }
    }

    fn run(data: &TrainingData, cold: Cold) -> Result<Metrics, TrainError> {
        let parameters = TrainingParameters { n_threads: 2, ..TrainingParameters::default() };
        measure(data, &catalogue(), cold, &parameters, &[1, 10], &mut |_, _| ControlFlow::Continue(()))
    }

    #[test]
    fn items_that_nobody_bought_are_found_by_what_is_said_of_them() {
        let data = tastes();
        let parameters = TrainingParameters::default();
        let held = HoldOut::items(&data, &catalogue(), &parameters);
        assert_eq!(held.items.len(), 8);
        assert!(held.train.iter().all(|event| !held.items.contains(&event.item.unwrap().0)));
        assert!(held.cases.iter().all(|case| case.relevant.is_subset(&held.items)));
        let metrics = run(&data, Cold::Items).unwrap();
        assert_eq!((metrics["cold_items"], metrics["users"]), (8.0, held.cases.len() as f64));
        assert!(metrics["among_cold.content.hit_rate@1"] > 0.5, "{metrics:?}");
        assert!(metrics["among_cold.hit_rate@1"] > 0.5, "{metrics:?}");
        assert!(metrics["content.hit_rate@10"] > metrics["popularity.hit_rate@10"], "{metrics:?}");
    }

    /// The same items where nothing is said of them, some with vectors: one axis a taste, and noise half as long around it.
    fn wordless(with_vectors: bool) -> Catalogue {
        let mut catalogue = Catalogue::from_items(catalogue().iter().map(|item| Item {
            title: Some(format!("Article {}", item.id.0)),
            category: Vec::new(),
            tags: Vec::new(),
            ..Item::clone(item)
        }));
        let mut rng = random::rng(3, "vectors");
        for id in (0..40u32).filter(|_| with_vectors) {
            // A part that all have in common, as models of texts give it.
            let mut vector = vec![1.0f32; 24];
            vector.iter_mut().skip(8).for_each(|number| *number = rng.random_range(-0.25..0.25));
            vector[id as usize / 10] += 1.0;
            assert!(catalogue.set_embedding(ItemId(id), Embedding::of(&vector).as_ref()));
        }
        catalogue
    }

    #[test]
    fn items_that_nobody_bought_and_nothing_is_said_of_are_found_by_their_vectors() {
        let data = tastes();
        let parameters = TrainingParameters { n_threads: 2, ..TrainingParameters::default() };
        let run = |with_vectors: bool| {
            let catalogue = wordless(with_vectors);
            measure(&data, &catalogue, Cold::Items, &parameters, &[1, 10], &mut |_, _| {
                ControlFlow::Continue(())
            })
            .unwrap()
        };
        let (without, with) = (run(false), run(true));
        assert!(!without.contains_key("embedding.hit_rate@10"));
        for (name, at_least) in
            [("among_cold.hit_rate@1", 0.3), ("among_cold.ndcg@10", 0.3), ("hit_rate@10", 0.2)]
        {
            assert!(with[name] >= without[name] + at_least, "{name}: {} {}", with[name], without[name]);
        }
        let (vectors, words) = ("among_cold.embedding.hit_rate@1", "among_cold.content.hit_rate@1");
        assert!(with[vectors] > with[words] + 0.3, "{with:?}");
    }

    #[test]
    fn a_user_of_one_event_is_known_by_that_event_alone() {
        let data = tastes();
        let held = HoldOut::users(&data, &TrainingParameters::default());
        assert_eq!((held.cases.len(), held.known.len()), (24, 24));
        let cold: HashSet<UserId> = held.cases.iter().map(|case| case.user).collect();
        assert!(held.train.iter().all(|event| !cold.contains(&event.user.unwrap())));
        assert!(held.cases.iter().all(|case| case.seen.len() == 1 && case.relevant.len() == 7));
        let metrics = run(&data, Cold::Users).unwrap();
        // Nine of a taste are left, of which seven are right: whoever knows the taste by one item hits at once.
        assert!(
            metrics["hit_rate@1"] > 0.5 && metrics["hit_rate@1"] > metrics["popularity.hit_rate@1"],
            "{metrics:?}"
        );
        assert_eq!(metrics["users"], 24.0);
        assert!(!metrics.contains_key("cold_items"));
    }

    #[test]
    fn without_anybody_to_ask_the_reason_is_told() {
        for cold in [Cold::Items, Cold::Users] {
            let error = run(&TrainingData::default(), cold).unwrap_err().to_string();
            assert!(error.contains("not enough data"), "{error}");
        }
    }
}

//! The backtest on generated tastes.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::backtest::{Beside, train_against, train_and_evaluate};
use super::measure::Served;
use crate::base::{ItemId, Timestamp, UserId};
use crate::catalogue::Catalogue;
use crate::event::EventKind;
use crate::recommend::ensemble::{BaseModel, EnsembleParameters, KindColumn, KindFeature, SideFeature};
use crate::recommend::fixtures::{START, event, item};
use crate::recommend::serve::placement::{Placement, Wants};
use crate::recommend::serve::user_scores::only;
use crate::recommend::train::{Progress, TrainError, Trained, TrainingData, TrainingParameters, train};
use crate::recommend::{ModelSet, Request};

/// 240 users of four tastes; each buys eight of the ten items of their taste, one a day.
fn tastes() -> TrainingData {
    let mut events = Vec::new();
    for day in 0..8u32 {
        for user in 0..240u32 {
            let taste = user % 4;
            let item = taste * 10 + (user / 4 + day * 3) % 10;
            let day = f64::from(day) + f64::from(user) / 86_400.0;
            events.push(event(user, EventKind::Purchase, item, day));
        }
    }
    TrainingData { events, n_users: 240, ..TrainingData::default() }
}

fn run(data: &TrainingData, progress: &mut Progress<'_>) -> Result<Trained, TrainError> {
    let parameters = TrainingParameters { n_threads: 2, ..TrainingParameters::default() };
    let now = Timestamp::from_seconds(START).plus_days(10.0);
    train_and_evaluate(data, &Catalogue::default(), now, &parameters, progress)
}

#[test]
fn the_metrics_show_that_tastes_were_learnt_and_repeat_exactly() {
    let data = tastes();
    let trained = run(&data, &mut |_, _| ControlFlow::Continue(())).unwrap();
    let metrics = &trained.metrics;
    // Three items of a taste are left for each user, whoever knows the taste hits them within ten.
    assert!(metrics["recall@10"] > 0.95, "{metrics:?}");
    assert!(metrics["item_knn.recall@10"] > 0.95, "{metrics:?}");
    assert!(metrics["popularity.recall@10"] < 0.6, "{metrics:?}");
    assert!(metrics.values().all(|value| value.is_finite()));
    // 192 users come back in the last tenth; half of them taught the rule.
    assert_eq!(metrics["users"], 96.0);
    assert_eq!(trained.model.metrics, trained.metrics);
    let again = run(&data, &mut |_, _| ControlFlow::Continue(())).unwrap();
    assert_eq!(again.model, trained.model);
}

#[test]
fn the_current_parameters_are_measured_under_the_same_conditions() {
    let data = tastes();
    let parameters = TrainingParameters { n_threads: 2, ..TrainingParameters::default() };
    let now = Timestamp::from_seconds(START).plus_days(10.0);
    let mut go = |_, _| ControlFlow::Continue(());
    let against = |current: &ModelSet, go: &mut Progress<'_>| {
        let beside = Beside { current: Some(current), served: None };
        train_against(&data, &Catalogue::default(), now, &parameters, &beside, go).unwrap().trained.metrics
    };
    let first = train_and_evaluate(&data, &Catalogue::default(), now, &parameters, &mut go).unwrap();
    assert!(!first.metrics.contains_key("current.ndcg@10"));
    // Its own parameters and rule reach exactly what it reached.
    let same = against(&first.model, &mut go);
    assert_eq!(same["current.ndcg@10"], first.metrics["ndcg@10"]);
    // A rule that looks at popularity alone reaches what popularity reaches.
    let mut popular = first.model.clone();
    let members = popular.ensemble().models().members().to_vec();
    popular.set_rule(only(&members, |member| {
        f32::from(*member == BaseModel::SideFeature(SideFeature::Popular))
    }));
    let popular = against(&popular, &mut go);
    assert_eq!(popular["current.ndcg@10"], popular["popularity.ndcg@10"]);
    assert!(popular["current.ndcg@10"] < popular["ndcg@10"]);
    // Other parameters are trained on the same part.
    let mut other = first.model.clone();
    other.parameters.ensemble.kept = 1;
    assert!(against(&other, &mut go)["current.ndcg@10"].is_finite());
    let users: f64 = same
        .iter()
        .filter(|(name, _)| name.starts_with("segment.") && name.ends_with(".users"))
        .map(|(_, n)| n)
        .sum();
    assert_eq!(users, same["users"], "everybody measured on is in a segment");
}

/// Lists of the model as they are.
struct Plain(Vec<Arc<Placement>>);

impl Served for Plain {
    fn list(&self, _: UserId, model: &ModelSet, request: &Request<'_>) -> Vec<ItemId> {
        model.recommend(request).iter().map(|known| known.item).collect()
    }

    fn placements(&self) -> &[Arc<Placement>] {
        &self.0
    }
}

/// 600 users of four tastes, one item a day. Before the last day every second user puts into the cart what they buy on it; the others
/// had something of another taste in it for a week.
fn carts() -> TrainingData {
    let mut events = Vec::new();
    for user in 0..600u32 {
        let at = |day: f64| day + f64::from(user) / 86_400.0;
        let item = |day: u32| user % 4 * 10 + (user / 4 + day * 3) % 10;
        events.extend((0..8).map(|day| event(user, EventKind::Purchase, item(day), at(f64::from(day)))));
        let (carted, day) =
            if user / 4 % 2 == 0 { (item(7), 6.9) } else { ((user % 4 + 1) % 4 * 10 + 5, 0.5) };
        events.push(event(user, EventKind::AddToCart, carted, at(day)));
    }
    events.sort_by_key(|event| event.occurred_at);
    TrainingData { events, n_users: 600, ..TrainingData::default() }
}

#[test]
fn lists_are_measured_by_what_they_are_asked_for_and_their_mix_is_learnt() {
    let data = carts();
    let catalogue = Catalogue::from_items((0..40).map(|id| item(id, "Thing", "Things")));
    let parameters = TrainingParameters { n_threads: 2, ..TrainingParameters::default() };
    let now = Timestamp::from_seconds(START).plus_days(10.0);
    let served = Plain(vec![Arc::new(Placement::plain("shelf", 5, Wants::Both))]);
    let beside = Beside { current: None, served: Some(&served) };
    let mut go = |_, _| ControlFlow::Continue(());
    let found = train_against(&data, &catalogue, now, &parameters, &beside, &mut go).unwrap();
    let lists: Vec<&str> = (found.figures.iter())
        .filter(|figure| figure.group == "all")
        .map(|figure| figure.list.as_str())
        .collect();
    assert_eq!(lists, ["bare", "served", "exploring", "both", "continue", "placement shelf"]);
    let metrics = &found.trained.metrics;
    assert!(metrics["served.ndcg@10"] >= 0.98 * metrics["ndcg@10"], "{metrics:?}");
    // What was just put into the cart is bought next, what lies there for long is not.
    let mix = found.trained.model.mix().unwrap();
    assert!(mix.weights()[6] < 0.0, "{mix:?}");
    assert!(metrics["both.mrr@10"] > 0.95, "every third place would put it first all the same: {metrics:?}");
    assert!(metrics["continue.mrr@10"] > 0.99 && !metrics.contains_key("placement shelf.ndcg@10"));
}

#[test]
fn what_serves_by_kinds_is_measured_with_them_where_too_few_are_held_out_for_a_trial() {
    // Each day 240 users look at one item and buy what belongs to the one of the day before.
    let mut events = Vec::new();
    for day in 0..10u32 {
        for user in 0..240u32 {
            let seen = |day: u32| (user * 3 + day * 7) % 40;
            let at = f64::from(day) + f64::from(user) / 86_400.0;
            if day > 0 {
                events.push(event(user, EventKind::Purchase, 40 + seen(day - 1), at));
            }
            events.push(event(user, EventKind::View, seen(day), at + 0.5));
        }
    }
    events.sort_by_key(|event| event.occurred_at);
    let data = TrainingData { events, n_users: 240, ..TrainingData::default() };
    let column = KindColumn { kind: 1, of: KindFeature::Pair { decay: 0.7 } };
    let mut members = vec![BaseModel::Kind(column)];
    members.extend(SideFeature::ALL.map(BaseModel::SideFeature));
    let parameters = TrainingParameters { n_threads: 2, max_test_users: 60, ..TrainingParameters::default() };
    let ensemble = EnsembleParameters { members, ..parameters.ensemble.clone() };
    let (catalogue, now) = (Catalogue::default(), Timestamp::from_seconds(START).plus_days(11.0));
    let mut go = |_, _| ControlFlow::Continue(());
    let serving = TrainingParameters { ensemble, ..parameters.clone() };
    let mut current = train(&data, &catalogue, now, &serving, &mut go).unwrap().model;
    let members = current.ensemble().models().members().to_vec();
    current.set_rule(only(&members, |member| f32::from(*member == BaseModel::Kind(column))));
    let beside = Beside { current: Some(&current), served: None };
    let metrics =
        train_against(&data, &catalogue, now, &parameters, &beside, &mut go).unwrap().trained.metrics;
    assert!(metrics["users"] < 100.0, "no trial: {metrics:?}");
    assert!(metrics["current.ndcg@10"] > 0.45, "the purchase leads the list: {metrics:?}");
    assert!(metrics["popularity.ndcg@10"] < 0.3, "{metrics:?}");
}

#[test]
fn too_little_to_hold_out_still_gives_a_model() {
    let mut data = tastes();
    data.events.truncate(1);
    let trained = run(&data, &mut |_, _| ControlFlow::Continue(())).unwrap();
    assert!(trained.metrics.is_empty());
    assert_eq!(trained.model.events, 1);
}

#[test]
fn it_stops_wherever_it_is_told_to() {
    let data = tastes();
    let mut calls = 0;
    run(&data, &mut |_, _| {
        calls += 1;
        ControlFlow::Continue(())
    })
    .unwrap();
    for stop in [1, 2, calls / 3, calls / 2, calls - 1, calls] {
        let mut heard = 0;
        let result = run(&data, &mut |_, _| {
            heard += 1;
            if heard == stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!(result.unwrap_err(), TrainError::Cancelled, "call {stop} of {calls}");
        assert_eq!(heard, stop, "work went on after the stop");
    }
}

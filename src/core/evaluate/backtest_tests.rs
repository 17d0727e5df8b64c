//! The backtest on generated tastes.

use std::ops::ControlFlow;

use super::backtest::{Beside, train_against, train_and_evaluate};
use crate::base::Timestamp;
use crate::catalogue::Catalogue;
use crate::event::EventKind;
use crate::recommend::ModelSet;
use crate::recommend::ensemble::{BaseModel, EnsembleParameters, KindColumn, KindFeature, SideFeature};
use crate::recommend::fixtures::{START, event};
use crate::recommend::serve::user_scores::only;
use crate::recommend::train::{Progress, TrainError, Trained, TrainingData, TrainingParameters, train};

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

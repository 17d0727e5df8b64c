use std::ops::ControlFlow;

use super::candidates::share;
use super::*;
use crate::ml::threads::Threads;
use crate::recommend::models::ridge::RidgeParameters;

/// Users of two tastes walk through their ten items in order, one a day.
fn histories() -> Vec<Vec<Interaction>> {
    (0..60u32)
        .map(|user| {
            let start = user % 7;
            (0..3)
                .map(|step| Interaction {
                    item: user % 2 * 10 + start + step,
                    day: f64::from(20_000 + user + step),
                    weight: 1.0,
                })
                .collect()
        })
        .collect()
}

fn fit(rows: &[Vec<Interaction>], n_items: usize) -> Models {
    let parameters =
        EnsembleParameters { ridges: vec![RidgeParameters::plain(5.0)], ..EnsembleParameters::default() };
    let histories = Histories { rows, n_items };
    Models::fit(&histories, &parameters, &Threads::new(1).unwrap(), |_| ControlFlow::Continue(())).unwrap()
}

fn only(models: Models, member: BaseModel) -> Ensemble {
    let index = models.members().iter().position(|other| *other == member).unwrap();
    let mut weights = vec![0.0; models.members().len()];
    weights[index] = 1.0;
    let ranker = Ranker {
        core: vec![index],
        weights,
        slopes: Vec::new(),
        linear: Vec::new(),
        centre: 0.0,
        spread: 1.0,
    };
    Ensemble::new(models, ranker)
}

#[test]
fn what_followed_the_last_item_comes_first_and_the_cause_is_named() {
    let member = BaseModel::Pair { model: PairModel::Sequence(1), decay: 0.5 };
    let ensemble = only(fit(&histories(), 20), member);
    assert!(ensemble.is_sound());
    let history = [(ItemId(3), 1.0), (ItemId(2), 1.0)];
    let context = Context { history: &history, last_day: Some(20_010.0), ..Context::default() };
    let list = ensemble.recommend(&context, 5, |item| item.0 != 3 && item.0 != 2);
    assert_eq!(list.first().map(|(item, _)| *item), Some(ItemId(4)));
    assert!(list.iter().all(|(item, score)| item.0 < 10 && score.is_finite()));
    let explainer = ensemble.models().explainer(&context);
    let parts = explainer.parts(member, ItemId(4)).unwrap();
    assert!(parts[0] > 0.0 && parts[0] > parts[1], "{parts:?}");
    assert_eq!(explainer.parts(member, ItemId(15)), Some(vec![0.0, 0.0]));
    assert_eq!(explainer.parts(BaseModel::Popularity, ItemId(4)), None);
}

#[test]
fn a_list_may_be_longer_than_what_the_rule_is_learnt_on() {
    let rows: Vec<Vec<Interaction>> = (0..150u32)
        .map(|user| {
            (0..2).map(|step| Interaction { item: user + step, day: f64::from(step), weight: 1.0 }).collect()
        })
        .collect();
    let ensemble = only(fit(&rows, 151), BaseModel::Popularity);
    let history = [(ItemId(0), 1.0)];
    let context = Context { history: &history, last_day: None, ..Context::default() };
    assert_eq!(ensemble.recommend(&context, 140, |item| item.0 != 0).len(), 140);
    assert_eq!(ensemble.recommend(&context, 500, |item| item.0 != 0).len(), 150);
}

#[test]
fn shares_are_zero_for_nothing_and_one_for_the_best() {
    assert_eq!(share(0.0, 1.0), 0.0);
    assert_eq!(share(-1.0, 1.0), 0.0);
    assert!((share(2.0, 2.0) - 1.0).abs() < 1e-6);
    // A tenth of the best: ln 11 / ln 101.
    assert!((share(0.1, 1.0) - 11f32.ln() / 101f32.ln()).abs() < 1e-6);
    assert!((part(share(0.1, 1.0)) - 0.1).abs() < 1e-5 && part(0.0).abs() < 1e-6);
}

#[test]
fn nobody_and_nothing_get_an_answer_without_nonsense() {
    let models = fit(&[], 0);
    assert!(models.scores(&Context { history: &[], last_day: None, ..Context::default() }).is_empty());
    let ensemble = only(fit(&histories(), 20), BaseModel::Popularity);
    let stranger = Context { history: &[], last_day: None, ..Context::default() };
    assert_eq!(ensemble.recommend(&stranger, 3, |_| true).len(), 3);
    let unknown = [(ItemId(999), 1.0)];
    let list = ensemble.recommend(
        &Context { history: &unknown, last_day: Some(f64::MAX), ..Context::default() },
        3,
        |_| true,
    );
    assert_eq!(list.len(), 3);
}

#[test]
fn more_items_than_ease_takes_are_regressed_on_their_nearest_and_none_is_cut() {
    let parameters = EnsembleParameters { max_ease_items: 5, ..EnsembleParameters::default() };
    let rows = histories();
    let matrix = Histories { rows: &rows, n_items: 20 }.matrix();
    let threads = Threads::new(1).unwrap();
    let ridge = RidgeParameters::plain(10.0);
    let fit = |parameters| {
        Regressions::new(&matrix, parameters, &threads).fit(ridge, |_| ControlFlow::Continue(()))
    };
    let (near, all) = (fit(&parameters).unwrap(), fit(&EnsembleParameters::default()).unwrap());
    for item in (0..20).map(ItemId) {
        // Nobody goes from one taste to the other.
        let touched = rows.iter().flatten().any(|one| one.item == item.0);
        assert_eq!(near.of(item).is_empty(), !touched, "{item:?}");
        assert_eq!(
            near.of(item).first().map(|(other, _)| *other),
            all.of(item).first().map(|(other, _)| *other)
        );
    }
}

#[test]
fn histories_without_times_have_no_order_and_members_that_need_one_are_left_out() {
    let mut rows = histories();
    rows.iter_mut().flatten().for_each(|one| one.day = 0.0);
    let models = fit(&rows, 20);
    let needs_order = |member: &BaseModel| match member {
        BaseModel::Pair { model: PairModel::Sequence(_), .. }
        | BaseModel::Trend(_)
        | BaseModel::Season(_) => true,
        BaseModel::Pair { decay, .. } => *decay < 1.0,
        _ => false,
    };
    assert!(!models.members().iter().any(needs_order), "{:?}", models.members());
    assert!(models.members().len() >= 4);
    assert!(fit(&histories(), 20).members().iter().any(needs_order));
}

#[test]
fn only_members_that_are_wanted_are_fitted() {
    let wanted = vec![BaseModel::Pair { model: PairModel::Ease(1), decay: 0.8 }, BaseModel::Popularity];
    let parameters = EnsembleParameters { members: wanted.clone(), ..EnsembleParameters::default() };
    let rows = histories();
    let all = Histories { rows: &rows, n_items: 20 };
    let threads = Threads::new(1).unwrap();
    let models = Models::fit(&all, &parameters, &threads, |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(models.members(), wanted);
    let history = [(ItemId(3), 1.0), (ItemId(2), 1.0)];
    let context = Context { history: &history, ..Context::default() };
    let whole =
        Models::fit(&all, &EnsembleParameters::default(), &threads, |_| ControlFlow::Continue(())).unwrap();
    let scores = whole.scores(&context);
    for (column, member) in models.scores(&context).chunks(20).zip(&wanted) {
        let place = whole.members().iter().position(|other| other == member).unwrap();
        assert_eq!(column, &scores[place * 20..(place + 1) * 20]);
    }
}

use proptest::prelude::*;

use super::objective::{lambdas, ndcg, sigmoid};
use super::*;

fn data<'a>(values: &'a [f32], n_features: usize, labels: &'a [f32]) -> Dataset<'a> {
    Dataset { values, n_features, labels, weights: None, groups: None }
}

fn fit(data: &Dataset<'_>, parameters: &BoostingParameters) -> Result<Boosting, BoostingError> {
    Boosting::fit(data, None, parameters, &Threads::new(2).unwrap(), |_| ControlFlow::Continue(()))
}

fn stump() -> BoostingParameters {
    BoostingParameters {
        trees: 1,
        learning_rate: 1.0,
        leaves: 2,
        min_rows: 1,
        min_hessian: 0.0,
        l2: 0.0,
        ..BoostingParameters::default()
    }
}

fn near(a: f32, b: f32) {
    assert!((a - b).abs() < 1e-5, "{a} is not {b}");
}

#[test]
fn one_stump_agrees_with_values_computed_by_hand() {
    // Base: log odds of 1/2 = 0, so every gradient is ±1/2 and every hessian 1/4. Cutting at 1.5 gains most: left
    // G = 1, H = 1/2, a step of −2; right the opposite. With l2 = 1/2 half of it.
    let values = [0.0, 1.0, 2.0, 3.0];
    let model = fit(&data(&values, 1, &[0.0, 0.0, 1.0, 1.0]), &stump()).unwrap();
    near(model.predict(&[1.5]), -2.0);
    near(model.predict(&[1.51]), 2.0);
    near(model.probability(&[9.0]), sigmoid(2.0));
    let model =
        fit(&data(&values, 1, &[0.0, 0.0, 1.0, 1.0]), &BoostingParameters { l2: 0.5, ..stump() }).unwrap();
    near(model.predict(&[0.0]), -1.0);
    // Base log odds of 1/4: −ln 3, p = 1/4; G left = 3/4, H left = 9/16; right −3/4, 3/16.
    let model = fit(&data(&values, 1, &[0.0, 0.0, 0.0, 1.0]), &stump()).unwrap();
    near(model.predict(&[0.0]), -(3f32.ln()) - 4.0 / 3.0);
    near(model.predict(&[3.0]), -(3f32.ln()) + 4.0);
    assert_eq!(model.importance(), [1.0]);
}

#[test]
fn missing_values_go_where_they_cost_least() {
    let nan = f32::NAN;
    let values = [0.0, nan, 1.0, nan, 2.0, 3.0];
    // Missing ones are like the large ones.
    let model = fit(&data(&values, 1, &[0.0, 1.0, 0.0, 1.0, 1.0, 1.0]), &stump()).unwrap();
    assert!(model.predict(&[nan]) > 0.0 && model.predict(&[1.0]) < 0.0 && model.predict(&[2.0]) > 0.0);
    // Like the small ones.
    let model = fit(&data(&values, 1, &[0.0, 0.0, 0.0, 0.0, 1.0, 1.0]), &stump()).unwrap();
    assert!(model.predict(&[nan]) < 0.0 && model.predict(&[]) < 0.0 && model.predict(&[2.0]) > 0.0);
    // Like none: apart.
    let model = fit(&data(&values, 1, &[0.0, 1.0, 0.0, 1.0, 0.0, 0.0]), &stump()).unwrap();
    assert!(model.predict(&[nan]) > 0.0 && model.predict(&[f32::INFINITY]) < 0.0);
}

/// x0 and x1 decide by exclusive or, x2 is noise.
fn exclusive_or(n: usize) -> (Vec<f32>, Vec<f32>) {
    let mut rng = random::rng(7, "test");
    let mut labels = Vec::new();
    let mut values = Vec::new();
    for _ in 0..n {
        let row: [f32; 3] = [rng.random(), rng.random(), rng.random()];
        labels.push(f32::from(u8::from((row[0] > 0.5) != (row[1] > 0.5))));
        values.extend(row);
    }
    (values, labels)
}

#[test]
fn an_interaction_is_learned_and_importance_tells_it_from_noise() {
    let (values, labels) = exclusive_or(2_000);
    let model = fit(&data(&values, 3, &labels), &BoostingParameters::default()).unwrap();
    for (a, b, high) in [(0.2, 0.2, false), (0.2, 0.8, true), (0.8, 0.2, true), (0.8, 0.8, false)] {
        assert_eq!(model.probability(&[a, b, 0.5]) > 0.9, high);
        assert_eq!(model.probability(&[a, b, 0.5]) < 0.1, !high);
    }
    let importance = model.importance();
    near(importance.iter().sum(), 1.0);
    assert!(importance[2] < 0.1 && importance[0] > 0.2 && importance[1] > 0.2, "{importance:?}");
}

#[test]
fn any_number_of_threads_gives_the_same_model() {
    let (values, labels) = exclusive_or(20_000);
    let parameters =
        BoostingParameters { trees: 5, row_share: 0.7, column_share: 0.7, ..BoostingParameters::default() };
    let fit = |threads| {
        let threads = Threads::new(threads).unwrap();
        let all = data(&values, 3, &labels);
        Boosting::fit(&all, Some(&all), &parameters, &threads, |_| ControlFlow::Continue(())).unwrap()
    };
    assert_eq!(fit(1), fit(3));
    let model = fit(2);
    let read: Boosting = postcard::from_bytes(&postcard::to_allocvec(&model).unwrap()).unwrap();
    assert!(read.is_sound() && read == model && model.n_trees() == 5);
}

#[test]
fn growing_ends_when_the_validation_set_gets_no_better() {
    let mut rng = random::rng(3, "test");
    let values: Vec<f32> = (0..600).map(|_| rng.random()).collect();
    let labels: Vec<f32> = (0..600).map(|_| f32::from(u8::from(rng.random::<f32>() < 0.5))).collect();
    let (train, valid) = (data(&values[..300], 1, &labels[..300]), data(&values[300..], 1, &labels[300..]));
    let parameters = BoostingParameters { patience: 5, ..BoostingParameters::default() };
    let threads = Threads::new(1).unwrap();
    let go_on = |_| ControlFlow::Continue(());
    let model = Boosting::fit(&train, Some(&valid), &parameters, &threads, go_on).unwrap();
    assert!(model.n_trees() < 20, "{} trees on noise", model.n_trees());
    assert!(model.is_sound());
}

#[test]
fn ndcg_and_lambdas_agree_with_values_computed_by_hand() {
    let (labels, scores) = ([0.0, 2.0, 1.0], [3.0, 2.0, 1.0]);
    let ideal = 3.0 + 1.0 / 3f64.log2();
    assert!((ndcg(&labels, &scores, 2).unwrap() - 3.0 / 3f64.log2() / ideal).abs() < 1e-9);
    assert_eq!(ndcg(&[0.0, 0.0], &[1.0, 2.0], 2), None);
    // Two rows at equal scores, k = 1: cost = 1 · (1 − 1/log2 3), p = 1/2, no spread; then scaled by
    // log2(1 + sum) / sum with sum = 2 · cost / 2.
    let pair = lambdas(&[0.0, 1.0], &[0.0, 0.0], 1);
    let cost = 1.0 - 1.0 / 3f64.log2();
    let scale = (1.0 + cost).log2() / cost;
    near(pair[1].0, (-cost / 2.0 * scale) as f32);
    near(pair[0].0, (cost / 2.0 * scale) as f32);
    near(pair[0].1, (cost / 4.0 * scale) as f32);
}

#[test]
fn a_ranker_learns_the_order_within_groups() {
    let mut rng = random::rng(5, "test");
    let (mut values, mut labels, mut groups) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..200 {
        // The level of a group says nothing about order: only what is above the group's level does.
        let level: f32 = rng.random_range(0.0..10.0);
        for _ in 0..8 {
            let relevant: f32 = rng.random();
            values.extend([level, relevant, rng.random()]);
            labels.push((relevant * 3.0).floor());
        }
        groups.push(8);
    }
    let all = Dataset { groups: Some(&groups), ..data(&values, 3, &labels) };
    let parameters = BoostingParameters {
        objective: Objective::LambdaRank { k: 5 },
        trees: 30,
        ..BoostingParameters::default()
    };
    let model = fit(&all, &parameters).unwrap();
    let scores: Vec<f32> = values.chunks(3).map(|row| model.predict(row)).collect();
    assert!(parameters.objective.loss(&all, &scores) < 0.01);
    assert!(model.importance()[1] > 0.8);
    let none = Dataset { groups: None, ..all };
    assert!(matches!(fit(&none, &parameters), Err(BoostingError::Input(_))));
    let alike = vec![1.0; labels.len()];
    let alike = Dataset { labels: &alike, ..all };
    assert!(matches!(fit(&alike, &parameters), Err(BoostingError::NotEnoughData { .. })));
}

#[test]
fn too_little_or_wrong_data_is_refused_by_name() {
    let parameters = BoostingParameters::default();
    assert!(matches!(fit(&data(&[], 0, &[]), &parameters), Err(BoostingError::NotEnoughData { .. })));
    assert!(matches!(fit(&data(&[1.0], 1, &[1.0]), &parameters), Err(BoostingError::NotEnoughData { .. })));
    assert!(matches!(
        fit(&data(&[1.0, 2.0], 1, &[1.0, 1.0]), &parameters),
        Err(BoostingError::NotEnoughData { .. })
    ));
    assert!(matches!(
        fit(&data(&[1.0, 2.0], 1, &[1.0, f32::NAN]), &parameters),
        Err(BoostingError::Input(_))
    ));
    assert!(matches!(fit(&data(&[1.0], 1, &[1.0, 0.0]), &parameters), Err(BoostingError::Input(_))));
    let rate = BoostingParameters { learning_rate: f32::NAN, ..BoostingParameters::default() };
    assert!(matches!(fit(&data(&[1.0, 2.0], 1, &[1.0, 0.0]), &rate), Err(BoostingError::Input(_))));
    let weights = [1.0, -1.0];
    let weighted = Dataset { weights: Some(&weights), ..data(&[1.0, 2.0], 1, &[1.0, 0.0]) };
    assert!(matches!(fit(&weighted, &parameters), Err(BoostingError::Input(_))));
}

#[test]
fn constant_and_missing_columns_leave_the_base_rate() {
    let nan = f32::NAN;
    let values = [1.0, nan, 1.0, nan, 1.0, nan, 1.0, nan];
    let model = fit(&data(&values, 2, &[0.0, 0.0, 0.0, 1.0]), &stump()).unwrap();
    assert_eq!(model.n_trees(), 0);
    near(model.probability(&[1.0, nan]), 0.25);
    assert_eq!(model.importance(), [0.0, 0.0]);
    assert!(Boosting::default().is_sound() && Boosting::default().predict(&[1.0]) == 0.0);
}

#[test]
fn it_can_be_cancelled() {
    let (values, labels) = exclusive_or(200);
    let threads = Threads::new(1).unwrap();
    let all = data(&values, 3, &labels);
    let fitted =
        Boosting::fit(&all, None, &BoostingParameters::default(), &threads, |_| ControlFlow::Break(()));
    assert_eq!(fitted, Err(BoostingError::Cancelled));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_table_gives_a_sound_model_and_numbers(
        rows in proptest::collection::vec((any::<f32>(), any::<f32>(), 0u8..2, 0f32..2.0), 2..60),
        min_rows in 0usize..5,
        l2 in 0f32..2.0,
    ) {
        let values: Vec<f32> = rows.iter().flat_map(|row| [row.0, row.1]).collect();
        let labels: Vec<f32> = rows.iter().map(|row| f32::from(row.2)).collect();
        let weights: Vec<f32> = rows.iter().map(|row| row.3).collect();
        let all = Dataset { weights: Some(&weights), ..data(&values, 2, &labels) };
        let parameters = BoostingParameters { trees: 5, min_rows, l2, bins: 16, ..BoostingParameters::default() };
        if let Ok(model) = fit(&all, &parameters) {
            prop_assert!(model.is_sound());
            for row in values.chunks(2) {
                prop_assert!(model.predict(row).is_finite());
            }
        }
    }
}

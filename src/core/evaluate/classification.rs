//! Quality of predicted probabilities, and a classifier measured by cross-validation: boosted trees, calibrated on the training
//! part of each fold. AUC by ranks (Hanley & McNeil 1982), expected calibration error over bins of equal width (Naeini et al.
//! 2015).

use std::ops::ControlFlow;

use rand::seq::SliceRandom;

use crate::base::random;
use crate::ml::boosting::{Boosting, BoostingError, BoostingParameters, Dataset};
use crate::ml::calibration::Platt;
use crate::ml::metrics::Metrics;
use crate::ml::threads::Threads;

/// Folds inside the training part on which the calibration is fitted.
const INNER_FOLDS: usize = 5;

/// The share of (positive, negative) pairs in the right order, ties half; `None` with one outcome only. O(n log n).
pub fn auc(probabilities: &[f64], outcomes: &[bool]) -> Option<f64> {
    let mut pairs: Vec<(f64, bool)> = probabilities.iter().copied().zip(outcomes.iter().copied()).collect();
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut below, mut positive, mut right) = (0.0, 0.0, 0.0);
    for tied in pairs.chunk_by(|a, b| a.0 == b.0) {
        let hits = tied.iter().filter(|(_, outcome)| *outcome).count() as f64;
        let misses = tied.len() as f64 - hits;
        right += hits * (below + misses / 2.0);
        below += misses;
        positive += hits;
    }
    (positive > 0.0 && below > 0.0).then(|| right / (positive * below))
}

/// Mean distance of predicted and observed rate, 0…1, over `bins` bins of equal width weighted by rows; 0 for no rows.
pub fn expected_calibration_error(probabilities: &[f64], outcomes: &[bool], bins: usize) -> f64 {
    let bins = bins.max(1);
    let mut sums = vec![0.0; bins];
    for (probability, outcome) in probabilities.iter().zip(outcomes) {
        let bin = ((probability * bins as f64) as usize).min(bins - 1);
        if let Some(sum) = sums.get_mut(bin) {
            *sum += probability - f64::from(u8::from(*outcome));
        }
    }
    sums.iter().map(|sum| sum.abs()).sum::<f64>() / probabilities.len().max(1) as f64
}

/// `auc`, `log_loss` (nats), `brier`, `ece` (10 bins), `ece@15`, `observed_expected`; what has no value is left out.
pub fn measure_probabilities(probabilities: &[f64], outcomes: &[bool]) -> Metrics {
    let mut metrics = Metrics::new();
    let n = probabilities.len().min(outcomes.len());
    if n == 0 {
        return metrics;
    }
    let (mut log_loss, mut brier, mut expected, mut observed) = (0.0, 0.0, 0.0, 0.0);
    for (probability, outcome) in probabilities.iter().zip(outcomes) {
        let of_outcome = if *outcome { *probability } else { 1.0 - probability };
        // As everywhere, so that one certain error does not cost everything.
        log_loss -= of_outcome.max(1e-15).ln();
        brier += (1.0 - of_outcome).powi(2);
        expected += probability;
        observed += f64::from(u8::from(*outcome));
    }
    let mut put = |name: &str, value: f64| metrics.insert(name.to_owned(), value);
    put("log_loss", log_loss / n as f64);
    put("brier", brier / n as f64);
    put("ece", expected_calibration_error(probabilities, outcomes, 10));
    put("ece@15", expected_calibration_error(probabilities, outcomes, 15));
    if expected > 0.0 {
        put("observed_expected", observed / expected);
    }
    if let Some(auc) = auc(probabilities, outcomes) {
        put("auc", auc);
    }
    metrics
}

/// Trees for some ten thousand rows: small, many, each on a part of rows and columns.
pub fn default_parameters() -> BoostingParameters {
    BoostingParameters {
        trees: 150,
        learning_rate: 0.05,
        leaves: 15,
        l2: 5.0,
        row_share: 0.8,
        column_share: 0.6,
        ..BoostingParameters::default()
    }
}

/// Folds: rows that are predicted together, by a model of all the others.
#[derive(Clone, Copy, Debug)]
pub enum Folds<'a> {
    /// So many, at least 2, drawn by outcome and the seed.
    Drawn(usize),
    /// The fold of each row from 0, as another program has them; a row without one is in fold 0.
    Given(&'a [usize]),
}

impl Folds<'_> {
    fn of_rows(&self, outcomes: &[bool], seed: u64) -> Vec<usize> {
        match self {
            Self::Drawn(folds) => draw_folds(outcomes, (*folds).max(2), seed),
            Self::Given(of) => (0..outcomes.len()).map(|row| of.get(row).copied().unwrap_or(0)).collect(),
        }
    }
}

/// A probability for each row by models that did not see it. Each fold's model is calibrated on inner folds of its own
/// training rows. `progress` hears 0…1 and may break. Folds · 6 fits.
pub fn cross_validate(
    data: &Dataset<'_>,
    folds: &Folds<'_>,
    parameters: &BoostingParameters,
    threads: &Threads,
    progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
) -> Result<Vec<f64>, BoostingError> {
    let outcomes: Vec<bool> = data.labels.iter().map(|label| *label > 0.5).collect();
    let fold_of = folds.of_rows(&outcomes, parameters.seed);
    let folds = fold_of.iter().max().map_or(0, |last| last + 1).max(2);
    let positive = outcomes.iter().filter(|outcome| **outcome).count();
    // Each inner training part needs both outcomes.
    if positive < 2 * folds || outcomes.len() - positive < 2 * folds {
        return Err(BoostingError::NotEnoughData {
            needs: "twice as many rows of either outcome as folds",
            has: format!("{positive} of {} rows positive", outcomes.len()),
        });
    }
    let mut probabilities = vec![0.0; outcomes.len()];
    let fits = (folds * (INNER_FOLDS + 1)) as f32;
    let mut done = 0.0;
    for fold in 0..folds {
        let inside: Vec<usize> = rows(&fold_of, |of| of != fold);
        let known: Vec<bool> = inside.iter().filter_map(|row| outcomes.get(*row).copied()).collect();
        let inner_of = draw_folds(&known, INNER_FOLDS, parameters.seed);
        let mut hear = |share: f32| progress((done + share) / fits);
        let mut fit = |chosen: &[usize]| fit(data, chosen, parameters, threads, &mut hear);
        let mut scores = vec![0f32; inside.len()];
        for inner in 0..INNER_FOLDS {
            let chosen: Vec<usize> =
                inside.iter().zip(&inner_of).filter(|(_, of)| **of != inner).map(|(row, _)| *row).collect();
            let model = fit(&chosen)?;
            let held_out = scores.iter_mut().zip(&inside).zip(&inner_of).filter(|(_, of)| **of == inner);
            held_out.for_each(|((score, row), _)| *score = model.predict(data.row(*row)));
        }
        let platt = Platt::fit(&scores, &known).unwrap_or_default();
        let model = fit(&inside)?;
        for row in rows(&fold_of, |of| of == fold) {
            if let Some(probability) = probabilities.get_mut(row) {
                *probability = platt.probability(model.predict(data.row(row)));
            }
        }
        done += (INNER_FOLDS + 1) as f32;
    }
    Ok(probabilities)
}

fn rows(fold_of: &[usize], wanted: impl Fn(usize) -> bool) -> Vec<usize> {
    fold_of.iter().enumerate().filter(|(_, of)| wanted(**of)).map(|(row, _)| row).collect()
}

/// The fold of each row; either outcome is dealt out evenly.
fn draw_folds(outcomes: &[bool], folds: usize, seed: u64) -> Vec<usize> {
    let mut fold_of = vec![0; outcomes.len()];
    let mut order: Vec<usize> = (0..outcomes.len()).collect();
    order.shuffle(&mut random::rng(seed, "folds"));
    order.sort_by_key(|row| outcomes.get(*row).copied());
    for (position, row) in order.into_iter().enumerate() {
        if let Some(fold) = fold_of.get_mut(row) {
            *fold = position % folds;
        }
    }
    fold_of
}

fn fit(
    data: &Dataset<'_>,
    chosen: &[usize],
    parameters: &BoostingParameters,
    threads: &Threads,
    progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
) -> Result<Boosting, BoostingError> {
    let values: Vec<f32> = chosen.iter().flat_map(|row| data.row(*row)).copied().collect();
    let labels: Vec<f32> = chosen.iter().filter_map(|row| data.labels.get(*row).copied()).collect();
    let part = Dataset {
        values: &values,
        labels: &labels,
        weights: None,
        groups: None,
        n_features: data.n_features,
    };
    Boosting::fit(&part, None, parameters, threads, progress)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_agree_with_values_computed_by_hand() {
        let (p, y) = ([0.1, 0.4, 0.35, 0.8], [false, false, true, true]);
        // scikit-learn's own example: roc_auc_score = 0.75.
        assert_eq!(auc(&p, &y), Some(0.75));
        assert_eq!(auc(&[0.5, 0.5], &[true, false]), Some(0.5));
        assert_eq!(auc(&[0.5], &[true]), None);
        let metrics = measure_probabilities(&p, &y);
        let brier = (0.01 + 0.16 + 0.65f64.powi(2) + 0.04) / 4.0;
        assert!((metrics["brier"] - brier).abs() < 1e-12);
        let log_loss = -(0.9f64.ln() + 0.6f64.ln() + 0.35f64.ln() + 0.8f64.ln()) / 4.0;
        assert!((metrics["log_loss"] - log_loss).abs() < 1e-12);
        assert!((metrics["observed_expected"] - 2.0 / 1.65).abs() < 1e-12);
        // Two bins: 0.1 + 0.4 + 0.35 against 1, 0.8 against 1.
        assert!((expected_calibration_error(&p, &y, 2) - (0.15 + 0.2) / 4.0).abs() < 1e-12);
        assert!(measure_probabilities(&[], &[]).is_empty());
    }

    #[test]
    fn probabilities_of_a_known_rate_are_found_and_calibrated() {
        let mut rng = random::rng(1, "test");
        let values: Vec<f32> = (0..4_000).map(|_| rand::RngExt::random(&mut rng)).collect();
        let labels: Vec<f32> = values
            .iter()
            .map(|x| f32::from(u8::from(rand::RngExt::random::<f32>(&mut rng) < 0.1 + 0.6 * x)))
            .collect();
        let data = Dataset { values: &values, n_features: 1, labels: &labels, weights: None, groups: None };
        let threads = Threads::new(2).unwrap();
        let parameters = BoostingParameters { trees: 30, column_share: 1.0, ..default_parameters() };
        let mut go_on = |_| ControlFlow::Continue(());
        let p = cross_validate(&data, &Folds::Drawn(3), &parameters, &threads, &mut go_on).unwrap();
        let outcomes: Vec<bool> = labels.iter().map(|label| *label > 0.5).collect();
        let metrics = measure_probabilities(&p, &outcomes);
        assert!((0.97..1.03).contains(&metrics["observed_expected"]), "{metrics:?}");
        assert!(metrics["ece"] < 0.05 && metrics["auc"] > 0.62, "{metrics:?}");
    }

    #[test]
    fn given_folds_decide_what_each_row_is_predicted_from() {
        // The outcome follows x in the first half and turns round in the second: what is learned from the other half
        // is wrong.
        let values: Vec<f32> = (0..400).map(|row| f32::from(u8::from(row % 2 == 0))).collect();
        let labels: Vec<f32> =
            values.iter().enumerate().map(|(row, x)| if row < 200 { *x } else { 1.0 - x }).collect();
        let data = Dataset { values: &values, n_features: 1, labels: &labels, weights: None, groups: None };
        let halves: Vec<usize> = (0..400).map(|row| row / 200).collect();
        let parameters = BoostingParameters { trees: 10, column_share: 1.0, ..default_parameters() };
        let mut go_on = |_| ControlFlow::Continue(());
        let threads = Threads::new(1).unwrap();
        let p = cross_validate(&data, &Folds::Given(&halves), &parameters, &threads, &mut go_on).unwrap();
        let outcomes: Vec<bool> = labels.iter().map(|label| *label > 0.5).collect();
        assert!(auc(&p[..200], &outcomes[..200]).unwrap() < 0.1);
        assert!(auc(&p[200..], &outcomes[200..]).unwrap() < 0.1);
    }

    #[test]
    fn too_few_of_one_outcome_are_refused() {
        let labels = [0.0, 0.0, 1.0, 0.0];
        let data = Dataset { values: &[0.0; 4], n_features: 1, labels: &labels, weights: None, groups: None };
        let mut go_on = |_| ControlFlow::Continue(());
        let threads = Threads::new(1).unwrap();
        let outcome = cross_validate(&data, &Folds::Drawn(5), &default_parameters(), &threads, &mut go_on);
        assert!(matches!(outcome, Err(BoostingError::NotEnoughData { .. })));
    }
}

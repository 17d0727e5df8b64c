use std::ops::ControlFlow;

use rand::RngExt;

use super::*;
use crate::base::random::rng;
use crate::ml::threads::Threads;

/// A log of which everything is known.
struct Known {
    log: TreatmentLog,
    /// Effect of each row.
    effects: Vec<f64>,
    /// Expected outcome of each row untreated.
    base: Vec<f64>,
}

/// Rows of three features in −1…1; outcome 1 with `base` of the features, and `effect` more if treated with `propensity`.
fn known(
    n: usize,
    seed: u64,
    base: impl Fn(&[f32]) -> f64,
    effect: impl Fn(&[f32]) -> f64,
    propensity: impl Fn(&[f32]) -> f64,
) -> Known {
    let mut draws = rng(seed, "uplift test");
    let mut log = TreatmentLog { width: 3, n_users: n, ..TreatmentLog::default() };
    let (mut effects, mut bases, mut propensities) = (Vec::new(), Vec::new(), Vec::new());
    for user in 0..n {
        let row: Vec<f32> = (0..3).map(|_| draws.random_range(-1.0..1.0)).collect();
        let treated = draws.random::<f64>() < propensity(&row);
        let expected = base(&row) + if treated { effect(&row) } else { 0.0 };
        log.outcomes.push(f64::from(u8::from(draws.random::<f64>() < expected)));
        log.treated.push(treated);
        log.users.push(user as u32);
        propensities.push(propensity(&row));
        effects.push(effect(&row));
        bases.push(base(&row));
        log.values.extend(row);
    }
    log.propensities = Some(propensities);
    Known { log, effects, base: bases }
}

fn run(log: &TreatmentLog, learners: &[Learner], seed: u64) -> Report {
    let threads = Threads::new(1).unwrap();
    measure(log, learners, Options { folds: 3, seed }, &threads, &mut |_| ControlFlow::Continue(())).unwrap()
}

/// Truth about a ranking: its Qini coefficient and the value of its policy.
fn truth(known: &Known, found: &LearnerReport) -> (f64, f64) {
    let qini = qini_coefficient(&found.ranks, &known.effects);
    let predicted = &found.predicted;
    let rows = known.base.iter().zip(&known.effects).zip(predicted);
    let value = rows.map(|((base, effect), predicted)| base + if *predicted > 0.0 { *effect } else { 0.0 });
    (qini, value.sum::<f64>() / predicted.len() as f64)
}

const SEEDS: std::ops::Range<u64> = 1..5;

/// Mean of the errors in standard errors of that mean.
fn apart(errors: &[(f64, f64)]) -> f64 {
    let sum: f64 = errors.iter().map(|(error, _)| error).sum();
    let variance: f64 = errors.iter().map(|(_, standard_error)| standard_error * standard_error).sum();
    (sum / variance.sqrt()).abs()
}

fn estimates_hold(make: impl Fn(u64) -> Known, learners: &[Learner]) {
    let mut errors = vec![(Vec::new(), Vec::new()); learners.len()];
    for seed in SEEDS {
        let known = make(seed);
        let report = run(&known.log, learners, seed);
        assert_eq!(report.refusal, None);
        for (found, (qinis, values)) in report.learners.iter().zip(&mut errors) {
            let (qini, value) = truth(&known, found);
            println!("{seed} {:?}: {:?} truth {qini}", found.learner, found.qini);
            let policy = found.policy.unwrap_or_else(|| panic!("{:?} {:?}", found.learner, found.refusal));
            qinis.push((found.qini.value - qini, found.qini.standard_error));
            values.push((policy.value.value - value, policy.value.standard_error));
        }
    }
    for (learner, (qinis, values)) in learners.iter().zip(errors) {
        assert!(apart(&qinis) < 2.0, "{learner:?}: Qini {qinis:?}");
        assert!(apart(&values) < 2.0, "{learner:?}: value {values:?}");
    }
}

fn flat(_: &[f32]) -> f64 {
    0.5
}

#[test]
fn a_linear_effect_is_found_and_measured_as_it_is() {
    let make =
        |seed| known(1_500, seed, |row| 0.4 + 0.1 * f64::from(row[1]), |row| 0.3 * f64::from(row[0]), flat);
    estimates_hold(make, &Learner::ALL);
}

#[test]
fn a_step_is_found_and_measured_as_it_is() {
    let step = |row: &[f32]| if row[0] > 0.2 && row[1] > -0.5 { 0.4 } else { -0.1 };
    estimates_hold(|seed| known(1_500, seed, |_| 0.3, step, flat), &[Learner::T, Learner::Dr]);
}

#[test]
fn without_an_effect_nobody_is_told_from_anybody() {
    let mut told = 0;
    for seed in 1..9 {
        let known = known(900, seed, |row| 0.4 + 0.3 * f64::from(row[0]), |_| 0.0, flat);
        let report = run(&known.log, &[Learner::T, Learner::Dr], seed);
        let effect = report.effect.unwrap();
        assert!(effect.value.abs() < 3.0 * effect.standard_error, "{effect:?}");
        for found in &report.learners {
            assert_eq!(found.policy.is_none(), found.refusal.is_some());
            assert_eq!(found.deciles.is_empty(), found.refusal.is_some());
            told += u32::from(found.refusal.is_none());
        }
    }
    // One in forty by chance.
    assert!(told <= 1, "{told} of 16");
}

/// One in ten is treated, mostly those who buy anyway; the effect is small and simple, the base is neither.
fn confounded(seed: u64) -> Known {
    known(
        3_000,
        seed,
        |row| if row[1] > 0.0 { 0.6 } else { 0.15 } + 0.1 * f64::from(row[2]),
        |row| if row[0] > 0.0 { 0.2 } else { -0.05 },
        |row| if row[1] > 0.0 { 0.16 } else { 0.04 },
    )
}

#[test]
fn where_few_are_treated_by_what_they_would_do_anyway_dr_or_x_is_no_worse_than_t() {
    let mut qinis = [0.0; 3];
    let mut errors = Vec::new();
    for seed in SEEDS {
        let known = confounded(seed);
        let report = run(&known.log, &Learner::ALL, seed);
        for (sum, found) in qinis.iter_mut().zip(&report.learners) {
            *sum += truth(&known, found).0;
        }
        // The buyers' advantage of the treated is none of the treatment.
        let effect = report.effect.unwrap();
        let mean = known.effects.iter().sum::<f64>() / known.effects.len() as f64;
        errors.push((effect.value - mean, effect.standard_error));
        let naive = |treated: bool| {
            let of: Vec<f64> = (0..3_000)
                .filter(|row| known.log.treated[*row] == treated)
                .map(|row| known.log.outcomes[row])
                .collect();
            of.iter().sum::<f64>() / of.len() as f64
        };
        assert!(naive(true) - naive(false) > mean + 0.1);
    }
    println!("{qinis:?}");
    let [t, x, dr] = qinis;
    assert!(x.max(dr) >= t, "{qinis:?}");
    assert!(apart(&errors) < 2.0, "{errors:?}");
}

#[test]
fn probabilities_that_are_not_logged_are_estimated() {
    let mut known = confounded(7);
    known.log.propensities = None;
    let report = run(&known.log, &[], 7);
    assert!(report.estimated_propensities);
    let (effect, mean) = (report.effect.unwrap(), known.effects.iter().sum::<f64>() / 3_000.0);
    assert!((effect.value - mean).abs() < 2.5 * effect.standard_error, "{effect:?} {mean}");
}

#[test]
fn what_a_log_cannot_carry_is_refused_with_its_reason() {
    let Known { log, .. } = known(900, 1, |_| 0.4, |_| 0.0, flat);
    let ask = |change: fn(&mut TreatmentLog)| {
        let mut log = log.clone();
        change(&mut log);
        let report = run(&log, &Learner::ALL, 1);
        assert!(report.effect.is_none() && report.learners.is_empty());
        report.refusal.unwrap()
    };
    assert_eq!(ask(|log| log.treated.fill(false)), Refusal::FewRows { treated: 0, untreated: 900 });
    assert_eq!(ask(|log| log.outcomes.fill(2.0)), Refusal::FewOutcomes { treated: 0, untreated: 0 });
    let few = ask(|log| {
        log.users.iter_mut().for_each(|user| *user %= 20);
        log.n_users = 20;
    });
    assert_eq!(few, Refusal::FewUsers { users: 20, folds: 3 });
    let wrong = ask(|log| log.propensities = Some(vec![0.9; 900]));
    assert!(
        matches!(wrong, Refusal::Propensities { expected, .. } if (expected - 810.0).abs() < 1e-6),
        "{wrong}"
    );
    let certain = ask(|log| {
        let sides: Vec<bool> = log.values.chunks(3).map(|row| row[0] > 0.0).collect();
        log.propensities = Some(sides.iter().map(|side| f64::from(u8::from(*side))).collect());
        log.treated = sides;
    });
    assert!(matches!(certain, Refusal::NoOverlap { clipped, .. } if clipped == 1.0), "{certain}");
    assert!(certain.to_string().starts_with("no overlap"));
}

#[test]
fn a_fault_of_the_log_is_named_by_its_row() {
    let Known { log, .. } = known(300, 1, |_| 0.4, |_| 0.0, flat);
    let threads = Threads::new(1).unwrap();
    let ask = |log: &TreatmentLog, folds| {
        let options = Options { folds, seed: 1 };
        measure(log, &[], options, &threads, &mut |_| ControlFlow::Break(())).unwrap_err()
    };
    assert_eq!(ask(&log, 2), UpliftError::Folds(2));
    assert_eq!(ask(&log, 3), UpliftError::Cancelled);
    let mut bad = log.clone();
    bad.outcomes[7] = f64::NAN;
    assert_eq!(ask(&bad, 3), UpliftError::Outcome { row: 7 });
    let mut bad = log.clone();
    bad.propensities.as_mut().unwrap()[9] = 1.5;
    assert_eq!(ask(&bad, 3), UpliftError::Propensity { row: 9, propensity: 1.5 });
    let mut bad = log;
    bad.treated.pop();
    assert!(matches!(ask(&bad, 3), UpliftError::Shape(_)));
}

#[test]
fn rows_of_one_user_are_in_one_fold_and_the_report_repeats() {
    let Known { mut log, .. } = known(900, 3, |_| 0.4, |row| 0.3 * f64::from(row[0]), flat);
    log.users.iter_mut().for_each(|user| *user /= 3);
    log.n_users = 300;
    let one = run(&log, &[Learner::T], 5);
    assert_eq!(one, run(&log, &[Learner::T], 5));
    assert_eq!((one.rows, one.users), (900, 300));
    let rows: usize = one.learners[0].deciles.iter().map(|decile| decile.rows).sum();
    assert!(one.learners[0].refusal.is_some() || rows == 900);
}

use rand::RngExt;

use super::*;
use crate::base::random::rng;

fn choice(stratum: usize, action: usize, reward: f64, propensity: f64) -> LoggedChoice {
    LoggedChoice { stratum, action, reward, propensity }
}

/// Three strata, four actions; the log favours low actions, the target high ones.
fn synthetic(n: usize, seed: u64) -> (Vec<LoggedChoice>, TargetPolicy, f64) {
    const LOGGED: [f64; 4] = [0.4, 0.3, 0.2, 0.1];
    const TARGET: [f64; 4] = [0.1, 0.2, 0.3, 0.4];
    let truth = |stratum: usize, action: usize| 0.05 + 0.04 * action as f64 + 0.1 * stratum as f64;
    let mut rng = rng(seed, "off-policy test");
    let rows = (0..n)
        .map(|_| {
            let stratum = rng.random_range(0..3);
            let mut u: f64 = rng.random();
            let mut action = 0;
            while action < 3 && u >= LOGGED[action] {
                u -= LOGGED[action];
                action += 1;
            }
            let reward = f64::from(u8::from(rng.random::<f64>() < truth(stratum, action)));
            choice(stratum, action, reward, LOGGED[action])
        })
        .collect();
    let value = (0..3).flat_map(|x| (0..4).map(move |a| TARGET[a] * truth(x, a) / 3.0)).sum();
    (rows, TargetPolicy::new(4, TARGET.repeat(3)).unwrap(), value)
}

#[test]
fn estimates_are_those_computed_by_hand() {
    // Two actions, logged half and half; the target takes action 1 in three of four cases: weights 0.5 and 1.5.
    let rows: Vec<_> =
        (0..400).map(|row| choice(0, row % 2, f64::from(u8::from(row % 8 == 1)), 0.5)).collect();
    let report = estimate(&rows, &TargetPolicy::new(2, vec![0.25, 0.75]).unwrap()).unwrap();
    let estimates = report.estimates.unwrap();
    // 50 rewards of weight 1.5 over 400 rows, the weights sum to 400.
    assert!((estimates.ips.value - 0.1875).abs() < 1e-12);
    assert!((estimates.snips.value - 0.1875).abs() < 1e-12);
    // 400² / (200 · 0.25 + 200 · 2.25) = 320.
    assert!((report.effective_sample_size - 320.0).abs() < 1e-9);
    assert_eq!((report.rewarded, report.largest_weight), (50, 1.5));
    assert!((report.logged - 0.125).abs() < 1e-12);
    // Var(w r) = 0.125 · 2.25 − 0.1875², times 400 / 399, over 400.
    let error = ((0.125 * 2.25 - 0.1875f64.powi(2)) / 399.0).sqrt();
    assert!((estimates.ips.standard_error - error).abs() < 1e-12);
}

#[test]
fn snips_and_dr_are_unbiased_on_a_known_truth() {
    let mut bias = [0.0; 2];
    let mut squares = [0.0; 2];
    let runs = 200;
    for seed in 0..runs {
        let (rows, target, value) = synthetic(2_000, seed);
        let estimates = estimate(&rows, &target).unwrap().estimates.unwrap();
        for (sum, estimate) in [estimates.snips, estimates.dr].into_iter().enumerate() {
            bias[sum] += estimate.value - value;
            squares[sum] += (estimate.value - value).powi(2);
        }
    }
    let n = runs as f64;
    for (sum, square) in bias.into_iter().zip(squares) {
        let mean = sum / n;
        let standard_error = ((square / n - mean * mean) / n).sqrt();
        assert!(mean.abs() < 2.0 * standard_error, "bias {mean}, standard error {standard_error}");
    }
}

#[test]
fn intervals_hold_the_truth_about_as_often_as_they_say_and_dr_is_narrowest() {
    let (mut held, mut narrower) = ([0; 3], 0);
    let runs = 200;
    for seed in 0..runs {
        let (rows, target, value) = synthetic(2_000, 1_000 + seed);
        let all = estimate(&rows, &target).unwrap().estimates.unwrap();
        for (count, estimate) in held.iter_mut().zip([all.ips, all.snips, all.dr]) {
            *count += u64::from(estimate.low <= value && value <= estimate.high);
        }
        narrower += u64::from(all.dr.standard_error < all.ips.standard_error);
    }
    // 95 % of 200 is 190, ± 3 standard errors of a binomial.
    assert!(held.iter().all(|count| (180..=199).contains(count)), "{held:?}");
    assert!(narrower > runs * 9 / 10, "{narrower}");
}

#[test]
fn dr_is_right_though_the_propensities_are_wrong() {
    let (mut rows, target, value) = synthetic(60_000, 7);
    for row in &mut rows {
        row.propensity = (row.propensity * if row.action == 0 { 0.97 } else { 1.01 }).min(1.0);
    }
    let estimates = estimate(&rows, &target).unwrap().estimates.unwrap();
    assert!((estimates.dr.value - value).abs() < 3.0 * estimates.dr.standard_error, "{estimates:?} {value}");
}

#[test]
fn where_the_log_cannot_carry_an_answer_there_is_none() {
    let even = TargetPolicy::uniform(1, 2).unwrap();
    let ask = |rows: &[LoggedChoice]| {
        let report = estimate(rows, &even).unwrap();
        assert!(report.estimates.is_none());
        report.refusal.unwrap()
    };
    assert_eq!(ask(&[]), Refusal::Empty);
    let few: Vec<_> = (0..50).map(|row| choice(0, row % 2, 1.0, 0.5)).collect();
    assert!(matches!(ask(&few), Refusal::EffectiveSample { effective } if (effective - 50.0).abs() < 1e-9));
    let mut one: Vec<_> = (0..5_000).map(|row| choice(0, row % 2, 1.0, 0.5)).collect();
    one[0].propensity = 0.5 / 400.0;
    assert!(matches!(ask(&one), Refusal::OneRow { .. }));
    let unrewarded: Vec<_> = (0..5_000).map(|row| choice(0, row % 2, 0.0, 0.5)).collect();
    assert_eq!(ask(&unrewarded), Refusal::FewRewards { rewarded: 0 });
    // The log never did action 1, which the target does half of the time.
    let unsupported: Vec<_> = (0..5_000).map(|_| choice(0, 0, 1.0, 1.0)).collect();
    assert!(matches!(ask(&unsupported), Refusal::Propensities { .. }));
    let wrong: Vec<_> = (0..5_000).map(|row| choice(0, row % 2, 1.0, 0.9 - 0.1 * (row % 2) as f64)).collect();
    assert!(matches!(ask(&wrong), Refusal::Propensities { .. }));
}

#[test]
fn a_bad_row_or_target_is_named() {
    let even = TargetPolicy::uniform(1, 2).unwrap();
    let refused = |row| estimate(&[row], &even).unwrap_err();
    assert_eq!(refused(choice(0, 0, 1.0, 0.0)), OffPolicyError::Propensity { row: 0, propensity: 0.0 });
    assert!(matches!(refused(choice(0, 0, 1.0, f64::NAN)), OffPolicyError::Propensity { .. }));
    assert_eq!(refused(choice(0, 0, f64::INFINITY, 0.5)), OffPolicyError::Reward { row: 0 });
    assert_eq!(
        refused(choice(1, 0, 1.0, 0.5)),
        OffPolicyError::UnknownCell { row: 0, stratum: 1, action: 0 }
    );
    assert!(matches!(TargetPolicy::new(2, vec![0.5, 0.6]), Err(OffPolicyError::NotADistribution { .. })));
    assert!(matches!(TargetPolicy::new(2, vec![1.5, -0.5]), Err(OffPolicyError::NotADistribution { .. })));
    assert!(matches!(TargetPolicy::new(2, vec![1.0]), Err(OffPolicyError::Shape { .. })));
    assert!(matches!(TargetPolicy::new(0, vec![]), Err(OffPolicyError::Shape { .. })));
    assert!(matches!(TargetPolicy::uniform(usize::MAX, 2), Err(OffPolicyError::Shape { .. })));
}

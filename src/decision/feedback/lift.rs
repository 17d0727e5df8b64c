//! Effect of an arm against the control: click-through, conversion, revenue, opt-out, each with its interval.
//!
//! A metric is Σ x / Σ y over users: clicks over messages delivered, or something over users (y = 1). The unit that was
//! randomised is the user. Shares of users (bought, opted out) are compared by Newcombe's intervals ([`Share::minus`]), told
//! once both arms may be expected to hold five of each outcome. For click-through and revenue the variance is taken over users, by
//! the delta method (Deng, Knoblich & Lu, KDD 2018), which is trusted from [`MIN_USERS`] users in each arm of whom
//! [`MIN_ACTIVE`] clicked or bought. Below that the reading says that there are too few to tell, and gives no interval.
//! Lift = treated / control − 1.

use serde::Serialize;

pub use super::arm_outcome::{ArmOutcome, MIN_ACTIVE, MIN_USERS, Measured, Metric, UserOutcome};
use super::experiments::{SampleRatio, sample_ratio};
use super::outcomes::{self, Share};
use super::statistics::{Estimate, Z_95};

/// Outcome of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Verdict {
    /// Too few to tell.
    TooFew,
    /// The interval of the difference holds 0: neither a difference nor its absence is shown.
    NotToldApart,
    /// More than the control.
    More,
    /// Less than the control.
    Less,
}

/// A metric compared.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Lift {
    /// Metric compared.
    pub metric: Metric,
    /// Of the control.
    pub control: Measured,
    /// Of the arm.
    pub treated: Measured,
    /// treated − control, with its 95 % interval; `None` while one of them has no value.
    pub difference: Option<Estimate>,
    /// treated / control − 1 with its 95 % interval; `None` where the control has 0 or there are too few to tell.
    pub lift: Option<Estimate>,
    /// Verdict of the comparison.
    pub verdict: Verdict,
    /// Reason why there are too few to tell; `None` when there are enough.
    pub too_few: Option<String>,
    /// The interval of the difference leaves 0 out, and there are enough to tell.
    pub significant: bool,
}

/// Results that may be read from an experiment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reading {
    /// The check of sizes.
    pub sample_ratio: SampleRatio,
    /// For each arm but the control its metrics; empty when the check blocks the reading.
    pub arms: Vec<Vec<Lift>>,
}

/// Compares one metric.
pub fn lift(control: &ArmOutcome, treated: &ArmOutcome, metric: Metric) -> Lift {
    let (difference, lift, too_few) = if metric.is_share() {
        shares(control.share(metric), treated.share(metric))
    } else {
        ratios(control, treated, metric)
    };
    let difference_told = difference.filter(|_| too_few.is_none());
    let verdict = match difference_told {
        None => Verdict::TooFew,
        Some(difference) if !difference.excludes_zero() => Verdict::NotToldApart,
        Some(difference) if difference.value > 0.0 => Verdict::More,
        Some(_) => Verdict::Less,
    };
    Lift {
        metric,
        control: control.measured(metric),
        treated: treated.measured(metric),
        difference,
        lift,
        verdict,
        too_few,
        significant: matches!(verdict, Verdict::More | Verdict::Less),
    }
}

type Compared = (Option<Estimate>, Option<Estimate>, Option<String>);

/// Difference and lift of two shares of users. The interval of the difference is there from the first user on.
fn shares(control: (u64, u64), treated: (u64, u64)) -> Compared {
    let too_few = outcomes::too_few(treated, control);
    let both = Share::of(treated.0, treated.1).zip(Share::of(control.0, control.1));
    let lift = both.and_then(|(treated, control)| treated.lift_over(control));
    (both.map(|(treated, control)| treated.minus(control)), lift.filter(|_| too_few.is_none()), too_few)
}

/// Difference and lift by the delta method.
fn ratios(control: &ArmOutcome, treated: &ArmOutcome, metric: Metric) -> Compared {
    let (before, after) = (control.measured(metric), treated.measured(metric));
    let Some((control_value, treated_value)) = before.value.zip(after.value) else {
        let too_few = treated.too_few(metric).or_else(|| control.too_few(metric));
        return (None, None, too_few);
    };
    let difference = treated_value - control_value;
    let too_few = control.too_few(metric).or_else(|| treated.too_few(metric));
    let errors = before.standard_error.zip(after.standard_error).filter(|_| too_few.is_none());
    let Some((control_error, treated_error)) = errors else {
        let constant =
            || "too few to tell: all users of an arm did the same, so how they vary is not known".to_owned();
        return (Some(Estimate::untold(difference)), None, Some(too_few.unwrap_or_else(constant)));
    };
    let reach = Z_95 * treated_error.hypot(control_error);
    let lift = (control_value > 0.0).then(|| {
        let ratio = treated_value / control_value;
        // The treated part is written without dividing by a value that may be 0.
        let reach = Z_95 * (treated_error / control_value).hypot(ratio * control_error / control_value);
        Estimate::between(ratio - 1.0, ratio - 1.0 - reach, ratio - 1.0 + reach)
    });
    (Some(Estimate::between(difference, difference - reach, difference + reach)), lift, None)
}

/// Reads an experiment by `metrics`: arms with their shares, the control first. Blocked if the sizes are off.
pub fn read(arms: &[(ArmOutcome, f64)], metrics: &[Metric]) -> Reading {
    let observed: Vec<u64> = arms.iter().map(|(arm, _)| arm.users()).collect();
    let shares: Vec<f64> = arms.iter().map(|(_, share)| *share).collect();
    let sample_ratio = sample_ratio(&observed, &shares);
    let compared = match arms {
        [(control, _), treated @ ..] if !sample_ratio.blocked => treated
            .iter()
            .map(|(arm, _)| metrics.iter().map(|metric| lift(control, arm, *metric)).collect())
            .collect(),
        _ => Vec::new(),
    };
    Reading { sample_ratio, arms: compared }
}

/// Incremental effect of messages, and its ratio to last-touch attribution.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Attribution {
    /// Users who bought within the window of a message that named the item: last touch.
    pub last_touch: f64,
    /// Buyers there would not have been without messages, with their 95 % interval; `None` while an arm is empty.
    pub incremental: Option<Estimate>,
    /// Verdict on the difference to the holdout.
    pub verdict: Verdict,
    /// Reason why there are too few to tell; `None` when there are enough.
    pub too_few: Option<String>,
    /// incremental / last touch: what a purchase credited to a message is worth; `None` without any, or while the interval of
    /// `incremental` holds 0.
    pub correction: Option<f64>,
}

/// Corrects `last_touch` buyers among those who may get messages by the conversion of the holdout.
pub fn holdout_corrected(messaged: &ArmOutcome, holdout: &ArmOutcome, last_touch: f64) -> Attribution {
    let Lift { difference, verdict, too_few, significant, .. } = lift(holdout, messaged, Metric::Conversion);
    let incremental = difference.map(|share| share.times(messaged.users() as f64));
    let correction =
        incremental.filter(|_| significant && last_touch > 0.0).map(|added| added.value / last_touch);
    Attribution { last_touch, incremental, verdict, too_few, correction }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arm(users: &[UserOutcome]) -> ArmOutcome {
        let mut arm = ArmOutcome::default();
        users.iter().for_each(|user| arm.add(user));
        arm
    }

    fn clicks(delivered: u32, clicked: u32) -> UserOutcome {
        UserOutcome { delivered, clicked, ..UserOutcome::default() }
    }

    fn buyers(users: usize, buyers: usize) -> ArmOutcome {
        let user = |index| UserOutcome { converted: index < buyers, ..UserOutcome::default() };
        arm(&(0..users).map(user).collect::<Vec<_>>())
    }

    #[test]
    fn click_through_is_of_messages_and_its_error_over_users() {
        // 6 of 16; residuals 2 − 1.5, 0 − 0.75, 4 − 3.75 → squares 0.25 + 0.5625 + 0.0625 = 0.875.
        let measured = arm(&[clicks(4, 2), clicks(2, 0), clicks(10, 4)]).measured(Metric::ClickThrough);
        assert!((measured.value.unwrap() - 0.375).abs() < 1e-12);
        assert!((measured.standard_error.unwrap() - (0.875f64 * 1.5).sqrt() / 16.0).abs() < 1e-12);
        assert_eq!(measured.interval, None, "of three users");
    }

    #[test]
    fn click_through_is_compared_by_the_delta_method_from_enough_users_on() {
        let group = |users: u32, of_ten: u32| {
            arm(&(0..users).map(|user| clicks(2, u32::from(user % 10 < of_ten))).collect::<Vec<_>>())
        };
        let compared = lift(&group(200, 2), &group(200, 6), Metric::ClickThrough);
        // Of n users with two messages each: √(p (1 − p) / (n − 1)) / 2.
        let error = |p: f64| (p * (1.0 - p) / 199.0).sqrt() / 2.0;
        let reach = 1.959_963_985 * error(0.2).hypot(error(0.6));
        let difference = compared.difference.unwrap();
        assert!(
            (difference.value - 0.2).abs() < 1e-12 && (difference.low.unwrap() - 0.2 + reach).abs() < 1e-8
        );
        assert_eq!((compared.verdict, compared.significant), (Verdict::More, true));
        for (control, treated) in
            [(group(20, 2), group(200, 6)), (group(200, 0), group(200, 6)), (group(200, 10), group(200, 2))]
        {
            let compared = lift(&control, &treated, Metric::ClickThrough);
            assert_eq!(
                (compared.verdict, compared.significant, compared.lift),
                (Verdict::TooFew, false, None)
            );
            assert_eq!(compared.difference.unwrap().low, None);
            assert!(compared.too_few.unwrap().starts_with("too few to tell"));
        }
    }

    #[test]
    fn shares_of_users_are_compared_by_newcombes_interval() {
        let compared = lift(&buyers(1_000, 100), &buyers(1_000, 130), Metric::Conversion);
        let near = |found: Option<f64>, expected: f64| {
            assert!((found.unwrap() - expected).abs() < 1e-9, "{compared:?}")
        };
        let (difference, lift) = (compared.difference.unwrap(), compared.lift.unwrap());
        near(Some(difference.value), 0.03);
        near(difference.low, 0.002_002_348_715_283_018);
        near(difference.high, 0.058_070_485_022_202_856);
        near(Some(lift.value), 0.3);
        near(lift.low, 0.017_477_781_221_917_12);
        near(lift.high, 0.660_759_945_747_442);
        assert_eq!((compared.verdict, compared.significant), (Verdict::More, true));
    }

    /// Of 6 held out nobody bought, of 162 others 49.
    #[test]
    fn six_users_held_out_of_whom_none_bought_tell_nothing() {
        let (messaged, holdout) = (buyers(162, 49), buyers(6, 0));
        let compared = lift(&holdout, &messaged, Metric::Conversion);
        let difference = compared.difference.unwrap();
        assert!((difference.low.unwrap() + 0.093_319_562_756_107_09).abs() < 1e-9, "{difference:?}");
        assert_eq!((compared.verdict, compared.significant, compared.lift), (Verdict::TooFew, false, None));
        assert_eq!((compared.control.value, compared.control.standard_error), (Some(0.0), None));
        let attribution = holdout_corrected(&messaged, &holdout, 60.0);
        assert_eq!((attribution.verdict, attribution.correction), (Verdict::TooFew, None));
        let added = attribution.incremental.unwrap();
        assert!(added.low.unwrap() < 0.0 && (added.value - 49.0).abs() < 1e-9, "{added:?}");
        assert!(attribution.too_few.unwrap().starts_with("too few to tell: "));
    }

    /// Two held out beside thousands: even where the interval leaves 0 out, two users tell nothing.
    #[test]
    fn an_interval_of_two_users_is_no_proof() {
        let compared = lift(&buyers(2, 0), &buyers(2_000, 1_400), Metric::Conversion);
        assert!(compared.difference.unwrap().excludes_zero());
        assert_eq!((compared.verdict, compared.significant), (Verdict::TooFew, false));
    }

    #[test]
    fn nobody_of_many_is_an_answer() {
        let compared = lift(&buyers(500, 0), &buyers(500, 50), Metric::Conversion);
        assert_eq!((compared.verdict, compared.lift), (Verdict::More, None));
    }

    #[test]
    fn a_revenue_that_hangs_on_few_buyers_is_not_told() {
        let spent = |users: usize, buyers: usize| {
            let user = |index| UserOutcome {
                revenue: if index < buyers { 50.0 + index as f64 } else { 0.0 },
                ..UserOutcome::default()
            };
            arm(&(0..users).map(user).collect::<Vec<_>>())
        };
        assert_eq!(lift(&spent(900, 9), &spent(900, 200), Metric::Revenue).verdict, Verdict::TooFew);
        assert_eq!(lift(&spent(900, 90), &spent(900, 200), Metric::Revenue).verdict, Verdict::More);
        assert_eq!(lift(&spent(900, 90), &spent(900, 92), Metric::Revenue).verdict, Verdict::NotToldApart);
    }

    #[test]
    fn a_lost_arm_blocks_the_reading() {
        let reading = read(&[(buyers(1_000, 100), 1.0), (buyers(800, 100), 1.0)], &Metric::ALL);
        assert!(reading.sample_ratio.blocked && reading.arms.is_empty());
        let reading = read(&[(buyers(1_000, 100), 1.0), (buyers(990, 100), 1.0)], &Metric::ALL);
        assert_eq!((reading.sample_ratio.blocked, reading.arms.len()), (false, 1));
    }

    #[test]
    fn nobody_gives_no_numbers_and_no_nan() {
        let compared = lift(&ArmOutcome::default(), &ArmOutcome::default(), Metric::Revenue);
        assert_eq!((compared.lift, compared.difference, compared.verdict), (None, None, Verdict::TooFew));
        assert_eq!(compared.control.value, None);
    }

    #[test]
    fn last_touch_is_corrected_by_those_who_buy_anyway() {
        // 12 % against 10 % without messages: 2,000 of 100,000; 5,000 were credited.
        let attribution = holdout_corrected(&buyers(100_000, 12_000), &buyers(10_000, 1_000), 5_000.0);
        assert!((attribution.incremental.unwrap().value - 2_000.0).abs() < 1e-6);
        assert!((attribution.correction.unwrap() - 0.4).abs() < 1e-9);
        // The same shares of a tenth of the users can't be told apart.
        let attribution = holdout_corrected(&buyers(10_000, 1_200), &buyers(1_000, 100), 500.0);
        assert_eq!((attribution.verdict, attribution.correction), (Verdict::NotToldApart, None));
    }
}

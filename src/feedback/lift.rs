//! What an arm does that the control does not: click-through, conversion, revenue, opt-out, each with its interval.
//!
//! A metric is Σ x / Σ y over users: clicks over messages delivered, or something over users (y = 1). The unit that was
//! randomised is the user, so the variance is taken over users, by the delta method for ratios (Deng, Knoblich & Lu, KDD 2018);
//! for y = 1 it is Welch's. Lift = treated / control − 1, its interval again by the delta method.

use serde::Serialize;

use super::experiments::{SampleRatio, sample_ratio};
use super::statistics::Z_95;

/// What one user did while the experiment ran.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct UserOutcome {
    /// Messages confirmed as delivered.
    pub delivered: u32,
    /// Of them clicked.
    pub clicked: u32,
    /// Bought at least once, by a message or not.
    pub converted: bool,
    /// Of all purchases, in the shop's currency.
    pub revenue: f64,
    /// Muted a category or opted out.
    pub opted_out: bool,
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Clicks a message delivered.
    ClickThrough,
    /// Users who bought.
    Conversion,
    /// Revenue a user.
    Revenue,
    /// Users who muted or opted out.
    OptOut,
}

impl Metric {
    /// All, in order.
    pub const ALL: [Self; 4] = [Self::ClickThrough, Self::Conversion, Self::Revenue, Self::OptOut];

    /// x and y of a user.
    fn of(self, user: &UserOutcome) -> (f64, f64) {
        match self {
            Self::ClickThrough => (f64::from(user.clicked), f64::from(user.delivered)),
            Self::Conversion => (f64::from(u8::from(user.converted)), 1.0),
            Self::Revenue => (user.revenue, 1.0),
            Self::OptOut => (f64::from(u8::from(user.opted_out)), 1.0),
        }
    }
}

/// Sums over users of x, y and their products.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Sums {
    x: f64,
    y: f64,
    xx: f64,
    xy: f64,
    yy: f64,
}

/// What the users of one arm did, as sums: users come in one at a time and are not kept.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ArmOutcome {
    users: u64,
    sums: [Sums; 4],
}

/// A metric of one arm.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// Σ x / Σ y; 0 without y.
    pub value: f64,
    /// Of the value; 0 below two users.
    pub standard_error: f64,
}

/// A metric compared.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Lift {
    /// Which.
    pub metric: Metric,
    /// Of the control.
    pub control: Measured,
    /// Of the arm.
    pub treated: Measured,
    /// treated − control, with its 95 % interval.
    pub difference: [f64; 3],
    /// treated / control − 1 with its 95 % interval: value, low, high; `None` where the control has 0.
    pub lift: Option<[f64; 3]>,
    /// The interval of the difference leaves 0 out.
    pub significant: bool,
}

/// What may be read from an experiment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reading {
    /// The check of sizes.
    pub sample_ratio: SampleRatio,
    /// For each arm but the control its four metrics; empty when the check blocks the reading.
    pub arms: Vec<Vec<Lift>>,
}

impl ArmOutcome {
    /// Counts a user; a revenue that is not finite counts as none.
    pub fn add(&mut self, user: &UserOutcome) {
        self.users += 1;
        for (sums, metric) in self.sums.iter_mut().zip(Metric::ALL) {
            let (x, y) = metric.of(user);
            let x = if x.is_finite() { x } else { 0.0 };
            sums.x += x;
            sums.y += y;
            sums.xx += x * x;
            sums.xy += x * y;
            sums.yy += y * y;
        }
    }

    /// Users counted.
    pub fn users(&self) -> u64 {
        self.users
    }

    /// One metric.
    pub fn measured(&self, metric: Metric) -> Measured {
        let sums = self.sums.get(metric as usize).copied().unwrap_or_default();
        if sums.y <= 0.0 {
            return Measured { value: 0.0, standard_error: 0.0 };
        }
        let value = sums.x / sums.y;
        let n = self.users as f64;
        if n < 2.0 {
            return Measured { value, standard_error: 0.0 };
        }
        // Residuals x − value · y sum to 0.
        let squares = (sums.xx - 2.0 * value * sums.xy + value * value * sums.yy).max(0.0);
        Measured { value, standard_error: (squares * n / (n - 1.0)).sqrt() / sums.y }
    }
}

/// Compares one metric.
pub fn lift(control: &ArmOutcome, treated: &ArmOutcome, metric: Metric) -> Lift {
    let (control, treated) = (control.measured(metric), treated.measured(metric));
    let difference = treated.value - control.value;
    let error = treated.standard_error.hypot(control.standard_error);
    let lift = (control.value > 0.0).then(|| {
        let ratio = treated.value / control.value;
        // The treated part is written without dividing by a value that may be 0.
        let error =
            (treated.standard_error / control.value).hypot(ratio * control.standard_error / control.value);
        [ratio - 1.0, ratio - 1.0 - Z_95 * error, ratio - 1.0 + Z_95 * error]
    });
    Lift {
        metric,
        control,
        treated,
        difference: [difference, difference - Z_95 * error, difference + Z_95 * error],
        lift,
        significant: error > 0.0 && difference.abs() > Z_95 * error,
    }
}

/// Reads an experiment: arms with their shares, the control first. Blocked if the sizes are off.
pub fn read(arms: &[(ArmOutcome, f64)]) -> Reading {
    let observed: Vec<u64> = arms.iter().map(|(arm, _)| arm.users).collect();
    let shares: Vec<f64> = arms.iter().map(|(_, share)| *share).collect();
    let sample_ratio = sample_ratio(&observed, &shares);
    let compared = match arms {
        [(control, _), treated @ ..] if !sample_ratio.blocked => treated
            .iter()
            .map(|(arm, _)| Metric::ALL.iter().map(|metric| lift(control, arm, *metric)).collect())
            .collect(),
        _ => Vec::new(),
    };
    Reading { sample_ratio, arms: compared }
}

/// What messages brought at all, and how much of last-touch attribution that is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Attribution {
    /// Users who bought within the window of a message that named the item: last touch.
    pub last_touch: f64,
    /// Buyers there would not have been without messages, with their 95 % interval.
    pub incremental: [f64; 3],
    /// incremental / last touch: what a purchase credited to a message is worth; `None` without any.
    pub correction: Option<f64>,
}

/// Corrects `last_touch` buyers among those who may get messages by the conversion of the holdout.
pub fn holdout_corrected(messaged: &ArmOutcome, holdout: &ArmOutcome, last_touch: f64) -> Attribution {
    let difference = lift(holdout, messaged, Metric::Conversion).difference;
    let incremental = difference.map(|share| share * messaged.users as f64);
    let correction = (last_touch > 0.0).then(|| incremental.first().copied().unwrap_or(0.0) / last_touch);
    Attribution { last_touch, incremental, correction }
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
        assert!((measured.value - 0.375).abs() < 1e-12);
        assert!((measured.standard_error - (0.875f64 * 1.5).sqrt() / 16.0).abs() < 1e-12);
    }

    #[test]
    fn lift_and_interval_of_two_proportions() {
        let compared = lift(&buyers(1_000, 100), &buyers(1_000, 130), Metric::Conversion);
        let variance = |p: f64| p * (1.0 - p) / 999.0;
        let error = (variance(0.1) + variance(0.13)).sqrt();
        assert!((compared.difference[0] - 0.03).abs() < 1e-12);
        assert!((compared.difference[1] - (0.03 - 1.959_964 * error)).abs() < 1e-7);
        let lift = compared.lift.unwrap();
        let relative = (variance(0.13) / 0.01 + 1.69 * variance(0.1) / 0.01).sqrt();
        assert!((lift[0] - 0.3).abs() < 1e-12 && (lift[2] - (0.3 + 1.959_964 * relative)).abs() < 1e-6);
        assert!(compared.significant);
    }

    #[test]
    fn a_lost_arm_blocks_the_reading() {
        let reading = read(&[(buyers(1_000, 100), 1.0), (buyers(800, 100), 1.0)]);
        assert!(reading.sample_ratio.blocked && reading.arms.is_empty());
        let reading = read(&[(buyers(1_000, 100), 1.0), (buyers(990, 100), 1.0)]);
        assert_eq!((reading.sample_ratio.blocked, reading.arms.len()), (false, 1));
    }

    #[test]
    fn nobody_gives_no_numbers_and_no_nan() {
        let compared = lift(&ArmOutcome::default(), &ArmOutcome::default(), Metric::Revenue);
        assert_eq!((compared.lift, compared.difference, compared.significant), (None, [0.0; 3], false));
    }

    #[test]
    fn last_touch_is_corrected_by_those_who_buy_anyway() {
        // 12 % against 10 % without messages: 200 of 10,000; 500 were credited.
        let attribution = holdout_corrected(&buyers(10_000, 1_200), &buyers(1_000, 100), 500.0);
        assert!((attribution.incremental[0] - 200.0).abs() < 1e-9);
        assert!((attribution.correction.unwrap() - 0.4).abs() < 1e-12);
    }
}

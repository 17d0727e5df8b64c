//! Responses of the users of one arm of an experiment, as sums over users, and the value of each metric.
//!
//! A metric is Σ x / Σ y over users: clicks over messages delivered, or something over users (y = 1). The variance of one that
//! is no share of users is taken over users, by the delta method (Deng, Knoblich & Lu, KDD 2018).

use serde::Serialize;

use super::outcomes::Share;
use super::statistics::Z_95;

/// Fewest users of an arm with a message (or, of revenue, at all) for an interval by the delta method.
pub const MIN_USERS: u64 = 30;
/// Fewest of them with a click, or a purchase.
pub const MIN_ACTIVE: u64 = 10;

/// Responses of one user while the experiment ran.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct UserOutcome {
    /// Messages confirmed as delivered.
    pub delivered: u32,
    /// Of them clicked.
    pub clicked: u32,
    /// Bought something and did not return it, by a message or not.
    pub converted: bool,
    /// Of all purchases, returns taken off, in the shop's currency.
    pub revenue: f64,
    /// Muted a category or opted out.
    pub opted_out: bool,
}

/// Metric of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
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

    /// A share of users, each of whom did it or did not.
    pub(super) fn is_share(self) -> bool {
        matches!(self, Self::Conversion | Self::OptOut)
    }

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
    /// Users with a y.
    exposed: u64,
    /// Users with an x.
    active: u64,
}

/// Responses of the users of one arm, as sums: users come in one at a time and are not kept.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ArmOutcome {
    users: u64,
    sums: [Sums; 4],
}

/// A metric of one arm.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Measured {
    /// Σ x / Σ y; `None` without y.
    pub value: Option<f64>,
    /// Of the value; `None` where it can't be told.
    pub standard_error: Option<f64>,
    /// 95 % interval of the value: Wilson's for shares of users; `None` where it can't be told.
    pub interval: Option<[f64; 2]>,
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
            sums.exposed += u64::from(y > 0.0);
            sums.active += u64::from(x != 0.0);
        }
    }

    /// Users counted.
    pub fn users(&self) -> u64 {
        self.users
    }

    fn sums(&self, metric: Metric) -> Sums {
        self.sums.get(metric as usize).copied().unwrap_or_default()
    }

    /// Users who did it, of all.
    pub(super) fn share(&self, metric: Metric) -> (u64, u64) {
        (self.sums(metric).active, self.users)
    }

    /// One metric.
    pub fn measured(&self, metric: Metric) -> Measured {
        let sums = self.sums(metric);
        if sums.y <= 0.0 {
            return Measured { value: None, standard_error: None, interval: None };
        }
        let value = sums.x / sums.y;
        let n = self.users as f64;
        // Residuals x − value · y sum to 0.
        let squares = (sums.xx - 2.0 * value * sums.xy + value * value * sums.yy).max(0.0);
        let error = (squares * n / (n - 1.0)).sqrt() / sums.y;
        // Without any variation seen, how much there is can't be told.
        let standard_error = Some(error).filter(|error| n >= 2.0 && error.is_finite() && *error > 0.0);
        let interval = if metric.is_share() {
            let (active, users) = self.share(metric);
            Share::of(active, users).map(|share| [share.low, share.high])
        } else {
            let told = standard_error.filter(|_| self.too_few(metric).is_none());
            told.map(|error| [value - Z_95 * error, value + Z_95 * error])
        };
        Measured { value: Some(value), standard_error, interval }
    }

    /// Reason why a metric by the delta method can't be told of this arm; `None` when it can.
    pub(super) fn too_few(&self, metric: Metric) -> Option<String> {
        let Sums { exposed, active, .. } = self.sums(metric);
        let what = if metric == Metric::Revenue { "bought" } else { "clicked" };
        let (users, who_did) = (MIN_USERS.saturating_sub(exposed), MIN_ACTIVE.saturating_sub(active));
        (users > 0 || who_did > 0).then(|| {
            format!(
                "too few to tell: {exposed} users of whom {active} {what}; {} more of whom {who_did} more {what} are needed",
                users.max(who_did)
            )
        })
    }
}

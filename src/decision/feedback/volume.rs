//! Message volume per user: the utility of one more message a week against the risk that the user mutes or leaves, under a
//! budget over all users (Zhao et al., Notification Volume Control and Optimization System at Pinterest, KDD 2018).
//!
//! With v messages a week each meets v − 1 others of the last seven days. A user with click rate p and annoyance a (1 =
//! ordinary) then brings T(v) = v · (click value · p · f(v − 1) − leave cost · r(v − 1) · a), f the share of clicks that is
//! left after so many messages, r the risk that one more makes somebody leave; both are learned over all users, by indirect
//! standardisation: observed over expected by the user's own rate, so that good users who get much don't hide fatigue.
//! The budget is spent where T rises most: v maximises T(v) − λ v, the price λ being the last unit's gain (Lagrange).

use serde::{Deserialize, Serialize};

/// Most messages a week looked at.
pub const MAX_WEEKLY: usize = 28;
/// Messages that the mean of all users counts for beside the user's own: first guess and bounds of what is fitted.
const USER_PRIOR: f64 = 10.0;
const USER_PRIORS: (f64, f64) = (2.0, 500.0);
/// Pairs of messages to one user before that is fitted.
const PAIRS_FITTED_FROM: f64 = 2_000.0;
/// The same for dismissals, which say less.
const ANNOYANCE_PRIOR: f64 = 50.0;
/// Expected clicks that "no fatigue" counts for at each level.
const LEVEL_PRIOR: f64 = 5.0;
/// Messages that the risk over all levels counts for at each, and those the first guess counts for in that.
const RISK_PRIOR: f64 = 100.0;
const WHOLE_RISK_PRIOR: f64 = 1_000.0;
/// Before anything was sent: share of messages clicked, dismissed, and answered by a mute or opt-out.
const FIRST_GUESS: Rates = Rates { click: 0.05, dismiss: 0.1, leave: 0.001 };

struct Rates {
    click: f64,
    dismiss: f64,
    leave: f64,
}

/// Weights of responses, in clicks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Worth {
    /// Of a click with what it leads to on average.
    pub click: f64,
    /// Lost by a mute or an opt-out: the clicks that will not come any more.
    pub leave: f64,
}

impl Default for Worth {
    fn default() -> Self {
        Self { click: 1.0, leave: 20.0 }
    }
}

/// Responses of one user to messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UserResponse {
    sent: f64,
    /// Messages, each counted by how fresh the user was: clicks expected at a click rate of 1.
    exposure: f64,
    clicked: f64,
    dismissed: f64,
}

impl UserResponse {
    /// A message of before, to a user who got `last_week` others: only the user's own counts learn of it.
    pub fn recall(&mut self, model: &VolumeModel, last_week: usize, clicked: bool, dismissed: bool) {
        self.sent += 1.0;
        self.exposure += model.fatigue(last_week);
        self.clicked += f64::from(u8::from(clicked));
        self.dismissed += f64::from(u8::from(dismissed));
    }

    /// A message went out; `fresh`: share of clicks left after the others of the week, 0…1.
    pub fn note_sent(&mut self, fresh: f64) {
        self.sent += 1.0;
        self.exposure += fresh;
    }

    /// It was clicked.
    pub fn note_clicked(&mut self) {
        self.clicked += 1.0;
    }

    /// It was dismissed or disliked.
    pub fn note_dismissed(&mut self) {
        self.dismissed += 1.0;
    }
}

/// Messages that met so many others in the last seven days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Level {
    sent: f64,
    /// Clicks expected by the users' own rates.
    expected: f64,
    clicked: f64,
    /// Mutes and opt-outs.
    left: f64,
}

/// Volume model learned over all users.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VolumeModel {
    levels: Vec<Level>,
    whole: UserResponse,
    /// Ordered pairs of messages to one user, and of clicks: how much users differ.
    #[serde(default)]
    pairs: (f64, f64),
    /// Share of clicks left by level, 1 at level 0, never rising. Set by [`Self::refresh`].
    fatigue: Vec<f64>,
    /// Risk of leaving by level, never falling.
    risk: Vec<f64>,
}

impl Default for VolumeModel {
    fn default() -> Self {
        Self {
            levels: vec![Level::default(); MAX_WEEKLY],
            whole: UserResponse::default(),
            pairs: (0.0, 0.0),
            fatigue: vec![1.0; MAX_WEEKLY],
            risk: vec![FIRST_GUESS.leave; MAX_WEEKLY],
        }
    }
}

impl VolumeModel {
    /// A message to a user who had responded so before, and got `last_week` others in the last seven days.
    pub fn note_sent(&mut self, before: &UserResponse, last_week: usize) {
        let fresh = self.fatigue(last_week);
        let rate = self.click_rate(before);
        self.pairs.0 += 2.0 * before.exposure * fresh;
        self.whole.note_sent(fresh);
        if let Some(level) = self.level(last_week) {
            level.sent += 1.0;
            level.expected += rate;
        }
    }

    /// It was clicked.
    pub fn note_clicked(&mut self, before: &UserResponse, last_week: usize) {
        self.pairs.1 += 2.0 * before.clicked;
        self.whole.note_clicked();
        if let Some(level) = self.level(last_week) {
            level.clicked += 1.0;
        }
    }

    /// It was dismissed or disliked.
    pub fn note_dismissed(&mut self) {
        self.whole.note_dismissed();
    }

    /// It made the user mute or opt out.
    pub fn note_left(&mut self, last_week: usize) {
        if let Some(level) = self.level(last_week) {
            level.left += 1.0;
        }
    }

    fn level(&mut self, last_week: usize) -> Option<&mut Level> {
        self.levels.get_mut(last_week.min(MAX_WEEKLY - 1))
    }

    /// Learns fatigue and risk by level from what was noted since: of all curves that never rise (never fall) the one
    /// nearest to what was seen (isotonic regression, Barlow et al. 1972). O([`MAX_WEEKLY`]).
    pub fn refresh(&mut self) {
        let (sent, left) =
            self.levels.iter().fold((0.0, 0.0), |(sent, left), level| (sent + level.sent, left + level.left));
        let whole = (left + WHOLE_RISK_PRIOR * FIRST_GUESS.leave) / (sent + WHOLE_RISK_PRIOR);
        let risk = |level: &Level| {
            let weight = level.sent + RISK_PRIOR;
            ((level.left + RISK_PRIOR * whole) / weight, weight)
        };
        self.risk = rising(self.levels.iter().map(risk));
        // Falling is rising upside down.
        let fatigue = |level: &Level| {
            let weight = level.expected + LEVEL_PRIOR;
            (-(level.clicked + LEVEL_PRIOR) / weight, weight)
        };
        let fresh = rising(self.levels.iter().map(fatigue));
        let first = fresh.first().map_or(-1.0, |first| first.min(-1e-6));
        self.fatigue = fresh.into_iter().map(|value| value / first).collect();
    }

    /// Share of clicks left after so many messages in the last seven days, 0…1.
    pub fn fatigue(&self, last_week: usize) -> f64 {
        self.fatigue.get(last_week.min(MAX_WEEKLY - 1)).copied().unwrap_or(1.0)
    }

    /// Risk that one more message makes an ordinary user mute or leave, 0…1.
    pub fn leave_risk(&self, last_week: usize) -> f64 {
        self.risk.get(last_week.min(MAX_WEEKLY - 1)).copied().unwrap_or(FIRST_GUESS.leave)
    }

    /// Click rate of a user who was left alone for a week, shrunk to that of all.
    pub fn click_rate(&self, user: &UserResponse) -> f64 {
        let whole =
            (self.whole.clicked + USER_PRIOR * FIRST_GUESS.click) / (self.whole.exposure + USER_PRIOR);
        let prior = self.user_prior();
        ((user.clicked + prior * whole) / (user.exposure + prior)).min(1.0)
    }

    /// Messages that the mean counts for: few where users differ much. Of a beta-binomial by its moments: the share of pairs
    /// of messages that were both clicked is m² + m (1 − m) / (s + 1).
    fn user_prior(&self) -> f64 {
        let (sent, clicked) = self.pairs;
        if sent < PAIRS_FITTED_FROM || self.whole.exposure <= 0.0 {
            return USER_PRIOR;
        }
        let mean = (self.whole.clicked / self.whole.exposure).min(1.0);
        let variance = clicked / sent - mean * mean;
        let (least, most) = USER_PRIORS;
        if variance <= 0.0 { most } else { (mean * (1.0 - mean) / variance - 1.0).clamp(least, most) }
    }

    /// Rate at which the user dismisses, relative to others; 1 = as all do.
    pub fn annoyance(&self, user: &UserResponse) -> f64 {
        let whole =
            (self.whole.dismissed + USER_PRIOR * FIRST_GUESS.dismiss) / (self.whole.sent + USER_PRIOR);
        (user.dismissed + ANNOYANCE_PRIOR * whole) / (user.sent + ANNOYANCE_PRIOR) / whole
    }

    /// Utility of `weekly` messages a week, in clicks a week; 0 for none.
    pub fn utility(&self, user: &UserResponse, weekly: usize, worth: &Worth) -> f64 {
        let Some(others) = weekly.checked_sub(1) else { return 0.0 };
        let clicks = worth.click * self.click_rate(user) * self.fatigue(others);
        let loss = worth.leave * self.leave_risk(others) * self.annoyance(user);
        weekly as f64 * (clicks - loss)
    }

    /// Gain of one more message a week beside `last_week` others, in clicks: compare with the price.
    pub fn gain_of_one_more(&self, user: &UserResponse, last_week: usize, worth: &Worth) -> f64 {
        self.utility(user, last_week + 1, worth) - self.utility(user, last_week, worth)
    }

    /// Cost of one more message to the `last_week` others: clicks lost to fatigue and what the added risk of leaving costs,
    /// in clicks, ≥ 0. The message's own worth is not in it. 0 until fatigue has been seen.
    pub fn attention_price(&self, user: &UserResponse, last_week: usize, worth: &Worth) -> f64 {
        let clicks = worth.click * self.click_rate(user) * self.fatigue(last_week);
        let loss = worth.leave * self.leave_risk(last_week) * self.annoyance(user);
        (clicks - loss - self.gain_of_one_more(user, last_week, worth)).max(0.0)
    }

    /// Utilities of 0…`most` messages a week.
    pub fn curve(&self, user: &UserResponse, most: usize, worth: &Worth) -> Vec<f64> {
        (0..=most.min(MAX_WEEKLY)).map(|weekly| self.utility(user, weekly, worth)).collect()
    }
}

/// The rising sequence nearest to weighted values: neighbours that fall are pooled until none does.
fn rising(values: impl Iterator<Item = (f64, f64)>) -> Vec<f64> {
    let mut pools: Vec<(f64, f64, usize)> = Vec::new();
    for (value, weight) in values {
        pools.push((value, weight, 1));
        while let [.., (a, wa, na), (b, wb, nb)] = *pools.as_slice()
            && a > b
        {
            pools.pop();
            pools.pop();
            pools.push(((a * wa + b * wb) / (wa + wb), wa + wb, na + nb));
        }
    }
    pools.into_iter().flat_map(|(value, _, n)| std::iter::repeat_n(value, n)).collect()
}

/// Allotment of messages to users.
#[derive(Clone, Debug, PartialEq)]
pub struct Allocation {
    /// Messages a week, a user each, in the order given.
    pub weekly: Vec<usize>,
    /// Gain of the last message allotted, in clicks: what another one must bring.
    pub price: f64,
    /// Of all together, in clicks a week.
    pub utility: f64,
}

/// A step along a curve's upper hull.
struct Step {
    user: usize,
    to: usize,
    messages: usize,
    /// Gain a message.
    slope: f64,
}

/// Spends at most `budget` messages a week where they bring most; none that brings less than `least_gain` (0: only what
/// helps; −∞: the whole budget). `curves` are utilities of 0, 1, 2, … messages; steps run along their upper concave hulls, so
/// the order of slopes is the Lagrangian's solution up to the last step. O(points · log points).
pub fn allocate(curves: &[Vec<f64>], budget: usize, least_gain: f64) -> Allocation {
    let mut steps: Vec<Step> =
        curves.iter().enumerate().flat_map(|(user, curve)| hull(user, curve)).collect();
    steps.sort_by(|a, b| b.slope.total_cmp(&a.slope).then(a.user.cmp(&b.user)).then(a.to.cmp(&b.to)));
    let mut allocation = Allocation { weekly: vec![0; curves.len()], price: 0.0, utility: 0.0 };
    let mut left = budget;
    for step in steps.iter().filter(|step| step.slope >= least_gain) {
        let Some(weekly) = allocation.weekly.get_mut(step.user) else { continue };
        // A step that no longer fits leaves its user where the hull was reached.
        if step.messages <= left && *weekly + step.messages == step.to {
            *weekly = step.to;
            left -= step.messages;
            allocation.price = step.slope;
            allocation.utility += step.slope * step.messages as f64;
        }
    }
    allocation
}

/// Steps from corner to corner of the upper concave hull, slopes falling.
fn hull(user: usize, curve: &[f64]) -> Vec<Step> {
    let mut corners: Vec<(usize, f64)> = Vec::new();
    let slope = |a: (usize, f64), b: (usize, f64)| (b.1 - a.1) / (b.0 - a.0) as f64;
    for point in curve.iter().copied().enumerate().filter(|(_, utility)| utility.is_finite()) {
        while let [.., before, last] = corners.as_slice()
            && slope(*before, *last) < slope(*last, point)
        {
            corners.pop();
        }
        corners.push(point);
    }
    let step = |pair: &[(usize, f64)]| match pair {
        [a, b] => Some(Step { user, to: b.0, messages: b.0 - a.0, slope: slope(*a, *b) }),
        _ => None,
    };
    corners.windows(2).filter_map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(model: &mut VolumeModel, user: &mut UserResponse, last_week: usize) {
        model.note_sent(user, last_week);
        user.note_sent(model.fatigue(last_week));
    }

    fn clicked(model: &mut VolumeModel, user: &mut UserResponse, last_week: usize) {
        model.note_clicked(user, last_week);
        user.note_clicked();
    }

    #[test]
    fn the_budget_goes_where_it_brings_most() {
        let curves = vec![vec![0.0, 5.0, 8.0, 9.0], vec![0.0, 4.0, 6.0], vec![0.0, -1.0]];
        let three = allocate(&curves, 3, 0.0);
        assert_eq!((three.weekly, three.price, three.utility), (vec![2, 1, 0], 3.0, 12.0));
        assert_eq!(allocate(&curves, 100, 0.0).weekly, [3, 2, 0]);
        assert_eq!(allocate(&curves, 100, f64::NEG_INFINITY).weekly, [3, 2, 1]);
        assert_eq!(allocate(&curves, 0, 0.0).weekly, [0, 0, 0]);
        assert_eq!(allocate(&[], 5, 0.0).weekly, [0usize; 0]);
    }

    #[test]
    fn a_curve_that_rises_late_is_climbed_at_once_or_not_at_all() {
        // One message brings nothing, two bring 6: 3 a message.
        let curves = vec![vec![0.0, 0.0, 6.0], vec![0.0, 2.5, 5.0]];
        assert_eq!(allocate(&curves, 2, 0.0).weekly, [2, 0]);
        assert_eq!(allocate(&curves, 3, 0.0).weekly, [2, 1]);
        assert_eq!(allocate(&curves, 1, 0.0).weekly, [0, 1]);
    }

    #[test]
    fn utility_is_clicks_less_what_leaving_costs() {
        let model = VolumeModel::default();
        let user = UserResponse::default();
        // Three messages at a click rate of 0.05 and a risk of 0.001 that costs 20 clicks.
        let worth = Worth { click: 1.0, leave: 20.0 };
        assert!((model.utility(&user, 3, &worth) - 3.0 * (0.05 - 0.02)).abs() < 1e-12);
        assert!((model.gain_of_one_more(&user, 2, &worth) - 0.03).abs() < 1e-12);
        assert_eq!(model.utility(&user, 0, &worth), 0.0);
    }

    #[test]
    fn who_clicks_is_worth_more_and_who_dismisses_less() {
        let mut model = VolumeModel::default();
        let (mut keen, mut annoyed) = (UserResponse::default(), UserResponse::default());
        for message in 0..100 {
            sent(&mut model, &mut keen, 0);
            sent(&mut model, &mut annoyed, 0);
            if message % 4 == 0 {
                clicked(&mut model, &mut keen, 0);
                model.note_dismissed();
                annoyed.note_dismissed();
            }
        }
        model.refresh();
        assert!(model.click_rate(&keen) > 0.2 && model.click_rate(&annoyed) < 0.05);
        assert!(model.annoyance(&annoyed) > 1.5 && model.annoyance(&keen) < 0.6);
        let worth = Worth::default();
        assert!(model.gain_of_one_more(&keen, 1, &worth) > model.gain_of_one_more(&annoyed, 1, &worth));
    }

    #[test]
    fn neighbours_that_fall_are_pooled() {
        let values = [(1.0, 1.0), (3.0, 1.0), (2.0, 3.0), (5.0, 1.0)];
        assert_eq!(rising(values.into_iter()), [1.0, 2.25, 2.25, 5.0]);
        assert_eq!(rising(std::iter::empty()), [0.0; 0]);
    }

    #[test]
    fn the_less_users_differ_the_less_is_made_of_one_click() {
        let rate_of_lucky = |keen_every: u32, others_every: u32| {
            let mut model = VolumeModel::default();
            let mut users = vec![UserResponse::default(); 400];
            let mut number = 0u32;
            for _ in 0..20 {
                for (index, user) in users.iter_mut().enumerate() {
                    number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    sent(&mut model, user, 0);
                    let every = if index % 4 == 0 { keen_every } else { others_every };
                    if (number >> 8).is_multiple_of(every) {
                        clicked(&mut model, user, 0);
                    }
                }
            }
            let lucky = UserResponse { sent: 5.0, exposure: 5.0, clicked: 2.0, dismissed: 0.0 };
            model.click_rate(&lucky)
        };
        // A tenth of all are clicked either way.
        assert!(rate_of_lucky(10, 10) < 0.13 && rate_of_lucky(4, 20) > 0.15);
    }

    #[test]
    fn fatigue_is_found_though_only_good_users_get_much() {
        // Keen users click 20 % when fresh and half of that beside ten others; the rest 5 %, and get little.
        let mut model = VolumeModel::default();
        let mut keen = vec![UserResponse::default(); 200];
        let mut rest = vec![UserResponse::default(); 200];
        let mut message = 0u32;
        for round in 0..40 {
            let last_week = if round % 2 == 0 { 0 } else { 10 };
            for user in &mut keen {
                message += 1;
                sent(&mut model, user, last_week);
                if message % 10 < if last_week == 0 { 2 } else { 1 } {
                    clicked(&mut model, user, last_week);
                }
            }
            for user in &mut rest {
                message += 1;
                sent(&mut model, user, 0);
                if message.is_multiple_of(20) {
                    clicked(&mut model, user, 0);
                }
            }
            model.refresh();
        }
        let left = model.fatigue(10);
        assert!((0.35..0.75).contains(&left), "{left}");
        assert!(model.fatigue(0) == 1.0 && model.fatigue(5) >= left && model.fatigue(20) <= left);
    }
}

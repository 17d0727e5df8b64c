//! At which local hour to send: click rates by hour, the user's shrunk to the segment's, the segment's to the whole, with
//! exploration.
//!
//! For hour h with n sent and c clicked, rate(h) = (c + m · prior(h)) / (n + m), where the prior of the user is the
//! segment's rate, that of the segment the whole's, that of the whole its mean over all hours (empirical Bayes, Morris
//! 1983). Visits are far more frequent than clicks, and who visits at an hour sees what is sent then: the user's prior is
//! tilted by the share of the user's visits in that hour over the share of everybody's. With probability ε an allowed hour is drawn evenly, else the best one is taken (Sutton & Barto 2018, §2.2), so a
//! choice has propensity ε / allowed + (1 − ε if it is the best). Somebody without data is treated as the segment.

use std::collections::BTreeMap;

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

/// Hours of a day.
pub const HOURS: usize = 24;
/// Messages the segment's rate counts for beside the user's own.
const USER_PRIOR: f32 = 20.0;
/// Messages the whole's rate counts for beside the segment's.
const SEGMENT_PRIOR: f32 = 200.0;
/// Messages the mean over hours counts for beside an hour's.
const WHOLE_PRIOR: f32 = 200.0;
/// Click rate before anything was sent.
const FIRST_GUESS: f32 = 0.05;
/// Visits of everybody that count beside the user's own, and how far they may tilt a rate either way.
const VISIT_PRIOR: f32 = 10.0;
const MAX_TILT: f32 = 5.0;
/// Segments kept apart.
const MAX_SEGMENTS: u8 = 26;

/// Messages, clicks and visits by local hour; those of long ago may count less than one. 24 bytes, and 16 for each hour of which
/// something was counted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "ByHour", into = "ByHour")]
pub struct HourCounts(
    /// By ascending hour, each at most once.
    Vec<HourCount>,
);

/// Counts of one hour.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct HourCount {
    hour: u8,
    sent: f32,
    clicked: f32,
    visits: f32,
}

/// The form of counts in a stored model.
#[derive(Default, Serialize, Deserialize)]
struct ByHour {
    sent: [f32; HOURS],
    clicked: [f32; HOURS],
    visits: [f32; HOURS],
}

impl From<ByHour> for HourCounts {
    fn from(stored: ByHour) -> Self {
        let counts = stored.sent.into_iter().zip(stored.clicked).zip(stored.visits).zip(0..);
        let counts =
            counts.map(|(((sent, clicked), visits), hour)| HourCount { hour, sent, clicked, visits });
        Self(
            counts.filter(|count| *count != HourCount { hour: count.hour, ..HourCount::default() }).collect(),
        )
    }
}

impl From<HourCounts> for ByHour {
    fn from(counts: HourCounts) -> Self {
        Self {
            sent: counts.by_hour(|count| count.sent),
            clicked: counts.by_hour(|count| count.clicked),
            visits: counts.by_hour(|count| count.visits),
        }
    }
}

/// Local hours a message may be sent at: bit h stands for hour h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllowedHours(u32);

/// An hour, and how it was chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HourChoice {
    /// Local, 0…23.
    pub hour: u8,
    /// Probability of this choice, in (0, 1].
    pub propensity: f32,
    /// Click rate expected, 0…1.
    pub rate: f32,
}

/// Messages, clicks and visits by hour, beyond the single user: over all users and by segment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SendTime {
    whole: HourCounts,
    segments: BTreeMap<u8, HourCounts>,
}

impl AllowedHours {
    /// All day.
    pub const ALL: Self = Self((1 << HOURS) - 1);

    /// Those for which `allowed` holds.
    pub fn new(allowed: impl Fn(u8) -> bool) -> Self {
        Self((0..HOURS as u8).filter(|hour| allowed(*hour)).fold(0, |hours, hour| hours | 1 << hour))
    }

    /// In ascending order.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (0..HOURS as u8).filter(move |hour| self.0 & (1 << hour) != 0)
    }

    /// Number of allowed hours.
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// None at all.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl HourCounts {
    /// A message at an hour; later hours than 23 are left out.
    pub fn note_sent(&mut self, hour: u8) {
        self.count(hour, |count| &mut count.sent);
    }

    /// A click on a message that was sent at this hour.
    pub fn note_clicked(&mut self, hour: u8) {
        self.count(hour, |count| &mut count.clicked);
    }

    /// A visit, or anything else that shows that somebody is there.
    pub fn note_visit(&mut self, hour: u8) {
        self.count(hour, |count| &mut count.visits);
    }

    fn count(&mut self, hour: u8, which: impl Fn(&mut HourCount) -> &mut f32) {
        if usize::from(hour) >= HOURS {
            return;
        }
        let place = self.0.partition_point(|count| count.hour < hour);
        if self.0.get(place).is_none_or(|count| count.hour != hour) {
            self.0.reserve_exact(1); // Most users are there at a few hours of the day.
            self.0.insert(place, HourCount { hour, ..HourCount::default() });
        }
        self.0.get_mut(place).into_iter().for_each(|count| *which(count) += 1.0);
    }

    /// Makes what was counted so far weigh `factor`, 0…1: habits change.
    pub fn decay(&mut self, factor: f32) {
        let factor = factor.clamp(0.0, 1.0);
        for count in &mut self.0 {
            count.sent *= factor;
            count.clicked *= factor;
            count.visits *= factor;
        }
    }

    /// Messages counted.
    pub fn n_sent(&self) -> f32 {
        self.0.iter().map(|count| count.sent).sum()
    }

    /// Clicks counted.
    pub fn n_clicked(&self) -> f32 {
        self.0.iter().map(|count| count.clicked).sum()
    }

    fn by_hour(&self, which: impl Fn(&HourCount) -> f32) -> [f32; HOURS] {
        let mut hours = [0.0; HOURS];
        for count in &self.0 {
            hours.get_mut(usize::from(count.hour)).into_iter().for_each(|hour| *hour = which(count));
        }
        hours
    }

    /// Share of visits by hour, each hour taking a quarter from either neighbour; `prior` for as many as it weighs.
    fn presence(&self, prior: &[f32; HOURS], weight: f32) -> [f32; HOURS] {
        let visits = self.by_hour(|count| count.visits);
        let n: f32 = visits.iter().sum();
        let at = |hour: usize| visits.get(hour % HOURS).copied().unwrap_or(0.0);
        let mut shares = *prior;
        for (hour, share) in shares.iter_mut().enumerate() {
            let smooth = (at(hour + HOURS - 1) + 2.0 * at(hour) + at(hour + 1)) / 4.0;
            *share = (smooth + weight * *share) / (n + weight);
        }
        shares
    }

    /// Rates by hour, each shrunk to the prior's.
    fn shrunk(&self, prior: &[f32; HOURS], weight: f32) -> [f32; HOURS] {
        let mut rates = *prior;
        let (sent, clicked) = (self.by_hour(|count| count.sent), self.by_hour(|count| count.clicked));
        for ((rate, sent), clicked) in rates.iter_mut().zip(sent).zip(clicked) {
            *rate = (clicked + weight * *rate) / (sent + weight);
        }
        rates
    }
}

impl SendTime {
    /// A message to somebody of a segment.
    pub fn note_sent(&mut self, segment: Option<u8>, hour: u8) {
        self.each(segment, |counts| counts.note_sent(hour));
    }

    /// A click by somebody of a segment on a message of this hour.
    pub fn note_clicked(&mut self, segment: Option<u8>, hour: u8) {
        self.each(segment, |counts| counts.note_clicked(hour));
    }

    /// A visit by anybody.
    pub fn note_visit(&mut self, hour: u8) {
        self.whole.note_visit(hour);
    }

    /// Messages counted.
    pub fn n_sent(&self) -> f32 {
        self.whole.n_sent()
    }

    /// Makes what was counted so far weigh `factor`, 0…1.
    pub fn decay(&mut self, factor: f32) {
        self.whole.decay(factor);
        self.segments.values_mut().for_each(|counts| counts.decay(factor));
    }

    fn each(&mut self, segment: Option<u8>, note: impl Fn(&mut HourCounts)) {
        note(&mut self.whole);
        if let Some(segment) = segment.filter(|segment| *segment < MAX_SEGMENTS) {
            note(self.segments.entry(segment).or_default());
        }
    }

    /// Expected click rate of a user by local hour, 0…1.
    pub fn rates(&self, user: &HourCounts, segment: Option<u8>) -> [f32; HOURS] {
        let sent = self.whole.n_sent();
        let mean = (self.whole.n_clicked() + WHOLE_PRIOR * FIRST_GUESS) / (sent + WHOLE_PRIOR);
        let mut rates = self.whole.shrunk(&[mean; HOURS], WHOLE_PRIOR);
        if let Some(counts) = segment.and_then(|segment| self.segments.get(&segment)) {
            rates = counts.shrunk(&rates, SEGMENT_PRIOR);
        }
        let everybody = self.whole.presence(&[1.0 / HOURS as f32; HOURS], HOURS as f32);
        let own = user.presence(&everybody, VISIT_PRIOR);
        for ((rate, own), everybody) in rates.iter_mut().zip(own).zip(everybody) {
            *rate = (*rate * (own / everybody).clamp(1.0 / MAX_TILT, MAX_TILT)).min(1.0);
        }
        user.shrunk(&rates, USER_PRIOR)
    }

    /// An allowed hour; the earlier of two equally good ones. `None` if none is allowed. O(24).
    pub fn choose(
        &self,
        user: &HourCounts,
        segment: Option<u8>,
        allowed: AllowedHours,
        epsilon: f32,
        rng: &mut impl Rng,
    ) -> Option<HourChoice> {
        let rates = self.rates(user, segment);
        let rate = |hour: u8| rates.get(usize::from(hour)).copied().unwrap_or(0.0);
        let best = allowed.iter().reduce(|best, hour| if rate(hour) > rate(best) { hour } else { best })?;
        let epsilon = if epsilon.is_nan() { 0.0 } else { epsilon.clamp(0.0, 1.0) };
        let hour = if rng.random::<f32>() < epsilon {
            allowed.iter().nth(rng.random_range(0..allowed.len()))?
        } else {
            best
        };
        let exploited = if hour == best { 1.0 - epsilon } else { 0.0 };
        let propensity = epsilon / allowed.len() as f32 + exploited;
        Some(HourChoice { hour, propensity, rate: rate(hour) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidings_core::base::random::rng;

    #[test]
    fn a_rate_is_the_users_shrunk_to_the_segments_shrunk_to_the_whole() {
        let mut shared = SendTime::default();
        for number in 0..100 {
            shared.note_sent(Some(1), 8);
            if number < 20 {
                shared.note_clicked(Some(1), 8);
            }
        }
        let mean = (20.0 + 200.0 * 0.05) / 300.0;
        let whole = (20.0 + 200.0 * mean) / 300.0;
        let segment = (20.0 + 200.0 * whole) / 300.0;
        let mut user = HourCounts::default();
        assert!((shared.rates(&user, Some(1))[8] - segment).abs() < 1e-6);
        assert!((shared.rates(&user, None)[8] - whole).abs() < 1e-6);
        assert!((shared.rates(&user, Some(1))[9] - mean).abs() < 1e-6);
        user.note_sent(8);
        user.note_clicked(8);
        assert!((shared.rates(&user, Some(1))[8] - (1.0 + 20.0 * segment) / 21.0).abs() < 1e-6);
    }

    #[test]
    fn somebody_without_data_gets_the_best_hour_of_the_segment() {
        let mut shared = SendTime::default();
        for _ in 0..50 {
            shared.note_sent(Some(0), 20);
            shared.note_clicked(Some(0), 20);
        }
        let choice =
            shared.choose(&HourCounts::default(), Some(0), AllowedHours::ALL, 0.0, &mut rng(1, "test"));
        assert_eq!(choice.map(|choice| (choice.hour, choice.propensity)), Some((20, 1.0)));
    }

    #[test]
    fn who_visits_at_an_hour_is_written_to_then() {
        let mut shared = SendTime::default();
        (0..24).for_each(|hour| shared.note_visit(hour));
        let mut user = HourCounts::default();
        (0..10).for_each(|_| user.note_visit(7));
        // Everybody: (1 + 24 / 24) / 48 each hour; the user: (10 / 2 + 10 / 24) / 20 at 7, a quarter at 6 and 8.
        let rates = shared.rates(&user, None);
        let tilt = (5.0 + 10.0 / 24.0) / 20.0 * 24.0;
        assert!((rates[7] / rates[12] - 5.0f32.min(tilt) / 0.5).abs() < 1e-3, "{rates:?}");
        assert!(rates[6] > rates[12] && (rates[6] - rates[8]).abs() < 1e-6);
        assert!((rates[12] - 0.05 * 0.5).abs() < 1e-6);
    }

    #[test]
    fn an_hour_is_chosen_as_often_as_its_propensity_says() {
        let allowed = AllowedHours::new(|hour| (8..12).contains(&hour));
        let mut user = HourCounts::default();
        user.note_sent(9);
        user.note_clicked(9);
        let shared = SendTime::default();
        let mut rng = rng(2, "test");
        let mut counts = [0.0f32; HOURS];
        for _ in 0..20_000 {
            let choice = shared.choose(&user, None, allowed, 0.2, &mut rng).unwrap();
            let expected = if choice.hour == 9 { 0.85 } else { 0.05 };
            assert!((choice.propensity - expected).abs() < 1e-6);
            counts[usize::from(choice.hour)] += 1.0 / 20_000.0;
        }
        assert!((counts[9] - 0.85).abs() < 0.01 && (counts[8] - 0.05).abs() < 0.01, "{counts:?}");
        assert_eq!(counts[12..].iter().sum::<f32>(), 0.0);
    }

    #[test]
    fn counts_are_stored_by_hour_and_come_back() {
        let mut counts = HourCounts::default();
        counts.note_visit(23);
        counts.note_sent(7);
        counts.note_clicked(7);
        counts.note_visit(23);
        let stored = serde_json::to_value(&counts).unwrap();
        assert_eq!(
            (&stored["sent"][7], &stored["clicked"][7], &stored["visits"][23]),
            (&1.0.into(), &1.0.into(), &2.0.into())
        );
        assert_eq!(stored["sent"].as_array().map(Vec::len), Some(HOURS));
        assert_eq!(serde_json::from_value::<HourCounts>(stored).unwrap(), counts);
        assert_eq!((counts.n_sent(), counts.n_clicked()), (1.0, 1.0));
    }

    #[test]
    fn without_an_allowed_hour_there_is_no_choice_and_nonsense_changes_nothing() {
        let none = AllowedHours::new(|_| false);
        let mut user = HourCounts::default();
        assert!(SendTime::default().choose(&user, None, none, 0.1, &mut rng(1, "test")).is_none());
        user.note_sent(24);
        assert_eq!(user, HourCounts::default());
        let choice =
            SendTime::default().choose(&user, None, AllowedHours::ALL, f32::NAN, &mut rng(1, "test"));
        assert_eq!(choice.unwrap().propensity, 1.0);
    }
}

//! Learns from users' responses to messages: [`send_time`](super::send_time), [`volume`](super::volume) and
//! [`wordings`](super::wordings) together. One value for all users, and a small one for each; no clock, no lock. Until
//! something has been learned nothing costs attention, no hour is better than now, and wordings are drawn evenly.

use std::collections::VecDeque;

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use super::send_time::{AllowedHours, HourChoice, HourCounts, SendTime};
use super::variants::Offer;
use super::volume::{UserResponse, VolumeModel, Worth};
pub use super::wordings::WordingChoice;
use super::wordings::WordingModel;
use tidings_core::base::{NotificationId, Timestamp};

/// Format of a stored [`Learner`]; another one is not read.
pub const VERSION: i32 = 1;
/// Messages before an hour may be called better than another.
const HOURS_LEARNED_FROM: f32 = 500.0;
/// An hour is waited for if it promises so many times the clicks of this one.
const WORTH_WAITING: f32 = 1.2;
/// Share of hours drawn evenly.
const HOUR_EXPLORATION: f32 = 0.05;
/// Messages of a user that feedback may still come for.
const MAX_CONTACTS: usize = 8;
/// Weight of everything of before, a day later.
const DAILY_DECAY: f64 = 0.99;

/// Model learned over all users.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Learner {
    send_time: SendTime,
    volume: VolumeModel,
    wordings: WordingModel,
    /// Lessons so far, in this process.
    #[serde(skip)]
    version: u64,
}

/// Observation for the model of all users: one message, response or visit.
#[derive(Clone, Debug, PartialEq)]
pub enum Lesson {
    /// A message went out to a user who had responded so before.
    Sent(Contact, UserResponse),
    /// It was clicked, by a user who had responded so before; the first click counts.
    Clicked(Contact, UserResponse),
    /// It was dismissed or disliked.
    Dismissed,
    /// It made the user mute something or opt out; others in the seven days before.
    Left(usize),
    /// The user came at this local hour.
    Visit(u8),
}

/// One user's part. About 80 bytes, 16 for each hour of visits or messages, and 100 for each message that feedback may come for.
#[derive(Clone, Debug, Default)]
pub struct UserLearning {
    hours: HourCounts,
    response: UserResponse,
    /// Oldest first.
    contacts: VecDeque<Contact>,
}

/// A message as learning sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Contact {
    /// Id of the message.
    pub id: NotificationId,
    /// Moment of sending.
    pub at: Timestamp,
    /// The user's local hour, 0…23.
    pub hour: u8,
    /// The user's segment.
    pub segment: Option<u8>,
    /// Others in the seven days before.
    pub last_week: usize,
    /// In which words, where there were several.
    pub wording: Option<WordingChoice>,
}

/// A message of before, as stored.
#[derive(Clone, Copy, Debug)]
pub struct PastContact {
    /// The user's local hour, 0…23.
    pub hour: u8,
    /// It was clicked.
    pub clicked: bool,
    /// It was dismissed or disliked.
    pub dismissed: bool,
}

impl UserLearning {
    /// From the user's messages of the last week, oldest first.
    pub fn recall(past: impl IntoIterator<Item = PastContact>, learner: &Learner) -> Self {
        let mut user = Self::default();
        for (last_week, contact) in past.into_iter().enumerate() {
            user.hours.note_sent(contact.hour);
            if contact.clicked {
                user.hours.note_clicked(contact.hour);
            }
            user.response.recall(&learner.volume, last_week, contact.clicked, contact.dismissed);
        }
        user
    }

    fn days_since(&self, template: &str, arm: usize, now: Timestamp) -> Option<f64> {
        let seen =
            |contact: &&Contact| contact.wording.as_ref().is_some_and(|wording| wording.is(template, arm));
        let contact = self.contacts.iter().rev().find(seen)?;
        Some(now.millis_since(contact.at).0 as f64 / 86_400_000.0)
    }

    /// A message went out. The user's part is learned here, the lesson is for [`Learner::learn`].
    pub fn note_sent(&mut self, learner: &Learner, contact: Contact) -> Lesson {
        let before = self.response;
        self.hours.note_sent(contact.hour);
        self.response.note_sent(learner.volume.fatigue(contact.last_week));
        if self.contacts.len() >= MAX_CONTACTS {
            self.contacts.pop_front();
        }
        self.contacts.push_back(contact.clone());
        Lesson::Sent(contact, before)
    }

    /// It was clicked; the first click counts. `None` for a message that was not noted as sent.
    pub fn note_clicked(&mut self, id: NotificationId) -> Option<Lesson> {
        let contact = self.take(id)?;
        let before = self.response;
        self.hours.note_clicked(contact.hour);
        self.response.note_clicked();
        Some(Lesson::Clicked(contact, before))
    }

    /// It was dismissed or disliked; of a message that was not noted as sent nothing is learned.
    pub fn note_dismissed(&mut self, id: NotificationId) -> Option<Lesson> {
        self.contacts.iter().find(|contact| contact.id == id)?;
        self.response.note_dismissed();
        Some(Lesson::Dismissed)
    }

    /// It made the user mute something or opt out.
    pub fn note_left(&self, id: NotificationId) -> Option<Lesson> {
        let contact = self.contacts.iter().find(|contact| contact.id == id)?;
        Some(Lesson::Left(contact.last_week))
    }

    /// The user is there.
    pub fn note_visit(&mut self, hour: u8) -> Lesson {
        self.hours.note_visit(hour);
        Lesson::Visit(hour)
    }

    fn take(&mut self, id: NotificationId) -> Option<Contact> {
        let place = self.contacts.iter().position(|contact| contact.id == id)?;
        self.contacts.remove(place)
    }
}

impl Learner {
    /// Attention cost of one more message to this user: its loss to the `last_week` others, in clicks, ≥ 0.
    pub fn attention_price(&self, user: &UserLearning, last_week: usize, worth: &Worth) -> f64 {
        self.volume.attention_price(&user.response, last_week, worth)
    }

    /// Clicks to expect of one more message beside `last_week` others, 0…1, whatever it is about.
    pub fn click_rate(&self, user: &UserLearning, last_week: usize) -> f64 {
        self.volume.click_rate(&user.response) * self.volume.fatigue(last_week)
    }

    /// Probability that one more message makes the user mute or leave, 0…1.
    pub fn leave_risk(&self, user: &UserLearning, last_week: usize) -> f64 {
        (self.volume.leave_risk(last_week) * self.volume.annoyance(&user.response)).min(1.0)
    }

    /// Utility of 0…`most` messages a week, in clicks.
    pub fn volume_curve(&self, user: &UserLearning, most: usize, worth: &Worth) -> Vec<f64> {
        self.volume.curve(&user.response, most, worth)
    }

    /// The hour to send at: the best of `allowed` if it promises clearly more than this one, else this one; now and then one
    /// drawn evenly, to learn from it. `None`: too little is known.
    pub fn choose_hour(
        &self,
        user: &UserLearning,
        segment: Option<u8>,
        hour: u8,
        allowed: AllowedHours,
        rng: &mut impl Rng,
    ) -> Option<HourChoice> {
        if self.send_time.n_sent() < HOURS_LEARNED_FROM {
            return None;
        }
        let rates = self.send_time.rates(&user.hours, segment);
        let rate = |hour: u8| rates.get(usize::from(hour)).copied().unwrap_or(0.0);
        let best = allowed.iter().max_by(|a, b| rate(*a).total_cmp(&rate(*b)))?;
        let usual = if rate(best) >= WORTH_WAITING * rate(hour) { best } else { hour };
        let explores = rng.random::<f32>() < HOUR_EXPLORATION;
        let chosen = if explores { allowed.iter().nth(rng.random_range(0..allowed.len()))? } else { usual };
        let drawn = if allowed.iter().any(|one| one == chosen) { 1.0 / allowed.len() as f32 } else { 0.0 };
        let exploited = if chosen == usual { 1.0 - HOUR_EXPLORATION } else { 0.0 };
        Some(HourChoice {
            hour: chosen,
            propensity: HOUR_EXPLORATION * drawn + exploited,
            rate: rate(chosen),
        })
    }

    /// In which words: `names` are all of the template in its order, `on_offer` the places of those that fit the user.
    /// `None` when there is nothing to choose.
    pub fn choose_wording(
        &self,
        user: &UserLearning,
        template: &str,
        names: &[&str],
        on_offer: &[usize],
        now: Timestamp,
        rng: &mut impl Rng,
    ) -> Option<WordingChoice> {
        let offer = |arm: &usize| Offer { arm: *arm, days_since_seen: user.days_since(template, *arm, now) };
        let offers: Vec<Offer> = on_offer.iter().map(offer).collect();
        self.wordings.choose(template, names, &offers, rng)
    }

    /// Lessons so far, in this process: names what a decision read.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Takes a lesson.
    pub fn learn(&mut self, lesson: &Lesson) {
        self.version += 1;
        match lesson {
            Lesson::Sent(contact, before) => {
                self.send_time.note_sent(contact.segment, contact.hour);
                self.volume.note_sent(before, contact.last_week);
                if let Some(wording) = &contact.wording {
                    self.wordings.note_used(wording);
                }
            }
            Lesson::Clicked(contact, before) => {
                self.send_time.note_clicked(contact.segment, contact.hour);
                self.volume.note_clicked(before, contact.last_week);
                if let Some(wording) = &contact.wording {
                    self.wordings.note_clicked(wording);
                }
            }
            Lesson::Dismissed => self.volume.note_dismissed(),
            Lesson::Left(last_week) => self.volume.note_left(*last_week),
            Lesson::Visit(hour) => self.send_time.note_visit(*hour),
        }
    }

    /// A message went out: both parts learn.
    pub fn note_sent(&mut self, user: &mut UserLearning, contact: Contact) {
        let lesson = user.note_sent(self, contact);
        self.learn(&lesson);
    }

    /// It was clicked: both parts learn.
    pub fn note_clicked(&mut self, user: &mut UserLearning, id: NotificationId) {
        self.learn_if(user.note_clicked(id));
    }

    /// It was dismissed or disliked: both parts learn.
    pub fn note_dismissed(&mut self, user: &mut UserLearning, id: NotificationId) {
        self.learn_if(user.note_dismissed(id));
    }

    /// It made the user mute something or opt out.
    pub fn note_left(&mut self, user: &UserLearning, id: NotificationId) {
        self.learn_if(user.note_left(id));
    }

    /// The user is there: both parts learn.
    pub fn note_visit(&mut self, user: &mut UserLearning, hour: u8) {
        let lesson = user.note_visit(hour);
        self.learn(&lesson);
    }

    fn learn_if(&mut self, lesson: Option<Lesson>) {
        if let Some(lesson) = lesson {
            self.learn(&lesson);
        }
    }

    /// Learns fatigue and risk anew from what was noted, and lets what is `days` older fade. O(templates).
    pub fn refresh(&mut self, days: f64) {
        self.version += 1;
        self.volume.refresh();
        let factor = DAILY_DECAY.powf(days.max(0.0));
        self.send_time.decay(factor as f32);
        self.wordings.decay(factor);
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use tidings_core::base::random::rng;

    const NAMES: [&str; 2] = ["plain", "warm"];

    fn contact(number: u128, hour: u8, wording: Option<WordingChoice>) -> Contact {
        let at = Timestamp(1_700_000_000_000_000 + (number as i64) * 1_000_000);
        Contact {
            id: NotificationId(Uuid::from_u128(number)),
            at,
            hour,
            segment: None,
            last_week: 0,
            wording,
        }
    }

    #[test]
    fn before_anything_is_learned_nothing_costs_and_no_hour_is_better() {
        let (learner, user) = (Learner::default(), UserLearning::default());
        assert!(learner.attention_price(&user, 5, &Worth::default()) < 1e-12);
        let chosen = learner.choose_hour(&user, None, 12, AllowedHours::ALL, &mut rng(1, "hour"));
        assert_eq!(chosen, None);
        let mut draw = rng(1, "wording");
        let drawn = (0..2_000)
            .filter_map(|_| learner.choose_wording(&user, "t", &NAMES, &[0, 1], Timestamp(0), &mut draw));
        let warm = drawn.filter(|choice| choice.index() == 1).count();
        assert!((900..1_100).contains(&warm), "{warm}");
    }

    #[test]
    fn words_that_are_clicked_are_used_and_a_new_list_begins_anew() {
        let mut learner = Learner::default();
        let mut draw = rng(2, "wording");
        for number in 0..4_000u128 {
            let mut user = UserLearning::default();
            let now = Timestamp(0);
            let said = learner.choose_wording(&user, "t", &NAMES, &[0, 1], now, &mut draw).unwrap();
            let clicks = if said.index() == 1 { number % 4 == 0 } else { number % 10 == 0 };
            let one = contact(number, 12, Some(said));
            let id = one.id;
            learner.note_sent(&mut user, one);
            if clicks {
                learner.note_clicked(&mut user, id);
                learner.note_clicked(&mut user, id);
            }
        }
        let user = UserLearning::default();
        let mut share = |learner: &Learner, names: &[&str]| {
            let chosen = (0..1_000)
                .filter_map(|_| learner.choose_wording(&user, "t", names, &[0, 1], Timestamp(0), &mut draw));
            chosen.filter(|choice| choice.index() == 1).count()
        };
        assert!(share(&learner, &NAMES) > 900);
        let anew = share(&learner, &["plain", "other"]);
        assert!((430..570).contains(&anew), "{anew}");
        // A copy that went through the database chooses the same.
        let saved = serde_json::to_value(&learner).unwrap();
        let read: Learner = serde_json::from_value(saved).unwrap();
        assert!(share(&read, &NAMES) > 900);
    }

    #[test]
    fn a_better_hour_is_waited_for_and_a_good_one_is_not_left() {
        let mut learner = Learner::default();
        let mut user = UserLearning::default();
        for number in 0..6_000u128 {
            let hour = (number % 24) as u8;
            let one = contact(number, hour, None);
            let id = one.id;
            learner.note_sent(&mut UserLearning::default(), one.clone());
            learner.note_sent(&mut user, one);
            if hour == 20 || number % 40 == 0 {
                learner.note_clicked(&mut user, id);
            }
        }
        let mut draw = rng(3, "hour");
        let mut hours = |now: u8| -> Vec<HourChoice> {
            let choose = |_| learner.choose_hour(&user, None, now, AllowedHours::ALL, &mut draw);
            (0..2_000).filter_map(choose).collect()
        };
        for now in [9, 20] {
            let chosen = hours(now);
            let best: Vec<_> = chosen.iter().filter(|choice| choice.hour == 20).collect();
            assert!(best.len() > 1_800);
            // What is said of each is how often it comes.
            let said = 0.95 + 0.05 / 24.0;
            assert!(best.iter().all(|choice| (choice.propensity - said).abs() < 1e-6));
            assert!((best.len() as f32 / 2_000.0 - said).abs() < 0.02);
            assert!(chosen.iter().filter(|choice| choice.hour != 20).all(|choice| choice.propensity < 0.003));
        }
    }

    #[test]
    fn attention_gets_a_price_when_much_is_seen_to_tire() {
        let mut learner = Learner::default();
        let mut users = vec![UserLearning::default(); 300];
        let mut number = 0u128;
        for round in 0..40 {
            let last_week = if round % 2 == 0 { 0 } else { 10 };
            for user in &mut users {
                number += 1;
                let one = Contact { last_week, ..contact(number, 12, None) };
                let id = one.id;
                learner.note_sent(user, one);
                if number.is_multiple_of(if last_week == 0 { 5 } else { 10 }) {
                    learner.note_clicked(user, id);
                }
            }
            learner.refresh(0.0);
        }
        let price = |last_week| learner.attention_price(&users[0], last_week, &Worth::default());
        assert!(price(0) < 1e-12, "there is nobody to take from");
        assert!(price(10) > 0.01, "{}", price(10));
    }
}

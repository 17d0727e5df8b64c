//! Uplift of messages: by how much sending one raises the probability that its user buys, learned from decisions that a coin made.
//! A DR-learner; it serves only if its ranking is told from chance on users it had not seen.

use std::collections::HashMap;
use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::measure::{Options, learn};
use super::treatments::{TreatmentLog, UpliftError};
use crate::base::UserId;
use crate::ml::regression::Regression;
use crate::ml::threads::Threads;

/// Folds of users: three, so that a training stays short.
const FOLDS: usize = 3;

/// A decision that a coin made, whether the message went out or not.
#[derive(Clone, Debug, PartialEq)]
pub struct CoinDecision {
    /// The user concerned.
    pub user: UserId,
    /// Name of the trigger that fired.
    pub trigger: String,
    /// Category, by which caps and mutes apply.
    pub category: String,
    /// The user's segment then, 0 = A.
    pub segment: Option<u8>,
    /// As [`features`](crate::response::features) made them then; another length (none, or an older release's) is not learned
    /// from.
    pub features: Vec<f32>,
    /// True if it was sent.
    pub sent: bool,
    /// Probability of what the coin said.
    pub propensity: f32,
    /// True if the user bought within the attribution window.
    pub bought: bool,
}

/// Training report of the uplift of messages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UpliftReport {
    /// Decisions learned from.
    pub decisions: u64,
    /// Average effect on the probability of a purchase, with its 95 % interval: value, lower and upper end.
    pub effect: Option<[f64; 3]>,
    /// Qini coefficient of the ranking, likewise, in purchases a decision.
    pub qini: Option<[f64; 3]>,
    /// Reason why no model serves; `None` where one does.
    pub refusal: Option<String>,
}

/// The fitted effect; the default knows nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct MessageUplift {
    effect: Option<Regression>,
    report: Option<UpliftReport>,
}

impl MessageUplift {
    /// Learns from the decisions that `row` encodes to `width` numbers; others are left out. Never fails for want of data.
    /// `None` when cancelled.
    pub(crate) fn learn(
        decisions: &[CoinDecision],
        width: usize,
        row: impl Fn(&CoinDecision) -> Vec<f32>,
        seed: u64,
        threads: &Threads,
        progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
    ) -> Option<Self> {
        let mut log = TreatmentLog { width, ..TreatmentLog::default() };
        let (mut users, mut propensities) = (HashMap::new(), Vec::new());
        for one in decisions {
            let values = row(one);
            if values.len() != width {
                continue;
            }
            let next = u32::try_from(users.len()).unwrap_or(u32::MAX);
            log.users.push(*users.entry(one.user).or_insert(next));
            log.values.extend(values);
            log.treated.push(one.sent);
            log.outcomes.push(f64::from(u8::from(one.bought)));
            let said = f64::from(one.propensity);
            propensities.push(if one.sent { said } else { 1.0 - said });
        }
        log.n_users = users.len();
        log.propensities = Some(propensities);
        let learned = learn(&log, Options { folds: FOLDS, seed }, threads, progress);
        let mut report =
            UpliftReport { decisions: log.n_rows() as u64, effect: None, qini: None, refusal: None };
        let effect = match learned {
            Err(UpliftError::Cancelled) => return None,
            Err(fault) => {
                report.refusal = Some(fault.to_string());
                None
            }
            Ok((found, effect)) => {
                let qini = found.learners.first();
                report.effect = found.effect.map(|effect| [effect.value, effect.low, effect.high]);
                report.qini = qini.map(|one| [one.qini.value, one.qini.low, one.qini.high]);
                let undecided = qini.and_then(|one| one.refusal).map(|refusal| refusal.to_string());
                report.refusal = found.refusal.map(|refusal| refusal.to_string()).or(undecided);
                effect
            }
        };
        Some(Self { effect, report: Some(report) })
    }

    /// The model that serves.
    pub(crate) fn model(&self) -> Option<&Regression> {
        self.effect.as_ref()
    }

    /// Its training.
    pub(crate) fn report(&self) -> Option<&UpliftReport> {
        self.report.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::coins;
    use crate::ml::threads::Threads;
    use crate::response::{FEATURE_NAMES, ResponseModel};
    use std::ops::ControlFlow;

    fn learned(decisions: &[super::CoinDecision]) -> ResponseModel {
        let threads = Threads::new(1).unwrap();
        let mut model = ResponseModel::default();
        model.learn_uplift(decisions, 1, &threads, |_| ControlFlow::Continue(())).unwrap();
        model
    }

    fn uplift(model: &ResponseModel, events: f32) -> Option<f32> {
        let mut features = [f32::NAN; FEATURE_NAMES.len()];
        features[FEATURE_NAMES.iter().position(|name| *name == "events").unwrap()] = events;
        model.uplift("view", "similar_items", None, &features)
    }

    #[test]
    fn whom_a_message_helps_is_learned_from_the_coin_and_survives_storage() {
        let step = |events| if events < 1.5 { 0.4 } else { -0.3 };
        let model = learned(&coins(800, 1, "events", step));
        let report = model.uplift_report().unwrap();
        assert_eq!((report.decisions, &report.refusal), (800, &None));
        assert!(report.qini.unwrap()[1] > 0.0);
        let (helped, harmed) = (uplift(&model, 0.7).unwrap(), uplift(&model, 2.3).unwrap());
        assert!(helped > 0.2 && harmed < -0.1, "{helped} {harmed}");
        assert!(model.is_sound());
        let stored: ResponseModel = postcard::from_bytes(&postcard::to_stdvec(&model).unwrap()).unwrap();
        assert_eq!(uplift(&stored, 0.7), Some(helped));
        assert_eq!(model.uplift("view", "similar_items", None, &[]), None);
    }

    #[test]
    fn where_the_coins_cannot_tell_there_is_no_model_and_the_report_says_why() {
        assert_eq!(ResponseModel::default().uplift_report(), None);
        let few = learned(&coins(60, 1, "events", |_| 0.3));
        let refusal = few.uplift_report().unwrap().refusal.clone().unwrap();
        assert!(refusal.contains("at least 100 of each are needed"), "{refusal}");
        let same = learned(&coins(600, 3, "events", |_| 0.2));
        let report = same.uplift_report().unwrap();
        assert!(report.effect.unwrap()[1] > 0.0, "the average is known: {report:?}");
        assert!(report.refusal.as_ref().unwrap().starts_with("can't tell whom it helps more"), "{report:?}");
        assert_eq!((uplift(&few, 1.0), uplift(&same, 1.0)), (None, None));
    }

    #[test]
    fn decisions_without_features_are_left_out_and_it_stops_when_told_to() {
        let mut decisions = coins(600, 1, "events", |_| 0.2);
        decisions.iter_mut().step_by(2).for_each(|one| one.features.clear());
        assert_eq!(learned(&decisions).uplift_report().unwrap().decisions, 300);
        let threads = Threads::new(1).unwrap();
        let mut model = ResponseModel::default();
        let stopped = model.learn_uplift(&decisions, 1, &threads, |_| ControlFlow::Break(()));
        assert_eq!((stopped, model), (None, ResponseModel::default()));
    }
}

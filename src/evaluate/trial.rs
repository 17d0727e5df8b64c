//! A training with its trial: hold out, train on the rest, choose the blend, measure, train on everything.

use std::collections::BTreeMap;

use crate::base::Timestamp;
use crate::catalogue::Catalogue;
use crate::event::Event;
use crate::profile::{SegmentId, SegmentParameters};
use crate::recommend::train::train_in;
use crate::recommend::{
    Blend, Metrics, Progress, RuleParameters, Stage, Threads, TrainError, Trained, TrainingData,
    TrainingParameters,
};

use super::measure::{KS, Setting, known_items, measure, segments};
use super::split::{self, Case, Split};

/// Users the blend is chosen on, at most; they are not reported on.
const MAX_VALIDATION: usize = 500;
/// With fewer users than this held out, choosing weights would be choosing noise.
const MIN_TO_TUNE: usize = 100;
/// What is tried, beside the blend given. Content never goes to nothing, or new items could not be found; popularity
/// neither, or a user with a thin history would get the first coincidence.
const DECAYS: [f32; 3] = [0.8, 0.93, 1.0];
const NEIGHBOURS: [usize; 2] = [10, 25];
const CONTENT: [f32; 3] = [0.1, 0.3, 0.6];
const POPULARITY: [f32; 3] = [0.05, 0.2, 0.5];

/// As [`train_against`], with nothing to compare with.
pub fn train_and_evaluate(
    data: &TrainingData,
    catalogue: &Catalogue,
    now: Timestamp,
    parameters: &TrainingParameters,
    progress: &mut Progress<'_>,
) -> Result<Trained, TrainError> {
    train_against(data, catalogue, now, parameters, None, progress)
}

/// Trains and measures. `trained.metrics` (also in the model) are those of a twin trained without the latest
/// `holdout_share` of interactions: `ndcg@10`, `recall@10`, … of the blend, `popularity.ndcg@10`, `item_knn.…`,
/// `content.…` of its parts alone, `segment.A.…` of the users of a segment, and `users`; `current.…` is what the
/// parameters of the model that serves, given as `current`, reach when they are trained on the same part and measured on
/// the same users: the model itself has seen what it would be asked about. Empty when nothing can be held out. Stages come in the order
/// evaluate, profiles, segments, popularity, item_knn, rules, content.
pub fn train_against(
    data: &TrainingData,
    catalogue: &Catalogue,
    now: Timestamp,
    parameters: &TrainingParameters,
    current: Option<&TrainingParameters>,
    progress: &mut Progress<'_>,
) -> Result<Trained, TrainError> {
    let threads = Threads::new(parameters.n_threads)?;
    let mut parameters = parameters.clone();
    let mut metrics = Metrics::new();
    if progress(Stage::Evaluate, 0.0).is_break() {
        return Err(TrainError::Cancelled);
    }
    let split =
        split::temporal(&data.events, parameters.holdout_share, parameters.max_test_users, parameters.seed);
    if let Some(split) = split {
        let trial = Trial { threads: &threads, data, catalogue, split: &split, current };
        (parameters.blend, metrics) = trial.run(&parameters, progress)?;
    }
    let mut trained = train_in(&threads, &data.events, data.n_users, catalogue, now, &parameters, progress)?;
    trained.model.metrics.clone_from(&metrics);
    trained.metrics = metrics;
    Ok(trained)
}

struct Trial<'a> {
    threads: &'a Threads,
    data: &'a TrainingData,
    catalogue: &'a Catalogue,
    split: &'a Split,
    current: Option<&'a TrainingParameters>,
}

impl Trial<'_> {
    /// The chosen blend, and how good it is on users it was not chosen on.
    fn run(
        &self,
        parameters: &TrainingParameters,
        progress: &mut Progress<'_>,
    ) -> Result<(Blend, Metrics), TrainError> {
        let events: &[Event] = self.data.events.get(..self.split.cut).unwrap_or_default();
        let now = events.last().map_or(Timestamp(0), |event| event.occurred_at);
        let mut stages = 0.0f32;
        let mut last = Stage::Profiles;
        let trained = self.twin(parameters, &mut |stage, done| {
            if stage != last {
                (stages, last) = (stages + 1.0, stage);
            }
            progress(Stage::Evaluate, 0.4 * ((stages + done) / 6.0).min(1.0))
        })?;
        let setting = Setting {
            model: &trained.model,
            catalogue: self.catalogue,
            events,
            n_users: self.data.n_users,
            now,
        };
        let tune = parameters.tune_blend && self.split.cases.len() >= MIN_TO_TUNE;
        let (validation, test) =
            if tune { divide(&self.split.cases) } else { (Vec::new(), self.split.cases.clone()) };
        let mut blend = parameters.blend;
        if tune {
            let blends = grid(parameters.blend);
            let tallies = measure(&setting, &validation, &blends, &KS, self.threads, |done| {
                progress(Stage::Evaluate, 0.4 + 0.3 * done)
            })
            .ok_or(TrainError::Cancelled)?;
            let mut best = f64::NEG_INFINITY;
            for (candidate, tally) in blends.iter().zip(&tallies) {
                if tally.mean_ndcg() > best {
                    (blend, best) = (*candidate, tally.mean_ndcg());
                }
            }
        }
        let alone = |item_knn, content, popularity| Blend { item_knn, content, popularity, ..blend };
        let named = [
            ("", blend),
            ("item_knn.", alone(1.0, 0.0, 0.0)),
            ("content.", alone(0.0, 1.0, 0.0)),
            ("popularity.", alone(0.0, 0.0, 1.0)),
        ];
        let blends = named.map(|(_, blend)| blend);
        let tallies = measure(&setting, &test, &blends, &KS, self.threads, |done| {
            progress(Stage::Evaluate, 0.7 + 0.1 * done)
        })
        .ok_or(TrainError::Cancelled)?;
        let mut metrics = Metrics::new();
        let n_items = known_items(events).len();
        for ((prefix, _), tally) in named.iter().zip(&tallies) {
            tally.write(prefix, n_items, &mut metrics);
        }
        self.by_segment(&setting, &test, &blend, n_items, &mut metrics, progress)?;
        self.current(&setting, parameters, &test, &mut metrics, progress)?;
        Ok((blend, metrics))
    }

    /// Trained on what came before the cut.
    fn twin(
        &self,
        parameters: &TrainingParameters,
        progress: &mut Progress<'_>,
    ) -> Result<Trained, TrainError> {
        let events: &[Event] = self.data.events.get(..self.split.cut).unwrap_or_default();
        let now = events.last().map_or(Timestamp(0), |event| event.occurred_at);
        train_in(self.threads, events, self.data.n_users, self.catalogue, now, &twin_of(parameters), progress)
    }

    /// The chosen blend for the users of each segment, by name `segment.A.ndcg@10`, …, `segment.A.users`.
    fn by_segment(
        &self,
        setting: &Setting<'_>,
        test: &[Case],
        blend: &Blend,
        n_items: usize,
        metrics: &mut Metrics,
        progress: &mut Progress<'_>,
    ) -> Result<(), TrainError> {
        let mut parts: BTreeMap<SegmentId, Vec<Case>> = BTreeMap::new();
        for (case, segment) in test.iter().zip(segments(setting, test, self.threads)) {
            if let Some(segment) = segment {
                parts.entry(segment).or_default().push(case.clone());
            }
        }
        let mut before = 0;
        for (segment, cases) in parts {
            let tallies = measure(setting, &cases, &[*blend], &[10], self.threads, |done| {
                let done = (before as f32 + done * cases.len() as f32) / test.len() as f32;
                progress(Stage::Evaluate, 0.8 + 0.1 * done)
            })
            .ok_or(TrainError::Cancelled)?;
            before += cases.len();
            for tally in &tallies {
                tally.write(&format!("segment.{segment}."), n_items, metrics);
            }
            metrics.insert(format!("segment.{segment}.users"), cases.len() as f64);
        }
        Ok(())
    }

    /// What the parameters of the model that serves reach under the same conditions: `current.ndcg@10`, ….
    fn current(
        &self,
        setting: &Setting<'_>,
        parameters: &TrainingParameters,
        test: &[Case],
        metrics: &mut Metrics,
        progress: &mut Progress<'_>,
    ) -> Result<(), TrainError> {
        let Some(current) = self.current else { return Ok(()) };
        // The same but for the blend is the usual case, and then the twin that is there will do.
        let alike = |parameters: &TrainingParameters| TrainingParameters {
            blend: Blend::default(),
            n_threads: 0,
            ..twin_of(parameters)
        };
        let other = if alike(current) == alike(parameters) {
            None
        } else {
            Some(self.twin(current, &mut |_, _| progress(Stage::Evaluate, 0.9))?)
        };
        let model = other.as_ref().map_or(setting.model, |trained| &trained.model);
        let setting = Setting { model, ..*setting };
        let tallies = measure(&setting, test, &[current.blend], &KS, self.threads, |done| {
            progress(Stage::Evaluate, 0.9 + 0.1 * done)
        })
        .ok_or(TrainError::Cancelled)?;
        let n_items = known_items(setting.events).len();
        for tally in &tallies {
            tally.write("current.", n_items, metrics);
        }
        Ok(())
    }
}

/// What of the parameters matters to a twin. Segments play a small part in the blend: two starts are enough. Rules lead
/// from a basket to its completion, and the trial asks for lists without one.
fn twin_of(parameters: &TrainingParameters) -> TrainingParameters {
    TrainingParameters {
        segments: SegmentParameters { starts: 2, ..parameters.segments },
        rules: RuleParameters { max_rules: 0, ..parameters.rules },
        ..parameters.clone()
    }
}

/// Every fourth user to choose on, at most 500, the others to report on.
fn divide(cases: &[Case]) -> (Vec<Case>, Vec<Case>) {
    let (mut validation, mut test) = (Vec::new(), Vec::new());
    for (index, case) in cases.iter().enumerate() {
        let to =
            if index % 4 == 0 && validation.len() < MAX_VALIDATION { &mut validation } else { &mut test };
        to.push(case.clone());
    }
    (validation, test)
}

/// The given blend first (it wins ties), then the grid, ordered by decay and neighbours.
fn grid(given: Blend) -> Vec<Blend> {
    let mut blends = vec![given];
    for history_decay in DECAYS {
        for neighbours in NEIGHBOURS {
            for content in CONTENT {
                for popularity in POPULARITY {
                    blends.push(Blend { item_knn: 1.0, content, popularity, history_decay, neighbours });
                }
            }
        }
    }
    blends
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::*;
    use crate::base::{ItemId, UserId};
    use crate::event::EventKind;

    /// 240 users of four tastes; each buys eight of the ten items of their taste, one a day.
    fn tastes() -> TrainingData {
        let mut events = Vec::new();
        for day in 0..8u32 {
            for user in 0..240u32 {
                let taste = user % 4;
                let item = taste * 10 + (user / 4 + day * 3) % 10;
                events.push(Event {
                    occurred_at: Timestamp::from_seconds(i64::from(day) * 86_400 + i64::from(user)),
                    user: Some(UserId(user)),
                    item: Some(ItemId(item)),
                    kind: EventKind::Purchase,
                    dwell_ms: None,
                    quantity: 1.0,
                    value: None,
                    basket: None,
                });
            }
        }
        TrainingData { events, n_users: 240 }
    }

    fn run(data: &TrainingData, progress: &mut Progress<'_>) -> Result<Trained, TrainError> {
        let parameters = TrainingParameters { n_threads: 2, ..TrainingParameters::default() };
        let now = Timestamp::from_seconds(10 * 86_400);
        train_and_evaluate(data, &Catalogue::default(), now, &parameters, progress)
    }

    #[test]
    fn the_metrics_show_that_tastes_were_learnt_and_repeat_exactly() {
        let data = tastes();
        let trained = run(&data, &mut |_, _| ControlFlow::Continue(())).unwrap();
        let metrics = &trained.metrics;
        // Three items of a taste are left for each user, whoever knows the taste hits them within ten.
        assert!(metrics["recall@10"] > 0.95, "{metrics:?}");
        assert!(metrics["item_knn.recall@10"] > 0.95, "{metrics:?}");
        assert!(metrics["popularity.recall@10"] < 0.6, "{metrics:?}");
        assert!(metrics.values().all(|value| value.is_finite()));
        // 192 users come back in the last tenth; a fourth of them chose the weights.
        assert_eq!(metrics["users"], 144.0);
        assert_eq!(trained.model.metrics, trained.metrics);
        let again = run(&data, &mut |_, _| ControlFlow::Continue(())).unwrap();
        assert_eq!(again.model, trained.model);
    }

    #[test]
    fn the_current_parameters_are_measured_under_the_same_conditions() {
        let data = tastes();
        let parameters = TrainingParameters { n_threads: 2, ..TrainingParameters::default() };
        let now = Timestamp::from_seconds(10 * 86_400);
        let mut go = |_, _| ControlFlow::Continue(());
        let against = |current: &TrainingParameters, go: &mut Progress<'_>| {
            train_against(&data, &Catalogue::default(), now, &parameters, Some(current), go).unwrap().metrics
        };
        let first = train_and_evaluate(&data, &Catalogue::default(), now, &parameters, &mut go).unwrap();
        assert!(!first.metrics.contains_key("current.ndcg@10"));
        // Its own parameters, blend included, reach exactly what it reached.
        let same = against(&first.model.parameters, &mut go);
        assert_eq!(same["current.ndcg@10"], first.metrics["ndcg@10"]);
        // Parameters that know no neighbours and no content know what is popular.
        let blend = Blend { item_knn: 0.0, content: 0.0, ..Blend::default() };
        let popular = against(&TrainingParameters { blend, neighbours: 0, ..parameters.clone() }, &mut go);
        assert_eq!(popular["current.ndcg@10"], popular["popularity.ndcg@10"]);
        assert!(popular["current.ndcg@10"] < popular["ndcg@10"]);
        let users: f64 = same
            .iter()
            .filter(|(name, _)| name.starts_with("segment.") && name.ends_with(".users"))
            .map(|(_, n)| n)
            .sum();
        assert_eq!(users, same["users"], "everybody measured on is in a segment");
    }

    #[test]
    fn too_little_to_hold_out_still_gives_a_model() {
        let mut data = tastes();
        data.events.truncate(1);
        let trained = run(&data, &mut |_, _| ControlFlow::Continue(())).unwrap();
        assert!(trained.metrics.is_empty());
        assert_eq!(trained.model.events, 1);
    }

    #[test]
    fn it_stops_wherever_it_is_told_to() {
        let data = tastes();
        let mut calls = 0;
        run(&data, &mut |_, _| {
            calls += 1;
            ControlFlow::Continue(())
        })
        .unwrap();
        for stop in [1, 2, calls / 3, calls / 2, calls - 1, calls] {
            let mut heard = 0;
            let result = run(&data, &mut |_, _| {
                heard += 1;
                if heard == stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            assert_eq!(result.unwrap_err(), TrainError::Cancelled, "call {stop} of {calls}");
            assert_eq!(heard, stop, "work went on after the stop");
        }
    }
}

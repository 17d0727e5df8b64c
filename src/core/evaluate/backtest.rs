//! A training with its trial: hold out, train on the rest, learn the rule, measure, train on everything.

use std::collections::BTreeMap;

use crate::base::Timestamp;
use crate::catalogue::Catalogue;
use crate::event::Event;
use crate::ml::metrics::Metrics;
use crate::ml::threads::Threads;
use crate::profile::{SegmentId, SegmentParameters};
use crate::recommend::ModelSet;
use crate::recommend::ensemble::{BaseModel, PairModel, Ranker, SideFeature};
use crate::recommend::models::association_rules::RuleParameters;
use crate::recommend::serve::user_scores::{only, plain_rule};
use crate::recommend::train::{
    Progress, Stage, TrainError, Trained, TrainingData, TrainingParameters, train_in,
};

use super::auto::{Blending, SearchSpace};
use super::measure::{Answer, KS, Setting, answers, asked, known_items};
use super::ranking::Tally;
use super::split::{self, Case, Split};

/// Users the rule is learnt on, at most; they are not reported on.
const MOST_TO_LEARN: usize = 1_000;
/// With fewer users than this held out, learning a rule would be learning noise.
const FEWEST_TO_LEARN: usize = 100;
/// Content never goes to nothing, or items that nobody touched yet could not be found: at least this share of all that
/// the rule gives to members it trusts.
const LEAST_CONTENT: f32 = 0.05;

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
/// `holdout_share` of interactions: `ndcg@10`, `recall@10`, … of the list that would be shown, `popularity.ndcg@10`,
/// `item_knn.…`, `content.…` of members alone, `segment.A.…` of the users of a segment, and `users`; `current.…` is what the
/// parameters and the rule of the model that serves, given as `current`, reach when they are trained on the same part and
/// measured on the same users: the model itself has seen what it would be asked about. The rule is learnt on other users of
/// the held-out part than those it is measured on. Empty when nothing can be held out. Stages come in the order evaluate,
/// profiles, segments, popularity, item_knn, ensemble, sessions, rules, content.
pub fn train_against(
    data: &TrainingData,
    catalogue: &Catalogue,
    now: Timestamp,
    parameters: &TrainingParameters,
    current: Option<&ModelSet>,
    progress: &mut Progress<'_>,
) -> Result<Trained, TrainError> {
    let threads = Threads::new(parameters.n_threads)?;
    let mut learnt = None;
    let mut metrics = Metrics::new();
    if progress(Stage::Evaluate, 0.0).is_break() {
        return Err(TrainError::Cancelled);
    }
    let split =
        split::temporal(&data.events, parameters.holdout_share, parameters.max_test_users, parameters.seed);
    if let Some(split) = split {
        let trial = Trial { threads: &threads, data, catalogue, split: &split, current };
        let (twin, measured) = trial.run(parameters, progress)?;
        metrics = measured;
        learnt = Some((twin.ensemble().models().members().to_vec(), twin.ensemble().ranker().clone()));
    }
    let mut trained = train_in(&threads, &data.events, data.users(), catalogue, now, parameters, progress)?;
    if let Some((members, rule)) = learnt {
        carry(&members, &rule, &mut trained.model);
    }
    trained.model.metrics.clone_from(&metrics);
    trained.metrics = metrics;
    Ok(trained)
}

/// Lets a rule learnt for other members order what this model's members say, if they are much the same.
fn carry(members: &[BaseModel], rule: &Ranker, model: &mut ModelSet) {
    if let Some(rule) = rule.carried(members, model.ensemble().models().members()) {
        model.set_rule(rule);
    }
}

struct Trial<'a> {
    threads: &'a Threads,
    data: &'a TrainingData,
    catalogue: &'a Catalogue,
    split: &'a Split,
    current: Option<&'a ModelSet>,
}

impl Trial<'_> {
    /// The twin with the rule it learnt, and how good it is on users the rule was not learnt on.
    fn run(
        &self,
        parameters: &TrainingParameters,
        progress: &mut Progress<'_>,
    ) -> Result<(ModelSet, Metrics), TrainError> {
        let mut stages = 0.0f32;
        let mut last = Stage::Profiles;
        let mut twin = self.twin(parameters, &mut |stage, done| {
            if stage != last {
                (stages, last) = (stages + 1.0, stage);
            }
            progress(Stage::Evaluate, 0.4 * ((stages + done) / 8.0).min(1.0))
        })?;
        let learn = parameters.learn_rule && self.split.cases.len() >= FEWEST_TO_LEARN;
        let (to_learn, test) =
            if learn { divide(&self.split.cases) } else { (Vec::new(), self.split.cases.clone()) };
        if learn {
            let rule = self.learn(&twin, &to_learn, progress)?;
            twin.set_rule(rule);
        }
        let setting = self.setting(&twin);
        let alone = |kind: fn(&BaseModel) -> bool| {
            let members = twin.ensemble().models().members();
            Some(only(members, |member| if kind(member) { 1.0 } else { 0.0 }))
        };
        let knn = |member: &BaseModel| matches!(member, BaseModel::Pair { model: PairModel::ItemKnn, .. });
        let named = [
            ("", None),
            ("item_knn.", alone(knn)),
            ("content.", alone(|member| *member == BaseModel::SideFeature(SideFeature::Content))),
            ("popularity.", alone(|member| *member == BaseModel::SideFeature(SideFeature::Popular))),
        ];
        let (names, rules): (Vec<&str>, Vec<Option<Ranker>>) = named.into_iter().unzip();
        let found = answers(&setting, &test, &rules, KS[1], self.threads, |done| {
            progress(Stage::Evaluate, 0.6 + 0.15 * done)
        })
        .ok_or(TrainError::Cancelled)?;
        let mut metrics = Metrics::new();
        let n_items = known_items(setting.events).len();
        for (index, name) in names.iter().enumerate() {
            tally(&test, &found, index, &KS).write(name, n_items, &mut metrics);
        }
        by_segment(&test, &found, n_items, &mut metrics);
        self.current(&setting, parameters, &test, &mut metrics, progress)?;
        Ok((twin, metrics))
    }

    /// Events before the cut.
    fn events(&self) -> &[Event] {
        self.data.events.get(..self.split.cut).unwrap_or_default()
    }

    /// The moment of the cut.
    fn now(&self) -> Timestamp {
        self.events().last().map_or(Timestamp(0), |event| event.occurred_at)
    }

    fn setting<'s>(&'s self, model: &'s ModelSet) -> Setting<'s> {
        let n_users = self.data.n_users;
        Setting { model, catalogue: self.catalogue, events: self.events(), n_users, now: self.now() }
    }

    /// Trained on what came before the cut.
    fn twin(
        &self,
        parameters: &TrainingParameters,
        progress: &mut Progress<'_>,
    ) -> Result<ModelSet, TrainError> {
        let (events, users) = (self.events(), self.data.users());
        let twin = twin_of(parameters);
        let now = self.now();
        Ok(train_in(self.threads, events, users, self.catalogue, now, &twin, progress)?.model)
    }

    /// The rule that orders candidates best for these users.
    fn learn(
        &self,
        twin: &ModelSet,
        cases: &[Case],
        progress: &mut Progress<'_>,
    ) -> Result<Ranker, TrainError> {
        let members = twin.ensemble().models().members();
        let core = plain_rule(members);
        let asked = asked(&self.setting(twin), cases, &core, self.threads, |done| {
            progress(Stage::Evaluate, 0.4 + 0.1 * done)
        })
        .ok_or(TrainError::Cancelled)?;
        let columns: Vec<usize> = (0..members.len()).collect();
        let blending = Blending {
            asked: &asked,
            members: members.len(),
            columns: &columns,
            trying: SearchSpace::A_LITTLE,
            threads: self.threads,
        };
        let mut hear = |done| progress(Stage::Evaluate, 0.5 + 0.1 * done);
        let mut rule = blending.learn(core.core, &mut hear)?.ranker;
        keep_content(&mut rule, members);
        Ok(rule)
    }

    /// Metrics that the parameters of the model that serves reach under the same conditions: `current.ndcg@10`, ….
    fn current(
        &self,
        setting: &Setting<'_>,
        parameters: &TrainingParameters,
        test: &[Case],
        metrics: &mut Metrics,
        progress: &mut Progress<'_>,
    ) -> Result<(), TrainError> {
        let Some(current) = self.current else { return Ok(()) };
        // The same parameters are the usual case, and then the twin that is there will do.
        let alike =
            |parameters: &TrainingParameters| TrainingParameters { n_threads: 0, ..twin_of(parameters) };
        let mut twin = if alike(&current.parameters) == alike(parameters) {
            setting.model.clone()
        } else {
            self.twin(&current.parameters, &mut |_, _| progress(Stage::Evaluate, 0.8))?
        };
        let ensemble = current.ensemble();
        carry(ensemble.models().members(), ensemble.ranker(), &mut twin);
        let setting = Setting { model: &twin, ..*setting };
        let found = answers(&setting, test, &[None], KS[1], self.threads, |done| {
            progress(Stage::Evaluate, 0.8 + 0.2 * done)
        })
        .ok_or(TrainError::Cancelled)?;
        tally(test, &found, 0, &KS).write("current.", known_items(setting.events).len(), metrics);
        Ok(())
    }
}

/// Raises the plain weight of content to its least share of the weights above 0.
fn keep_content(rule: &mut Ranker, members: &[BaseModel]) {
    let trusted: f32 = rule.weights.iter().chain(&rule.linear).filter(|weight| **weight > 0.0).sum();
    rule.linear.resize(members.len(), 0.0);
    let content = members.iter().position(|member| *member == BaseModel::SideFeature(SideFeature::Content));
    let own =
        content.and_then(|index| Some((rule.weights.get(index).copied()?, rule.linear.get_mut(index)?)));
    if let Some((weight, linear)) = own {
        *linear = linear.max(LEAST_CONTENT * trusted - weight);
    }
}

/// Of the rule with this index.
fn tally(cases: &[Case], answers: &[Answer], index: usize, ks: &[usize]) -> Tally {
    let mut tally = Tally::new(ks);
    for (case, answer) in cases.iter().zip(answers) {
        if let Some(list) = answer.lists.get(index) {
            tally.add(list, &case.relevant);
        }
    }
    tally
}

/// The first rule for the users of each segment, by name `segment.A.ndcg@10`, …, `segment.A.users`.
fn by_segment(cases: &[Case], answers: &[Answer], n_items: usize, metrics: &mut Metrics) {
    let mut parts: BTreeMap<SegmentId, (Vec<Case>, Vec<Answer>)> = BTreeMap::new();
    for (case, answer) in cases.iter().zip(answers) {
        if let Some(segment) = answer.segment {
            let (cases, answers) = parts.entry(segment).or_default();
            cases.push(case.clone());
            answers.push(answer.clone());
        }
    }
    for (segment, (cases, answers)) in parts {
        tally(&cases, &answers, 0, &[10]).write(&format!("segment.{segment}."), n_items, metrics);
        metrics.insert(format!("segment.{segment}.users"), cases.len() as f64);
    }
}

/// Parameters of a twin, reduced to those that matter to it. Segments play a small part in the blend: two starts are enough.
/// Rules lead from a basket to its completion, and the trial asks for lists without one.
fn twin_of(parameters: &TrainingParameters) -> TrainingParameters {
    TrainingParameters {
        segments: SegmentParameters { starts: 2, ..parameters.segments },
        rules: RuleParameters { max_rules: 0, ..parameters.rules },
        ..parameters.clone()
    }
}

/// Every second user to learn on, at most a thousand, the others to report on.
fn divide(cases: &[Case]) -> (Vec<Case>, Vec<Case>) {
    let (mut to_learn, mut test) = (Vec::new(), Vec::new());
    for (index, case) in cases.iter().enumerate() {
        let to = if index % 2 == 0 && to_learn.len() < MOST_TO_LEARN { &mut to_learn } else { &mut test };
        to.push(case.clone());
    }
    (to_learn, test)
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
                    currency: None,
                    basket: None,
                });
            }
        }
        TrainingData { events, n_users: 240, ..TrainingData::default() }
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
        // 192 users come back in the last tenth; half of them taught the rule.
        assert_eq!(metrics["users"], 96.0);
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
        let against = |current: &ModelSet, go: &mut Progress<'_>| {
            train_against(&data, &Catalogue::default(), now, &parameters, Some(current), go).unwrap().metrics
        };
        let first = train_and_evaluate(&data, &Catalogue::default(), now, &parameters, &mut go).unwrap();
        assert!(!first.metrics.contains_key("current.ndcg@10"));
        // Its own parameters and rule reach exactly what it reached.
        let same = against(&first.model, &mut go);
        assert_eq!(same["current.ndcg@10"], first.metrics["ndcg@10"]);
        // A rule that looks at popularity alone reaches what popularity reaches.
        let mut popular = first.model.clone();
        let members = popular.ensemble().models().members().to_vec();
        popular.set_rule(only(&members, |member| {
            f32::from(*member == BaseModel::SideFeature(SideFeature::Popular))
        }));
        let popular = against(&popular, &mut go);
        assert_eq!(popular["current.ndcg@10"], popular["popularity.ndcg@10"]);
        assert!(popular["current.ndcg@10"] < popular["ndcg@10"]);
        // Other parameters are trained on the same part.
        let mut other = first.model.clone();
        other.parameters.ensemble.kept = 1;
        assert!(against(&other, &mut go)["current.ndcg@10"].is_finite());
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

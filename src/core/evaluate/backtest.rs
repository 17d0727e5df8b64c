//! A training with its trial: hold out, train on the rest, choose the blend, measure, train on everything.

use std::collections::BTreeMap;

use crate::base::{Timestamp, UserId};
use crate::catalogue::Catalogue;
use crate::event::Event;
use crate::ml::metrics::Metrics;
use crate::ml::threads::Threads;
use crate::profile::SegmentId;
use crate::recommend::ModelSet;
use crate::recommend::ensemble::{
    BaseModel, EnsembleParameters, EventRows, KindColumn, KindNumbers, Models, PairModel, Ranker, SideFeature,
};
use crate::recommend::models::content_based::ContentBased;
use crate::recommend::serve::model_set::plain;
use crate::recommend::serve::returning::Mix;
use crate::recommend::serve::user_scores::only;
use crate::recommend::train::parameters::Choice;
use crate::recommend::train::{
    Inputs, Progress, Stage, TrainError, Trained, TrainingData, TrainingParameters, ground, kinds, rows,
    train_in,
};

use super::auto::{Budget, HeldOut, Trial};
use super::chosen::{Learnt, alike, always_there, keep_content, remembered, twin_of};
use super::figures::Figure;
use super::measure::{Answer, KS, Served, ServedCases, Setting, answers, known_items};
use super::mix;
use super::ranking::Tally;
use super::shown::{ListsShown, acts, figures_of};
use super::split::{self, Case, Split};

/// Users the blend is chosen on, at most; they are not reported on.
const MOST_TO_LEARN: usize = 1_000;
/// With fewer users than this held out, learning a rule would be learning noise.
const FEWEST_TO_LEARN: usize = 100;

/// As [`train_against`], with nothing to compare with.
pub fn train_and_evaluate(
    data: &TrainingData,
    catalogue: &Catalogue,
    now: Timestamp,
    parameters: &TrainingParameters,
    progress: &mut Progress<'_>,
) -> Result<Trained, TrainError> {
    train_against(data, catalogue, now, parameters, &Beside::default(), progress).map(|one| one.trained)
}

/// Result of a training that was measured.
#[derive(Clone, Debug)]
pub struct Evaluated {
    /// The model, with metrics.
    pub trained: Trained,
    /// Figures of the bare ranking and of the list as it is served, with intervals over users; empty where nothing was held out.
    pub figures: Vec<Figure>,
    /// Moment from which events were held out; `None` where none were.
    pub held_out_from: Option<Timestamp>,
}

/// Comparisons of a training.
#[derive(Clone, Copy, Default)]
pub struct Beside<'a> {
    /// The model that serves.
    pub current: Option<&'a ModelSet>,
    /// Maker of the lists that users are shown.
    pub served: Option<&'a dyn Served>,
}

/// Trains and measures. `trained.metrics` (also in the model) are those of a twin trained without the latest
/// `holdout_share` of interactions: `ndcg@10`, `recall@10`, … of the bare ranking, `served.ndcg@10`, … of the list of new things that is
/// shown, with all that decides about it, on the same users, `exploring.…` of the same with places given away, `both.…` and
/// `continue.…` of lists that hold what users know, where that counts as well, `popularity.ndcg@10`,
/// `item_knn.…`, `content.…` of members alone, `segment.A.…` of the users of a segment, and `users`; `current.…` is what the
/// parameters and the rule of the model that serves, given as `current`, reach when they are trained on the same part and
/// measured on the same users: the model itself has seen what it would be asked about.
///
/// The blend is chosen by the [`Trial`] that also `tidings evaluate` makes of files, from the parameters of the current model on and
/// within `tuning_work`, on other users of the held-out part than those it is measured on; the model remembers the choice in its
/// parameters. Metrics are empty when nothing can be held out. Stages come in the order evaluate,
/// profiles, segments, popularity, item_knn, sessions, ensemble, rules, content.
pub fn train_against(
    data: &TrainingData,
    catalogue: &Catalogue,
    now: Timestamp,
    parameters: &TrainingParameters,
    beside: &Beside<'_>,
    progress: &mut Progress<'_>,
) -> Result<Evaluated, TrainError> {
    let threads = Threads::new(parameters.n_threads)?;
    if progress(Stage::Evaluate, 0.0).is_break() {
        return Err(TrainError::Cancelled);
    }
    let found = hold_out(data, parameters)
        .map(|split| {
            let backtest = Backtest { threads: &threads, data, catalogue, split: &split, beside };
            backtest.run(parameters, progress)
        })
        .transpose()?;
    let (users, events) = (data.users(), data.events.as_slice());
    let content = found.as_ref().map(|found| &found.content);
    let inputs = Inputs { threads: &threads, events, users, catalogue, now, content };
    let chosen = found.as_ref().map_or(parameters, |found| &found.parameters);
    let mut trained = train_in(&inputs, chosen, progress)?;
    let Some(Found { learnt, mix, metrics, figures, held_out_from, .. }) = found else {
        return Ok(Evaluated { trained, figures: Vec::new(), held_out_from: None });
    };
    learnt.carry(&mut trained.model);
    trained.model.set_mix(mix);
    trained.model.metrics.clone_from(&metrics);
    trained.metrics = metrics;
    Ok(Evaluated { trained, figures, held_out_from })
}

/// The users whose later interactions a training holds out, in order.
pub fn held_out_users(data: &TrainingData, parameters: &TrainingParameters) -> Vec<UserId> {
    let Some(split) = hold_out(data, parameters) else { return Vec::new() };
    let mut users: Vec<UserId> = split.cases.iter().chain(&split.returning).map(|case| case.user).collect();
    users.sort_unstable();
    users
}

fn hold_out(data: &TrainingData, parameters: &TrainingParameters) -> Option<Split> {
    split::temporal(&data.events, parameters.holdout_share, parameters.max_test_users, parameters.seed)
}

/// Result of a backtest, without the models that were fitted for it.
struct Found {
    /// Parameters with what the trial chose.
    parameters: TrainingParameters,
    learnt: Learnt,
    content: ContentBased,
    mix: Option<Mix>,
    metrics: Metrics,
    figures: Vec<Figure>,
    held_out_from: Option<Timestamp>,
}

struct Backtest<'a> {
    threads: &'a Threads,
    data: &'a TrainingData,
    catalogue: &'a Catalogue,
    split: &'a Split,
    beside: &'a Beside<'a>,
}

impl Backtest<'_> {
    /// The twin with the blend that was chosen, and how good it is on users that were not chosen on.
    fn run(&self, parameters: &TrainingParameters, progress: &mut Progress<'_>) -> Result<Found, TrainError> {
        let learn = parameters.learn_rule && self.split.cases.len() >= FEWEST_TO_LEARN;
        let (to_learn, test) =
            if learn { divide(&self.split.cases) } else { (Vec::new(), self.split.cases.clone()) };
        let before = self.beside.current.and_then(|current| current.parameters.kinds.as_ref());
        let numbers = KindNumbers::of(self.events());
        let kinds_now = before.map(|before| numbers.clone().after(before)).unwrap_or(numbers);
        let parameters = &TrainingParameters { kinds: Some(kinds_now), ..parameters.clone() };
        let mut twin = self.ground(parameters, progress)?;
        twin.parameters = parameters.clone();
        let mut hear = |_: Stage, done: f32| progress(Stage::Evaluate, 0.25 + 0.05 * done);
        let mut rows = rows(self.events(), self.data.n_users, parameters, &mut hear)?;
        if learn {
            twin.set_kinds(kinds(self.threads, &rows, parameters, None, &mut hear)?);
        }
        if learn || self.kinds_of_current().is_empty() {
            rows.acts = Vec::new();
        }
        if learn {
            self.choose(&mut twin, &rows, &to_learn, progress)?;
        } else {
            self.refit(&mut twin, &rows, &parameters.ensemble, &mut |done| {
                progress(Stage::Evaluate, 0.3 + 0.3 * done)
            })?;
        }
        let (returning_to_learn, returning) = match learn {
            true => divide(&self.split.returning),
            false => (Vec::new(), self.split.returning.clone()),
        };
        if learn {
            let cases = [to_learn, returning_to_learn].concat();
            let mix = mix::learn(&self.setting(&twin), &cases, self.threads, |done| {
                progress(Stage::Evaluate, 0.6 + 0.05 * done)
            });
            twin.set_mix(mix.ok_or(TrainError::Cancelled)?);
        }
        let (metrics, figures) = self.measure(&twin, &rows, (&test, &returning), progress)?;
        let held_out_from = self.later().first().map(|event| event.occurred_at);
        let (learnt, ModelSet { parameters, content, mix, .. }) = (Learnt::of(&twin), twin);
        Ok(Found { parameters, learnt, content, mix, metrics, figures, held_out_from })
    }

    /// Figures of the twin, of its members alone, by segment, as served, and of what serves now.
    fn measure(
        &self,
        twin: &ModelSet,
        rows: &EventRows,
        (test, returning): (&[Case], &[Case]),
        progress: &mut Progress<'_>,
    ) -> Result<(Metrics, Vec<Figure>), TrainError> {
        let setting = self.setting(twin);
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
        let found = answers(&setting, test, &rules, KS[1], self.threads, |done| {
            progress(Stage::Evaluate, 0.65 + 0.05 * done)
        })
        .ok_or(TrainError::Cancelled)?;
        let mut metrics = Metrics::new();
        let n_items = known_items(setting.events).len();
        for (index, name) in names.iter().enumerate() {
            tally(test, &found, index, &KS).write(name, n_items, &mut metrics);
        }
        by_segment(test, &found, n_items, &mut metrics);
        let bare: Vec<&[u32]> =
            found.iter().map(|answer| answer.lists.first().map_or(&[][..], Vec::as_slice)).collect();
        let acts = acts(self.later());
        let cases: Vec<&Case> = test.iter().collect();
        let relevant = |case: &Case| case.relevant.clone();
        let mut figures = figures_of("bare", &cases, relevant, &found, &bare, &acts);
        if let Some(served) = self.beside.served {
            let lists = ListsShown { setting: &setting, served, acts: &acts, threads: self.threads };
            let hear = |done: f32| progress(Stage::Evaluate, 0.7 + 0.1 * done);
            let measured = lists.measure(test, returning, hear).ok_or(TrainError::Cancelled)?;
            metrics.extend(measured.0);
            figures.extend(measured.1);
        }
        self.current(&setting, rows, test, &mut metrics, progress)?;
        Ok((metrics, figures))
    }

    /// Events after the cut.
    fn later(&self) -> &[Event] {
        self.data.events.get(self.split.cut..).unwrap_or_default()
    }

    /// Events before the cut.
    fn events(&self) -> &[Event] {
        self.data.events.get(..self.split.cut).unwrap_or_default()
    }

    /// Share of the events that are before the cut.
    fn share(&self) -> f64 {
        self.split.cut as f64 / self.data.events.len().max(1) as f64
    }

    /// The moment of the cut.
    fn now(&self) -> Timestamp {
        self.events().last().map_or(Timestamp(0), |event| event.occurred_at)
    }

    fn setting<'s>(&'s self, model: &'s ModelSet) -> Setting<'s> {
        let n_users = self.data.n_users;
        Setting { model, catalogue: self.catalogue, events: self.events(), n_users, now: self.now() }
    }

    /// Trained on what came before the cut, all but the blend.
    fn ground(
        &self,
        parameters: &TrainingParameters,
        progress: &mut Progress<'_>,
    ) -> Result<ModelSet, TrainError> {
        let (mut stages, mut last) = (0.0f32, Stage::Profiles);
        let mut hear = |stage: Stage, done: f32| {
            if stage != last {
                (stages, last) = (stages + 1.0, stage);
            }
            progress(Stage::Evaluate, 0.25 * ((stages + done) / 8.0).min(1.0))
        };
        let (threads, events, users) = (self.threads, self.events(), self.data.users());
        let (catalogue, now) = (self.catalogue, self.now());
        let inputs = Inputs { threads, events, users, catalogue, now, content: None };
        ground(&inputs, &twin_of(parameters), &mut hear)
    }

    /// Chooses the blend on these cases, and lets the twin remember it.
    fn choose(
        &self,
        twin: &mut ModelSet,
        rows: &EventRows,
        cases: &[Case],
        progress: &mut Progress<'_>,
    ) -> Result<(), TrainError> {
        let held_out: Vec<HeldOut> = (cases.iter().enumerate())
            .map(|(row, case)| HeldOut { row, relevant: case.relevant.clone() })
            .collect();
        let (histories, source) = (rows.histories(), ServedCases::new(self.setting(twin), cases));
        let trial = Trial {
            histories: &histories,
            source: &source,
            held_out: &held_out,
            start: remembered(&twin.parameters.ensemble, self.beside.current),
            always: always_there(self.catalogue),
            budget: Budget::of_training(twin.parameters.tuning_work, self.share()),
            threads: self.threads,
            tell: &|_| (),
        };
        let (tuned, ensemble) = trial.choose(&mut |done| progress(Stage::Evaluate, 0.3 + 0.3 * done))?;
        let all = ensemble.models().members().to_vec();
        let mut rule = ensemble.ranker().clone();
        keep_content(&mut rule, &all, always_there(self.catalogue));
        let mut members: Vec<BaseModel> =
            rule.needed().iter().filter_map(|index| all.get(*index).copied()).collect();
        members.retain(|member| !matches!(member, BaseModel::SideFeature(_)));
        members.extend(SideFeature::ALL.map(BaseModel::SideFeature));
        twin.parameters.ensemble = EnsembleParameters { members, ..tuned.parameters };
        twin.parameters.choice = Some(Choice {
            shape: tuned.shape.to_owned(),
            ndcg: tuned.ndcg,
            best_member: tuned.best.0.to_string(),
            best_member_ndcg: tuned.best.1,
        });
        twin.set_ensemble(ensemble.ruled_by(rule));
        Ok(())
    }

    /// Fits the blend of the twin by these parameters, under the plain rule.
    fn refit(
        &self,
        twin: &mut ModelSet,
        rows: &EventRows,
        parameters: &EnsembleParameters,
        progress: &mut dyn FnMut(f32) -> std::ops::ControlFlow<()>,
    ) -> Result<(), TrainError> {
        let models = Models::fit(&rows.histories(), parameters, self.threads, progress)?;
        let models = models.with_kinds(twin.kinds.columns());
        twin.set_ensemble(plain(models));
        Ok(())
    }

    /// Columns of kinds that the rule of the model that serves reads.
    fn kinds_of_current(&self) -> Vec<KindColumn> {
        self.beside.current.map(|current| current.parameters.ensemble.kind_columns()).unwrap_or_default()
    }

    /// Metrics that the parameters of the model that serves reach under the same conditions: `current.ndcg@10`, ….
    fn current(
        &self,
        setting: &Setting<'_>,
        rows: &EventRows,
        test: &[Case],
        metrics: &mut Metrics,
        progress: &mut Progress<'_>,
    ) -> Result<(), TrainError> {
        let Some(current) = self.beside.current else { return Ok(()) };
        // The same parameters are the usual case, and then the twin that is there will do.
        let (ours, theirs) = (alike(&setting.model.parameters), alike(&current.parameters));
        let mut twin = setting.model.clone();
        let columns = self.kinds_of_current();
        // Without a trial the twin knows no kinds.
        let knows_kinds = columns.iter().all(|column| twin.kinds.columns().contains(column));
        if ours != theirs || !knows_kinds {
            let mut hear = |_: Stage, _: f32| progress(Stage::Evaluate, 0.8);
            let without_blend = |parameters: &TrainingParameters| TrainingParameters {
                ensemble: EnsembleParameters::default(),
                ..parameters.clone()
            };
            let kinds = match knows_kinds {
                true => setting.model.kinds.as_ref().clone(),
                false => kinds(self.threads, rows, &current.parameters, Some(&columns), &mut hear)?,
            };
            if without_blend(&ours) != without_blend(&theirs) {
                twin = self.ground(&current.parameters, &mut hear)?;
            }
            twin.set_kinds(kinds);
            self.refit(&mut twin, rows, &current.parameters.ensemble, &mut |_| {
                progress(Stage::Evaluate, 0.8)
            })?;
        }
        Learnt::of(current).carry(&mut twin);
        let setting = Setting { model: &twin, ..*setting };
        let found = answers(&setting, test, &[None], KS[1], self.threads, |done| {
            progress(Stage::Evaluate, 0.8 + 0.2 * done)
        })
        .ok_or(TrainError::Cancelled)?;
        tally(test, &found, 0, &KS).write("current.", known_items(setting.events).len(), metrics);
        Ok(())
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

/// Every second user to learn on, at most a thousand, the others to report on.
fn divide(cases: &[Case]) -> (Vec<Case>, Vec<Case>) {
    let (mut to_learn, mut test) = (Vec::new(), Vec::new());
    for (index, case) in cases.iter().enumerate() {
        let to = if index % 2 == 0 && to_learn.len() < MOST_TO_LEARN { &mut to_learn } else { &mut test };
        to.push(case.clone());
    }
    (to_learn, test)
}

//! Chooses the hyper-parameters and the weights of the blend on held-out interactions, and fits the chosen blend.

use std::ops::ControlFlow;

use rayon::prelude::*;

use crate::base::ItemId;
use crate::ml::threads::Threads;
use crate::recommend::ensemble::{
    BaseModel, CANDIDATES, Ensemble, EnsembleParameters, FittedMembers, Histories, KindModels, Models,
    Ranker, candidates,
};
use crate::recommend::models::item_set::Universe;
use crate::recommend::train::TrainError;

use super::blend::{Asked, Blending, mean, stop};
use super::budget::Budget;
use super::columns::select;
use super::held_out::{HeldOut, spread};
use super::known::Source;
use super::trials::{Trials, quality};

/// Cases between two looks at cancellation.
const CASES_AT_ONCE: usize = 64;
/// Fewer users than this don't teach a blend.
const FEWEST_CASES: usize = 20;
/// Users that are asked of all members, spread evenly. Of more only what is worth a column is asked.
const MOST_ASKED_OF_ALL: usize = 1_500;

/// A trial: examples, and how much work may go into choosing on them. `tidings evaluate` makes one of files, a training one of the
/// events of the server; what it chooses is fitted by [`fit`] or, with the rest of a server's models, by
/// [`train_in`](crate::recommend::train::train_in).
pub struct Trial<'a> {
    /// Histories that models are fitted on, without what is held out.
    pub histories: &'a Histories<'a>,
    /// Knowledge of the users of the cases.
    pub source: &'a dyn Source,
    /// Cases.
    pub held_out: &'a [HeldOut],
    /// Parameters tried first.
    pub start: EnsembleParameters,
    /// Members that always choose candidates.
    pub always: &'a [BaseModel],
    /// Bounds.
    pub budget: Budget,
    /// The pool.
    pub threads: &'a Threads,
    /// Hears what was found on the way.
    pub tell: &'a dyn Fn(&str),
}

/// Result of the tuning.
#[derive(Clone, Debug)]
pub struct Tuned {
    /// Of the models.
    pub parameters: EnsembleParameters,
    /// The rule, of the members named in the parameters.
    pub ranker: Ranker,
    /// NDCG@10 of what serves on users it was not learnt on.
    pub ndcg: f64,
    /// Shape of the blend: `logarithmic`, `by_length`, `with_plain` or `mean` of the three; `single` where the best member alone
    /// is no worse than the blend.
    pub shape: &'static str,
    /// The member that does best alone, and its NDCG@10 on the same users.
    pub best: (BaseModel, f64),
}

impl Trial<'_> {
    /// Chooses, by counts of work alone: the same data give the same choice on any machine. The blend that comes with the choice
    /// is fitted on the histories of the trial, of all members up to 1,500 cases, of more cases of those worth it. `progress` hears 0…1 and may break ([`TrainError::Cancelled`]).
    pub fn choose(
        &self,
        progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
    ) -> Result<(Tuned, Ensemble), TrainError> {
        let cases = spread(self.held_out, self.budget.cases);
        if cases.len() < FEWEST_CASES {
            return Err(TrainError::NotEnoughData {
                needs: "at least 20 users with held-out interactions",
                has: format!("{} users", cases.len()),
            });
        }
        let Self { histories, threads, tell, .. } = *self;
        let matrix = histories.matrix();
        // On all data a fit takes more work than here, and may not take too much there either.
        let most = self.start.max_work * self.budget.share;
        let bounded = EnsembleParameters { max_work: most, ..self.start.clone() };
        let mut parameters =
            EnsembleParameters { max_work: self.start.max_work, ..bounded.affordable(&matrix) };
        let few = spread(&cases, self.budget.compared);
        let cases_of_few = few.iter().map(|case| (case, self.source.known(case, false))).collect();
        let trials = Trials {
            histories,
            source: self.source,
            cases: cases_of_few,
            budget: &self.budget,
            threads,
            tell,
        };
        let similarity = trials.choose_shrinkage(&matrix, &parameters, &mut |done| progress(0.05 * done))?;
        parameters.shrinkage = similarity.parameters.first().copied().unwrap_or(parameters.shrinkage);
        let ease = trials.choose_ridges(&matrix, &parameters, &mut |done| progress(0.05 + 0.35 * done))?;
        let bounds = (most, similarity.best.max(ease.best));
        let als =
            trials.choose_als(&matrix, &parameters.als, bounds, &mut |done| progress(0.4 + 0.25 * done))?;
        (parameters.ridges, parameters.als) = (ease.parameters, als.parameters);
        let similarity = similarity.models.into_iter().next();
        let fitted = FittedMembers { similarity, ease: ease.models, als: als.models };
        let models = Models::with(histories, &matrix, &parameters, fitted, threads, |done| {
            progress(0.65 + 0.05 * done)
        })?
        .with_kinds(self.source.kind_columns());
        let core = trials.core(&models, self.always);
        drop(trials);
        let examples = self.examples(models, core, &cases, &mut |done| progress(0.7 + 0.1 * done))?;
        let rule = self.learn(&examples, &mut |done| progress(0.8 + 0.2 * done))?;
        let models = examples.models;
        let needed = rule.ranker.needed();
        parameters.members =
            needed.iter().filter_map(|index| models.members().get(*index).copied()).collect();
        let Rule { ranker, ndcg, shape, best } = rule;
        let tuned = Tuned { parameters, ranker: ranker.restricted(&needed), ndcg, shape, best };
        Ok((tuned, Ensemble::new(models, ranker)))
    }

    /// Asks some users of all members, which shows the columns worth having, then the others of those.
    fn examples(
        &self,
        models: Models,
        core: Vec<usize>,
        cases: &[HeldOut],
        progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
    ) -> Result<Examples, TrainError> {
        let step = cases.len().div_ceil(MOST_ASKED_OF_ALL).max(1);
        let (first, rest): (Vec<_>, Vec<_>) = cases.iter().enumerate().partition(|(at, _)| at % step == 0);
        let mut asked = self.asked(&models, &core, &first, &mut |done| progress(0.5 * done))?;
        let members = models.members();
        let mut columns = select(&asked, members.len(), self.threads)?;
        if !self.always.is_empty() {
            // Of users and items of which little is known the best column says less than several do.
            let others: Vec<usize> = core.iter().copied().filter(|index| !columns.contains(index)).collect();
            columns.extend(others);
        }
        let names: Vec<String> =
            columns.iter().filter_map(|column| members.get(*column)).map(ToString::to_string).collect();
        (self.tell)(&format!("columns that bring something: {}", names.join(", ")));
        if rest.is_empty() {
            return Ok(Examples { models, core, columns, asked });
        }
        let is_needed = |(index, member): &(usize, &BaseModel)| {
            core.contains(index) || columns.contains(index) || member.is_brought()
        };
        let needed: Vec<usize> =
            members.iter().enumerate().filter(is_needed).map(|(index, _)| index).collect();
        let places = |indices: &[usize]| -> Vec<usize> {
            indices.iter().filter_map(|index| needed.iter().position(|other| other == index)).collect()
        };
        let (core, columns) = (places(&core), places(&columns));
        asked.iter_mut().for_each(|one| one.list = one.list.restricted(&needed));
        let models = models.restricted(&needed);
        asked.extend(self.asked(&models, &core, &rest, &mut |done| progress(0.5 + 0.5 * done))?);
        Ok(Examples { models, core, columns, asked })
    }

    /// Candidates of each case, in their order.
    fn asked(
        &self,
        models: &Models,
        core: &[usize],
        cases: &[(usize, &HeldOut)],
        progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
    ) -> Result<Vec<Asked>, TrainError> {
        let source = self.source;
        let mut asked = Vec::with_capacity(cases.len());
        for chunk in cases.chunks(CASES_AT_ONCE) {
            let one = |(_, case): &(usize, &HeldOut)| ask(models, core, source, case);
            let more: Vec<Asked> = self.threads.run(|| chunk.par_iter().map(one).collect());
            asked.extend(more);
            stop(progress, asked.len() as f32 / cases.len().max(1) as f32)?;
        }
        Ok(asked)
    }

    /// The rule that serves, of the members of the examples: the blend where it beats its best member on users that it was not
    /// learnt on, or where it must know users and items of which little is known and is below by no more than is tolerated, else that
    /// member alone.
    fn learn(
        &self,
        examples: &Examples,
        progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
    ) -> Result<Rule, TrainError> {
        let Self { threads, tell, .. } = *self;
        let Examples { models, core, columns, asked } = examples;
        let members = models.members();
        let trying = self.budget.space;
        let blend = Blending { asked, members: members.len(), columns, trying, threads };
        let learnt = blend.learn(core.clone(), progress)?;
        let alone = |place: usize| {
            let values: Vec<f64> = asked.iter().filter_map(|one| one.alone.get(place).copied()).collect();
            mean(&values)
        };
        let best = core.iter().enumerate().map(|(place, index)| (alone(place), *index));
        let (quality, index) =
            best.max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1))).unwrap_or((0.0, 0));
        let best = (members.get(index).copied().unwrap_or(BaseModel::Popularity), quality);
        let blended = mean(&learnt.values);
        tell(&format!("blend ({}): {blended:.4}; best member, {}: {quality:.4}", learnt.shape, best.0));
        let place = core.iter().position(|other| *other == index).unwrap_or(0);
        let differences: Vec<f64> = (asked.iter().zip(&learnt.values))
            .filter_map(|(one, value)| Some(value - one.alone.get(place)?))
            .collect();
        let tolerated = self.budget.tolerated * standard_error(&differences);
        if blended > quality || (!self.always.is_empty() && blended >= quality - tolerated) {
            return Ok(Rule { ranker: learnt.ranker, ndcg: blended, shape: learnt.shape, best });
        }
        let mut linear = vec![0f32; members.len()];
        if let Some(weight) = linear.get_mut(index) {
            *weight = 1.0;
        }
        let weights = vec![0f32; members.len()];
        let always = (0..members.len()).filter(|other| {
            *other != index && members.get(*other).is_some_and(|member| self.always.contains(member))
        });
        let core = std::iter::once(index).chain(always).collect();
        let ranker = Ranker { core, weights, slopes: Vec::new(), linear, ..learnt.ranker };
        Ok(Rule { ranker, ndcg: quality, shape: "single", best })
    }
}

/// Standard error of the mean; 0 of fewer than two values.
fn standard_error(values: &[f64]) -> f64 {
    let (n, mean) = (values.len() as f64, mean(values));
    let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
    if values.len() > 1 { (squares / (n - 1.0) / n).sqrt() } else { 0.0 }
}

/// Users whose candidates teach a blend.
struct Examples {
    /// The models asked.
    models: Models,
    /// Members that choose candidates.
    core: Vec<usize>,
    /// Members that are learnt on.
    columns: Vec<usize>,
    asked: Vec<Asked>,
}

/// As in [`Tuned`], the ranker one of all members of the examples.
struct Rule {
    ranker: Ranker,
    ndcg: f64,
    shape: &'static str,
    best: (BaseModel, f64),
}

/// Fits everything that is needed on all histories.
pub fn fit(
    histories: &Histories<'_>,
    kinds: Option<&KindModels>,
    tuned: &Tuned,
    threads: &Threads,
    progress: impl FnMut(f32) -> ControlFlow<()>,
) -> Result<Ensemble, TrainError> {
    let models = Models::fit(histories, &tuned.parameters, threads, progress)?;
    let models = models.with_kinds(kinds.map_or(&[], KindModels::columns));
    // A season that was long enough may be missing, and the other way round.
    let ranker = tuned.ranker.carried(&tuned.parameters.members, models.members());
    Ok(Ensemble::new(models, ranker.unwrap_or_else(|| tuned.ranker.clone())))
}

fn ask(models: &Models, core: &[usize], source: &dyn Source, case: &HeldOut) -> Asked {
    let known = source.known(case, true);
    let context = known.context();
    let scores = models.scores(&context);
    let width = models.width(&context);
    let universe = Universe::All(width);
    let column = |index: &usize| scores.get(index * width..(index + 1) * width).unwrap_or_default();
    let alone = core.iter().map(|index| quality(column(index), &known, case)).collect();
    let open = known.open(width);
    let allowed = |item: ItemId| open.get(item.index()).copied().unwrap_or(false);
    let list = candidates(models, &scores, &universe, core, CANDIDATES, &context.begun, allowed);
    Asked { list, length: context.history.len(), relevant: case.relevant.clone(), alone }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::auto::budget::of_files;
    use crate::evaluate::auto::from_tables::{Part, hold_out};
    use crate::evaluate::auto::held_out::newest_first;
    use crate::evaluate::auto::known::Rows;
    use crate::recommend::ensemble::{Context, Interaction};

    fn tune(
        histories: &Histories<'_>,
        held_out: &[HeldOut],
        threads: &Threads,
        progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
    ) -> Result<Tuned, TrainError> {
        let source = &Rows { histories: *histories, kinds: None };
        let (start, budget, tell) = (of_files(), Budget::OF_FILES, &|_: &str| ());
        let trial = Trial { histories, source, held_out, start, always: &[], budget, threads, tell };
        trial.choose(progress).map(|(tuned, _)| tuned)
    }

    /// 90 users of three tastes walk through ten items; the next one is held out.
    fn walks() -> Vec<Vec<Interaction>> {
        (0..90u32)
            .map(|user| {
                let day = |step: u32| f64::from(20_000 + user + step);
                let item = |step: u32| user % 3 * 10 + (user / 3 + step) % 10;
                (0..5).map(|step| Interaction { item: item(step), day: day(step), weight: 1.0 }).collect()
            })
            .collect()
    }

    #[test]
    fn the_blend_finds_the_next_step_and_repeats_exactly() {
        let mut rows = walks();
        let held_out = hold_out(&mut rows, Part::Last);
        assert_eq!(held_out.len(), 90);
        let histories = Histories { rows: &rows, n_items: 30 };
        let tuned = |n| {
            let threads = Threads::new(n).unwrap();
            tune(&histories, &held_out, &threads, &mut |_| ControlFlow::Continue(())).unwrap()
        };
        let found = tuned(1);
        assert!(found.ndcg > 0.9, "{}", found.ndcg);
        let fitted = |tuned: &Tuned, n| {
            fit(&histories, None, tuned, &Threads::new(n).unwrap(), |_| ControlFlow::Continue(())).unwrap()
        };
        let ensemble = fitted(&found, 1);
        assert!(ensemble.is_sound());
        // The whole of it, choice and models: the bytes of the artefact on any number of threads.
        let bytes = |ensemble: &Ensemble| postcard::to_stdvec(ensemble).unwrap();
        assert_eq!(bytes(&ensemble), bytes(&fitted(&tuned(3), 3)));
        let mut hits = 0;
        for case in &held_out {
            let history = newest_first(&rows[case.row]);
            let last_day = rows[case.row].last().map(|one| one.day);
            let context = Context { history: &history, last_day, ..Context::default() };
            let list =
                ensemble.recommend(&context, 1, |item| history.iter().all(|(known, _)| *known != item));
            hits += usize::from(list.first().is_some_and(|(item, _)| case.relevant.contains(&item.0)));
        }
        assert!(hits > 80, "{hits}");
    }

    #[test]
    fn too_few_users_and_a_stop_are_said() {
        let mut rows = walks();
        rows.truncate(5);
        let held_out = hold_out(&mut rows, Part::Last);
        let histories = Histories { rows: &rows, n_items: 30 };
        let threads = Threads::new(1).unwrap();
        let few = tune(&histories, &held_out, &threads, &mut |_| ControlFlow::Continue(()));
        assert!(matches!(few, Err(TrainError::NotEnoughData { .. })));
        let mut rows = walks();
        let held_out = hold_out(&mut rows, Part::Last);
        let histories = Histories { rows: &rows, n_items: 30 };
        let cut = tune(&histories, &held_out, &threads, &mut |_| ControlFlow::Break(()));
        assert!(matches!(cut, Err(TrainError::Cancelled)));
    }

    #[test]
    fn a_blend_that_brings_nothing_leaves_the_best_member_alone() {
        // What each user takes next is drawn from their taste alike; no column tells more than the best one does.
        let mut rows: Vec<Vec<Interaction>> = (0..60u32)
            .map(|user| {
                let item = |step: u32| (user * 7 + step * step * 5 + user * step) % 30;
                let mut items: Vec<u32> = (0..6).map(item).collect();
                items.sort_unstable();
                items.dedup();
                items.into_iter().map(|item| Interaction { item, day: 0.0, weight: 1.0 }).collect()
            })
            .collect();
        let held_out = hold_out(&mut rows, Part::Random(0.3));
        let histories = Histories { rows: &rows, n_items: 30 };
        let threads = Threads::new(1).unwrap();
        let found = tune(&histories, &held_out, &threads, &mut |_| ControlFlow::Continue(())).unwrap();
        assert!(found.ndcg >= found.best.1, "{found:?}");
        if found.shape == "single" {
            assert_eq!(found.parameters.members, [found.best.0]);
        }
        let ensemble = fit(&histories, None, &found, &threads, |_| ControlFlow::Continue(())).unwrap();
        assert_eq!(ensemble.models().members(), found.parameters.members);
    }
}

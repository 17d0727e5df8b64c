//! Chooses the hyper-parameters and the weights of the blend on held-out interactions, and fits the chosen blend.

use std::ops::ControlFlow;

use rayon::prelude::*;

use crate::base::ItemId;
use crate::ml::threads::Threads;
use crate::recommend::ensemble::{
    CANDIDATES, Context, Ensemble, EnsembleParameters, Histories, Models, Ranker, candidates,
};
use crate::recommend::train::TrainError;

use super::blend::{Asked, Blending, SearchSpace, stop};
use super::held_out::{HeldOut, items, newest_first, spread};
use super::trials::Trials;

/// Users the blend is learnt on, spread evenly.
pub const MOST_CASES: usize = 4_000;
/// Users single models are compared on.
const MOST_TO_COMPARE: usize = 1_000;
/// Fewer users than this don't teach a blend.
const FEWEST_CASES: usize = 20;

/// Result of the tuning.
#[derive(Clone, Debug)]
pub struct Tuned {
    /// Of the models.
    pub parameters: EnsembleParameters,
    /// Of the blend.
    pub ranker: Ranker,
    /// NDCG@10 of the blend on users it was not learnt on.
    pub ndcg: f64,
    /// Shape of the blend: `logarithmic`, `by_length`, `with_plain` or `mean` of the three.
    pub shape: &'static str,
}

/// Chooses. `expired` is asked between two trials; when true, what is known by then decides. `progress` hears 0…1 and may
/// break ([`TrainError::Cancelled`]).
pub fn tune(
    histories: &Histories<'_>,
    held_out: &[HeldOut],
    threads: &Threads,
    expired: &dyn Fn() -> bool,
    progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
) -> Result<Tuned, TrainError> {
    let cases = spread(held_out, MOST_CASES);
    if cases.len() < FEWEST_CASES {
        return Err(TrainError::NotEnoughData {
            needs: "at least 20 users with held-out interactions",
            has: format!("{} users", cases.len()),
        });
    }
    let matrix = histories.matrix();
    let mut parameters = EnsembleParameters::default();
    let trials = Trials { histories, threads, expired };
    let few = spread(&cases, MOST_TO_COMPARE);
    let (lambdas, ease) = trials.choose_ease(&matrix, &few, &parameters, &mut |done| progress(0.4 * done))?;
    parameters.lambdas = lambdas;
    let (chosen, als) = trials.choose_als(&matrix, &few, &mut |done| progress(0.4 + 0.25 * done))?;
    parameters.als = chosen;
    let models = Models::with(histories, &matrix, &parameters, ease, als, threads, |done| {
        progress(0.65 + 0.1 * done)
    })?;
    let core = trials.core(&models, &few);
    let asked: Vec<Asked> =
        threads.run(|| cases.par_iter().map(|case| ask(&models, &core, histories, case)).collect());
    stop(progress, 0.8)?;
    let blend =
        Blending { asked: &asked, members: models.members().len(), trying: SearchSpace::EVERYTHING, threads };
    let (ranker, shape, ndcg) = blend.learn(core, expired, &mut |done| progress(0.8 + 0.2 * done))?;
    Ok(Tuned { parameters, ranker, ndcg, shape })
}

/// Fits everything on all histories.
pub fn fit(
    histories: &Histories<'_>,
    tuned: &Tuned,
    threads: &Threads,
    progress: impl FnMut(f32) -> ControlFlow<()>,
) -> Result<Ensemble, TrainError> {
    Ok(Ensemble::new(Models::fit(histories, &tuned.parameters, threads, progress)?, tuned.ranker.clone()))
}

fn ask(models: &Models, core: &[usize], histories: &Histories<'_>, case: &HeldOut) -> Asked {
    let history = case.history(histories);
    let known = newest_first(history);
    let seen = items(history);
    let context =
        Context { history: &known, last_day: history.last().map(|one| one.day), ..Context::default() };
    let scores = models.scores(&context);
    let allowed = |item: ItemId| !seen.contains(&item.0);
    let list = candidates(models, &scores, models.width(&context), core, CANDIDATES, allowed);
    Asked { list, length: history.len(), relevant: case.relevant.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::auto::from_tables::hold_out_last;
    use crate::recommend::ensemble::Interaction;

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
        let held_out = hold_out_last(&mut rows);
        assert_eq!(held_out.len(), 90);
        let histories = Histories { rows: &rows, n_items: 30 };
        let tuned = |n| {
            let threads = Threads::new(n).unwrap();
            tune(&histories, &held_out, &threads, &|| false, &mut |_| ControlFlow::Continue(())).unwrap()
        };
        let found = tuned(1);
        assert!(found.ndcg > 0.9, "{}", found.ndcg);
        assert_eq!(found.ranker, tuned(2).ranker);
        let threads = Threads::new(1).unwrap();
        let ensemble = fit(&histories, &found, &threads, |_| ControlFlow::Continue(())).unwrap();
        assert!(ensemble.is_sound());
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
        let held_out = hold_out_last(&mut rows);
        let histories = Histories { rows: &rows, n_items: 30 };
        let threads = Threads::new(1).unwrap();
        let few = tune(&histories, &held_out, &threads, &|| false, &mut |_| ControlFlow::Continue(()));
        assert!(matches!(few, Err(TrainError::NotEnoughData { .. })));
        let mut rows = walks();
        let held_out = hold_out_last(&mut rows);
        let histories = Histories { rows: &rows, n_items: 30 };
        let cut = tune(&histories, &held_out, &threads, &|| true, &mut |_| ControlFlow::Break(()));
        assert!(matches!(cut, Err(TrainError::Cancelled)));
    }
}

//! Search for hyper-parameters: trials one after another within a budget of work, which is counted and not timed, so that a busy
//! machine finds what an idle one does. The best stay, with their models.

use crate::recommend::train::TrainError;

/// Fits with parameters and measures: NDCG@10 and the model, or `None` where these parameters do not work.
type Attempt<'a, P, M> = Box<dyn FnMut(P, f32) -> Result<Option<(f64, M)>, TrainError> + 'a>;

/// The best that a search found, best first.
#[derive(Debug)]
pub(super) struct Found<P, M> {
    pub(super) parameters: Vec<P>,
    /// Fitted with them.
    pub(super) models: Vec<M>,
    /// NDCG@10 of the best; 0 without any.
    pub(super) best: f64,
}

impl<P, M> Default for Found<P, M> {
    fn default() -> Self {
        Self { parameters: Vec::new(), models: Vec::new(), best: 0.0 }
    }
}

/// One search.
pub(super) struct Search<'a, P, M> {
    /// Best first.
    found: Vec<(f64, P, M)>,
    tried: Vec<P>,
    /// Models of the best parameters that stay.
    staying: usize,
    /// Most trials.
    trials: usize,
    /// Multiplications left.
    work: f64,
    cost: Box<dyn Fn(P) -> f64 + 'a>,
    attempt: Attempt<'a, P, M>,
}

impl<'a, P: Copy + PartialEq, M> Search<'a, P, M> {
    /// Keeps the `staying` best of at most `trials`, with at most `work` multiplications, of which a trial takes `cost`; the first trial is always affordable. `attempt`
    /// also hears which share of the trials is done.
    pub(super) fn new(
        (staying, trials): (usize, usize),
        work: f64,
        cost: impl Fn(P) -> f64 + 'a,
        attempt: impl FnMut(P, f32) -> Result<Option<(f64, M)>, TrainError> + 'a,
    ) -> Self {
        let (found, tried) = (Vec::new(), Vec::new());
        Self { found, tried, staying, trials, work, cost: Box::new(cost), attempt: Box::new(attempt) }
    }

    /// Tries these parameters. Whether they are the best so far.
    pub(super) fn attempt(&mut self, parameters: P) -> Result<bool, TrainError> {
        let cost = (self.cost)(parameters);
        let affordable = self.tried.is_empty() || (cost <= self.work && self.tried.len() < self.trials);
        if !affordable || self.tried.contains(&parameters) {
            return Ok(false);
        }
        let done = self.tried.len() as f32 / self.trials.max(1) as f32;
        self.tried.push(parameters);
        self.work -= cost;
        let Some((quality, model)) = (self.attempt)(parameters, done)? else { return Ok(false) };
        let best = self.found.first().is_none_or(|(known, ..)| quality > *known);
        self.found.push((quality, parameters, model));
        // Stable: of equals the earlier one stays first.
        self.found.sort_by(|a, b| b.0.total_cmp(&a.0));
        self.found.truncate(self.staying);
        Ok(best)
    }

    /// Steps from the best on, as long as each is better than the last. Whether any was.
    pub(super) fn climb(&mut self, step: impl Fn(P) -> Option<P>) -> Result<bool, TrainError> {
        self.climb_while(0.0, step)
    }

    /// The same, a step after the first only where the one before was better by this share.
    pub(super) fn climb_while(
        &mut self,
        share: f64,
        step: impl Fn(P) -> Option<P>,
    ) -> Result<bool, TrainError> {
        let mut climbed = false;
        while let Some(next) = self.found.first().and_then(|(_, best, _)| step(*best)) {
            let before = self.best();
            if !self.attempt(next)? {
                break;
            }
            climbed = true;
            if self.best() < before + share * before.abs() {
                break;
            }
        }
        Ok(climbed)
    }

    /// Climbs up, and if that brings nothing down.
    pub(super) fn climb_either(
        &mut self,
        up: impl Fn(P) -> Option<P>,
        down: impl Fn(P) -> Option<P>,
    ) -> Result<(), TrainError> {
        if !self.climb(up)? {
            self.climb(down)?;
        }
        Ok(())
    }

    /// NDCG@10 of the best so far; 0 without any.
    pub(super) fn best(&self) -> f64 {
        self.found.first().map_or(0.0, |(quality, ..)| *quality)
    }

    /// The best, with their models.
    pub(super) fn finish(self) -> Found<P, M> {
        let best = self.best();
        let (parameters, models) =
            self.found.into_iter().map(|(_, parameters, model)| (parameters, model)).unzip();
        Found { parameters, models, best }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(work: f64) -> Search<'static, i32, i32> {
        // Best at 7; 5 does not work.
        Search::new(
            (2, 12),
            work,
            |_| 1.0,
            |at: i32, _| Ok((at != 5).then(|| (-f64::from((at - 7).abs()), at * 10))),
        )
    }

    #[test]
    fn it_climbs_to_the_best_and_keeps_two() {
        let mut found = search(1e9);
        assert!(found.attempt(10).unwrap() && !found.attempt(10).unwrap());
        found.climb_either(|at| Some(at + 1), |at| Some(at - 1)).unwrap();
        assert_eq!(found.tried, [10, 11, 9, 8, 7, 6]);
        let found = found.finish();
        assert_eq!((found.parameters, found.models, found.best), (vec![7, 8], vec![70, 80], 0.0));
    }

    #[test]
    fn steps_that_bring_little_are_the_last_ones() {
        // 60, 80, 90, 95, …: doubling brings a third, an eighth, an eighteenth.
        let gains = |at: i32, _| Ok(Some((100.0 - 80.0 / f64::from(at), at)));
        let mut found = Search::new((1, 12), 1e9, |_| 1.0, gains);
        assert!(found.attempt(2).unwrap());
        assert!(found.climb_while(0.1, |at| Some(at * 2)).unwrap());
        assert_eq!(found.tried, [2, 4, 8, 16]);
        assert!(!found.climb_while(0.1, |_| None).unwrap());
    }

    #[test]
    fn work_is_counted_and_what_does_not_work_is_passed_over() {
        let mut short = search(2.0);
        assert!(short.attempt(1).unwrap());
        short.climb(|at| Some(at + 1)).unwrap();
        assert_eq!(short.tried, [1, 2]);
        let mut nothing = search(0.0);
        assert!(!nothing.attempt(5).unwrap() && !nothing.attempt(7).unwrap());
        let nothing = nothing.finish();
        assert_eq!((nothing.parameters, nothing.models), (vec![], vec![]));
    }
}

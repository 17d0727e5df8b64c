//! Learns the rule that orders candidates. Three shapes (logarithms of scores; the same, changing with the length of the
//! history; logarithms and plain scores), each with its best penalty; the best of them and of their mean stays.

use std::collections::HashSet;
use std::ops::ControlFlow;

use crate::evaluate::ranking::ndcg;
use crate::ml::listwise::{Lists, Listwise};
use crate::ml::threads::Threads;
use crate::recommend::ensemble::{CANDIDATES, Candidates, Ranker, part};
use crate::recommend::train::TrainError;

const FOLDS: usize = 3;

/// Features that the blend sees of each member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Logarithms of scores.
    Logarithmic,
    /// The same, and times the length of the history.
    ByLength,
    /// The same, and the plain scores.
    WithPlain,
}

/// Somebody's candidates, and what of them was right.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Candidates that are to be ordered.
    pub list: Candidates,
    /// Length of the history it was made from.
    pub length: usize,
    /// Items that were right, not all of them among the candidates.
    pub relevant: HashSet<u32>,
}

/// Search space of the blend.
#[derive(Clone, Copy, Debug)]
pub struct SearchSpace {
    /// In this order.
    pub shapes: &'static [Shape],
    /// Penalties, by user.
    pub penalties: &'static [f64],
}

impl SearchSpace {
    /// Whatever may be worth it.
    pub const EVERYTHING: Self = Self {
        shapes: &[Shape::Logarithmic, Shape::ByLength, Shape::WithPlain],
        penalties: &[0.002, 0.01, 0.03, 0.1, 0.3],
    };
    /// Search space that a training in production has time for: a second on a thousand users.
    pub const A_LITTLE: Self =
        Self { shapes: &[Shape::Logarithmic, Shape::WithPlain], penalties: &[0.003, 0.02] };
}

impl Shape {
    fn name(self) -> &'static str {
        match self {
            Self::Logarithmic => "logarithmic",
            Self::ByLength => "by_length",
            Self::WithPlain => "with_plain",
        }
    }
}

/// Training data of a blend.
#[derive(Clone, Copy)]
pub struct Blending<'a> {
    /// Whom it is learnt on.
    pub asked: &'a [Asked],
    /// Columns.
    pub members: usize,
    /// Search space.
    pub trying: SearchSpace,
    /// The pool.
    pub threads: &'a Threads,
}

impl Blending<'_> {
    /// The rule, the name of its shape, and its NDCG@10 on users each fold was not learnt on. `expired` is asked between two
    /// trials; `progress` hears 0…1 and may break ([`TrainError::Cancelled`]).
    pub fn learn(
        &self,
        core: Vec<usize>,
        expired: &dyn Fn() -> bool,
        progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
    ) -> Result<(Ranker, &'static str, f64), TrainError> {
        let rule = self.empty(core);
        // By shape: its best penalty, its quality, and its rules without each fold.
        let mut shapes: Vec<(Shape, f64, f64, Vec<Ranker>)> = Vec::new();
        let trials = (self.trying.shapes.len() * self.trying.penalties.len() + 1) as f32;
        let mut done = 0.0;
        for shape in self.trying.shapes.iter().copied() {
            let mut best: Option<(f64, f64, Vec<Ranker>)> = None;
            for penalty in self.trying.penalties.iter().copied() {
                if best.is_some() && expired() {
                    break;
                }
                let folds = self.folds(&rule, penalty, shape)?;
                let quality = self.quality(&folds);
                if best.as_ref().is_none_or(|(_, known, _)| quality > *known) {
                    best = Some((penalty, quality, folds));
                }
                done += 1.0;
                stop(progress, done / trials)?;
            }
            shapes.extend(best.map(|(penalty, quality, folds)| (shape, penalty, quality, folds)));
        }
        let means: Vec<Ranker> = (0..FOLDS)
            .map(|fold| self.mean(&rule, shapes.iter().filter_map(|(.., folds)| folds.get(fold))))
            .collect();
        let together = self.quality(&means);
        let fitted: Vec<Ranker> = shapes
            .iter()
            .map(|(shape, penalty, ..)| self.fit(&rule, *penalty, *shape, |_| true))
            .collect::<Result<_, _>>()?;
        stop(progress, 1.0)?;
        let alone = shapes.iter().zip(&fitted).max_by(|(a, _), (b, _)| a.2.total_cmp(&b.2));
        Ok(match alone {
            Some(((shape, _, quality, _), ranker)) if *quality > together => {
                (ranker.clone(), shape.name(), *quality)
            }
            _ => (self.mean(&rule, fitted.iter()), "mean", together),
        })
    }

    /// A rule without weights, with the lengths of the histories it will be learnt on.
    fn empty(&self, core: Vec<usize>) -> Ranker {
        let lengths: Vec<f32> = self.asked.iter().map(|asked| (asked.length as f32).ln_1p()).collect();
        let n = lengths.len().max(1) as f32;
        let centre = lengths.iter().sum::<f32>() / n;
        let variance = lengths.iter().map(|length| (length - centre) * (length - centre)).sum::<f32>() / n;
        Ranker { core, centre, spread: variance.sqrt().max(1e-3), ..Ranker::default() }
    }

    /// The rule whose scores are the mean of theirs.
    fn mean<'r>(&self, rule: &Ranker, rules: impl Iterator<Item = &'r Ranker> + Clone) -> Ranker {
        let n = rules.clone().count().max(1) as f32;
        let mean = |of: fn(&Ranker) -> &Vec<f32>| {
            let mut sums = vec![0f32; self.members];
            for rule in rules.clone() {
                sums.iter_mut().zip(of(rule)).for_each(|(sum, weight)| *sum += weight / n);
            }
            sums
        };
        Ranker {
            weights: mean(|rule| &rule.weights),
            slopes: mean(|rule| &rule.slopes),
            linear: mean(|rule| &rule.linear),
            ..rule.clone()
        }
    }

    /// One rule for each fold, learnt on the others.
    fn folds(&self, rule: &Ranker, penalty: f64, shape: Shape) -> Result<Vec<Ranker>, TrainError> {
        (0..FOLDS).map(|fold| self.fit(rule, penalty, shape, |index| index % FOLDS != fold)).collect()
    }

    /// Mean NDCG@10 over users, each ordered by the rule of their fold.
    fn quality(&self, folds: &[Ranker]) -> f64 {
        let one = |(index, asked): (usize, &Asked)| {
            let ranker = folds.get(index % FOLDS)?;
            let order = ranker.rank(&asked.list, asked.length);
            let order: Vec<u32> = order.into_iter().take(10).map(|(item, _)| item.0).collect();
            Some(ndcg(&order, &asked.relevant, 10))
        };
        let sum: f64 = self.asked.iter().enumerate().filter_map(one).sum();
        sum / self.asked.len().max(1) as f64
    }

    fn fit(
        &self,
        rule: &Ranker,
        penalty: f64,
        shape: Shape,
        learnt: impl Fn(usize) -> bool,
    ) -> Result<Ranker, TrainError> {
        let width = if shape == Shape::Logarithmic { self.members } else { 2 * self.members };
        let mut lists = Lists::new(width);
        let mut rows = Vec::with_capacity(CANDIDATES * width);
        for (index, Asked { list, length, relevant }) in self.asked.iter().enumerate() {
            let right: Vec<usize> = (list.items.iter().enumerate())
                .filter(|(_, item)| relevant.contains(&item.0))
                .map(|(place, _)| place)
                .collect();
            if !learnt(index) || right.is_empty() {
                continue;
            }
            let length = rule.length(*length).clamp(-3.0, 3.0);
            rows.clear();
            for shares in list.shares.chunks(self.members.max(1)) {
                rows.extend_from_slice(shares);
                match shape {
                    Shape::Logarithmic => {}
                    Shape::ByLength => rows.extend(shares.iter().map(|share| share * length)),
                    Shape::WithPlain => rows.extend(shares.iter().map(|share| part(*share))),
                }
            }
            lists.push_many(&rows, &right);
        }
        let l2 = penalty * lists.len() as f64;
        let model = Listwise::fit(&lists, l2, self.threads, |_| ControlFlow::Continue(()))
            .ok_or(TrainError::Cancelled)?;
        let mut weights = model.weights().to_vec();
        weights.resize(width, 0.0);
        let others = weights.split_off(self.members);
        let (slopes, linear) = match shape {
            Shape::Logarithmic => (Vec::new(), Vec::new()),
            Shape::ByLength => (others, Vec::new()),
            Shape::WithPlain => (Vec::new(), others),
        };
        Ok(Ranker { weights, slopes, linear, ..rule.clone() })
    }
}

/// Says how much is done, 0…1.
pub(super) fn stop(progress: &mut dyn FnMut(f32) -> ControlFlow<()>, done: f32) -> Result<(), TrainError> {
    if progress(done).is_break() { Err(TrainError::Cancelled) } else { Ok(()) }
}

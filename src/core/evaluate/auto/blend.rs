//! Learns the rule that orders candidates. Three shapes (logarithms of scores; the same, changing with the length of the
//! history; logarithms and plain scores), each with its best penalty; the best of them and of their mean stays.

use std::collections::HashSet;
use std::ops::ControlFlow;

use rayon::prelude::*;

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
    /// NDCG@10 of each core member alone; empty where nobody asks.
    pub alone: Vec<f64>,
}

impl Asked {
    /// Places among the candidates that are right.
    pub(super) fn right(&self) -> Vec<usize> {
        let items = self.list.items.iter().enumerate();
        items.filter(|(_, item)| self.relevant.contains(&item.0)).map(|(place, _)| place).collect()
    }
}

/// Search space of the blend.
#[derive(Clone, Copy, Debug)]
pub struct SearchSpace {
    /// In this order.
    pub shapes: &'static [Shape],
    /// Penalties by user, the largest first.
    pub penalties: &'static [f64],
}

impl SearchSpace {
    /// All shapes and penalties that may be worth their time.
    pub const EVERYTHING: Self = Self {
        shapes: &[Shape::Logarithmic, Shape::ByLength, Shape::WithPlain],
        penalties: &[0.3, 0.1, 0.03, 0.01, 0.002],
    };
    /// Search space that a training in production has time for: a second on a thousand users.
    pub const A_LITTLE: Self =
        Self { shapes: &[Shape::Logarithmic, Shape::WithPlain], penalties: &[0.02, 0.003] };
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
    /// Cases it is learnt on.
    pub asked: &'a [Asked],
    /// Columns.
    pub members: usize,
    /// Those of them that are learnt on; the others get no weight.
    pub columns: &'a [usize],
    /// Search space.
    pub trying: SearchSpace,
    /// The pool.
    pub threads: &'a Threads,
}

/// A rule that was learnt.
#[derive(Clone, Debug)]
pub struct Learnt {
    /// The rule.
    pub ranker: Ranker,
    /// Name of its shape.
    pub shape: &'static str,
    /// NDCG@10 of each user by the rule of a fold that was not learnt on them.
    pub values: Vec<f64>,
}

/// The best penalty of one shape.
struct Tried {
    shape: Shape,
    penalty: f64,
    quality: f64,
    models: Vec<Listwise>,
    folds: Vec<Ranker>,
}

impl Blending<'_> {
    /// The rule, and its NDCG@10 on users each fold was not learnt on. `progress` hears 0…1 and may break
    /// ([`TrainError::Cancelled`]).
    pub fn learn(
        &self,
        core: Vec<usize>,
        progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
    ) -> Result<Learnt, TrainError> {
        let rule = self.empty(core);
        let n = self.trying.shapes.len() as f32;
        let mut shapes: Vec<Tried> = Vec::new();
        for (place, shape) in self.trying.shapes.iter().copied().enumerate() {
            let mut hear = |done: f32| progress((place as f32 + done) / (n + 1.0));
            shapes.extend(self.tried(&rule, shape, &mut hear)?);
        }
        let means: Vec<Ranker> = (0..FOLDS)
            .map(|fold| self.mean(&rule, shapes.iter().filter_map(|tried| tried.folds.get(fold))))
            .collect();
        let together = self.values(&means);
        let fitted: Vec<Ranker> = shapes
            .iter()
            .map(|tried| {
                let lists = self.lists(&rule, tried.shape, |_| true);
                let start = tried.models.first().cloned().unwrap_or_default();
                let model = self.fit(&start, &lists, tried.penalty)?;
                Ok(self.ranker(&rule, tried.shape, &model))
            })
            .collect::<Result<_, TrainError>>()?;
        stop(progress, 1.0)?;
        let alone = shapes.iter().zip(&fitted).max_by(|(a, _), (b, _)| a.quality.total_cmp(&b.quality));
        Ok(match alone {
            Some((tried, ranker)) if tried.quality > mean(&together) => Learnt {
                ranker: ranker.clone(),
                shape: tried.shape.name(),
                values: self.values(&tried.folds),
            },
            _ => Learnt { ranker: self.mean(&rule, fitted.iter()), shape: "mean", values: together },
        })
    }

    /// The best penalty of a shape, the largest tried first: once less penalty is worse twice, still less will be. `None` without
    /// penalties.
    fn tried(
        &self,
        rule: &Ranker,
        shape: Shape,
        progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
    ) -> Result<Option<Tried>, TrainError> {
        let lists: Vec<Lists> =
            (0..FOLDS).map(|fold| self.lists(rule, shape, |index| index % FOLDS != fold)).collect();
        let mut models = vec![Listwise::default(); FOLDS];
        let mut best: Option<Tried> = None;
        let mut worse = 0;
        for (done, penalty) in self.trying.penalties.iter().copied().enumerate() {
            models = (models.iter().zip(&lists))
                .map(|(model, lists)| self.fit(model, lists, penalty))
                .collect::<Result<_, _>>()?;
            let folds: Vec<Ranker> = models.iter().map(|model| self.ranker(rule, shape, model)).collect();
            let quality = mean(&self.values(&folds));
            if best.as_ref().is_none_or(|known| quality > known.quality) {
                best = Some(Tried { shape, penalty, quality, models: models.clone(), folds });
                worse = 0;
            } else {
                worse += 1;
            }
            stop(progress, (done + 1) as f32 / self.trying.penalties.len() as f32)?;
            if worse == 2 {
                break;
            }
        }
        Ok(best)
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

    /// NDCG@10 of each user, ordered by the rule of their fold.
    fn values(&self, folds: &[Ranker]) -> Vec<f64> {
        let one = |(index, asked): (usize, &Asked)| {
            let Some(ranker) = folds.get(index % FOLDS) else { return 0.0 };
            let order = ranker.rank(&asked.list, asked.length);
            let order: Vec<u32> = order.into_iter().take(10).map(|(item, _)| item.0).collect();
            ndcg(&order, &asked.relevant, 10)
        };
        self.threads.run(|| self.asked.par_iter().enumerate().map(one).collect())
    }

    /// Examples that a shape is learnt from: the users that `learnt` names, as far as something right is among their candidates.
    fn lists(&self, rule: &Ranker, shape: Shape, learnt: impl Fn(usize) -> bool) -> Lists {
        let own = self.columns.len();
        let width = if shape == Shape::Logarithmic { own } else { 2 * own };
        let mut lists = Lists::new(width);
        let mut rows = Vec::with_capacity(CANDIDATES * width);
        for (index, asked) in self.asked.iter().enumerate() {
            let right = asked.right();
            if !learnt(index) || right.is_empty() {
                continue;
            }
            let length = rule.length(asked.length).clamp(-3.0, 3.0);
            rows.clear();
            for shares in asked.list.shares.chunks(self.members.max(1)) {
                let shares = self.columns.iter().map(|column| shares.get(*column).copied().unwrap_or(0.0));
                rows.extend(shares.clone());
                match shape {
                    Shape::Logarithmic => {}
                    Shape::ByLength => rows.extend(shares.map(|share| share * length)),
                    Shape::WithPlain => rows.extend(shares.map(part)),
                }
            }
            lists.push_many(&rows, &right);
        }
        lists
    }

    fn fit(&self, start: &Listwise, lists: &Lists, penalty: f64) -> Result<Listwise, TrainError> {
        let l2 = penalty * lists.len() as f64;
        start.refit(lists, l2, self.threads, |_| ControlFlow::Continue(())).ok_or(TrainError::Cancelled)
    }

    /// The rule of all members from the weights of the columns.
    fn ranker(&self, rule: &Ranker, shape: Shape, model: &Listwise) -> Ranker {
        let spread = |weights: &[f32]| {
            let mut all = vec![0f32; self.members];
            for (column, weight) in self.columns.iter().zip(weights) {
                if let Some(slot) = all.get_mut(*column) {
                    *slot = *weight;
                }
            }
            all
        };
        let (own, others) = model.weights().split_at(self.columns.len().min(model.weights().len()));
        let (slopes, linear) = match shape {
            Shape::Logarithmic => (Vec::new(), Vec::new()),
            Shape::ByLength => (spread(others), Vec::new()),
            Shape::WithPlain => (Vec::new(), spread(others)),
        };
        Ranker { weights: spread(own), slopes, linear, ..rule.clone() }
    }
}

/// Of a list without values 0.
pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Says how much is done, 0…1.
pub(super) fn stop(progress: &mut dyn FnMut(f32) -> ControlFlow<()>, done: f32) -> Result<(), TrainError> {
    if progress(done).is_break() { Err(TrainError::Cancelled) } else { Ok(()) }
}

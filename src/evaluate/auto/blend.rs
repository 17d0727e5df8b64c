//! Learns the rule that orders candidates. Three shapes (logarithms of scores; the same, changing with the length of the
//! history; logarithms and plain scores), each with its best penalty; the best of them and of their mean stays.

use std::ops::ControlFlow;

use crate::evaluate::ranking::ndcg;
use crate::recommend::ensemble::{CANDIDATES, Candidates, Histories, Ranker, part};
use crate::recommend::listwise::{Lists, Listwise};
use crate::recommend::{Threads, TrainError};

use super::{HeldOut, stop};

const FOLDS: usize = 3;
/// Penalties of the blend, by user.
const PENALTIES: [f64; 3] = [0.002, 0.01, 0.03];

/// What the blend sees of each member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Logarithmic,
    ByLength,
    WithPlain,
}

const SHAPES: [Shape; 3] = [Shape::Logarithmic, Shape::ByLength, Shape::WithPlain];

impl Shape {
    fn name(self) -> &'static str {
        match self {
            Self::Logarithmic => "logarithmic",
            Self::ByLength => "by_length",
            Self::WithPlain => "with_plain",
        }
    }
}

pub(super) struct Blending<'a> {
    pub(super) cases: &'a [HeldOut],
    pub(super) lists: &'a [Candidates],
    pub(super) members: usize,
    pub(super) histories: &'a Histories<'a>,
    pub(super) threads: &'a Threads,
}

impl Blending<'_> {
    pub(super) fn learn(
        &self,
        core: Vec<usize>,
        expired: &dyn Fn() -> bool,
        progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
    ) -> Result<(Ranker, &'static str, f64), TrainError> {
        let rule = self.empty(core);
        // By shape: its best penalty, its quality, and its rules without each fold.
        let mut shapes: Vec<(Shape, f64, f64, Vec<Ranker>)> = Vec::new();
        let trials = (SHAPES.len() * PENALTIES.len() + 1) as f32;
        let mut done = 0.0;
        for shape in SHAPES {
            let mut best: Option<(f64, f64, Vec<Ranker>)> = None;
            for penalty in PENALTIES {
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
        let lengths: Vec<f32> = self.cases.iter().map(|case| (self.length(case) as f32).ln_1p()).collect();
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

    fn length(&self, case: &HeldOut) -> usize {
        case.history(self.histories).len()
    }

    /// One rule for each fold, learnt on the others.
    fn folds(&self, rule: &Ranker, penalty: f64, shape: Shape) -> Result<Vec<Ranker>, TrainError> {
        (0..FOLDS).map(|fold| self.fit(rule, penalty, shape, |index| index % FOLDS != fold)).collect()
    }

    /// Mean NDCG@10 over users, each ordered by the rule of their fold.
    fn quality(&self, folds: &[Ranker]) -> f64 {
        let one = |(index, (case, list)): (usize, (&HeldOut, &Candidates))| {
            let ranker = folds.get(index % FOLDS)?;
            let order = ranker.rank(list, self.length(case));
            let order: Vec<u32> = order.into_iter().take(10).map(|(item, _)| item.0).collect();
            Some(ndcg(&order, &case.relevant, 10))
        };
        let sum: f64 = self.cases.iter().zip(self.lists).enumerate().filter_map(one).sum();
        sum / self.cases.len().max(1) as f64
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
        for (index, (case, list)) in self.cases.iter().zip(self.lists).enumerate() {
            let right: Vec<usize> = (list.items.iter().enumerate())
                .filter(|(_, item)| case.relevant.contains(&item.0))
                .map(|(place, _)| place)
                .collect();
            if !learnt(index) || right.is_empty() {
                continue;
            }
            let length = rule.length(self.length(case)).clamp(-3.0, 3.0);
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

//! Measures algorithms on plain `user,item,ts` tables. Full ranking over the items of the training table, the user's
//! own training items left out, test items unseen in training count as misses, users need at least one training row;
//! ties go to the item that appeared first.

use std::ops::ControlFlow;

use rayon::prelude::*;

use crate::ml::metrics::Metrics;
use crate::ml::threads::Threads;
use crate::recommend::train::TrainError;

pub use super::algorithm::{Algorithm, Fitted, Model, ParameterValues};
use super::ranking::{Tally, novelty, top};
pub use super::tables::{Row, Tables};

/// Lists made between two looks at cancellation.
const CASES_AT_ONCE: usize = 64;

/// Ranked lists, best first with their scores, in the order of [`Tables::cases`].
pub type Lists = Vec<Vec<(u32, f32)>>;

/// The best `n` items of every case. `progress` hears 0…1 every few milliseconds and may break
/// ([`TrainError::Cancelled`]). O(cases · (scoring + items)).
pub fn rank(
    tables: &Tables,
    fitted: &Fitted,
    history_decay: f32,
    n: usize,
    threads: &Threads,
    mut progress: impl FnMut(f32) -> ControlFlow<()>,
) -> Result<Lists, TrainError> {
    let decay = if history_decay.is_finite() { history_decay.clamp(0.0, 1.0) } else { 1.0 };
    let cases = tables.cases();
    let mut lists = Vec::with_capacity(cases.len());
    for chunk in cases.chunks(CASES_AT_ONCE) {
        let ranked: Vec<_> = threads.run(|| {
            let rank = |scores: &mut Vec<f32>, case: &super::split::Case| {
                scores.clear();
                scores.resize(tables.n_known(), 0.0);
                let history = tables.history(case.user, decay);
                fitted.add_scores(&history, Some(case.user.index()), scores);
                top(scores, n, |item| !case.seen.contains(&item))
            };
            chunk.par_iter().map_init(Vec::new, rank).collect()
        });
        lists.extend(ranked);
        if progress(lists.len() as f32 / cases.len() as f32).is_break() {
            return Err(TrainError::Cancelled);
        }
    }
    Ok(lists)
}

/// Measures of lists in the order of the cases: `ndcg@k`, `recall@k`, `hit_rate@k`, `mrr@k`, `coverage@k` (share of the
/// items of training shown to anyone), `novelty@k` (mean −log2 of the share of users who have what is shown), `users`, and standard
/// errors of the means over users ([`Tally::write_errors`]).
pub fn score(tables: &Tables, lists: &Lists, ks: &[usize]) -> Metrics {
    let shares = tables.shares();
    let mut tally = Tally::new(ks);
    let mut news = vec![0f64; ks.len()];
    for (case, list) in tables.cases().iter().zip(lists) {
        let items: Vec<u32> = list.iter().map(|(item, _)| *item).collect();
        tally.add(&items, &case.relevant);
        for (sum, k) in news.iter_mut().zip(ks) {
            *sum += novelty(&items, &shares, *k);
        }
    }
    let mut metrics = Metrics::new();
    tally.write("", tables.n_known(), &mut metrics);
    tally.write_errors(&mut metrics);
    for (sum, k) in news.iter().zip(ks) {
        metrics.insert(format!("novelty@{k}"), sum / tables.cases().len().max(1) as f64);
    }
    metrics
}

/// Fits, ranks and scores in one go.
pub fn evaluate(
    tables: &Tables,
    algorithm: &Algorithm,
    ks: &[usize],
    threads: &Threads,
) -> Result<Metrics, TrainError> {
    let go_on = |_| ControlFlow::Continue(());
    let fitted = algorithm.model.fit(&tables.matrix(), threads, go_on)?;
    let n = ks.iter().copied().max().unwrap_or(0);
    Ok(score(tables, &rank(tables, &fitted, algorithm.history_decay, n, threads, go_on)?, ks))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recommend::models::ease::EaseParameters;
    use crate::recommend::models::implicit_als::AlsParameters;
    use crate::recommend::models::item_knn::KnnParameters;
    use crate::recommend::models::local_ridge::LocalRidgeParameters;
    use crate::recommend::models::ridge::RidgeParameters;

    fn row<'a>(user: &'a str, item: &'a str, ts: f64) -> Row<'a> {
        Row { user, item, ts }
    }

    /// Counts: a 3, b 2, c 1. u1 has a; u2 a, b; u3 a, b, c. u1 should get c (second after b); u2 an item nobody knows:
    /// a miss; u9 has no training row: not counted.
    fn tables() -> Tables {
        let train = [
            row("u1", "a", 1.0),
            row("u2", "a", 1.0),
            row("u2", "b", 2.0),
            row("u3", "a", 1.0),
            row("u3", "b", 2.0),
            row("u3", "c", 3.0),
        ];
        Tables::new(&train, &[], &[row("u1", "c", 9.0), row("u2", "x", 9.0), row("u9", "a", 9.0)])
    }

    fn every() -> [Algorithm; 8] {
        [
            Model::Popularity,
            Model::Trending(Default::default()),
            Model::ItemKnn(KnnParameters { neighbours: 10, shrinkage: 0.0 }),
            Model::UserKnn(Default::default()),
            Model::Rp3beta(Default::default()),
            Model::Ease(EaseParameters { ridge: RidgeParameters::plain(1.0), max_items: 10 }),
            Model::LocalRidge(LocalRidgeParameters::default()),
            Model::ImplicitAls(AlsParameters { factors: 2, ..Default::default() }),
        ]
        .map(Algorithm::from)
    }

    #[test]
    fn a_table_worked_out_by_hand() {
        let (tables, threads) = (tables(), Threads::new(1).unwrap());
        let [popularity, _, knn, ..] = every();
        for algorithm in [popularity, knn] {
            let metrics = evaluate(&tables, &algorithm, &[1, 2], &threads).unwrap();
            assert_eq!(metrics["users"], 2.0);
            assert_eq!(metrics["hit_rate@1"], 0.0);
            assert_eq!(metrics["recall@2"], 0.5);
            assert!((metrics["ndcg@2"] - 0.5 / 3f64.log2()).abs() < 1e-9);
            assert_eq!(metrics["mrr@2"], 0.25);
            // b and c for u1, c for u2: shares 2/3 and 1/3.
            assert!((metrics["coverage@2"] - 2.0 / 3.0).abs() < 1e-9);
            let (b, c) = (1.5f64.log2(), 3f64.log2());
            assert!((metrics["novelty@2"] - ((b + c) / 2.0 + c) / 2.0).abs() < 1e-9);
        }
        let fitted = knn.model.fit(&tables.matrix(), &threads, |_| ControlFlow::Continue(())).unwrap();
        let lists = rank(&tables, &fitted, 1.0, 10, &threads, |_| ControlFlow::Continue(())).unwrap();
        // cos(a, b) = 2 / √(3 · 2), cos(a, c) = 1 / √3.
        assert_eq!(lists[0].iter().map(|(item, _)| tables.item_name(*item)).collect::<Vec<_>>(), ["b", "c"]);
        assert!((lists[0][0].1 - 2.0 / 6f32.sqrt()).abs() < 1e-6);
        assert!((lists[0][1].1 - 1.0 / 3f32.sqrt()).abs() < 1e-6);
    }

    #[test]
    fn everything_can_be_measured_on_little_nothing_and_the_same_again() {
        let threads = Threads::new(2).unwrap();
        let same = [row("u", "a", 1.0), row("u", "a", 1.0), row("v", "a", 1.0)];
        let small = [tables(), Tables::default(), Tables::new(&same, &same, &[row("u", "b", 1.0)])];
        for algorithm in every() {
            for tables in &small {
                let metrics = evaluate(tables, &algorithm, &[10, 20], &threads).unwrap();
                assert!(metrics.values().all(|value| value.is_finite()), "{algorithm:?} {metrics:?}");
            }
            let metrics = evaluate(&small[0], &algorithm, &[10], &threads).unwrap();
            assert_eq!(metrics["recall@10"], 0.5, "{algorithm:?} ranks everything");
        }
    }

    #[test]
    fn it_can_be_cancelled() {
        let (tables, threads) = (tables(), Threads::new(1).unwrap());
        let fitted = Fitted::Popularity(vec![1.0; 3]);
        let stopped = rank(&tables, &fitted, 1.0, 10, &threads, |_| ControlFlow::Break(()));
        assert_eq!(stopped, Err(TrainError::Cancelled));
    }
}

//! Learns the order that a [`SessionRanker`] makes of the scorers of a [`SessionModel`], on sessions that the model has not seen. In:
//! guesses, each the first clicks of a session and the click that followed. Out: a ranker, untaught where what was learnt is no
//! better than STAN alone.
//!
//! Time: a row of features for each candidate of each guess, about a millisecond a guess, and the regression.

use std::borrow::Borrow;
use std::ops::ControlFlow;

use rayon::prelude::*;

use crate::ml::listwise::Lists;
use crate::ml::threads::Threads;

use super::memory::Click;
use super::model::SessionModel;
use super::ranking::{N_FEATURES, SessionRanker, Workspace, prepare};

/// Fewer lists than this teach chance.
const FEWEST_LISTS: usize = 50;
/// Length of the lists whose reciprocal rank counts.
pub const TUNED_AT: usize = 20;

/// The first clicks of a session, and the click that followed.
pub type Guess<'a> = (&'a [Click], Click);

/// Candidates of a guess as rows of features, and the place of the right one if it is among them.
type Rows = (Vec<f32>, Option<usize>);

/// At most `most` guesses, evenly over the sessions in their order.
pub fn sample(sessions: &[Vec<Click>], most: usize) -> Vec<Guess<'_>> {
    let all = sessions.iter().flat_map(|clicks| {
        clicks
            .iter()
            .enumerate()
            .skip(1)
            .map(|(known, right)| (clicks.get(..known).unwrap_or_default(), *right))
    });
    let total = sessions.iter().map(|clicks| clicks.len().saturating_sub(1)).sum::<usize>();
    let wanted = |index: usize| (index + 1) * most / total.max(1) > index * most / total.max(1);
    all.enumerate().filter(|(index, _)| total <= most || wanted(*index)).map(|(_, guess)| guess).collect()
}

/// Training examples: the features of the candidates of each guess. They do not need the model that made them any more.
pub struct Examples(Vec<Rows>);

impl Examples {
    /// Computes the features by the scorers of a model.
    pub fn new<B: AsRef<[Click]> + Sync>(
        model: &SessionModel,
        guesses: &[(B, Click)],
        threads: &Threads,
    ) -> Self {
        let make = |workspace: &mut Workspace, (before, right): &(B, Click)| {
            prepare(model, before.as_ref(), None, TUNED_AT, workspace);
            let place = workspace.candidates().binary_search(&right.item.0).ok();
            (workspace.rows().to_vec(), place)
        };
        Self(threads.run(|| guesses.par_iter().map_init(Workspace::default, make).collect()))
    }

    /// Learns an order on all guesses. Halves that judge each other say which of these `shares` of the trees to take (0 = none, and if
    /// no other is tried no tree is grown), and whether what is learnt beats STAN alone at all. `None` when `progress`, which hears
    /// 0…1, breaks.
    pub fn learn(
        self,
        shares: &[f32],
        threads: &Threads,
        progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
    ) -> Option<SessionRanker> {
        let with_trees = shares.iter().any(|share| *share > 0.0);
        let Self(rows) = self;
        if progress(0.0).is_break() {
            return None;
        }
        // Guesses of one session come one after the other: two halves in time share next to no session.
        let (early, late) = rows.split_at(rows.len() / 2);
        if rows.iter().filter(|rows| teaches(rows)).count() < FEWEST_LISTS {
            return Some(SessionRanker::default());
        }
        let mut sums = vec![0.0; shares.len()];
        let mut alone = 0.0;
        for (place, (own, other)) in [(early, late), (late, early)].into_iter().enumerate() {
            let fitted = SessionRanker::fit(&lists(own, room(own)), with_trees, threads, |done| {
                progress(0.3 * (place as f32 + done))
            })?;
            alone += judge(&SessionRanker::default(), other, threads);
            for (sum, share) in sums.iter_mut().zip(shares) {
                *sum += judge(&fitted.clone().with_trees_share(*share), other, threads);
            }
        }
        let mut best = (alone, None);
        for (sum, share) in sums.into_iter().zip(shares) {
            if sum > best.0 {
                best = (sum, Some(*share));
            }
        }
        let Some(share) = best.1 else { return Some(SessionRanker::default()) };
        // Made last, of rows that are freed one by one: all lists together are as large as the rows.
        let room = room(&rows);
        let whole = lists(rows, room);
        let fitted = SessionRanker::fit(&whole, with_trees, threads, |done| progress(0.6 + 0.4 * done));
        Some(fitted?.with_trees_share(share))
    }
}

/// Returns whether a guess is one of the [`lists`]: its right candidate is among others.
fn teaches((rows, right): &Rows) -> bool {
    right.is_some() && rows.len() >= 2 * N_FEATURES
}

/// Number of rows of the guesses that teach.
fn room(rows: &[Rows]) -> usize {
    rows.iter().filter(|rows| teaches(rows)).map(|(rows, _)| rows.len() / N_FEATURES).sum()
}

/// Lists of the guesses that teach; `room` is the number of their rows.
fn lists<R: Borrow<Rows>>(rows: impl IntoIterator<Item = R>, room: usize) -> Lists {
    let mut lists = Lists::with_room(N_FEATURES, room);
    for rows in rows {
        let rows = rows.borrow();
        if let (own, Some(right)) = rows
            && teaches(rows)
        {
            lists.push(own, *right);
        }
    }
    lists
}

/// Sum of reciprocal ranks among the first [`TUNED_AT`].
fn judge(ranker: &SessionRanker, rows: &[Rows], threads: &Threads) -> f64 {
    let reciprocal = |(rows, right): &Rows| {
        let Some(right) = right else { return 0.0 };
        let scores: Vec<f32> = rows.chunks_exact(N_FEATURES).map(|row| ranker.score(row)).collect();
        let Some(own) = scores.get(*right).copied() else { return 0.0 };
        let ahead = |(place, score): (usize, &f32)| *score > own || (*score == own && place < *right);
        let rank = scores.iter().enumerate().filter(|scored| ahead(*scored)).count();
        if rank < TUNED_AT { 1.0 / (rank + 1) as f64 } else { 0.0 }
    };
    let parts: Vec<f64> = threads.run(|| rows.par_iter().map(reciprocal).collect());
    parts.iter().sum()
}

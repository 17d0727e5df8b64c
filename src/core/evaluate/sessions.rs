//! Measures what is said to come next in sessions: each click of a test session but the first is to be guessed from those
//! before it. All items of the training clicks are ranked, repetitions count, an item unseen in training is a miss; ties
//! go to the item that appeared first. Reading and unpacking the files is the caller's. Ludewig & Jannach 2018.

use std::collections::{BTreeMap, HashMap, HashSet};

use rayon::prelude::*;

use crate::base::{ItemId, Timestamp};
use crate::ml::metrics::Metrics;
use crate::ml::threads::Threads;
use crate::recommend::session::memory::Click;
use crate::recommend::session::model::{SessionModel, SessionScorer};
use crate::recommend::session::overlaps::SessionScratch;
use crate::recommend::session::ranking::{SessionRanker, Workspace};
use crate::recommend::session::sparse_scores::SparseScores;

use super::ranking::{Tally, novelty};

/// Algorithm that can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionAlgorithm {
    /// One scorer alone.
    Single(SessionScorer),
    /// All of them, ordered by what was learnt on the validation slice.
    Auto,
}

impl SessionAlgorithm {
    /// Those that are measured by name, simple ones first.
    pub const ALL: [(&'static str, Self); 9] = [
        ("popularity", Self::Single(SessionScorer::Popularity)),
        ("markov", Self::Single(SessionScorer::Markov)),
        ("sequential_rules", Self::Single(SessionScorer::Sequential)),
        ("association", Self::Single(SessionScorer::Association)),
        ("item_knn", Self::Single(SessionScorer::ItemKnn)),
        ("sknn", Self::Single(SessionScorer::Sknn)),
        ("v_sknn", Self::Single(SessionScorer::Vsknn)),
        ("stan", Self::Single(SessionScorer::Stan)),
        ("auto", Self::Auto),
    ];

    /// By name; `None` for an unknown one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, algorithm)| *algorithm)
    }
}

/// Sessions of the training and of the test file, with dense item ids in order of first appearance.
#[derive(Clone, Debug, Default)]
pub struct SessionTables {
    items: HashMap<String, u32>,
    /// Items below this occur in training.
    n_known: usize,
    train: Table,
    valid: HashSet<String>,
    test: Table,
}

/// Sessions in order of first appearance.
#[derive(Clone, Debug, Default)]
struct Table {
    places: HashMap<String, usize>,
    sessions: Vec<Vec<Click>>,
}

impl Table {
    fn add(&mut self, session: &str, click: Click) {
        let place = match self.places.get(session) {
            Some(place) => *place,
            None => {
                self.sessions.push(Vec::new());
                self.places.insert(session.to_owned(), self.sessions.len() - 1);
                self.sessions.len() - 1
            }
        };
        if let Some(clicks) = self.sessions.get_mut(place) {
            clicks.push(click);
        }
    }

    /// Clicks by time; those of one moment stay in the order of the file.
    fn finish(&mut self) {
        for clicks in &mut self.sessions {
            clicks.sort_by_key(|click| click.at);
        }
    }
}

impl SessionTables {
    /// A training click, Unix seconds with fractions.
    pub fn add_train(&mut self, session: &str, item: &str, seconds: f64) {
        let click = self.click(item, seconds);
        self.n_known = self.items.len();
        self.train.add(session, click);
    }

    /// A session of the training clicks to tune on.
    pub fn add_valid(&mut self, session: &str) {
        if !self.valid.contains(session) {
            self.valid.insert(session.to_owned());
        }
    }

    /// A test click; after all training clicks.
    pub fn add_test(&mut self, session: &str, item: &str, seconds: f64) {
        let click = self.click(item, seconds);
        self.test.add(session, click);
    }

    /// After the last click.
    pub fn finish(&mut self) {
        self.train.finish();
        self.test.finish();
    }

    fn click(&mut self, item: &str, seconds: f64) -> Click {
        let next = u32::try_from(self.items.len()).unwrap_or(u32::MAX);
        let item = match self.items.get(item) {
            Some(known) => *known,
            None => *self.items.entry(item.to_owned()).or_insert(next),
        };
        // `as` saturates, and takes NaN for 0.
        Click { item: ItemId(item), at: Timestamp((seconds * 1e6) as i64) }
    }

    /// Items below this occur in training.
    pub fn n_known(&self) -> usize {
        self.n_known
    }

    /// All test sessions.
    pub fn test(&self) -> &[Vec<Click>] {
        &self.test.sessions
    }

    /// All training sessions.
    pub fn train(&self) -> &[Vec<Click>] {
        &self.train.sessions
    }

    /// Training sessions without and with those to tune on: the ones named, or else the last twentieth by their start.
    pub fn split(&self) -> (Vec<Vec<Click>>, Vec<Vec<Click>>) {
        let mut held: HashSet<usize> =
            self.valid.iter().filter_map(|session| self.train.places.get(session).copied()).collect();
        if held.is_empty() {
            let mut by_start: Vec<(Timestamp, usize)> = (self.train.sessions.iter().enumerate())
                .filter_map(|(place, clicks)| Some((clicks.first()?.at, place)))
                .collect();
            by_start.sort_unstable();
            held.extend(by_start.iter().rev().take(by_start.len() / 20).map(|(_, place)| *place));
        }
        let (mut rest, mut valid) = (Vec::new(), Vec::new());
        for (place, clicks) in self.train.sessions.iter().enumerate() {
            let to = if held.contains(&place) { &mut valid } else { &mut rest };
            to.push(clicks.clone());
        }
        (rest, valid)
    }

    /// Metrics of the test sessions: those of [`Tally`], `novelty@k` (mean −log2 of the share of training sessions with
    /// what is shown) and `users`, the number of clicks guessed. All 0 without test sessions.
    pub fn measure(&self, fitted: &Fitted, ks: &[usize], threads: &Threads) -> Metrics {
        let n = ks.iter().copied().max().unwrap_or(0);
        let lists = fitted.lists(&self.test.sessions, self.n_known, n, threads);
        let shares = self.shares();
        let mut tally = Tally::new(ks);
        let mut novelties = vec![0.0; ks.len()];
        for (list, right) in &lists {
            tally.add(list, &HashSet::from([*right]));
            for (sum, k) in novelties.iter_mut().zip(ks) {
                *sum += novelty(list, &shares, *k);
            }
        }
        let mut metrics = Metrics::new();
        tally.write("", self.n_known, &mut metrics);
        for (sum, k) in novelties.iter().zip(ks) {
            metrics.insert(format!("novelty@{k}"), sum / lists.len().max(1) as f64);
        }
        metrics
    }

    /// By item: share of training sessions it occurs in.
    fn shares(&self) -> Vec<f64> {
        let mut shares = vec![0.0; self.n_known];
        for clicks in &self.train.sessions {
            let distinct: HashSet<u32> = clicks.iter().map(|click| click.item.0).collect();
            for item in distinct {
                if let Some(share) = shares.get_mut(item as usize) {
                    *share += 1.0 / self.train.sessions.len() as f64;
                }
            }
        }
        shares
    }
}

/// A model that has been fitted and, for `auto`, has learnt an order.
#[derive(Clone, Debug)]
pub struct Fitted {
    /// Algorithm that is measured.
    pub algorithm: SessionAlgorithm,
    /// Fitted on all training sessions.
    pub model: SessionModel,
    /// Untaught unless `auto`.
    pub ranker: SessionRanker,
    /// By name, for the report.
    pub parameters: BTreeMap<String, f64>,
}

impl Fitted {
    /// For each click but the first of each session: the `n` best items below `n_known`, and the right one.
    pub fn lists(
        &self,
        sessions: &[Vec<Click>],
        n_known: usize,
        n: usize,
        threads: &Threads,
    ) -> Vec<(Vec<u32>, u32)> {
        let of_session = |room: &mut Room, clicks: &Vec<Click>| {
            let guess = |(known, right): (usize, &Click)| {
                let before = clicks.get(..known).unwrap_or_default();
                let mut list = self.next(before, n, room);
                list.retain(|item| (*item as usize) < n_known);
                (list, right.item.0)
            };
            clicks.iter().enumerate().skip(1).map(guess).collect::<Vec<_>>()
        };
        let lists: Vec<Vec<_>> =
            threads.run(|| sessions.par_iter().map_init(Room::default, of_session).collect());
        lists.into_iter().flatten().collect()
    }

    /// The `n` best items after these clicks.
    pub(super) fn ranked(&self, before: &[Click], n: usize) -> Vec<u32> {
        self.next(before, n, &mut Room::default())
    }

    fn next(&self, before: &[Click], n: usize, room: &mut Room) -> Vec<u32> {
        let best = match self.algorithm {
            SessionAlgorithm::Auto => self.ranker.rank(&self.model, before, None, n, &mut room.workspace),
            SessionAlgorithm::Single(scorer) => {
                let mut query = self.model.query(before, None, &mut room.knn);
                self.model.score(scorer, &mut query, &mut room.scores);
                room.scores.best(n)
            }
        };
        best.into_iter().map(|(item, _)| item.0).collect()
    }
}

/// Scratch space of one thread.
#[derive(Default)]
struct Room {
    workspace: Workspace,
    knn: SessionScratch,
    scores: SparseScores,
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::*;

    fn fit(tables: &SessionTables, algorithm: SessionAlgorithm) -> Fitted {
        let threads = Threads::new(1).unwrap();
        tables.fit(algorithm, &threads, &mut |_| ControlFlow::Continue(())).unwrap()
    }

    #[test]
    fn a_table_worked_out_by_hand() {
        let mut tables = SessionTables::default();
        // Popularity: a 3, b 2, c 1. The order within a second is that of the fractions, not of the file.
        for (session, item, at) in [("1", "a", 1.0), ("1", "b", 2.75), ("1", "a", 2.5), ("2", "a", 9.0)] {
            tables.add_train(session, item, at);
        }
        tables.add_train("3", "b", 10.0);
        tables.add_train("3", "c", 11.0);
        // Guesses: b after a; c after a, b; nobody knows x.
        for (item, at) in [("a", 20.0), ("b", 21.0), ("c", 22.0), ("x", 23.0)] {
            tables.add_test("9", item, at);
        }
        tables.finish();
        let threads = Threads::new(1).unwrap();
        let popularity = fit(&tables, SessionAlgorithm::Single(SessionScorer::Popularity));
        let metrics = tables.measure(&popularity, &[2, 20], &threads);
        assert_eq!(metrics["users"], 3.0);
        assert!((metrics["hit_rate@2"] - 1.0 / 3.0).abs() < 1e-9);
        assert!((metrics["mrr@20"] - (1.0 / 2.0 + 1.0 / 3.0) / 3.0).abs() < 1e-9);
        assert_eq!(metrics["coverage@20"], 1.0);
        // Of three sessions, a is in two, b in two, c in one.
        let surprise = (1.5f64.log2() * 2.0 + 3f64.log2()) / 3.0;
        assert!((metrics["novelty@20"] - surprise).abs() < 1e-9);
        // Markov: a → a, a → b once each (tie: a first), b → c.
        let markov =
            tables.measure(&fit(&tables, SessionAlgorithm::Single(SessionScorer::Markov)), &[20], &threads);
        assert!((markov["mrr@20"] - (1.0 / 2.0 + 1.0) / 3.0).abs() < 1e-9);
        // Too little to learn from: the order of STAN.
        let auto = fit(&tables, SessionAlgorithm::Auto);
        assert!(!auto.ranker.is_taught());
        assert!(tables.measure(&auto, &[20], &threads)["hit_rate@20"] > 0.6);
    }

    #[test]
    fn the_last_twentieth_is_held_out_unless_sessions_are_named() {
        let mut tables = SessionTables::default();
        for session in 0..40u32 {
            tables.add_train(&session.to_string(), "a", f64::from(1_000 - session));
        }
        tables.finish();
        let (rest, valid) = tables.split();
        assert_eq!((rest.len(), valid.len()), (38, 2));
        assert_eq!(valid[0][0].at, Timestamp::from_seconds(1_000));
        tables.add_valid("7");
        tables.add_valid("unknown");
        assert_eq!(tables.split().1[0][0].at, Timestamp::from_seconds(993));
    }

    #[test]
    fn without_sessions_there_is_an_error_or_nothing_to_measure() {
        let tables = SessionTables::default();
        let threads = Threads::new(1).unwrap();
        let go = &mut |_: f32| ControlFlow::Continue(());
        let error = tables.fit(SessionAlgorithm::Auto, &threads, go).unwrap_err();
        assert!(error.to_string().contains("not enough data"), "{error}");
        let mut tables = SessionTables::default();
        tables.add_train("1", "a", f64::NAN);
        tables.finish();
        let metrics = tables.measure(&fit(&tables, SessionAlgorithm::Auto), &[10], &threads);
        assert_eq!((metrics["users"], metrics["mrr@10"]), (0.0, 0.0));
        let stop = &mut |_: f32| ControlFlow::Break(());
        assert!(tables.fit(SessionAlgorithm::Auto, &threads, stop).is_err());
    }
}

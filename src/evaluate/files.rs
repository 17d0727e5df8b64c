//! Measures algorithms on plain `user,item,ts` tables. Full ranking over the items of the training table, the user's
//! own training items left out, test items unseen in training count as misses, users need at least one training row;
//! ties go to the item that appeared first. Reading and unpacking the files is the caller's.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::ControlFlow;

use rayon::prelude::*;

use crate::base::{ItemId, Timestamp, UserId};
use crate::catalogue::Catalogue;
use crate::event::{Event, EventKind};
use crate::recommend::interactions::Matrix;
use crate::recommend::item_knn::{ItemKnn, KnnParameters};
use crate::recommend::{Blend, Metrics, Threads, TrainError, TrainingData, TrainingParameters, hybrid};

use super::measure::{Setting, measure};
use super::ranking::Tally;
use super::split::Case;
use super::trial::train_and_evaluate;

/// One line of a table: the ids as they stand there, and Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row<'a> {
    /// Who.
    pub user: &'a str,
    /// What.
    pub item: &'a str,
    /// When, Unix seconds.
    pub ts: i64,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Algorithm {
    /// Number of training rows by item.
    Popularity,
    /// Item-to-item cosine on a matrix of ones.
    ItemKnn {
        /// Neighbours kept an item.
        neighbours: usize,
        /// n / (n + shrinkage) for n shared users.
        shrinkage: f32,
        /// Weight of each older item of the history against the next newer one; 1 = all alike.
        history_decay: f32,
    },
    /// Text of the items; needs a catalogue.
    Content,
    /// What the server does: blend chosen on the latest part of the training table, then fitted on all of it.
    Hybrid,
}

impl Algorithm {
    /// For tables and JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Popularity => "popularity",
            Self::ItemKnn { .. } => "item_knn",
            Self::Content => "content",
            Self::Hybrid => "hybrid",
        }
    }
}

/// How an algorithm did.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// [`Algorithm::name`].
    pub algorithm: &'static str,
    /// Its parameters by name; for the hybrid those it chose.
    pub parameters: BTreeMap<String, f64>,
    /// `ndcg@k`, `recall@k`, `hit_rate@k`, `mrr@k`, `coverage@k`, `users`.
    pub metrics: Metrics,
}

/// A training and a test table with dense ids in order of first appearance.
#[derive(Clone, Debug)]
pub struct Tables {
    users: Vec<String>,
    items: Vec<String>,
    /// Items below this occur in training.
    n_known: usize,
    /// By user: training items by (ts, position in the file), oldest first.
    histories: Vec<Vec<(u32, i64)>>,
    /// In order of user.
    cases: Vec<Case>,
}

/// Measures several algorithms in turn. Content without a catalogue is left out.
pub fn evaluate_files(
    train: &[Row<'_>],
    test: &[Row<'_>],
    algorithms: &[Algorithm],
    ks: &[usize],
    n_threads: usize,
) -> Result<Vec<Outcome>, TrainError> {
    let tables = Tables::new(train, test);
    let possible = algorithms.iter().filter(|algorithm| **algorithm != Algorithm::Content);
    possible.map(|algorithm| tables.evaluate(algorithm, None, ks, n_threads)).collect()
}

impl Tables {
    /// From rows in file order.
    pub fn new(train: &[Row<'_>], test: &[Row<'_>]) -> Self {
        let (mut users, mut items) = (Ids::default(), Ids::default());
        let mut histories: Vec<Vec<(u32, i64)>> = Vec::new();
        for row in train {
            let user = users.id(row.user) as usize;
            histories.resize(histories.len().max(user + 1), Vec::new());
            if let Some(history) = histories.get_mut(user) {
                history.push((items.id(row.item), row.ts));
            }
        }
        for history in &mut histories {
            history.sort_by_key(|(_, ts)| *ts);
        }
        let n_known = items.names.len();
        let mut cases: BTreeMap<u32, Case> = BTreeMap::new();
        for row in test {
            let Some(user) = users.ids.get(row.user).copied() else { continue };
            let history = histories.get(user as usize).map_or(&[][..], Vec::as_slice);
            let case = cases.entry(user).or_insert_with(|| Case {
                user: UserId(user),
                relevant: HashSet::new(),
                seen: history.iter().map(|(item, _)| *item).collect(),
            });
            case.relevant.insert(items.id(row.item));
        }
        let cases = cases.into_values().collect();
        Self { users: users.names, items: items.names, n_known, histories, cases }
    }

    /// Measures one algorithm.
    pub fn evaluate(
        &self,
        algorithm: &Algorithm,
        catalogue: Option<&Catalogue>,
        ks: &[usize],
        n_threads: usize,
    ) -> Result<Outcome, TrainError> {
        let threads = Threads::new(n_threads)?;
        let mut parameters = BTreeMap::new();
        let tally = match algorithm {
            Algorithm::Content | Algorithm::Hybrid => {
                let alone = (*algorithm == Algorithm::Content).then_some(Blend {
                    item_knn: 0.0,
                    content: 1.0,
                    popularity: 0.0,
                    ..Blend::default()
                });
                let (blend, tally) = self.serve(alone, catalogue, ks, &threads, n_threads)?;
                parameters.insert("item_knn".to_owned(), f64::from(blend.item_knn));
                parameters.insert("content".to_owned(), f64::from(blend.content));
                parameters.insert("popularity".to_owned(), f64::from(blend.popularity));
                parameters.insert("history_decay".to_owned(), f64::from(blend.history_decay));
                parameters.insert("neighbours".to_owned(), blend.neighbours as f64);
                tally
            }
            Algorithm::Popularity | Algorithm::ItemKnn { .. } => {
                if let Algorithm::ItemKnn { neighbours, shrinkage, history_decay } = algorithm {
                    parameters.insert("neighbours".to_owned(), *neighbours as f64);
                    parameters.insert("shrinkage".to_owned(), f64::from(*shrinkage));
                    parameters.insert("history_decay".to_owned(), f64::from(*history_decay));
                }
                let n = ks.iter().copied().max().unwrap_or(0);
                let mut tally = Tally::new(ks);
                for (case, list) in self.cases.iter().zip(self.rank(algorithm, n, &threads)) {
                    let list: Vec<u32> = list.into_iter().map(|(item, _)| item).collect();
                    tally.add(&list, &case.relevant);
                }
                tally
            }
        };
        let mut metrics = Metrics::new();
        tally.write("", self.n_known, &mut metrics);
        Ok(Outcome { algorithm: algorithm.name(), parameters, metrics })
    }

    /// The lists of popularity or item-kNN with their scores, by case; those of other algorithms are empty.
    pub fn rank(&self, algorithm: &Algorithm, n: usize, threads: &Threads) -> Vec<Vec<(u32, f32)>> {
        let rows: Vec<Vec<(u32, f32)>> = self
            .histories
            .iter()
            .map(|history| history.iter().map(|(item, _)| (*item, 1.0)).collect())
            .collect();
        let matrix = Matrix::from_rows(&rows, self.n_known);
        let mut popular = vec![0f32; self.n_known];
        for entry in matrix.rows().flatten() {
            if let Some(count) = popular.get_mut(entry.item as usize) {
                *count += 1.0;
            }
        }
        let model = match algorithm {
            Algorithm::ItemKnn { neighbours, shrinkage, .. } => {
                let parameters = KnnParameters { neighbours: *neighbours, shrinkage: *shrinkage };
                ItemKnn::fit(&matrix, &parameters, threads, |_| ControlFlow::Continue(()))
            }
            _ => None,
        }
        .unwrap_or_default();
        let rank = |case: &Case| {
            let mut scores = vec![0f32; self.n_known];
            match algorithm {
                Algorithm::Popularity => scores.clone_from(&popular),
                Algorithm::ItemKnn { history_decay, .. } => {
                    let mut weight = 1.0;
                    let mut history = Vec::new();
                    for (item, _) in self.histories.get(case.user.index()).into_iter().flatten().rev() {
                        history.push((ItemId(*item), weight));
                        weight *= history_decay;
                    }
                    model.add_scores(&history, usize::MAX, &mut scores);
                }
                Algorithm::Content | Algorithm::Hybrid => {}
            }
            let best = hybrid::best(&scores, n, |item| !case.seen.contains(&item.0));
            best.into_iter().map(|(item, score)| (item.0, score)).collect()
        };
        threads.run(|| self.cases.par_iter().map(rank).collect())
    }

    /// Trains as the server does, rows as purchases, and measures the blend given or chosen.
    fn serve(
        &self,
        given: Option<Blend>,
        catalogue: Option<&Catalogue>,
        ks: &[usize],
        threads: &Threads,
        n_threads: usize,
    ) -> Result<(Blend, Tally), TrainError> {
        let nothing = Catalogue::default();
        let catalogue = catalogue.unwrap_or(&nothing);
        let mut data = TrainingData { events: Vec::new(), n_users: self.histories.len() };
        for (user, history) in (0u32..).zip(&self.histories) {
            data.events.extend(history.iter().map(|(item, ts)| Event {
                occurred_at: Timestamp::from_seconds(*ts),
                user: Some(UserId(user)),
                item: Some(ItemId(*item)),
                kind: EventKind::Purchase,
                dwell_ms: None,
                quantity: 1.0,
                value: None,
                basket: None,
            }));
        }
        data.events.sort_by_key(|event| event.occurred_at);
        let now = data.events.last().map_or(Timestamp(0), |event| event.occurred_at);
        let parameters = TrainingParameters { n_threads, ..TrainingParameters::default() };
        let mut silent = |_, _| ControlFlow::Continue(());
        let trained = train_and_evaluate(&data, catalogue, now, &parameters, &mut silent)?;
        let blend = given.unwrap_or(trained.model.parameters.blend);
        let setting =
            Setting { model: &trained.model, catalogue, events: &data.events, n_users: data.n_users, now };
        let tallies = measure(&setting, &self.cases, &[blend], ks, threads, |_| ControlFlow::Continue(()));
        let tally = tallies.and_then(|tallies| tallies.into_iter().next());
        Ok((blend, tally.unwrap_or_else(|| Tally::new(ks))))
    }

    /// Who is measured, in order.
    pub fn cases(&self) -> &[Case] {
        &self.cases
    }

    /// A user's id as it stands in the file; empty for an unknown one.
    pub fn user_name(&self, user: UserId) -> &str {
        self.users.get(user.index()).map_or("", String::as_str)
    }

    /// An item's id as it stands in the file; empty for an unknown one.
    pub fn item_name(&self, item: u32) -> &str {
        self.items.get(item as usize).map_or("", String::as_str)
    }
}

#[derive(Default)]
struct Ids {
    ids: HashMap<String, u32>,
    names: Vec<String>,
}

impl Ids {
    fn id(&mut self, name: &str) -> u32 {
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        let id = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.ids.insert(name.to_owned(), id);
        self.names.push(name.to_owned());
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row<'a>(user: &'a str, item: &'a str, ts: i64) -> Row<'a> {
        Row { user, item, ts }
    }

    #[test]
    fn a_table_worked_out_by_hand() {
        // Counts: a 3, b 2, c 1. u1 has a; u2 a, b; u3 a, b, c.
        let train = [
            row("u1", "a", 1),
            row("u2", "a", 1),
            row("u2", "b", 2),
            row("u3", "a", 1),
            row("u3", "b", 2),
            row("u3", "c", 3),
        ];
        // u1 should get c (second after b); u2 an item nobody knows: a miss; u9 has no training row: not counted.
        let test = [row("u1", "c", 9), row("u2", "x", 9), row("u9", "a", 9)];
        let knn = Algorithm::ItemKnn { neighbours: 10, shrinkage: 0.0, history_decay: 1.0 };
        let outcomes = evaluate_files(&train, &test, &[Algorithm::Popularity, knn], &[1, 2], 1).unwrap();
        for outcome in &outcomes {
            let metrics = &outcome.metrics;
            assert_eq!(metrics["users"], 2.0);
            assert_eq!(metrics["hit_rate@1"], 0.0);
            assert_eq!(metrics["recall@2"], 0.5);
            assert!((metrics["ndcg@2"] - 0.5 / 3f64.log2()).abs() < 1e-9);
            assert_eq!(metrics["mrr@2"], 0.25);
        }
        let tables = Tables::new(&train, &test);
        let lists = tables.rank(&knn, 10, &Threads::new(1).unwrap());
        // cos(a, b) = 2 / √(3 · 2), cos(a, c) = 1 / √3.
        assert_eq!(lists[0].iter().map(|(item, _)| tables.item_name(*item)).collect::<Vec<_>>(), ["b", "c"]);
        assert!((lists[0][0].1 - 2.0 / 6f32.sqrt()).abs() < 1e-6);
        assert!((lists[0][1].1 - 1.0 / 3f32.sqrt()).abs() < 1e-6);
    }

    #[test]
    fn empty_tables_give_zeroes() {
        let outcome = Tables::new(&[], &[]).evaluate(&Algorithm::Popularity, None, &[10], 1).unwrap();
        assert_eq!(outcome.metrics["ndcg@10"], 0.0);
        assert!(Tables::new(&[], &[]).evaluate(&Algorithm::Hybrid, None, &[10], 1).is_err());
    }
}

//! All that is learnt from sessions: their memory and what is counted in them, each answering "what comes next?" alone.
//! [`ranking`](super::ranking) makes one order of their answers.
//!
//! In: finished sessions. Out: by query, scores ≥ 0 of the items that have any. Memory: that of [`SessionMemory`] plus
//! 8 bytes a pair of clicks within [`SEQUENCE_STEPS`] steps, 12 a kept neighbour, 12 an item.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use crate::base::ItemId;
use crate::ml::threads::Threads;
use crate::recommend::models::interactions::{Entry, Matrix};
use crate::recommend::models::item_knn::{ItemKnn, KnnParameters};

use super::knn::{self, Proximity, SessionKnnParameters};
use super::memory::{Bounds, Click, SessionMemory, SessionNumber};
use super::overlaps::SessionScratch;
use super::query::Query;
use super::sparse_scores::SparseScores;
use super::transitions::{TransitionParameters, Transitions};

/// Steps of a sequential rule.
const SEQUENCE_STEPS: usize = 10;
/// Neighbours kept an item, and how coincidences are shrunk.
const KNN: KnnParameters = KnnParameters { neighbours: 50, shrinkage: 10.0 };
/// Newest clicks that item-to-item scores and rules look at, and how much each older one counts.
const LOOK_BACK: usize = 20;
const RULE_DECAY: f32 = 0.6;
const KNN_DECAY: f32 = 0.7;
/// Half-lives of what is fresh, in days.
const FRESH_DAYS: f32 = 1.0;
const TODAY_DAYS: f32 = 0.35;
/// Items remembered as popular now.
const POPULAR: usize = 200;
/// Sessions learnt between two looks at cancellation.
const SESSIONS_AT_ONCE: usize = 2_000;

/// One way to answer "what comes next?".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SessionScorer {
    /// Items that followed the last click.
    Markov,
    /// Items that followed the last click lately.
    MarkovFresh,
    /// Items that followed the click before the last.
    MarkovBefore,
    /// Items that came later in sessions with the last click, 1 / steps.
    Sequential,
    /// The same over the last clicks, fading.
    SequentialAll,
    /// Anything else in sessions with the last click.
    Association,
    /// Cosine with the last click.
    ItemKnn,
    /// The same over the last clicks, fading.
    ItemKnnAll,
    /// S-KNN.
    Sknn,
    /// V-SKNN.
    Vsknn,
    /// STAN.
    Stan,
    /// STAN that looks at more of the running session.
    StanLong,
    /// Only what neighbours clicked next after the click they share.
    Next,
    /// Items that neighbours clicked after the click they share.
    After,
    /// Items that neighbours clicked before the click they share.
    Before,
    /// Clicks by item.
    Popularity,
}

/// Parameters of a session model.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionParameters {
    /// Bounds of the memory.
    pub bounds: Bounds,
    /// S-KNN.
    pub s_knn: SessionKnnParameters,
    /// V-SKNN.
    pub v_sknn: SessionKnnParameters,
    /// STAN.
    pub stan: SessionKnnParameters,
}

impl Default for SessionParameters {
    /// Chosen on the validation slice of Yoochoose-100k; between 100 and 1,500 neighbours hardly differ.
    fn default() -> Self {
        Self {
            bounds: Bounds::default(),
            s_knn: SessionKnnParameters::s_knn(500, 2_500),
            v_sknn: SessionKnnParameters { rarity: 1.0, ..SessionKnnParameters::v_sknn(100, 1_000) },
            stan: SessionKnnParameters::stan(500, 2_500, 0.5, 10.0, 2.0),
        }
    }
}

impl SessionParameters {
    fn knn(&self, scorer: SessionScorer) -> Option<SessionKnnParameters> {
        let around = |before, after| SessionKnnParameters {
            click_weight: knn::ClickWeight::Exponential(1.0),
            proximity: Proximity::Around { before, after, itself: 0.0 },
            ..self.stan
        };
        match scorer {
            SessionScorer::Sknn => Some(self.s_knn),
            SessionScorer::Vsknn => Some(self.v_sknn),
            SessionScorer::Stan => Some(self.stan),
            SessionScorer::StanLong => {
                Some(SessionKnnParameters { click_weight: knn::ClickWeight::Exponential(2.0), ..self.stan })
            }
            SessionScorer::Next => Some(around(0.0, 0.3)),
            SessionScorer::After => Some(around(0.0, 2.0)),
            SessionScorer::Before => Some(around(2.0, 0.0)),
            _ => None,
        }
    }
}

/// Memory of finished sessions, and the counts made from them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionModel {
    /// Parameters of the fit; the neighbour settings may be changed at any time.
    pub parameters: SessionParameters,
    pub(super) memory: SessionMemory,
    markov: Transitions,
    markov_fresh: Transitions,
    sequential: Transitions,
    item_knn: ItemKnn,
    /// By item: clicks, and clicks that halve with [`FRESH_DAYS`] and [`TODAY_DAYS`].
    clicks: Vec<[f32; 3]>,
    /// Most clicked lately, best first, at most [`POPULAR`].
    popular_now: Vec<u32>,
}

impl SessionModel {
    /// Knows nothing.
    pub fn empty(parameters: SessionParameters) -> Self {
        let transitions = |how| Transitions::new(how, 0);
        Self {
            parameters,
            memory: SessionMemory::new(parameters.bounds),
            markov: transitions(TransitionParameters::markov()),
            markov_fresh: transitions(TransitionParameters::markov()),
            sequential: transitions(TransitionParameters::sequential()),
            item_knn: ItemKnn::default(),
            clicks: Vec::new(),
            popular_now: Vec::new(),
        }
    }

    /// From sessions, clicks oldest first; owned sessions are freed once they are counted. `progress` hears 0…1 every few
    /// milliseconds and may break, then `None` comes back. No sessions give a model that knows nothing. O(clicks ·
    /// [`SEQUENCE_STEPS`] + item-kNN).
    pub fn fit(
        sessions: impl AsRef<[Vec<Click>]>,
        parameters: SessionParameters,
        threads: &Threads,
        mut progress: impl FnMut(f32) -> ControlFlow<()>,
    ) -> Option<Self> {
        let mut model = Self::counted(sessions.as_ref(), parameters, |done| progress(0.5 * done))?;
        drop(sessions);
        let cell = |item: &u32| Entry { item: *item, weight: 1.0, age_days: 0.0, bought: true };
        let rows = model.memory.iter().map(|session| session.items().iter().map(cell).collect());
        let matrix = Matrix::from_entries(rows, model.n_items());
        model.item_knn = ItemKnn::fit(&matrix, &KNN, threads, |done| progress(0.5 + 0.5 * done))?;
        Some(model)
    }

    /// All but the cosines between items.
    fn counted(
        sessions: &[Vec<Click>],
        parameters: SessionParameters,
        mut progress: impl FnMut(f32) -> ControlFlow<()>,
    ) -> Option<Self> {
        let newest = sessions.iter().flatten().map(|click| click.at).max().unwrap_or_default();
        let since = newest.as_seconds();
        let fresh = TransitionParameters { half_life_days: FRESH_DAYS, ..TransitionParameters::markov() };
        let rules = TransitionParameters { steps: SEQUENCE_STEPS, ..TransitionParameters::sequential() };
        let mut model = Self {
            markov: Transitions::new(TransitionParameters::markov(), since),
            markov_fresh: Transitions::new(fresh, since),
            sequential: Transitions::new(rules, since),
            ..Self::empty(parameters)
        };
        // Rows double while they grow: spare capacity is given back before the next counts are made.
        let counts = [&mut model.markov, &mut model.markov_fresh, &mut model.sequential];
        for (place, counts) in counts.into_iter().enumerate() {
            for (index, clicks) in sessions.iter().enumerate() {
                counts.observe(clicks);
                let done = place as f32 + index as f32 / sessions.len() as f32;
                if index % SESSIONS_AT_ONCE == 0 && progress(0.3 * done).is_break() {
                    return None;
                }
            }
            counts.shrink_to_fit();
        }
        for click in sessions.iter().flatten() {
            let days = newest.days_since(click.at) as f32;
            let index = click.item.index();
            model.clicks.resize(model.clicks.len().max(index + 1), [0.0; 3]);
            if let Some([all, fresh, today]) = model.clicks.get_mut(index) {
                *all += 1.0;
                *fresh += (-days / FRESH_DAYS).exp2();
                *today += (-days / TODAY_DAYS).exp2();
            }
        }
        model.popular_now = model.most_clicked_lately();
        model.memory = SessionMemory::fit(sessions.iter().map(Vec::as_slice), parameters.bounds);
        if progress(1.0).is_break() { None } else { Some(model) }
    }

    /// One more than the largest item known.
    pub fn n_items(&self) -> usize {
        self.clicks.len()
    }

    /// Clicks of an item, all and those that halve with one day and with a third of a day; zeroes for an unknown one.
    pub fn clicks(&self, item: ItemId) -> [f32; 3] {
        self.clicks.get(item.index()).copied().unwrap_or_default()
    }

    /// Items most clicked lately, best first, ties by id; at most 200.
    pub fn popular_now(&self) -> &[u32] {
        &self.popular_now
    }

    fn most_clicked_lately(&self) -> Vec<u32> {
        let mut items: Vec<(u32, f32)> = (0u32..)
            .zip(&self.clicks)
            .filter(|(_, [all, ..])| *all > 0.0)
            .map(|(item, [_, _, today])| (item, *today))
            .collect();
        items.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        items.into_iter().take(POPULAR).map(|(item, _)| item).collect()
    }

    /// Share of the item's clicks that were followed by another on it, a little less for rare items; 0…1.
    pub fn repeats(&self, item: ItemId) -> f32 {
        let row = self.markov.after(item);
        let again = row.binary_search_by_key(&item.0, |(other, _)| *other).ok().and_then(|at| row.get(at));
        let [clicks, ..] = self.clicks(item);
        again.map_or(0.0, |(_, count)| count / (clicks + 1.0))
    }

    /// Every number finite? Checked after loading.
    pub fn is_sound(&self) -> bool {
        self.item_knn.is_sound() && self.clicks.iter().flatten().all(|count| count.is_finite())
    }

    /// A query after these clicks (oldest first). `live` is a memory of newer sessions than the model's, with the number of the running
    /// session if it is in it.
    pub fn query<'a>(
        &'a self,
        clicks: &'a [Click],
        live: Option<(&'a SessionMemory, Option<SessionNumber>)>,
        scratch: &'a mut SessionScratch,
    ) -> Query<'a> {
        Query::new(clicks, &self.memory, live, scratch)
    }

    /// Scores of one scorer, written into cleared `scores`. Nothing without clicks.
    pub fn score(&self, scorer: SessionScorer, query: &mut Query<'_>, scores: &mut SparseScores) {
        scores.clear(self.n_items().max(query.n_live_items()));
        let clicks = query.clicks;
        let Some(last) = clicks.last() else { return };
        let newest_first = || clicks.iter().rev().take(LOOK_BACK);
        match scorer {
            SessionScorer::Markov => self.markov.add_scores(last.item, 1.0, scores),
            SessionScorer::MarkovFresh => self.markov_fresh.add_scores(last.item, 1.0, scores),
            SessionScorer::MarkovBefore => {
                if let Some(before) = clicks.iter().rev().nth(1) {
                    self.markov.add_scores(before.item, 1.0, scores);
                }
            }
            SessionScorer::Sequential => self.sequential.add_scores(last.item, 1.0, scores),
            SessionScorer::SequentialAll => {
                let mut weight = 1.0;
                for click in newest_first() {
                    let total = self.sequential.total(click.item) + 1.0;
                    self.sequential.add_scores(click.item, weight / total, scores);
                    weight *= RULE_DECAY;
                }
            }
            SessionScorer::Association => {
                for session in self.memory.with_item(last.item) {
                    let items = self.memory.get(session).into_iter().flat_map(|known| known.items());
                    for item in items.filter(|item| **item != last.item.0) {
                        scores.add(*item, 1.0);
                    }
                }
            }
            SessionScorer::ItemKnn => self.add_item_knn(last.item, 1.0, scores),
            SessionScorer::ItemKnnAll => {
                let mut weight = 1.0;
                for click in newest_first() {
                    self.add_item_knn(click.item, weight, scores);
                    weight *= KNN_DECAY;
                }
            }
            SessionScorer::Popularity => {
                for (item, [count, ..]) in (0u32..).zip(&self.clicks) {
                    scores.add(item, *count);
                }
            }
            neighbours => {
                let Some(parameters) = self.parameters.knn(neighbours) else { return };
                query.add_scores(&parameters, scores);
            }
        }
    }

    fn add_item_knn(&self, item: ItemId, weight: f32, scores: &mut SparseScores) {
        for neighbour in self.item_knn.neighbours(item) {
            scores.add(neighbour.item.0, weight * neighbour.similarity);
        }
    }
}

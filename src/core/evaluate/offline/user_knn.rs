//! User-to-user similarity: the items of the k users most like a history. Resnick et al. 1994; the measures below.
//! Nothing is trained: similar users are found through an inverted index when asked, so a change counts at once.
//!
//! Memory: 24 bytes a cell. Time of an answer: Σ of the users of the history's items, plus the cells of k users.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use crate::base::ItemId;
use crate::ml::threads::Threads;

use crate::recommend::models::interactions::Matrix;
use crate::recommend::models::transpose::Columns;

/// Similarity measure of two users; w_u, w_v their weights over the items both have, n the number of those.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UserSimilarity {
    /// Σ w_u · w_v / (‖u‖ · ‖v‖).
    Cosine,
    /// n / (items either of them has); weights do not count.
    Jaccard,
    /// Σ w_u · w_v / n: the mean product over what two users share. The same for everybody where all weights are,
    /// unless shrunk.
    MeanProduct,
}

impl UserSimilarity {
    /// For parameters and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cosine => "cosine",
            Self::Jaccard => "jaccard",
            Self::MeanProduct => "mean_product",
        }
    }
}

/// Choice and weight of neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserKnnParameters {
    /// Similarity measure.
    pub measure: UserSimilarity,
    /// Users asked.
    pub neighbours: usize,
    /// n shared items multiply by n / (n + shrinkage), ≥ 0.
    pub shrinkage: f32,
}

impl Default for UserKnnParameters {
    fn default() -> Self {
        Self { measure: UserSimilarity::Cosine, neighbours: 100, shrinkage: 0.0 }
    }
}

/// Interactions of users and items, by user and by item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserKnn {
    parameters: UserKnnParameters,
    columns: Columns,
    offsets: Vec<usize>,
    cells: Vec<(ItemId, f32)>,
    norms: Vec<f32>,
}

impl UserKnn {
    /// Turns the matrix round; an empty one gives a model that knows nobody. Threads are not needed for so little;
    /// `progress` hears 1 at the end and may break, then `None` comes back. O(cells).
    pub fn fit(
        matrix: &Matrix,
        parameters: &UserKnnParameters,
        _threads: &Threads,
        mut progress: impl FnMut(f32) -> ControlFlow<()>,
    ) -> Option<Self> {
        let mut model = Self {
            parameters: *parameters,
            columns: Columns::new(matrix),
            offsets: vec![0],
            cells: Vec::with_capacity(matrix.n_entries()),
            norms: Vec::with_capacity(matrix.n_rows()),
        };
        for row in matrix.rows() {
            model.cells.extend(row.iter().map(|entry| (ItemId(entry.item), entry.weight)));
            model.offsets.push(model.cells.len());
            model.norms.push(norm(row.iter().map(|entry| entry.weight)));
        }
        if progress(1.0).is_break() { None } else { Some(model) }
    }

    /// The rows most like a history, most similar first, ties by row, at most `neighbours`, similarity > 0. A history's
    /// own row, if it is in the matrix, is to be left out as `except`.
    pub fn neighbours(&self, history: &[(ItemId, f32)], except: Option<usize>) -> Vec<(u32, f32)> {
        let mut shared = vec![(0f32, 0u32); self.norms.len()];
        let mut touched = Vec::new();
        for (item, own) in history {
            for (row, weight) in self.columns.cells(item.index()) {
                let Some((product, n)) = shared.get_mut(row as usize) else { continue };
                if *n == 0 {
                    touched.push(row);
                }
                *product += own * weight;
                *n += 1;
            }
        }
        let own_norm = norm(history.iter().map(|(_, weight)| *weight));
        let shrinkage =
            if self.parameters.shrinkage.is_finite() { self.parameters.shrinkage.max(0.0) } else { 0.0 };
        let similarity = |row: u32| {
            let (product, n) = shared.get(row as usize).copied().unwrap_or_default();
            let n = n as f32;
            let raw = match self.parameters.measure {
                UserSimilarity::Cosine => {
                    product / (own_norm * self.norms.get(row as usize).copied().unwrap_or(0.0))
                }
                UserSimilarity::Jaccard => n / (history.len() as f32 + self.row(row).len() as f32 - n),
                UserSimilarity::MeanProduct => product / n,
            };
            raw * (n / (n + shrinkage))
        };
        let mut found: Vec<(u32, f32)> = touched
            .iter()
            .filter(|row| except != Some(**row as usize))
            .map(|row| (*row, similarity(*row)))
            .filter(|(_, similarity)| similarity.is_finite() && *similarity > 0.0)
            .collect();
        let best_first = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        let k = self.parameters.neighbours;
        if found.len() > k {
            if k > 0 {
                found.select_nth_unstable_by(k - 1, best_first);
            }
            found.truncate(k);
        }
        found.sort_unstable_by(best_first);
        found
    }

    /// Adds `similarity · weight` of the items of the users most like the history to `scores` (indexed by item). Items
    /// beyond its width are left out.
    pub fn add_scores(&self, history: &[(ItemId, f32)], scores: &mut [f32]) {
        self.add_scores_except(history, None, scores);
    }

    /// The same for a history that is a row of the matrix itself, which is not asked.
    pub fn add_scores_except(&self, history: &[(ItemId, f32)], own: Option<usize>, scores: &mut [f32]) {
        for (row, similarity) in self.neighbours(history, own) {
            for (item, weight) in self.row(row) {
                if let Some(score) = scores.get_mut(item.index()) {
                    *score += similarity * weight;
                }
            }
        }
    }

    fn row(&self, row: u32) -> &[(ItemId, f32)] {
        let range = self.offsets.get(row as usize).zip(self.offsets.get(row as usize + 1));
        range.and_then(|(from, to)| self.cells.get(*from..*to)).unwrap_or_default()
    }

    /// Every offset and row in range, every weight a number? Checked after loading.
    pub fn is_sound(&self) -> bool {
        self.offsets.windows(2).all(|pair| matches!(pair, [a, b] if a <= b))
            && self.offsets.last().is_none_or(|last| *last == self.cells.len())
            && self.offsets.len() == self.norms.len() + 1
            && self.cells.iter().all(|(_, weight)| weight.is_finite())
            && self.norms.iter().all(|norm| norm.is_finite())
            && self.columns.is_sound(self.norms.len())
    }
}

fn norm(weights: impl Iterator<Item = f32>) -> f32 {
    weights.map(|weight| weight * weight).sum::<f32>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(rows: &[Vec<(u32, f32)>], n_items: usize, parameters: UserKnnParameters) -> UserKnn {
        let matrix = Matrix::from_rows(rows, n_items);
        let threads = Threads::new(1).unwrap();
        UserKnn::fit(&matrix, &parameters, &threads, |_| ControlFlow::Continue(())).unwrap()
    }

    /// User 0 has items 0 and 1, user 1 items 0, 1 and 2, user 2 items 2 and 3.
    fn users() -> Vec<Vec<(u32, f32)>> {
        vec![vec![(0, 2.0), (1, 1.0)], vec![(0, 1.0), (1, 3.0), (2, 1.0)], vec![(2, 1.0), (3, 2.0)]]
    }

    const HISTORY: [(ItemId, f32); 2] = [(ItemId(0), 2.0), (ItemId(2), 1.0)];

    #[test]
    fn the_three_measures_agree_with_values_computed_by_hand() {
        let similarities = |measure, shrinkage| {
            let model = fit(&users(), 4, UserKnnParameters { measure, neighbours: 10, shrinkage });
            let mut found = model.neighbours(&HISTORY, None);
            found.sort_by_key(|(row, _)| *row);
            found.into_iter().map(|(_, similarity)| similarity).collect::<Vec<_>>()
        };
        let near = |found: Vec<f32>, expected: [f32; 3]| {
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?} {expected:?}");
        };
        let (five, eleven) = (5f32.sqrt(), 11f32.sqrt());
        near(similarities(UserSimilarity::Cosine, 0.0), [4.0 / 5.0, 3.0 / (five * eleven), 1.0 / 5.0]);
        near(similarities(UserSimilarity::Jaccard, 0.0), [1.0 / 3.0, 2.0 / 3.0, 1.0 / 3.0]);
        near(similarities(UserSimilarity::MeanProduct, 0.0), [4.0, 1.5, 1.0]);
        // Shared: 1, 2 and 1 items.
        near(similarities(UserSimilarity::MeanProduct, 1.0), [2.0, 1.0, 0.5]);
    }

    #[test]
    fn the_nearest_are_asked_ties_by_row_and_nobody_asks_oneself() {
        let parameters =
            UserKnnParameters { measure: UserSimilarity::Jaccard, neighbours: 2, shrinkage: 0.0 };
        let model = fit(&users(), 4, parameters);
        let rows = |found: Vec<(u32, f32)>| found.into_iter().map(|(row, _)| row).collect::<Vec<_>>();
        assert_eq!(rows(model.neighbours(&HISTORY, None)), [1, 0]);
        assert_eq!(rows(model.neighbours(&HISTORY, Some(1))), [0, 2]);
        let mut scores = [0.0; 4];
        model.add_scores_except(&HISTORY, Some(1), &mut scores);
        let third = 1.0 / 3.0;
        assert_eq!(scores, [2.0 * third, third, third, 2.0 * third]);
    }

    #[test]
    fn it_can_be_cancelled_and_has_nothing_to_say_about_nothing() {
        let matrix = Matrix::from_rows(&users(), 4);
        let threads = Threads::new(1).unwrap();
        let parameters = UserKnnParameters::default();
        assert!(UserKnn::fit(&matrix, &parameters, &threads, |_| ControlFlow::Break(())).is_none());
        let model = fit(&[], 0, parameters);
        assert!(model.is_sound() && model.neighbours(&HISTORY, None).is_empty());
        let model = fit(&users(), 4, UserKnnParameters { neighbours: 0, shrinkage: f32::NAN, ..parameters });
        assert!(model.neighbours(&HISTORY, None).is_empty());
        let odd = [(ItemId(0), f32::NAN), (ItemId(99), 1.0)];
        assert!(fit(&users(), 4, parameters).neighbours(&odd, None).is_empty());
        assert!(fit(&users(), 4, parameters).neighbours(&[], None).is_empty());
    }
}

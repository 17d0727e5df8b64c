//! Category affinities with exponential forgetting, kept by forward decay: an event at `t` adds
//! `interest · 2^((t − landmark) / half-life)`, so sums need no rescaling as time passes and late events fold in
//! exactly. Only ratios are ever shown, in which the landmark cancels. Cormode et al. 2009, "Forward decay".

use crate::base::Timestamp;
use crate::catalogue::CategoryId;

use super::growth::grow_by;

/// Interest in a category halves in this many days.
pub const AFFINITY_HALF_LIFE_DAYS: f64 = 30.0;
/// 2024-01-01. With a half-life of 30 days an f64 holds ±84 years around it; exponents beyond are clamped.
const LANDMARK: Timestamp = Timestamp(1_704_067_200_000_000);
const MAX_EXPONENT: f64 = 900.0;
/// Categories kept; a shop has fewer top-level ones. Past it the faintest is forgotten.
const MAX_CATEGORIES: usize = 64;
/// Decayed interest below a hundredth of a view is as good as none.
const FORGOTTEN: f64 = 0.002;

/// Decayed interest by category, sorted by category. 16 bytes a category.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Affinities {
    sums: Vec<(CategoryId, f64)>,
}

/// `2^((at − landmark) / half-life)`.
fn growth(at: Timestamp) -> f64 {
    (at.days_since(LANDMARK) / AFFINITY_HALF_LIFE_DAYS).clamp(-MAX_EXPONENT, MAX_EXPONENT).exp2()
}

impl Affinities {
    /// Adds interest shown at a moment, in any order of moments.
    pub fn add(&mut self, category: CategoryId, interest: f32, at: Timestamp) {
        let grown = f64::from(interest) * growth(at);
        match self.sums.binary_search_by_key(&category, |(id, _)| *id) {
            Ok(place) => {
                if let Some((_, sum)) = self.sums.get_mut(place) {
                    *sum += grown;
                }
            }
            Err(place) => {
                grow_by(&mut self.sums, 4);
                self.sums.insert(place, (category, grown));
                if self.sums.len() > MAX_CATEGORIES {
                    let faintest = self
                        .sums
                        .iter()
                        .enumerate()
                        .min_by(|(_, (_, a)), (_, (_, b))| a.total_cmp(b))
                        .map(|(place, _)| place);
                    if let Some(place) = faintest {
                        self.sums.remove(place);
                    }
                }
            }
        }
    }

    /// Positive shares summing to 1, best first, ties by id; what is forgotten at `now` is left out.
    pub fn shares(&self, now: Timestamp) -> Vec<(CategoryId, f32)> {
        let least = FORGOTTEN * growth(now);
        let kept = || self.sums.iter().filter(|(_, sum)| *sum > least);
        let total: f64 = kept().map(|(_, sum)| sum).sum();
        let mut shares: Vec<_> = kept().map(|(id, sum)| (*id, (sum / total) as f32)).collect();
        shares.sort_by(|(a_id, a), (b_id, b)| b.total_cmp(a).then(a_id.cmp(b_id)));
        shares
    }

    /// Bytes on the heap.
    pub(super) fn memory(&self) -> usize {
        self.sums.capacity() * size_of::<(CategoryId, f64)>()
    }
}

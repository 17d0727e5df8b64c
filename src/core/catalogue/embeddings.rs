//! Embeddings that the shop brings along: vectors of a text or picture model, of which the direction is kept in 8 bits a number.
//!
//! Likeness is the cosine less its mean over the catalogue, since models put all texts into one corner of their space and only
//! what is left tells items apart (Mu & Viswanath 2018). 8 bits a number change a cosine by some 0.003 at 384 numbers.
//!
//! Memory: 1 byte a number and 4 an item; 1,000,000 items of 1,024 numbers take 1.03 GB. A copy shares shelves of 64 items with the
//! original, and a change copies the shelf that it touches.

use std::sync::Arc;

use crate::base::ItemId;

/// Most numbers of an embedding.
pub const MAX_DIMENSIONS: usize = 1_024;
/// Items of one shelf: a bit each of a word.
const SHELF: usize = 64;
/// Largest code of a number.
const MOST: f32 = 127.0;

/// Direction of a vector, in 8 bits a number.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding {
    codes: Vec<i8>,
    /// 1 / length of the codes.
    inverse_norm: f32,
}

impl Embedding {
    /// Direction of a vector; `None` of one that has none: empty, all 0, or with a number that is not finite.
    pub fn of(vector: &[f32]) -> Option<Self> {
        let largest = vector.iter().map(|number| number.abs()).fold(0.0, f32::max);
        if !(largest.is_finite() && largest > 0.0) || vector.iter().any(|number| !number.is_finite()) {
            return None;
        }
        let codes: Vec<i8> = vector.iter().map(|number| (number / largest * MOST).round() as i8).collect();
        let inverse_norm = (dot(&codes, &codes) as f32).sqrt().recip();
        Some(Self { codes, inverse_norm })
    }

    /// Fault of a vector that an item brings along.
    pub(super) fn check(vector: &[f32]) -> Result<(), String> {
        if !(1..=MAX_DIMENSIONS).contains(&vector.len()) {
            return Err(format!("1…{MAX_DIMENSIONS} numbers, has {}", vector.len()));
        }
        match Self::of(vector) {
            Some(_) => Ok(()),
            None => Err("has no direction: every number must be finite, and one of them not 0".to_owned()),
        }
    }

    /// Number of numbers.
    pub fn dimensions(&self) -> usize {
        self.codes.len()
    }
}

/// Sum of products; at most 127² · 1,024, far below the largest `i32`.
fn dot(a: &[i8], b: &[i8]) -> i32 {
    a.iter().zip(b).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum()
}

/// Embeddings of up to 64 items, those that have one in order of place.
#[derive(Clone, Debug, Default)]
struct Shelf {
    /// By place, a bit: the item has one.
    held: u64,
    inverse_norms: Vec<f32>,
    codes: Vec<i8>,
}

impl Shelf {
    /// Number of embeddings before a place.
    fn rank(&self, place: usize) -> usize {
        (self.held & ((1u64 << place) - 1)).count_ones() as usize
    }

    fn get(&self, place: usize, dimensions: usize) -> Option<(&[i8], f32)> {
        if self.held >> place & 1 == 0 {
            return None;
        }
        let rank = self.rank(place);
        let codes = self.codes.get(rank * dimensions..(rank + 1) * dimensions)?;
        Some((codes, *self.inverse_norms.get(rank)?))
    }

    fn remove(&mut self, place: usize, dimensions: usize) {
        let rank = self.rank(place);
        self.held &= !(1u64 << place);
        self.inverse_norms.remove(rank);
        self.codes.drain(rank * dimensions..(rank + 1) * dimensions);
    }

    fn insert(&mut self, place: usize, embedding: &Embedding) {
        let (rank, dimensions) = (self.rank(place), embedding.dimensions());
        self.held |= 1u64 << place;
        self.inverse_norms.insert(rank, embedding.inverse_norm);
        self.codes.splice(rank * dimensions..rank * dimensions, embedding.codes.iter().copied());
    }
}

/// A direction that items are compared with: of an item, or of a taste.
#[derive(Clone, Debug, PartialEq)]
pub struct Direction {
    embedding: Embedding,
    /// Mean cosine with all items.
    mean: f32,
}

/// Embeddings of the items of a catalogue, all of one length. Cheap to clone: pieces are shared.
#[derive(Clone, Debug, Default)]
pub struct Embeddings {
    /// Numbers of each; 0 = there is none yet.
    dimensions: usize,
    count: usize,
    shelves: Vec<Arc<Shelf>>,
    /// Sum of the unit vectors.
    sum: Arc<Vec<f64>>,
    /// Mean cosine of two items.
    mean: f32,
}

impl Embeddings {
    /// Number of numbers of each; `None` while no item has one.
    pub fn dimensions(&self) -> Option<usize> {
        (self.count > 0).then_some(self.dimensions)
    }

    /// Number of items that have one.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Returns whether no item has one.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Sets or, with `None`, erases the embedding of an item. False, and nothing changes, where the length is not that of the others.
    /// O(64 · dimensions).
    pub(super) fn set(&mut self, item: ItemId, embedding: Option<&Embedding>) -> bool {
        let (shelf, place) = (item.index() / SHELF, item.index() % SHELF);
        let known = self.get(item).map(|(codes, inverse_norm)| (codes.to_vec(), inverse_norm));
        let others = self.count - usize::from(known.is_some());
        if let Some(embedding) = embedding {
            if others > 0 && embedding.dimensions() != self.dimensions {
                return false;
            }
        } else if known.is_none() {
            return true;
        }
        if self.shelves.len() <= shelf {
            self.shelves.resize_with(shelf + 1, Arc::default);
        }
        if let Some((codes, inverse_norm)) = known {
            self.add_to_sum(&codes, -inverse_norm);
            let dimensions = self.dimensions;
            self.shelves
                .get_mut(shelf)
                .into_iter()
                .for_each(|shelf| Arc::make_mut(shelf).remove(place, dimensions));
        }
        self.count = others;
        let Some(embedding) = embedding else {
            self.note_mean();
            return true;
        };
        if others == 0 {
            self.dimensions = embedding.dimensions();
            self.sum = Arc::new(vec![0.0; self.dimensions]);
        }
        self.add_to_sum(&embedding.codes, embedding.inverse_norm);
        self.shelves
            .get_mut(shelf)
            .into_iter()
            .for_each(|shelf| Arc::make_mut(shelf).insert(place, embedding));
        self.count += 1;
        self.note_mean();
        true
    }

    fn note_mean(&mut self) {
        let n = self.count.max(1) as f64;
        self.mean = (self.sum.iter().map(|sum| sum * sum).sum::<f64>() / (n * n)) as f32;
    }

    fn add_to_sum(&mut self, codes: &[i8], scale: f32) {
        let sum = Arc::make_mut(&mut self.sum);
        sum.iter_mut().zip(codes).for_each(|(sum, code)| *sum += f64::from(f32::from(*code) * scale));
    }

    fn get(&self, item: ItemId) -> Option<(&[i8], f32)> {
        self.shelves.get(item.index() / SHELF)?.get(item.index() % SHELF, self.dimensions)
    }

    /// Returns whether an item has one.
    pub fn has(&self, item: ItemId) -> bool {
        self.get(item).is_some()
    }

    fn direction(&self, embedding: Embedding) -> Direction {
        let parts = embedding.codes.iter().zip(self.sum.iter());
        let sum: f64 = parts.map(|(code, sum)| f64::from(*code) * sum).sum();
        let mean = sum as f32 * embedding.inverse_norm / self.count.max(1) as f32;
        Direction { embedding, mean }
    }

    /// Direction of an item.
    pub fn direction_of(&self, item: ItemId) -> Option<Direction> {
        let (codes, inverse_norm) = self.get(item)?;
        Some(self.direction(Embedding { codes: codes.to_vec(), inverse_norm }))
    }

    /// A taste: the weighted mean of the unit vectors of a history; `None` where none of its items has one. O(history · dimensions).
    pub fn taste(&self, history: &[(ItemId, f32)]) -> Option<Direction> {
        let mut sum = vec![0f32; self.dimensions];
        for (item, weight) in history.iter().filter(|(_, weight)| weight.is_finite() && *weight > 0.0) {
            let Some((codes, inverse_norm)) = self.get(*item) else { continue };
            let scale = weight * inverse_norm;
            sum.iter_mut().zip(codes).for_each(|(sum, code)| *sum += f32::from(*code) * scale);
        }
        Some(self.direction(Embedding::of(&sum)?))
    }

    fn compared(&self, direction: &Direction, codes: &[i8], inverse_norm: f32) -> f32 {
        let own = &direction.embedding;
        let cosine = dot(&own.codes, codes) as f32 * own.inverse_norm * inverse_norm;
        above(cosine, direction.mean)
    }

    /// Likeness of an item to a direction, 0…1; `None` of an item without an embedding. O(dimensions).
    pub fn likeness(&self, direction: &Direction, item: ItemId) -> Option<f32> {
        self.get(item).map(|(codes, inverse_norm)| self.compared(direction, codes, inverse_norm))
    }

    /// Likeness of two items, 0…1; `None` where one has no embedding. O(dimensions).
    pub fn similarity(&self, a: ItemId, b: ItemId) -> Option<f32> {
        let ((a, of_a), (b, of_b)) = (self.get(a)?, self.get(b)?);
        Some(above(dot(a, b) as f32 * of_a * of_b, self.mean))
    }
}

/// The part of a cosine above the mean, as a share of what there is above it.
fn above(cosine: f32, mean: f32) -> f32 {
    let room = 1.0 - mean;
    if room > f32::EPSILON { ((cosine - mean) / room).clamp(0.0, 1.0) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;
    use crate::base::random;

    fn vectors(n: u32, dimensions: usize) -> Vec<Vec<f32>> {
        let mut rng = random::rng(7, "embeddings");
        (0..n).map(|_| (0..dimensions).map(|_| rng.random_range(-1.0..1.0f32)).collect()).collect()
    }

    fn store(vectors: &[Vec<f32>]) -> Embeddings {
        let mut embeddings = Embeddings::default();
        for (item, vector) in (0..).map(ItemId).zip(vectors) {
            assert!(embeddings.set(item, Embedding::of(vector).as_ref()));
        }
        embeddings
    }

    fn cosine(a: &[f32], b: &[f32]) -> f64 {
        let dot = |a: &[f32], b: &[f32]| -> f64 {
            a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
        };
        dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
    }

    #[test]
    fn eight_bits_a_number_are_enough_for_a_cosine() {
        let vectors = vectors(200, 384);
        let embeddings = store(&vectors);
        let mean = {
            let all = vectors.iter().flat_map(|a| vectors.iter().map(move |b| cosine(a, b)));
            all.sum::<f64>() / (200.0 * 200.0)
        };
        for (a, b) in [(0u32, 1u32), (5, 199), (63, 64), (7, 7)] {
            let exact = ((cosine(&vectors[a as usize], &vectors[b as usize]) - mean) / (1.0 - mean)).max(0.0);
            let found = f64::from(embeddings.similarity(ItemId(a), ItemId(b)).unwrap());
            assert!((found - exact).abs() < 0.01, "{a} {b}: {found} {exact}");
        }
    }

    #[test]
    fn a_taste_lies_between_what_it_is_made_of_and_forgets_what_weighs_nothing() {
        let axis = |at: usize| (0..3).map(|place| f32::from(u8::from(place == at))).collect::<Vec<f32>>();
        let embeddings = store(&[axis(0), axis(1), axis(2), vec![3.0, 3.0, 0.0]]);
        let taste =
            embeddings.taste(&[(ItemId(0), 1.0), (ItemId(1), 1.0), (ItemId(2), 0.0), (ItemId(9), 5.0)]);
        let taste = taste.unwrap();
        let alike: Vec<u32> = {
            let likeness = |item| (item, embeddings.likeness(&taste, item).unwrap());
            let mut all: Vec<(ItemId, f32)> = (0..4).map(ItemId).map(likeness).collect();
            all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            all.into_iter().map(|(item, _)| item.0).collect()
        };
        assert_eq!(alike, [3, 0, 1, 2]);
        assert!(embeddings.likeness(&taste, ItemId(3)).unwrap() > 0.99);
        assert_eq!(embeddings.likeness(&taste, ItemId(2)), Some(0.0));
        assert_eq!(
            (embeddings.likeness(&taste, ItemId(9)), embeddings.taste(&[(ItemId(9), 1.0)])),
            (None, None)
        );
    }

    #[test]
    fn one_is_replaced_and_erased_and_another_length_is_refused_while_there_are_others() {
        let mut embeddings = store(&vectors(130, 5));
        let before = embeddings.clone();
        let longer = Embedding::of(&[1.0; 6]).unwrap();
        assert!(!embeddings.set(ItemId(3), Some(&longer)));
        assert!(embeddings.set(ItemId(3), Embedding::of(&[1.0, 0.0, 0.0, 0.0, 0.0]).as_ref()));
        assert!(embeddings.set(ItemId(500), Embedding::of(&[1.0, 0.0, 0.0, 0.0, 0.1]).as_ref()));
        assert!(embeddings.similarity(ItemId(3), ItemId(500)).unwrap() > 0.98);
        assert!(before.similarity(ItemId(3), ItemId(500)).is_none(), "a copy does not see it");
        assert!(embeddings.set(ItemId(64), None) && embeddings.set(ItemId(64), None));
        assert_eq!(
            (embeddings.len(), embeddings.has(ItemId(64)), embeddings.has(ItemId(65))),
            (130, false, true)
        );
        assert!(embeddings.similarity(ItemId(65), ItemId(65)).unwrap() > 0.999_999);
        (0..501).map(ItemId).for_each(|item| assert!(embeddings.set(item, None)));
        assert_eq!((embeddings.dimensions(), before.dimensions()), (None, Some(5)));
        assert!(embeddings.set(ItemId(3), Some(&longer)));
        assert_eq!((embeddings.dimensions(), embeddings.len()), (Some(6), 1));
    }

    #[test]
    fn a_vector_without_a_direction_is_none() {
        for vector in [&[][..], &[0.0, 0.0], &[1.0, f32::NAN], &[f32::INFINITY, 1.0]] {
            assert_eq!(Embedding::of(vector), None);
        }
        assert_eq!(Embedding::of(&[1e-30, 0.0]).map(|one| one.codes), Some(vec![127, 0]));
    }
}

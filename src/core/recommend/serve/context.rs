//! Surroundings of a list: the item of a page, or the items of a cart, with the relevance of every other item to them.

use crate::base::ItemId;

use super::item_context::{self, Clicks};
use super::live::Evidence;
use super::model_set::ModelSet;
use super::request::Request;

/// Items of a cart that count, the last ones.
const MOST_ANCHORS: usize = 6;

/// Relevance to the item or the items that a list stands beside.
#[derive(Clone, Debug)]
pub(super) struct Beside {
    /// Mean over all of them, 0…1, by item.
    pub(super) scores: Vec<f32>,
    /// Scores of each, where there are several.
    each: Vec<(ItemId, Vec<f32>)>,
    first: ItemId,
}

impl Beside {
    /// The item that an item goes with most.
    pub(super) fn cause(&self, item: ItemId) -> ItemId {
        let score = |scores: &Vec<f32>| scores.get(item.index()).copied().unwrap_or(0.0);
        let of = self.each.iter().max_by(|a, b| score(&a.1).total_cmp(&score(&b.1)).then(b.0.cmp(&a.0)));
        of.map_or(self.first, |(anchor, _)| *anchor)
    }
}

impl ModelSet {
    /// `None` where the list stands beside nothing, or nothing is known of what it stands beside. O(anchors · items).
    pub(super) fn beside(&self, request: &Request<'_>) -> Option<Beside> {
        let width = request.catalogue.width().max(self.popularity.width());
        let sources = self.sources();
        let of = |item: ItemId| {
            let is_seed = request.seed == Some(item);
            let clicks = if is_seed { Clicks::Live } else { Clicks::Any };
            let live = if is_seed { request.live } else { Evidence::default() };
            let embeddings = request.catalogue.embeddings();
            item_context::scores(&sources, request.profile, item, clicks, live, embeddings, width)
        };
        let basket = request.selection.basket.iter().rev().filter(|item| request.seed != Some(**item));
        let anchors: Vec<ItemId> =
            request.seed.into_iter().chain(basket.copied()).take(MOST_ANCHORS).collect();
        let first = *anchors.first()?;
        let (scores, each) = match anchors.as_slice() {
            [only] => (of(*only), Vec::new()),
            _ => {
                let each: Vec<(ItemId, Vec<f32>)> = anchors.iter().map(|item| (*item, of(*item))).collect();
                let mut mean = vec![0f32; width];
                for (_, scores) in &each {
                    let share = 1.0 / each.len() as f32;
                    mean.iter_mut().zip(scores).for_each(|(sum, score)| *sum += share * score);
                }
                (mean, each)
            }
        };
        scores.iter().any(|score| *score > 0.0).then_some(Beside { scores, each, first })
    }
}

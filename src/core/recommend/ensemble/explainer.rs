//! Share of each item of a history in the scores of the members, item by item of a list: what costs the same for all of them is done
//! once.

use std::cell::{OnceCell, RefCell};

use crate::base::ItemId;
use crate::recommend::models::implicit_als::AlsParts;

use super::context::Context;
use super::member::{BaseModel, PairModel};
use super::models::Models;
use super::pairs::LEAST_WEIGHT;

/// Explains scores of one context.
#[derive(Debug)]
pub struct Explainer<'a> {
    models: &'a Models,
    history: &'a [(ItemId, f32)],
    /// By implicit ALS, its equations solved for this history, when they are needed.
    als: Vec<OnceCell<AlsParts<'a>>>,
    /// Weights of the history for the item asked of last, by a pair model of which several members read.
    weights: RefCell<Option<(PairModel, ItemId, Vec<f32>)>>,
}

impl Models {
    /// For the history of a context.
    pub fn explainer<'a>(&'a self, context: &Context<'a>) -> Explainer<'a> {
        let n = (0u8..).take_while(|index| self.als(*index).is_some()).count();
        let als = vec![OnceCell::new(); n];
        Explainer { models: self, history: context.history, als, weights: RefCell::default() }
    }
}

impl Explainer<'_> {
    /// Contribution of each item of the history to a member's score of `item`, in order of the history; they sum to the score.
    /// `None` for members that do not depend on histories. O(history · weights kept) for a pair model; of an ALS the first time
    /// O(history · factors² + factors³), then O((history + factors) · factors).
    pub fn parts(&self, member: BaseModel, item: ItemId) -> Option<Vec<f32>> {
        match member {
            BaseModel::Pair { model, decay } => {
                let mut last = self.weights.borrow_mut();
                if !last.as_ref().is_some_and(|(known, of, _)| (*known, *of) == (model, item)) {
                    *last = Some((model, item, self.weights_for(model, item)?));
                }
                let weights = last.iter().flat_map(|(_, _, weights)| weights);
                let mut age = 1.0f32;
                let part = |((_, interest), weight): (&(ItemId, f32), &f32)| {
                    let own = if age >= LEAST_WEIGHT { weight * interest * age } else { 0.0 };
                    age *= decay;
                    own
                };
                Some(self.history.iter().zip(weights).map(part).collect())
            }
            BaseModel::Als(index) => {
                let (als, solved) = (self.models.als(index)?, self.als.get(usize::from(index))?);
                Some(solved.get_or_init(|| als.explained(self.history)).of(item))
            }
            _ => None,
        }
    }

    /// By place in the history. O(history · weights kept).
    fn weights_for(&self, model: PairModel, item: ItemId) -> Option<Vec<f32>> {
        let weights = self.models.weights(model)?;
        let of = |known: ItemId| weights.of(known).iter().find(|(other, _)| *other == item);
        Some(self.history.iter().map(|(known, _)| of(*known).map_or(0.0, |(_, weight)| *weight)).collect())
    }
}

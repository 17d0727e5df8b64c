//! What each item of a history added to the scores of the members, item by item of a list: what costs the same for all of them is done
//! once.

use std::cell::OnceCell;

use crate::base::ItemId;
use crate::recommend::models::implicit_als::AlsParts;

use super::context::Context;
use super::member::BaseModel;
use super::models::Models;
use super::pairs::LEAST_WEIGHT;

/// Explains scores of one context.
#[derive(Debug)]
pub struct Explainer<'a> {
    models: &'a Models,
    history: &'a [(ItemId, f32)],
    /// By implicit ALS, its equations solved for this history, when they are needed.
    als: Vec<OnceCell<AlsParts<'a>>>,
}

impl Models {
    /// For the history of a context.
    pub fn explainer<'a>(&'a self, context: &Context<'a>) -> Explainer<'a> {
        let n = (0u8..).take_while(|index| self.als(*index).is_some()).count();
        Explainer { models: self, history: context.history, als: vec![OnceCell::new(); n] }
    }
}

impl Explainer<'_> {
    /// Contribution of each item of the history to a member's score of `item`, in order of the history; they sum to the score.
    /// `None` for members that do not depend on histories. O(history · weights kept) for a pair model; of an ALS the first time
    /// O(history · factors² + factors³), then O((history + factors) · factors).
    pub fn parts(&self, member: BaseModel, item: ItemId) -> Option<Vec<f32>> {
        match member {
            BaseModel::Pair { model, decay } => {
                let weights = self.models.weights(model)?;
                let weight = |known: ItemId| {
                    weights.of(known).iter().find(|(other, _)| *other == item).map_or(0.0, |(_, own)| *own)
                };
                let mut age = 1.0f32;
                let part = |(known, interest): &(ItemId, f32)| {
                    let own = if age >= LEAST_WEIGHT { weight(*known) * interest * age } else { 0.0 };
                    age *= decay;
                    own
                };
                Some(self.history.iter().map(part).collect())
            }
            BaseModel::Als(index) => {
                let (als, solved) = (self.models.als(index)?, self.als.get(usize::from(index))?);
                Some(solved.get_or_init(|| als.explained(self.history)).of(item))
            }
            _ => None,
        }
    }
}

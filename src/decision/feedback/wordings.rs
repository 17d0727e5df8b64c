//! Wordings of each template and how well each does: one is drawn by [`variants`] for a message, and its click is the reward.

use std::collections::BTreeMap;

use rand::Rng;
use serde::{Deserialize, Serialize};

use super::variants::{self, ArmChoice, Offer, VariantParameters, Variants};

/// Templates whose wordings are told apart.
const MAX_TEMPLATES: usize = 256;

/// Wordings of every template, by its name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct WordingModel(BTreeMap<String, Wordings>);

/// The wordings of a template. Another list of names begins anew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Wordings {
    names: Vec<String>,
    variants: Variants,
}

/// A wording, and how likely each was.
#[derive(Clone, Debug, PartialEq)]
pub struct WordingChoice {
    template: String,
    /// All of the template, in its order.
    names: Vec<String>,
    choice: ArmChoice,
}

impl WordingChoice {
    /// Each of those on offer alike, whatever was learned: `names` and `on_offer` as for [`super::learner::Learner::choose_wording`]. `None`
    /// when there is nothing to choose.
    pub fn even(template: &str, names: &[&str], on_offer: &[usize], rng: &mut impl Rng) -> Option<Self> {
        if on_offer.len() < 2 {
            return None;
        }
        let choice = variants::evenly(on_offer, rng)?;
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Some(Self { template: template.to_owned(), names, choice })
    }

    /// Place among the template's wordings.
    pub fn index(&self) -> usize {
        self.choice.arm
    }

    /// Probability of this choice, in (0, 1].
    pub fn propensity(&self) -> f32 {
        self.choice.propensity as f32
    }

    /// Returns whether it is this wording of that template.
    pub(super) fn is(&self, template: &str, index: usize) -> bool {
        self.template == template && self.choice.arm == index
    }
}

impl WordingModel {
    /// Draws a wording: `names` are all of the template in its order, `offers` those that fit the user. `None` when there is
    /// nothing to choose.
    pub fn choose(
        &self,
        template: &str,
        names: &[&str],
        offers: &[Offer],
        rng: &mut impl Rng,
    ) -> Option<WordingChoice> {
        if offers.len() < 2 {
            return None;
        }
        let known = self.0.get(template).filter(|wordings| wordings.is_of(names));
        let parameters = VariantParameters::default();
        let choice = match known {
            Some(wordings) => wordings.variants.choose(offers, &parameters, rng),
            None => Variants::new(names.len()).choose(offers, &parameters, rng),
        }?;
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Some(WordingChoice { template: template.to_owned(), names, choice })
    }

    /// A message went out in this wording.
    pub fn note_used(&mut self, wording: &WordingChoice) {
        if let Some(variants) = self.variants_of(wording) {
            variants.note_used(&wording.choice);
        }
    }

    /// A message in this wording was clicked.
    pub fn note_clicked(&mut self, wording: &WordingChoice) {
        if let Some(variants) = self.variants_of(wording) {
            variants.note_reward(&wording.choice, 1.0);
        }
    }

    /// Lets what was noted fade by a factor, 0…1. O(templates).
    pub fn decay(&mut self, factor: f64) {
        self.0.values_mut().for_each(|wordings| wordings.variants.decay(factor));
    }

    fn variants_of(&mut self, wording: &WordingChoice) -> Option<&mut Variants> {
        let names: Vec<&str> = wording.names.iter().map(String::as_str).collect();
        let is_known = self.0.get(&wording.template).is_some_and(|wordings| wordings.is_of(&names));
        if !is_known {
            if self.0.len() >= MAX_TEMPLATES && !self.0.contains_key(&wording.template) {
                return None;
            }
            let new = Wordings { names: wording.names.clone(), variants: Variants::new(names.len()) };
            self.0.insert(wording.template.clone(), new);
        }
        self.0.get_mut(&wording.template).map(|wordings| &mut wordings.variants)
    }
}

impl Wordings {
    fn is_of(&self, names: &[&str]) -> bool {
        self.names.iter().map(String::as_str).eq(names.iter().copied())
    }
}

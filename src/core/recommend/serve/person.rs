//! One person as the members are asked about: their history, and what the catalogue, categories and segments say beside it. In: a
//! [`Request`]. Out: columns for the items of a universe.

use std::cmp::Reverse;

use crate::base::{ItemId, Timestamp};
use crate::catalogue::Catalogue;
use crate::profile::{Bought, Profile};
use crate::recommend::ensemble::{Act, Begun, Context, Ensemble, EventKinds, SideFeature};
use crate::recommend::models::association_rules::AssociationRules;
use crate::recommend::models::content_based::{ContentBased, Vector};
use crate::recommend::models::item_knn::ItemKnn;
use crate::recommend::models::item_set::Universe;
use crate::recommend::models::popularity::Popularity;
use crate::recommend::session::next_item::NextItem;

use super::embedded;
use super::request::Request;

/// Items of a history that count.
const MOST_HISTORY: usize = 200;
/// Decay of each older item's weight in the content taste.
const TASTE_DECAY: f32 = 0.93;
const MICROS_A_DAY: f64 = 86_400e6;

/// The models behind a [`super::model_set::ModelSet`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Sources<'a> {
    pub(super) popularity: &'a Popularity,
    pub(super) item_knn: &'a ItemKnn,
    pub(super) association_rules: &'a AssociationRules,
    pub(super) content: &'a ContentBased,
    pub(super) ensemble: &'a Ensemble,
    pub(super) sessions: &'a NextItem,
    pub(super) kinds: &'a EventKinds,
}

/// One person, as the members see them.
#[derive(Clone, Debug)]
pub(super) struct Person {
    /// Newest first.
    pub(super) history: Vec<(ItemId, f32)>,
    /// The same, fading, for likeness in words.
    pub(super) taste: Vec<(ItemId, f32)>,
    /// The words themselves, a unit vector.
    pub(super) words: Vector,
    /// Day of the newest interaction.
    pub(super) last_day: Option<f64>,
    /// Of the kinds of behaviour, oldest first.
    pub(super) acts: Vec<Act>,
    /// By top-level category, 0…1; empty = none is liked.
    likes: Vec<f32>,
}

/// Newest first: the recent items with interest left, then what was bought before them. All alike: what a kind of behaviour is
/// worth is learnt.
pub(crate) fn history(profile: &Profile) -> Vec<(ItemId, f32)> {
    let recent = profile.recent();
    let mut history: Vec<(ItemId, f32)> =
        recent.iter().filter(|known| known.weight > 0.0).map(|known| (known.item, 1.0)).collect();
    let is_older = |item: ItemId| !recent.iter().any(|known| known.item == item);
    let mut older: Vec<&Bought> = profile.bought().iter().filter(|bought| is_older(bought.item)).collect();
    let missing = MOST_HISTORY.saturating_sub(history.len());
    let newest_first = |bought: &&Bought| (Reverse(bought.last_day()), bought.item);
    // Of thousands that were bought the newest are wanted.
    if missing > 0 && older.len() > missing {
        older.select_nth_unstable_by_key(missing - 1, newest_first);
        older.truncate(missing);
    }
    older.sort_unstable_by_key(newest_first);
    history.extend(older.into_iter().take(missing).map(|bought| (bought.item, 1.0)));
    history
}

/// Interest in each category as a share of that in the one liked most.
fn likes(profile: &Profile, catalogue: &Catalogue, now: Timestamp) -> Vec<f32> {
    let liked = profile.affinities(now);
    let best_share = liked.first().map_or(0.0, |(_, share)| *share);
    if best_share <= 0.0 {
        return Vec::new();
    }
    let mut likes = vec![0f32; catalogue.n_categories()];
    for (id, share) in &liked {
        if let Some(slot) = likes.get_mut(id.0 as usize) {
            *slot = share / best_share.max(f32::MIN_POSITIVE);
        }
    }
    likes
}

impl Person {
    /// O(history · words).
    pub(super) fn new(sources: &Sources<'_>, request: &Request<'_>) -> Self {
        let history = history(request.profile);
        let mut age = 1.0f32;
        let fade = |(item, weight): &(ItemId, f32)| {
            let own = weight * age;
            age *= TASTE_DECAY;
            (*item, own)
        };
        let taste: Vec<(ItemId, f32)> = history.iter().map(fade).collect();
        let day = |at: Timestamp| at.0 as f64 / MICROS_A_DAY;
        Self {
            last_day: request.profile.last_seen().map(day),
            acts: sources.kinds.acts(request.profile),
            likes: likes(request.profile, request.catalogue, request.now),
            words: sources.content.taste(&taste),
            history,
            taste,
        }
    }

    /// Length of the history.
    pub(super) fn length(&self) -> usize {
        self.history.len()
    }

    /// Input of the ensemble for the items of a universe, with the columns brought along.
    pub(super) fn context<'a>(&'a self, universe: &'a Universe, beside: &'a [f32]) -> Context<'a> {
        Context {
            history: &self.history,
            last_day: self.last_day,
            width: universe.width(),
            universe: Some(universe),
            beside,
            begun: Begun::default(),
        }
    }

    /// Columns of [`SideFeature::ALL`] and of the kinds, one after another. O(columns · items of the universe).
    pub(super) fn beside(
        &self,
        sources: &Sources<'_>,
        request: &Request<'_>,
        universe: &Universe,
    ) -> Vec<f32> {
        let width = universe.width();
        let mut beside = vec![0f32; width * (SideFeature::ALL.len() + sources.kinds.columns().len())];
        for (feature, column) in SideFeature::ALL.into_iter().zip(beside.chunks_mut(width.max(1))) {
            self.fill(feature, sources, request, universe, column);
        }
        if let Some(kinds) = beside.get_mut(width * SideFeature::ALL.len()..) {
            sources.kinds.models.fill_dense(&self.acts, universe, kinds);
        }
        beside
    }

    /// Fills a column of 0 with a side feature.
    pub(super) fn fill(
        &self,
        feature: SideFeature,
        sources: &Sources<'_>,
        request: &Request<'_>,
        universe: &Universe,
        column: &mut [f32],
    ) {
        match feature {
            SideFeature::Content => {
                sources.content.add_scores(&self.words, universe, column);
                // Every item is most like itself, which says nothing about wanting it again.
                put(universe, column, self.taste.iter().map(|(item, _)| (*item, 0.0)));
            }
            SideFeature::Popular => {
                universe.gather(column, sources.popularity.scores());
                let live = request.live.popular.iter();
                let with_live =
                    live.map(|(item, interest)| (*item, sources.popularity.score_with(*item, *interest)));
                put(universe, column, with_live);
            }
            SideFeature::Category if self.likes.is_empty() => {}
            SideFeature::Category => {
                self.fill(SideFeature::Popular, sources, request, universe, column);
                for (place, slot) in column.iter_mut().enumerate().filter(|(_, slot)| **slot != 0.0) {
                    let id = universe.item(place).and_then(|item| request.catalogue.category_of(item));
                    let like = id.and_then(|id| self.likes.get(id.0 as usize)).copied().unwrap_or(0.0);
                    *slot *= like;
                }
            }
            SideFeature::Segment => {
                let near = request.segment.map(|id| sources.popularity.in_segment(id)).unwrap_or_default();
                put(universe, column, near.iter().copied());
            }
            SideFeature::Embedding => {
                let others = || {
                    [SideFeature::Content, SideFeature::Popular].map(|feature| {
                        let mut other = vec![0f32; universe.width()];
                        self.fill(feature, sources, request, universe, &mut other);
                        other
                    })
                };
                embedded::fill(request.catalogue.embeddings(), &self.taste, universe, others, column);
            }
        }
    }
}

/// Sets the scores of a few items.
fn put(universe: &Universe, column: &mut [f32], scores: impl Iterator<Item = (ItemId, f32)>) {
    for (item, score) in scores {
        if let Some(slot) = universe.place(item).and_then(|place| column.get_mut(place)) {
            *slot = score;
        }
    }
}

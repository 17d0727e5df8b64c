//! A request to a [`ModelSet`](super::model_set::ModelSet), and one recommendation of its answer.

use serde::Serialize;

use crate::base::{ItemId, Score, Timestamp, UserId};
use crate::catalogue::Catalogue;
use crate::config::Recommend;
use crate::profile::{Profile, SegmentId};
use crate::recommend::models::item_set::ItemSet;

use super::live::Evidence;
use super::placement::{Touch, Wants};
use super::reason::Reason;
use super::removed::Removed;
use super::selection::Selection;

/// Request to a [`ModelSet`](super::model_set::ModelSet).
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// For whom.
    pub profile: &'a Profile,
    /// Their segment, when known.
    pub segment: Option<SegmentId>,
    /// Current catalogue: stock, titles, items newer than the model.
    pub catalogue: &'a Catalogue,
    /// The moment of asking.
    pub now: Timestamp,
    /// Most recommendations wanted.
    pub n: usize,
    /// Recommendations left out at the beginning: those of earlier pages.
    pub offset: usize,
    /// Length of the first page, whose places exploration gives away; `None` = `n`.
    pub first_page: Option<usize>,
    /// Conditions of this list, beside the shop's settings.
    pub selection: &'a Selection,
    /// An item just viewed or put into the cart: its neighbours come first.
    pub seed: Option<ItemId>,
    /// Never these, e.g. what was sent a moment ago.
    pub exclude: &'a [ItemId],
    /// Muted by the user: never ranked, never drawn; `None` = nothing is.
    pub silenced: Option<&'a ItemSet>,
    /// Business rules, diversity, exploration.
    pub settings: &'a Recommend,
    /// User whose draws decide where to explore; `None` = explore nowhere.
    pub explorer: Option<UserId>,
    /// Event counts since the model was trained.
    pub live: Evidence<'a>,
}

impl<'a> Request<'a> {
    /// For `n` items by relevance only, without a seed, a segment, anything excluded or explored.
    pub fn new(profile: &'a Profile, catalogue: &'a Catalogue, now: Timestamp, n: usize) -> Self {
        static RELEVANCE_ONLY: Recommend = Recommend::RELEVANCE_ONLY;
        static WHATEVER: Selection = Selection::NONE;
        Self {
            profile,
            segment: None,
            catalogue,
            now,
            n,
            offset: 0,
            first_page: None,
            selection: &WHATEVER,
            seed: None,
            exclude: &[],
            silenced: None,
            settings: &RELEVANCE_ONLY,
            explorer: None,
            live: Evidence::default(),
        }
    }

    /// Items that must be in order for this page: those before it and its own.
    pub(super) fn depth(&self) -> usize {
        self.offset.saturating_add(self.n)
    }

    /// Kind of items that the list is to hold: new ones, unless the selection or its placement says otherwise.
    pub(super) fn wants(&self) -> Wants {
        let placement = self.selection.placement.as_ref().map(|placement| placement.wants);
        self.selection.wants.or(placement).unwrap_or_default()
    }
}

/// A page of recommendations, and what was left out of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct List {
    /// Best first.
    pub items: Vec<Recommendation>,
    /// Items of the catalogue taken out, by filter.
    pub removed: Removed,
}

/// One item to show.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Recommendation {
    /// Recommended item.
    pub item: ItemId,
    /// Relevance, 0…1, comparable within one answer.
    pub score: Score,
    /// True reason of the recommendation.
    pub reason: Reason,
    /// With what probability exploration was to draw it for its place, > 0; 1 for what is there by its rank.
    pub propensity: f32,
    /// Part of the placement that moved it or brought it in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub touch: Option<Touch>,
}

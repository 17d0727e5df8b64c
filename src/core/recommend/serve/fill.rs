//! Items that fill a list that ranking leaves short.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use crate::base::{ItemId, Timestamp};
use crate::catalogue::{Catalogue, Facts};
use crate::recommend::models::popularity::Popularity;
use crate::recommend::models::top;

use super::filters::Eligible;
use super::item_filter::{Compiled, ItemFilter};
use super::placement::{Fallback, Placement, Touch};
use super::ranked::{Because, Ranked};
use super::request::Request;

/// A list that grows up to a length, no item twice.
pub(super) struct Filler<'a> {
    pub(super) list: Vec<Ranked>,
    /// By item.
    taken: Vec<bool>,
    request: &'a Request<'a>,
    eligible: &'a Eligible,
}

impl<'a> Filler<'a> {
    /// Never adds what is pinned to a place.
    pub(super) fn new(
        list: Vec<Ranked>,
        pins: &[(usize, Ranked)],
        request: &'a Request<'a>,
        eligible: &'a Eligible,
    ) -> Self {
        let mut filler =
            Self { list: Vec::new(), taken: vec![false; request.catalogue.width()], request, eligible };
        for (_, pinned) in pins {
            filler.taken.get_mut(pinned.item.index()).into_iter().for_each(|taken| *taken = true);
        }
        filler.add(list);
        filler
    }

    /// Appends what is not in the list yet.
    pub(super) fn add(&mut self, more: Vec<Ranked>) {
        for ranked in more {
            let taken = self.taken.get_mut(ranked.item.index());
            if taken.is_some_and(|taken| !std::mem::replace(taken, true)) {
                self.list.push(ranked);
            }
        }
    }

    pub(super) fn missing(&self) -> usize {
        self.request.depth().saturating_sub(self.list.len())
    }

    /// Returns whether an item may be added as something new to the user.
    pub(super) fn is_open(&self, item: ItemId) -> bool {
        self.eligible.is_fresh(item) && !self.taken.get(item.index()).is_some_and(|taken| *taken)
    }

    /// Returns whether an item is in the list, or pinned to a place of it.
    pub(super) fn has(&self, item: ItemId) -> bool {
        self.taken.get(item.index()).is_some_and(|taken| *taken)
    }

    /// Returns whether what the user knows may stand behind what is new, where too little is: not where a placement would rather be short.
    pub(super) fn may_repeat(&self) -> bool {
        let is_to_be_filled = |placement: &Arc<Placement>| !placement.fallback.is_empty();
        self.request.wants().news() && self.request.selection.placement.as_ref().is_none_or(is_to_be_filled)
    }

    /// Adds by the placement's fallbacks; without a placement, where new things are wanted, the newest items.
    pub(super) fn fill(&mut self, popularity: &Popularity) {
        let Some(placement) = &self.request.selection.placement else {
            if self.request.wants().news() && self.missing() > 0 {
                self.add_newest(None, None);
            }
            return;
        };
        for (place, fallback) in (0u8..).zip(&placement.fallback) {
            if self.missing() == 0 {
                return;
            }
            let touch = Some(Touch::Fallback(place));
            match fallback {
                Fallback::Popular => self.add_popular(popularity, None, touch),
                Fallback::Newest => self.add_newest(None, touch),
                Fallback::Category(path) => {
                    let filter = ItemFilter { category: Some(path.clone()), ..ItemFilter::NONE };
                    let within = filter.compile(self.request.catalogue, self.request.now);
                    self.add_popular(popularity, Some(&within), touch);
                    if self.missing() > 0 {
                        self.add_newest(Some(&within), touch);
                    }
                }
            }
        }
    }

    fn add_popular(&mut self, popularity: &Popularity, within: Option<&Compiled<'_>>, touch: Option<Touch>) {
        let width = u32::try_from(self.request.catalogue.width()).unwrap_or(u32::MAX);
        let mut scores: Vec<f32> = (0..width).map(|item| popularity.score(ItemId(item))).collect();
        for (item, interest) in self.request.live.popular {
            if let Some(score) = scores.get_mut(item.index()) {
                *score = popularity.score_with(*item, *interest);
            }
        }
        let is_open = |item| self.is_open(item) && within.is_none_or(|within| within.admits(item));
        let because = if within.is_some() { Because::PopularInCategory } else { Because::Popular };
        // Behind whatever was ranked.
        let least = self.list.last().map_or(1.0, |last| last.score);
        let best = top::best(&scores, self.missing(), is_open).into_iter();
        let more =
            best.map(|(item, score)| Ranked { touch, ..Ranked::new(item, score.min(1.0) * least, because) });
        self.add(more.collect());
    }

    fn add_newest(&mut self, within: Option<&Compiled<'_>>, touch: Option<Touch>) {
        let is_open = |item, _: &Facts| self.is_open(item) && within.is_none_or(|within| within.admits(item));
        let newest = newest(self.request.catalogue, self.missing(), is_open).into_iter();
        let more = newest.map(|item| Ranked { touch, ..Ranked::new(item, 0.0, Because::New) });
        self.add(more.collect());
    }

    /// Adds what the user has seen lately, without a placement, as a small shop needs it, or one without data.
    pub(super) fn add_seen(&mut self) {
        if self.request.selection.placement.is_some() || !self.request.wants().news() || self.missing() == 0 {
            return;
        }
        let recent = self.request.profile.recent().iter().map(|known| known.item);
        let again = recent.filter(|item| self.eligible.is_allowed(*item) && !self.eligible.is_fresh(*item));
        let again = again.map(|item| Ranked::new(item, 0.0, Because::Seen));
        let again: Vec<Ranked> = again.collect();
        self.add(again);
        self.list.truncate(self.request.depth());
    }
}

/// The newest items that may be shown, ties by id. O(items).
pub(super) fn newest(
    catalogue: &Catalogue,
    n: usize,
    allowed: impl Fn(ItemId, &Facts) -> bool,
) -> Vec<ItemId> {
    // The worst of the best at the top: the oldest, and of those the one with the largest id.
    let mut heap: BinaryHeap<(Reverse<Timestamp>, ItemId)> = BinaryHeap::with_capacity(n + 1);
    for (id, facts) in catalogue.facts() {
        let key = (Reverse(facts.created_at), id);
        let has_room = heap.len() < n;
        if (has_room || heap.peek().is_some_and(|worst| key < *worst)) && allowed(id, facts) {
            if !has_room {
                heap.pop();
            }
            heap.push(key);
        }
    }
    heap.into_sorted_vec().into_iter().map(|(_, id)| id).collect()
}

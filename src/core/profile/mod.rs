//! Profiles of users: features, decayed affinities, segments. Goes in as events, comes out as a live profile.
//!
//! [`Profile::apply`] is the one fold: a user's actor applies events as they come, training applies the same
//! events as read from the tables. Everything additive (counts, money, affinities, first and last) comes out
//! the same whatever the order of arrival; the short lists (recent, cart) are exact for events in order and
//! a close approximation for late ones.

pub mod affinity;
pub mod attributes;
mod bought;
mod features;
mod growth;
mod interest;
mod observed;
mod recent;
pub mod segments;
mod stated;
#[cfg(test)]
mod tests;

use crate::base::time::DAYS_PER_MONTH;
use crate::base::{ItemId, Timestamp};
use crate::catalogue::{Amounts, Catalogue, CategoryId};
use crate::event::{Event, EventKind};

use growth::grow_by;

pub use affinity::{AFFINITY_HALF_LIFE_DAYS, Affinities};
pub use attributes::{AttributeCondition, Attributes, encrypted_among};
pub use bought::Bought;
pub use features::{Activity, Features};
pub use interest::interest;
pub use observed::{FeatureContext, Observed, ReturnTimes};
pub use recent::{MAX_RECENT, RecentItem};
pub use segments::{SegmentError, SegmentId, SegmentParameters, SegmentSummary, Segmentation};
pub use stated::{StatedFeatures, StatedUser};

/// Most items kept in the cart list; a fuller cart loses its oldest.
const MAX_CART: usize = 64;

/// Most items that a profile knows of beside the recent ones.
const MAX_KNOWN: usize = 2_000;

/// A user's live profile. About 330 bytes plus 24 a recent item (≤ 50), 8 a bought item, 4 a known item (≤ 2,000) and 16 a
/// category: 1.9 KB for a user with 40 recent and 40 bought items.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profile {
    first_seen: Option<Timestamp>,
    last_seen: Option<Timestamp>,
    last_purchase: Option<Timestamp>,
    /// Events by kind, in the order of [`EventKind::ALL`].
    counts: [u32; EventKind::ALL.len()],
    /// Events of the shop's own kinds, in the order of their codes.
    own_counts: Vec<(EventKind, u32)>,
    /// Total dwell of views, in milliseconds.
    dwell_ms: u64,
    /// Money of purchases minus money of returns, major units, by currency.
    money: Amounts,
    affinities: Affinities,
    recent: Vec<RecentItem>,
    /// All items of events, sorted.
    known: Vec<ItemId>,
    cart: Vec<ItemId>,
    /// Sorted by id.
    bought: Vec<Bought>,
    /// Rates that the shop states; few users have them.
    stated: Option<Box<StatedFeatures>>,
}

impl Profile {
    /// Folds one event in, in any order of arrival. O(recent + log bought), a few hundred nanoseconds.
    pub fn apply(&mut self, event: &Event, catalogue: &Catalogue) {
        let at = event.occurred_at;
        self.first_seen = Some(self.first_seen.map_or(at, |first| first.min(at)));
        self.last_seen = Some(self.last_seen.map_or(at, |last| last.max(at)));
        self.count_one(event.kind);
        let money = event.value.filter(|value| value.is_finite() && *value != 0.0);
        match event.kind {
            EventKind::View => {
                self.dwell_ms = self.dwell_ms.saturating_add(u64::from(event.dwell_ms.unwrap_or(0)));
            }
            EventKind::Purchase => {
                self.last_purchase = Some(self.last_purchase.map_or(at, |last| last.max(at)));
                money.into_iter().for_each(|money| self.money.add(money, event.currency));
            }
            EventKind::Return => money.into_iter().for_each(|money| self.money.add(-money, event.currency)),
            _ => {}
        }
        let Some(item) = event.item else { return };
        let weight = interest(event);
        if let Some(category) = catalogue.category_of(item) {
            self.affinities.add(category, weight, at);
        }
        self.apply_to_cart(item, event.kind, at);
        self.note_known(item);
        if event.kind.is_bought() {
            match self.bought.binary_search_by_key(&item, |bought| bought.item) {
                Ok(place) => {
                    if let Some(bought) = self.bought.get_mut(place) {
                        bought.again(at);
                    }
                }
                Err(place) => {
                    grow_by(&mut self.bought, 16);
                    self.bought.insert(place, Bought::new(item, at));
                }
            }
        }
        recent::record(&mut self.recent, RecentItem { item, kind: event.kind, at, weight });
    }

    fn count_one(&mut self, kind: EventKind) {
        let count = match kind {
            EventKind::Own(own) => {
                let code = |(known, _): &(EventKind, u32)| known.code();
                let place = self.own_counts.binary_search_by_key(&own.code(), code).unwrap_or_else(|place| {
                    grow_by(&mut self.own_counts, 1);
                    self.own_counts.insert(place, (kind, 0));
                    place
                });
                self.own_counts.get_mut(place).map(|(_, count)| count)
            }
            _ => self.counts.get_mut(kind.code() as usize - 1),
        };
        count.into_iter().for_each(|count| *count = count.saturating_add(1));
    }

    fn note_known(&mut self, item: ItemId) {
        if let Err(place) = self.known.binary_search(&item)
            && self.known.len() < MAX_KNOWN
        {
            grow_by(&mut self.known, 8);
            self.known.insert(place, item);
        }
    }

    /// Before `recent` learns of the event: what it holds tells whether a late event is already overtaken.
    fn apply_to_cart(&mut self, item: ItemId, kind: EventKind, at: Timestamp) {
        match kind {
            EventKind::AddToCart => {
                let overtaken = self.recent.iter().any(|known| {
                    known.item == item
                        && known.at > at
                        && (known.kind.is_bought() || known.kind == EventKind::RemoveFromCart)
                });
                if !overtaken && !self.cart.contains(&item) {
                    if self.cart.len() >= MAX_CART {
                        self.cart.remove(0);
                    }
                    grow_by(&mut self.cart, 4);
                    self.cart.push(item);
                }
            }
            EventKind::RemoveFromCart | EventKind::Purchase | EventKind::PurchaseClaim => {
                let re_added = self
                    .recent
                    .iter()
                    .any(|known| known.item == item && known.at > at && known.kind == EventKind::AddToCart);
                if !re_added {
                    self.cart.retain(|carted| *carted != item);
                }
            }
            _ => {}
        }
    }

    /// Sets the rates that the shop states of the user; they count beside the events.
    pub fn state(&mut self, stated: StatedFeatures) {
        self.stated = Some(Box::new(stated));
    }

    /// The features of segments and of the dashboard. Months are those observed since first seen, at least 1, so that a
    /// user of one day is not taken for thirty times as eager; they end with the newest event of the data, or the user's. Rates
    /// that the shop states count as one more month of observation: alone they are the features, and events outweigh them as
    /// time goes by. All 0 for a user of whom nothing is known.
    pub fn features<'a>(&self, context: impl Into<FeatureContext<'a>>) -> Features {
        let clock = context.into().at_least(self.last_seen);
        let observed = self.first_seen.map_or(0.0, |first| clock.months_since(first));
        let (stated, months) = match self.stated.as_deref() {
            Some(stated) => (*stated, observed + 1.0),
            None => (StatedFeatures::default(), observed.max(1.0)),
        };
        let active_days =
            self.first_seen.zip(self.last_seen).map_or(0.0, |(first, last)| last.days_since(first));
        let active = Activity {
            months: active_days / DAYS_PER_MONTH,
            purchases: f64::from(self.count(EventKind::Purchase)),
            browsing_minutes: self.dwell_ms as f64 / 60_000.0,
            searches: f64::from(self.count(EventKind::Search)),
        };
        Features {
            purchases_per_month: (stated.purchases_per_month + active.purchases) / months,
            browsing_minutes_per_month: (stated.browsing_minutes_per_month + active.browsing_minutes)
                / months,
            searches_per_month: (stated.searches_per_month + active.searches) / months,
            recency_days: self.last_purchase.map(|last| clock.now().days_since(last).max(0.0)),
            monetary: self.money.total(clock.money()),
            // What is stated is a rate already.
            active: self.stated.is_none().then_some(active),
        }
    }

    /// Shares of interest by top-level category, summing to 1, best first, ties by id. Interest halves every
    /// [`AFFINITY_HALF_LIFE_DAYS`]; a category nearly forgotten at `now` (or, if earlier, when the user was last
    /// here: absence alone forgets nothing) is left out. Empty without events.
    pub fn affinities(&self, now: Timestamp) -> Vec<(CategoryId, f32)> {
        self.affinities.shares(self.last_seen.map_or(now, |last| last.min(now)))
    }

    /// Most recent distinct items, newest first, at most [`MAX_RECENT`].
    pub fn recent(&self) -> &[RecentItem] {
        &self.recent
    }

    /// Items that the user ever had to do with, by id: the first 2,000 of them.
    pub fn known(&self) -> &[ItemId] {
        &self.known
    }

    /// Items in the cart, oldest first, at most 64.
    pub fn in_cart(&self) -> &[ItemId] {
        &self.cart
    }

    /// Returns whether it was ever bought (also when sent back later), by the word of the shop or the user's own.
    pub fn has_bought(&self, item: ItemId) -> bool {
        self.bought_item(item).is_some()
    }

    /// Moment of the last purchase and number of purchases of an item; `None` for one that never was bought.
    pub fn bought_item(&self, item: ItemId) -> Option<&Bought> {
        let place = self.bought.binary_search_by_key(&item, |bought| bought.item).ok()?;
        self.bought.get(place)
    }

    /// Items ever bought, by id.
    pub fn bought(&self) -> &[Bought] {
        &self.bought
    }

    /// Returns whether it was bought, or is among the recent items.
    pub fn has_seen(&self, item: ItemId) -> bool {
        self.has_bought(item) || self.recent.iter().any(|known| known.item == item)
    }

    /// Time of the user's first event.
    pub fn first_seen(&self) -> Option<Timestamp> {
        self.first_seen
    }

    /// Time of the user's latest event.
    pub fn last_seen(&self) -> Option<Timestamp> {
        self.last_seen
    }

    /// Time of the user's last purchase.
    pub fn last_purchase(&self) -> Option<Timestamp> {
        self.last_purchase
    }

    /// Money of purchases minus that of returns, by currency.
    pub fn money(&self) -> &Amounts {
        &self.money
    }

    /// Number of events of all kinds.
    pub fn events(&self) -> u32 {
        let own = self.own_counts.iter().map(|(_, count)| count);
        self.counts.iter().chain(own).fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Number of events of one kind.
    pub fn count(&self, kind: EventKind) -> u32 {
        match kind {
            EventKind::Own(own) => {
                self.own_counts().find(|(known, _)| known.code() == own.code()).map_or(0, |(_, count)| count)
            }
            _ => self.counts.get(kind.code() as usize - 1).copied().unwrap_or(0),
        }
    }

    /// Kinds of the shop's own with their numbers of events, in the order of their codes.
    pub fn own_counts(&self) -> impl Iterator<Item = (EventKind, u32)> {
        self.own_counts.iter().copied()
    }

    /// Bytes on the heap and in place, for the memory budget.
    pub fn memory(&self) -> usize {
        size_of::<Self>()
            + self.recent.capacity() * size_of::<RecentItem>()
            + (self.cart.capacity() + self.known.capacity()) * size_of::<ItemId>()
            + self.bought.capacity() * size_of::<Bought>()
            + self.affinities.memory()
            + self.stated.as_ref().map_or(0, |_| size_of::<StatedFeatures>())
            + self.money.memory()
            + self.own_counts.capacity() * size_of::<(EventKind, u32)>()
    }
}

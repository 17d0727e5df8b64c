//! Triggers set off by events, catalogue changes and returns, and whether each still holds when its message is about to be sent.

use super::behaviour::Views;
use super::change::Change;
use super::condition::Condition;
use super::once::FiredOnce;
use super::{Trigger, Triggers, price_drop};
use crate::notify::policy::Precondition;
use tidings_core::base::{ItemId, Millis, Timestamp};
use tidings_core::catalogue::Catalogue;
use tidings_core::event::{Event, EventKind};
use tidings_core::profile::{Attributes, FeatureContext, Profile, SegmentId};

/// Returns whether the user has shown interest in the very item and not bought it.
fn wants(profile: &Profile, item: ItemId) -> bool {
    !profile.has_bought(item)
        && (profile.in_cart().contains(&item) || profile.recent().iter().any(|recent| recent.item == item))
}

impl Triggers {
    /// Triggers that an event of the user sets off at once, most urgent first.
    pub fn of_event(&self, event: &Event, views: &Views, now: Timestamp) -> Vec<Trigger> {
        let Some(item) = event.item else { return Vec::new() };
        self.iter()
            .filter(|definition| match (&definition.when, event.kind) {
                (Condition::View, EventKind::View) | (Condition::Cart, EventKind::AddToCart) => true,
                (Condition::ViewedOften { times, within_min }, EventKind::View) => {
                    let looks = views.count(item, Millis(within_min * 60_000), now);
                    // Exactly then, not at each look after it.
                    looks == *times as usize
                }
                _ => false,
            })
            .map(|definition| Trigger::of(definition, Some(item)))
            .collect()
    }

    /// Triggers that an event of the user will set off later unless something comes between: trigger and delay.
    pub fn after_event(&self, event: &Event) -> Vec<(Trigger, Millis)> {
        let (EventKind::AddToCart, Some(item)) = (event.kind, event.item) else { return Vec::new() };
        self.iter()
            .filter_map(|definition| match definition.when {
                Condition::CartLeft { minutes } => {
                    Some((Trigger::of(definition, Some(item)), Millis(minutes * 60_000)))
                }
                _ => None,
            })
            .collect()
    }

    /// Triggers that a change of the catalogue sets off for this user.
    pub fn of_change(
        &self,
        change: Change,
        profile: &Profile,
        catalogue: &Catalogue,
        now: Timestamp,
    ) -> Vec<Trigger> {
        let item = change.item();
        self.iter()
            .filter(|definition| match (&definition.when, change) {
                (Condition::PriceDrop { .. }, Change::Cheaper { .. }) => wants(profile, item),
                (Condition::BackInStock, Change::BackInStock(_)) => wants(profile, item),
                (Condition::NewInCategory { share }, Change::New(_)) => {
                    catalogue.category_of(item).is_some_and(|category| {
                        profile
                            .affinities(now)
                            .iter()
                            .any(|(known, of)| *known == category && f64::from(*of) >= *share)
                    })
                }
                _ => false,
            })
            .filter_map(|definition| {
                let trigger = Trigger::of(definition, Some(item));
                match (&definition.when, change) {
                    (Condition::PriceDrop { percent }, Change::Cheaper { after, .. }) => {
                        let before = price_drop::for_user(*percent, (item, after), profile, catalogue, now)?;
                        Some(Trigger { price_before: Some(before), ..trigger })
                    }
                    _ => Some(trigger),
                }
            })
            .collect()
    }

    /// Triggers that being seen again after an absence sets off: once an absence, whichever of several win-backs has told it.
    /// `last_here` is the latest event or open connection before this one; `None` for a newcomer, who was never away.
    pub fn of_return(
        &self,
        last_here: Option<Timestamp>,
        fired: &FiredOnce,
        now: Timestamp,
    ) -> Option<Trigger> {
        let last_here = last_here?;
        if self.iter().any(|definition| definition.fired_in_absence(last_here, fired)) {
            return None;
        }
        let away = now.days_since(last_here);
        self.iter()
            .find(|definition| match definition.when {
                Condition::WinBack { days } => away >= f64::from(days),
                _ => false,
            })
            .map(|definition| Trigger::of(definition, None))
    }

    /// Rules about segment, features and attributes that the user meets and that have not gone off for this user yet.
    pub fn of_segment<'a>(
        &self,
        profile: &Profile,
        segment: Option<SegmentId>,
        attributes: &Attributes,
        fired: &FiredOnce,
        clock: impl Into<FeatureContext<'a>>,
    ) -> Vec<Trigger> {
        let clock = clock.into();
        self.iter()
            .filter(|definition| match &definition.when {
                Condition::Segment { rule } => {
                    fired.at(&definition.name).is_none() && rule.holds(profile, segment, attributes, clock)
                }
                _ => false,
            })
            .map(|definition| Trigger::of(definition, None))
            .collect()
    }
}

impl Trigger {
    /// Returns whether what it says still holds. Asked at the moment of sending, so also after hours of waiting. `last_connected` is
    /// when the user last had a connection before the visit that is greeted; `clock` is that of the user's features.
    #[expect(clippy::too_many_arguments, reason = "all that a condition may ask about")]
    pub fn truth<'a>(
        &self,
        profile: &Profile,
        segment: Option<SegmentId>,
        attributes: &Attributes,
        last_connected: Option<Timestamp>,
        catalogue: &Catalogue,
        now: Timestamp,
        clock: impl Into<FeatureContext<'a>>,
    ) -> Precondition {
        if let Condition::Segment { rule } = &self.definition.when
            && !rule.holds(profile, segment, attributes, clock)
        {
            return Precondition::NotMet;
        }
        if let Condition::WinBack { days } = self.definition.when
            && profile
                .last_seen()
                .max(last_connected)
                .is_none_or(|last| now.days_since(last) < f64::from(days))
        {
            return Precondition::CameBack;
        }
        // What the shop says of an order stays true whether the item was bought (it was), is sold out or has left the catalogue.
        if !self.is_about_item() || self.is_said_by_shop() {
            return Precondition::Holds;
        }
        // One that only events have named is nothing to tell of.
        let item =
            self.item.and_then(|item| catalogue.get(item)).filter(|item| catalogue.is_recommendable(item));
        let Some(item) = item else { return Precondition::Gone };
        if profile.has_bought(item.id) && !item.consumable {
            return Precondition::AlreadyBought;
        }
        if !item.in_stock() {
            return Precondition::SoldOut;
        }
        match self.definition.when {
            Condition::CartLeft { .. } if !profile.in_cart().contains(&item.id) => {
                if profile.has_bought(item.id) { Precondition::AlreadyBought } else { Precondition::LeftCart }
            }
            Condition::PriceDrop { percent } => {
                price_drop::truth(percent, self.price_before, item.id, profile, catalogue, now)
            }
            _ => Precondition::Holds,
        }
    }
}

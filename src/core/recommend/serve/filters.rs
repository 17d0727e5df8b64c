//! Filters: items that must not be shown, whatever their score.

use crate::base::ItemId;
use crate::catalogue::Item;
use crate::profile::Profile;
use crate::recommend::models::repurchase::Repeat;

use super::request::Request;

/// Whether this item may be shown. False when it has left the catalogue or the catalogue says too little of it
/// ([`Catalogue::is_recommendable`](crate::catalogue::Catalogue::is_recommendable)), is out of stock, was already bought (unless it is
/// consumed and due), lies in the cart, is the item being looked at, was excluded by the caller, is in a blocked category or out
/// of the price range.
pub fn allowed(item: ItemId, request: &Request<'_>, repeat: &Repeat) -> bool {
    let Some(details) = request.catalogue.get(item) else { return false };
    details.in_stock()
        && request.catalogue.is_recommendable(details)
        && request.seed != Some(item)
        && !request.exclude.contains(&item)
        && is_sold(details, request)
        && request
            .profile
            .bought_item(item)
            .is_none_or(|bought| repeat.is_due(bought, details.consumable, request.now))
        && !in_cart(request.profile, item)
}

/// Among the user's recent items, so that showing it tells them nothing new? What is consumed is news as soon as it is due.
pub fn just_seen(item: ItemId, request: &Request<'_>, repeat: &Repeat) -> bool {
    request.profile.recent().iter().any(|known| known.item == item)
        && request.catalogue.get(item).is_some_and(|details| {
            let bought = request.profile.bought_item(item);
            let due = bought.is_some_and(|bought| repeat.is_due(bought, details.consumable, request.now));
            !details.consumable && !due
        })
}

/// In a category and at a price that may be recommended?
fn is_sold(item: &Item, request: &Request<'_>) -> bool {
    let settings = request.settings;
    let blocked = item.category.first().is_some_and(|top| settings.blocked_categories.contains(top));
    let price = item.price.filter(|price| price.is_finite());
    let above = price.is_none_or(|price| price >= settings.min_price);
    let below = settings.max_price <= 0.0 || price.is_none_or(|price| price <= settings.max_price);
    !blocked && above && below
}

fn in_cart(profile: &Profile, item: ItemId) -> bool {
    profile.in_cart().contains(&item)
}

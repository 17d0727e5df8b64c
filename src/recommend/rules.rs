//! What must not be shown, whatever its score.

use crate::base::ItemId;
use crate::profile::Profile;

use super::Request;

/// May this item be shown? Not when it has left the catalogue, is out of stock, was already bought (unless
/// consumable), lies in the cart, is the item being looked at, or was excluded by the caller.
pub fn allowed(item: ItemId, request: &Request<'_>) -> bool {
    let Some(details) = request.catalogue.get(item) else { return false };
    details.in_stock()
        && request.seed != Some(item)
        && !request.exclude.contains(&item)
        && (details.consumable || !request.profile.has_bought(item))
        && !in_cart(request.profile, item)
}

/// Among the user's recent items, so that showing it tells them nothing new? Consumables are always news.
pub fn just_seen(item: ItemId, request: &Request<'_>) -> bool {
    request.profile.recent().iter().any(|known| known.item == item)
        && request.catalogue.get(item).is_some_and(|details| !details.consumable)
}

fn in_cart(profile: &Profile, item: ItemId) -> bool {
    profile.in_cart().contains(&item)
}

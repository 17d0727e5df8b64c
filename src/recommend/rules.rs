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

fn in_cart(profile: &Profile, item: ItemId) -> bool {
    profile.in_cart().contains(&item)
}

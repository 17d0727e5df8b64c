//! Outcomes of the lists of a placement: counts, and the shares with their intervals.

use serde::Serialize;

use super::outcomes::Share;

/// Counts of lists that were answered, of one placement or of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ListCounts {
    /// Lists answered.
    pub lists: u64,
    /// Items in them.
    pub items: u64,
    /// Lists of which at least one item was acted on by an event that names the list.
    pub clicked: u64,
    /// Lists of which an item was put into the cart.
    pub carted: u64,
    /// Lists after which such an item was bought within the attribution window.
    pub bought: u64,
}

impl ListCounts {
    /// Adds the counts of another placement.
    pub fn add(&mut self, other: &Self) {
        self.lists += other.lists;
        self.items += other.items;
        self.clicked += other.clicked;
        self.carted += other.carted;
        self.bought += other.bought;
    }

    /// The shares of the lists answered; without lists there are none.
    pub fn shares(&self) -> ListShares {
        ListShares {
            click_through: Share::of(self.clicked, self.lists),
            conversion: Share::of(self.bought, self.lists),
        }
    }
}

/// Shares of the lists that were answered.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ListShares {
    /// Clicked of answered.
    pub click_through: Option<Share>,
    /// Bought of answered.
    pub conversion: Option<Share>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_lists_and_of_no_lists_there_are_none() {
        assert_eq!(ListCounts::default().shares(), ListShares { click_through: None, conversion: None });
        let mut counts = ListCounts { lists: 150, items: 1_500, clicked: 20, carted: 5, bought: 1 };
        counts.add(&ListCounts { lists: 50, items: 100, clicked: 0, carted: 0, bought: 1 });
        let shares = counts.shares();
        assert_eq!((counts.items, shares.click_through.unwrap().value), (1_600, 0.1));
        assert_eq!(shares.conversion.unwrap().value, 0.01);
    }
}

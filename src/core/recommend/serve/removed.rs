//! Filters by name, and the number of items that each has taken out of a list.

use serde::{Serialize, Serializer};

/// Filters that keep an item out of a list, in the order in which they are looked at: each item is counted once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Without a title, where the catalogue has titles.
    Untold,
    /// Sold out.
    Stock,
    /// A blocked category or a price out of the range of the server's settings.
    Settings,
    /// The placement's own filter, or a rule of it that removes.
    Placement,
    /// Items named in the request.
    Items,
    /// Category named in the request.
    Category,
    /// Currency of the price.
    Currency,
    /// Range of prices.
    Price,
    /// Days since the item came.
    Age,
    /// Tags.
    Tags,
    /// Attributes.
    Attributes,
    /// Named by the request as not wanted.
    Excluded,
    /// The item that the list stands beside, and those of the cart that the request names.
    Context,
    /// Dismissed by the user a while ago.
    Resting,
    /// Bought, and not due again.
    Bought,
    /// Muted by the user.
    Muted,
    /// In the user's cart.
    InCart,
}

impl Filter {
    /// Every filter, in order.
    pub const ALL: [Self; 17] = [
        Self::Untold,
        Self::Stock,
        Self::Settings,
        Self::Placement,
        Self::Items,
        Self::Category,
        Self::Currency,
        Self::Price,
        Self::Age,
        Self::Tags,
        Self::Attributes,
        Self::Excluded,
        Self::Context,
        Self::Resting,
        Self::Bought,
        Self::Muted,
        Self::InCart,
    ];

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Untold => "untitled",
            Self::Stock => "stock",
            Self::Settings => "settings",
            Self::Placement => "placement",
            Self::Items => "items",
            Self::Category => "category",
            Self::Currency => "currency",
            Self::Price => "price",
            Self::Age => "new_days",
            Self::Tags => "tags",
            Self::Attributes => "attributes",
            Self::Excluded => "exclude",
            Self::Context => "context",
            Self::Resting => "resting",
            Self::Bought => "bought",
            Self::Muted => "muted",
            Self::InCart => "in_cart",
        }
    }
}

/// Items taken out, by filter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed([u32; Filter::ALL.len()]);

impl Removed {
    /// Counts items.
    pub fn note(&mut self, filter: Filter, n: usize) {
        if let Some(count) = self.0.get_mut(filter as usize) {
            *count = count.saturating_add(u32::try_from(n).unwrap_or(u32::MAX));
        }
    }

    /// Items that a filter has taken out.
    pub fn by(&self, filter: Filter) -> u32 {
        self.0.get(filter as usize).copied().unwrap_or(0)
    }
}

/// By name, those that took something out.
impl Serialize for Removed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let counted = Filter::ALL.into_iter().filter(|filter| self.by(*filter) > 0);
        serializer.collect_map(counted.map(|filter| (filter.name(), self.by(filter))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_told_by_name_in_order() {
        let mut removed = Removed::default();
        removed.note(Filter::Muted, 1);
        removed.note(Filter::Category, 400);
        removed.note(Filter::Category, 12);
        assert_eq!(serde_json::to_string(&removed).unwrap(), r#"{"category":412,"muted":1}"#);
        assert!(Filter::ALL.iter().enumerate().all(|(place, filter)| *filter as usize == place));
    }
}

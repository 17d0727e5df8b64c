//! Columns that the kinds of behaviour add to the blend, by name.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One column: a feature of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct KindColumn {
    /// Number of the kind.
    pub kind: u8,
    /// The feature.
    pub of: KindFeature,
}

/// Feature that a kind adds. "Begun" are items that the user touched and that may be recommended.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum KindFeature {
    /// Cosine from items of this kind to items of the target kind, each older item weighing `decay` of the next newer one.
    Pair {
        /// 0…1.
        decay: f32,
    },
    /// EASE^R among items of the kind.
    Ease {
        /// 0…1.
        decay: f32,
    },
    /// Number of users by item.
    Popularity,
    /// [`KindFeature::Pair`] without decay as a share of the best begun item, begun items only.
    PairBegun,
    /// [`KindFeature::Popularity`] as a share of the most popular item, begun items only.
    PopularityBegun,
    /// 1 for begun items of the kind.
    Touched,
    /// Share of the user's acts of the kind that were on the begun item.
    Repeated,
    /// 1 / (1 + begun or bought items of the kind touched later).
    Recency,
    /// 1 / (1 + hours from the last touch to the user's newest act).
    Age,
    /// Share of the users who touched the begun item and bought it, smoothed.
    Conversion,
    /// Share of the items touched by the user and bought, smoothed; of begun items.
    UserConversion,
    /// 1 / number of items of the kind that the user touched and did not buy; of begun items.
    Dilution,
}

impl KindFeature {
    /// Returns whether it is made of weights from items of its kind to those of the target kind.
    pub(super) fn is_of_pairs(self) -> bool {
        matches!(self, Self::Pair { .. } | Self::PairBegun)
    }

    /// Returns whether it is made of what users bought after they touched it.
    pub(super) fn is_of_outcomes(self) -> bool {
        matches!(self, Self::Conversion | Self::UserConversion | Self::Dilution)
    }

    /// Returns whether only begun items have a value: 0…1, on one scale for all users.
    pub fn is_of_begun(self) -> bool {
        !matches!(self, Self::Pair { .. } | Self::Ease { .. } | Self::Popularity)
    }
}

impl fmt::Display for KindColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind;
        match self.of {
            KindFeature::Pair { decay } => write!(f, "kind{kind}_pair·{decay}"),
            KindFeature::Ease { decay } => write!(f, "kind{kind}_ease·{decay}"),
            KindFeature::Popularity => write!(f, "kind{kind}_popularity"),
            KindFeature::PairBegun => write!(f, "kind{kind}_pair_begun"),
            KindFeature::PopularityBegun => write!(f, "kind{kind}_popularity_begun"),
            KindFeature::Touched => write!(f, "kind{kind}_touched"),
            KindFeature::Repeated => write!(f, "kind{kind}_repeated"),
            KindFeature::Recency => write!(f, "kind{kind}_recency"),
            KindFeature::Age => write!(f, "kind{kind}_age"),
            KindFeature::Conversion => write!(f, "kind{kind}_conversion"),
            KindFeature::UserConversion => write!(f, "kind{kind}_user_conversion"),
            KindFeature::Dilution => write!(f, "kind{kind}_dilution"),
        }
    }
}

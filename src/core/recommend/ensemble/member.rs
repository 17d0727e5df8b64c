//! The members of the blend, by name.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::kinds::column::KindColumn;

/// Pair model of a member: the weights of an item of the history for another item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PairModel {
    /// Item-to-item cosine.
    ItemKnn,
    /// EASE^R, the n-th of the chosen penalties.
    Ease(u8),
    /// Transitions within at most this many steps.
    Sequence(u8),
}

/// One column of scores.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum BaseModel {
    /// A pair model over a history in which each older item weighs `decay` of the next newer one.
    Pair {
        /// Pair model that supplies the weights.
        model: PairModel,
        /// 0…1.
        decay: f32,
    },
    /// Implicit ALS, the n-th of the chosen ones.
    Als(u8),
    /// Number of users by item.
    Popularity,
    /// The same, halving in so many days before the newest interaction of all.
    Trend(f32),
    /// The same, halving before the user's own newest interaction: what sold when they were last here.
    Season(f32),
    /// A column that the caller brings along.
    SideFeature(SideFeature),
    /// A feature of one kind of behaviour, which the caller brings along.
    Kind(KindColumn),
}

impl BaseModel {
    /// Returns whether only begun items have a value, which comes with them ([`Begun`](super::Begun)). Such members follow all others.
    pub fn is_of_begun(&self) -> bool {
        matches!(self, Self::Kind(column) if column.of.is_of_begun())
    }
}

/// Side feature of items: scores from sources other than histories.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SideFeature {
    /// Likeness to what the history holds: also of items nobody has touched yet.
    Content,
    /// Interest of everybody, halving with age.
    Popular,
    /// The same in the categories the user likes.
    Category,
    /// The same among users who behave alike.
    Segment,
    /// Likeness to what the history holds, by the embeddings that the shop brings along: also of items nobody has touched yet.
    Embedding,
}

impl SideFeature {
    /// In the order of their columns.
    pub const ALL: [Self; 5] = [Self::Content, Self::Popular, Self::Category, Self::Segment, Self::Embedding];
}

impl BaseModel {
    /// Returns whether callers bring its column along.
    pub fn is_brought(&self) -> bool {
        matches!(self, Self::SideFeature(_) | Self::Kind(_))
    }

    /// Its pair model; `None` for one that has none.
    pub fn model(&self) -> Option<PairModel> {
        if let Self::Pair { model, .. } = self { Some(*model) } else { None }
    }
}

impl fmt::Display for BaseModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pair { model: PairModel::ItemKnn, decay } => write!(f, "item_knn·{decay}"),
            Self::Pair { model: PairModel::Ease(n), decay } => write!(f, "ease{n}·{decay}"),
            Self::Pair { model: PairModel::Sequence(steps), decay } => write!(f, "sequence{steps}·{decay}"),
            Self::Kind(column) => write!(f, "{column}"),
            Self::Als(n) => write!(f, "ials{n}"),
            Self::Popularity => write!(f, "popularity"),
            Self::Trend(days) => write!(f, "trend_{days}d"),
            Self::Season(days) => write!(f, "season_{days}d"),
            Self::SideFeature(SideFeature::Content) => write!(f, "content"),
            Self::SideFeature(SideFeature::Popular) => write!(f, "popular"),
            Self::SideFeature(SideFeature::Category) => write!(f, "category"),
            Self::SideFeature(SideFeature::Segment) => write!(f, "segment"),
            Self::SideFeature(SideFeature::Embedding) => write!(f, "embedding"),
        }
    }
}

//! The stages of a training and the callback that hears them.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

/// The stages of a training job, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Events are read from the database.
    Read,
    /// They are cleaned.
    Clean,
    /// Held-out data is predicted, weights are chosen.
    Evaluate,
    /// Users' features.
    Profiles,
    /// Users' segments.
    Segments,
    /// Popularity of items.
    Popularity,
    /// Item-to-item similarity.
    ItemKnn,
    /// Next clicks and repeat purchases.
    Sessions,
    /// The members of the blend.
    Ensemble,
    /// Association rules: items bought together.
    Rules,
    /// Content index.
    Content,
    /// Responses to messages.
    #[serde(rename = "propensity")]
    Responses,
    /// The model is stored.
    Save,
}

impl Stage {
    /// For jobs and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Clean => "clean",
            Self::Evaluate => "evaluate",
            Self::Profiles => "profiles",
            Self::Segments => "segments",
            Self::Popularity => "popularity",
            Self::ItemKnn => "item_knn",
            Self::Sessions => "sessions",
            Self::Ensemble => "ensemble",
            Self::Rules => "rules",
            Self::Content => "content",
            Self::Responses => "propensity",
            Self::Save => "save",
        }
    }
}

/// Hears the stage and how much of it is done, 0…1; `Break` cancels the training.
pub type Progress<'a> = dyn FnMut(Stage, f32) -> ControlFlow<()> + 'a;

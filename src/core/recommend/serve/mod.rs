//! Serving: from the models to the list that is shown. Scores for one user ([`user_scores`]) or beside one item, candidates and their
//! order, filters ([`filters`]) by what a list is asked for ([`selection`]) and where it stands ([`placement`]), diversity,
//! exploration, and the [`reason`] of each item.
//!
//! A [`ModelSet`](model_set::ModelSet) holds the models; [`live`] adds the events since they were trained.

mod arrange;
mod artefact;
mod blend;
mod contenders;
mod context;
mod diversity;
mod embedded;
mod explain;
mod exploration;
#[cfg(test)]
mod explore_tests;
mod field;
mod fill;
pub mod filters;
mod give_away;
mod item_context;
pub mod item_filter;
#[cfg(test)]
mod list_tests;
pub mod live;
pub mod model_set;
mod opening;
mod person;
pub mod placement;
mod rank;
mod ranked;
pub mod reason;
pub mod removed;
pub mod request;
pub mod returning;
pub mod selection;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod truth_tests;
#[cfg(test)]
mod universe_tests;
pub mod user_scores;

pub use artefact::{Artefact, ArtefactError};

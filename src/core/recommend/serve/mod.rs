//! Serving: from the models to the list that is shown. Scores for one user ([`user_scores`]) or beside one item, candidates and their
//! order, diversity, exploration, filters ([`filters`]) and the [`reason`] of each item.
//!
//! A [`ModelSet`](model_set::ModelSet) holds the models; [`live`] adds the events since they were trained.

mod artefact;
mod diversity;
mod explain;
mod exploration;
pub mod filters;
mod item_context;
pub mod live;
pub mod model_set;
mod rank;
mod ranked;
pub mod reason;
pub mod request;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod truth_tests;
pub mod user_scores;

pub use artefact::ArtefactError;

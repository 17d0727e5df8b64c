//! Serving: from the models to the list that is shown. Scores for one user ([`personal`]) or beside one item, candidates and their
//! order, diversity, exploration, filters ([`rules`]) and the [`reason`] of each item.
//!
//! A [`ModelSet`](model_set::ModelSet) holds the models; [`live`] adds the events since they were trained.

mod answer;
mod artefact;
mod diversity;
mod explain;
mod exploration;
pub mod live;
pub mod model_set;
pub mod personal;
mod ranked;
pub mod reason;
pub mod request;
pub mod rules;
mod seed;
#[cfg(test)]
mod tests;

pub use artefact::ArtefactError;

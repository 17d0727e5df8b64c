//! Uplift: whom a treatment helps, learned from a log of treated and untreated rows ([`TreatmentLog`]). Out come the average
//! effect, and for each [`Learner`] the Qini curve of its ranking and the value of treating whom it expects to be helped, each
//! with its interval; or a [`Refusal`] where the log can't tell.
//!
//! Everything is measured on rows whose user no model had seen, by doubly robust scores (Robins, Rotnitzky & Zhao 1994): right
//! where either the probabilities of treatment or the outcome models are. Künzel et al. 2019; Kennedy 2023; Yadlowsky et al. 2021.

#[cfg(test)]
pub(crate) mod fixture;
mod learners;
mod measure;
mod messages;
mod nuisance;
mod qini;
mod refusal;
#[cfg(test)]
mod tests;
mod treatments;

pub use learners::Learner;
pub use measure::{Decile, LearnedPolicy, LearnerReport, Options, Report, measure};
pub(super) use messages::MessageUplift;
pub use messages::{CoinDecision, UpliftReport};
pub use nuisance::CLIP;
pub use qini::{Point, qini_coefficient};
pub use refusal::{Refusal, Undecided};
pub use treatments::{MAX_FOLDS, MIN_FOLDS, TreatmentLog, UpliftError};

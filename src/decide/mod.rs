//! What a decision about a user reads beside the user: active definitions and the models that experiments name.

pub mod definitions;
pub mod experiment;

pub use definitions::Definitions;
pub use experiment::ExperimentModels;

//! From events and a catalogue to a [`ModelSet`](super::ModelSet), stage by stage, cancellable between any two short pieces of work.

pub mod baseline;
pub mod data;
pub mod error;
pub mod parameters;
pub mod pipeline;
pub mod stage;

pub use data::{TrainingData, Users};
pub use error::TrainError;
pub use parameters::TrainingParameters;
pub use pipeline::{Inputs, Trained, ground, kinds, rows, train, train_in, train_responses};
pub use stage::{Progress, Stage};

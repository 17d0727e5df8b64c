//! Readings over several tables, for pages and for training: what came of messages, arms of experiments, one user's story.

pub mod call_progress;
pub mod conversions;
pub mod experiments;
pub mod export;
pub mod limits;
pub mod new_conversions;
pub mod outcomes;
pub mod personal_data;
pub mod placements;
pub mod response_examples;
pub mod timeline;

//! Evaluation of recommenders: splits and ranking metrics over ranked lists.
//!
//! [`train_and_evaluate`] is what the server calls: hold out the latest part of time, train on the rest, choose the
//! blend on some users, measure on others, then train on everything. [`files`] measures on plain tables.

pub mod agreement;
mod algorithm;
pub mod auto;
mod backtest;
#[cfg(test)]
mod backtest_tests;
pub mod card;
mod chosen;
pub mod classification;
pub mod clicks;
pub mod cold;
pub mod encoding;
pub mod figures;
pub mod files;
pub mod gate;
mod kind_table;
mod logged_choice;
pub mod measure;
mod mix;
pub mod off_policy;
pub mod offline;
pub mod ranking;
pub mod response;
pub mod reward_model;
#[cfg(test)]
mod same_model_tests;
pub mod session_tuning;
pub mod sessions;
mod shown;
pub mod split;
mod tables;

pub use backtest::{Beside, Evaluated, held_out_users, train_against, train_and_evaluate};
pub use gate::{Gate, judge};

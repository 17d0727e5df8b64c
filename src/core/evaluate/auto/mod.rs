//! The best that can be learnt from a table of interactions: hyper-parameters of the models (`trials.rs`) and the weights of
//! their blend (`blend.rs`), learnt on held-out interactions, then everything fitted again on all of them.
//!
//! Goes in: histories without the held-out part, and for each of up to 4,000 users what was held out. What is chosen
//! of the blend is chosen by cross-validation over users, so nothing is judged on what it was learnt from, and the blend serves only
//! where it beats its best member there. All budgets are counts of work: no clock decides.

mod blend;
mod columns;
mod from_tables;
mod held_out;
mod known;
mod search;
mod trials;
mod tuning;

pub use blend::{Asked, Blending, Learnt, SearchSpace, Shape};
pub use from_tables::{Chosen, choose, rank};

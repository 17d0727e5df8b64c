//! The best that can be learnt from interactions: hyper-parameters of the models (`trials.rs`) and the weights of
//! their blend (`blend.rs`), learnt on held-out interactions, then everything fitted again on all of them. One [`Trial`] for the
//! tables of a file and the events of a server, which differ in their [`Source`] and their [`Budget`].
//!
//! Goes in: histories without the held-out part, and for each of up to 4,000 users what was held out. What is chosen
//! of the blend is chosen by cross-validation over users, so nothing is judged on what it was learnt from, and the blend serves only
//! where it beats its best member there. All budgets are counts of work: no clock decides.

mod blend;
mod budget;
mod columns;
mod from_tables;
mod held_out;
mod known;
mod search;
mod trials;
mod tuning;

pub use blend::{Asked, Blending, Learnt, SearchSpace, Shape};
pub use budget::Budget;
pub use from_tables::{Chosen, choose, rank};
pub use held_out::HeldOut;
pub use known::{Kinds, Known, Rows, Source};
pub use tuning::{Trial, Tuned};

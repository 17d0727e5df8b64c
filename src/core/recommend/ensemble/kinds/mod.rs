//! Kinds of behaviour in the blend: pair models from items of one kind (view, cart, …) to items of the kind that is to be
//! predicted, and features of what a user touched and did not buy (the continue list). Each is a column whose weight is learnt
//! with the others, so no kind has a weight set by hand.

mod act;
pub(super) mod column;
mod cross;
mod event_kinds;
mod models;
mod numbers;

pub use act::{Act, TARGET, masked_items, merged};
pub use column::{KindColumn, KindFeature};
pub use event_kinds::EventKinds;
pub use models::{KindInputs, KindModels, UserColumns};
pub use numbers::KindNumbers;

#[cfg(test)]
mod tests;

//! Recommenders over the interaction matrix or the catalogue, one a file. Each scores items for a history or beside an item.
//!
//! [`interactions`] builds the matrix from events; [`item_weights`] stores the weights kept by the pair models.

pub mod association_rules;
pub mod content_based;
pub mod content_comparison;
mod content_index;
mod content_terms;
pub mod ease;
pub mod frequent_itemsets;
pub mod implicit_als;
pub mod interactions;
pub mod item_knn;
pub mod item_set;
pub mod item_weights;
pub mod local_ridge;
pub mod popularity;
pub mod purchase_baskets;
mod quantized;
pub mod repurchase;
pub mod ridge;
pub mod text;
pub(crate) mod top;
pub(crate) mod transpose;

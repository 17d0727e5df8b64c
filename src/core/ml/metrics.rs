//! Measured values of a model, by name.

use std::collections::BTreeMap;

/// Measures by name, e.g. `ndcg@10` (0…1), `users` (count), `item_knn.ndcg@10` (one model alone).
pub type Metrics = BTreeMap<String, f64>;

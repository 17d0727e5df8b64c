//! Layouts of other systems by name: one of their records becomes rows of our fields, none to many. Pure and record by record, so
//! that a file and a stream are read alike; times, numbers and ids are read by [`RecordReader`](crate::RecordReader) as everywhere.

pub mod translated;

pub mod ga4;
pub mod rees46;
pub mod segment;
pub mod shopify;
pub mod woocommerce;

pub use translated::{Translated, Translation};

//! Tables of the database as diesel sees them. A crate of its own, so that what it generates is compiled when a table changes and not
//! when anything else does.

#[expect(missing_docs, reason = "generated from the database, whose columns have comments")]
mod schema;

pub use schema::*;

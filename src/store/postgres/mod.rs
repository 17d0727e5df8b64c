//! PostgreSQL itself: the pool and its sessions, migrations, statements as text, types and errors.

mod background;
pub(super) mod columns;
pub(super) mod convert;
pub(super) mod copy_in;
pub(super) mod copy_out;
pub(super) mod error;
pub mod link;
mod migrations;
mod pool;
mod priority;
pub(super) mod session;
pub(super) mod sql;
mod watch;
mod writer;

pub use error::StoreError;
pub use migrations::MIGRATIONS;
pub use pool::Store;
pub use priority::{process_stands_back, thread_stands_back};
pub(crate) use session::lock_until_commit;
pub use session::{Along, in_transaction, without_time_limit};
pub use writer::Writer;

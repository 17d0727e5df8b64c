//! Who may see and do what, and what never leaves the server.

pub mod report_token;
pub mod token;

pub use token::{Access, Role, TokenError};

//! Access rights, and the data that never leaves the server.

pub mod report_token;
pub mod token;
pub mod visitor;
pub mod webhook_secret;

pub use token::{Access, Role, TokenError};

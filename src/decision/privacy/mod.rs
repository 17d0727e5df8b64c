//! Access rights, and the data that never leaves the server.

mod access;
pub mod api_key;
pub mod audit;
mod claims;
pub mod encryption;
pub mod key;
pub mod mask;
pub mod oidc;
pub mod origin;
pub mod password;
mod permission;
pub mod pseudonym;
pub mod report_token;
pub mod revocation;
mod role;
pub mod scope;
pub mod sign_in;
pub mod token;
mod token_error;
pub mod visitor;
pub mod webhook_secret;

pub use access::Access;
pub use key::KeyRing;
pub use permission::Permission;
pub use revocation::{Revocations, Revoked};
pub use role::Role;
pub use scope::Scope;
pub use token::Verifier;
pub use token_error::TokenError;

//! The HTTP API: extract, authorise, one message or one query, respond. [`mod@routes`] is the table.

pub mod access;
pub mod admin;
pub mod assets;
pub mod body;
pub mod consent;
pub mod definitions;
pub mod error;
pub mod events;
pub mod experiments;
pub mod idempotency;
pub mod inbox;
pub mod items;
mod judged;
pub mod limits;
pub mod live;
pub mod merge_patch;
pub mod models;
pub mod notifications;
pub mod operate;
pub mod origin;
pub mod outcomes;
pub mod preferences;
pub mod preview;
pub mod routes;
pub mod rules;
pub mod scheduled;
pub mod set_off;
pub mod sse;
pub mod timeline;
pub mod users;
pub mod views;
pub mod webpush;
pub mod websocket;

pub use routes::routes;

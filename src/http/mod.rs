//! The HTTP API: extract, authorise, one message or one query, respond. [`mod@routes`] is the table.

pub mod admin;
pub mod assets;
pub mod auth;
pub mod body;
pub mod connections;
mod consent;
pub mod definitions;
pub mod dto;
pub mod error;
pub mod events;
pub mod experiments;
pub mod fire;
pub mod health;
pub mod idempotency;
pub mod inbox;
pub mod items;
pub mod limits;
pub mod live;
pub mod merge_patch;
pub mod models;
pub mod notifications;
mod off_policy;
pub mod origin;
pub mod outcomes;
pub mod preferences;
pub mod preview;
pub mod routes;
pub mod rules;
pub mod scheduled;
pub mod sse;
pub mod timeline;
pub mod users;
pub mod webpush;
pub mod websocket;

pub use routes::routes;

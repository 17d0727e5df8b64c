//! Integration tests: real PostgreSQL, real sockets, one binary.

// clippy takes only `#[test]` functions and what is under `cfg(test)` for tests.
#![cfg(test)]

mod helpers;

mod api;
mod broadcasts;
mod campaigns;
mod caps;
mod channel;
mod chaos;
mod client;
mod client_pages;
mod command_line;
mod dashboard;
mod dashboard_pages;
mod definitions;
mod demo_shop;
mod docs;
mod golden_lists;
mod idempotency;
mod import;
mod inbox;
mod inbox_element;
mod item_prices;
mod learning;
mod lease;
mod live;
mod model_arms;
mod models;
mod models_data;
mod models_golden;
mod models_online_retail;
mod models_sessions;
mod notifications;
mod off_policy;
mod offline_users;
mod once;
mod outcomes;
mod policy;
mod preferences;
mod proxies;
mod push;
mod registry;
mod reliability;
mod response;
mod results;
mod rules;
mod sockets;
mod sse;
mod store_background;
mod store_cluster;
mod store_events;
mod store_learning;
mod store_migrations;
mod store_statements;
mod stream;
mod templates;
mod topics;
mod training_worker;
mod transports;
mod transports_bounds;
mod triggers;
mod webpush;
mod webpush_services;
mod webpush_subscriptions;

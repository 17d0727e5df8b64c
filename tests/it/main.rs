//! Integration tests: real PostgreSQL, real sockets, one binary.

mod helpers;

mod api;
mod push;
mod reliability;
mod store_cluster;
mod store_events;
mod store_learning;
mod store_migrations;

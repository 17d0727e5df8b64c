//! Integration tests: real PostgreSQL, real sockets, one binary.

mod helpers;

mod push;
mod store_cluster;
mod store_events;
mod store_learning;
mod store_migrations;

//! Integration tests: real PostgreSQL, real sockets, one binary.

mod helpers;
mod models;
mod models_data;
mod models_golden;
mod models_online_retail;

//! What every integration test needs: a database of its own, a running server.

pub mod database;

//! Assembly: start-up, shutdown, command line, export.

pub mod cli;
pub mod commands;
pub mod database;
pub mod export;
mod listen;
mod master_keys;
pub mod middleware;
mod retention;
pub mod server;
mod tls;
mod upkeep;
mod usage;

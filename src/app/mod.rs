//! Assembly: start-up, shutdown, command line, import, demo.

pub mod cli;
pub mod commands;
pub mod database;
pub mod demo;
pub mod export;
pub mod import;
mod listen;
mod master_keys;
pub mod middleware;
mod retention;
pub mod server;
pub mod simulation;
mod tls;
mod upkeep;
mod usage;

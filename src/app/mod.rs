//! Assembly: start-up, shutdown, command line, import, demo.

pub mod cli;
pub mod commands;
pub mod database;
pub mod demo;
pub mod export;
pub mod import;
mod listen;
pub mod middleware;
mod retention;
pub mod server;
pub mod simulation;
mod upkeep;
mod usage;

//! What every integration test needs: a database of its own, a running server.

pub mod attack;
pub mod broken_line;
pub mod browser;
pub mod client;
pub mod clock;
pub mod command;
pub mod database;
pub mod described;
pub mod engines;
pub mod event_stream;
pub mod http;
pub mod issuer;
pub mod json_schema;
pub mod kafka;
pub mod line;
pub mod mariadb;
pub mod markdown;
pub mod people;
pub mod puller;
pub mod push_service;
pub mod server;
pub mod shop;
pub mod site;
pub mod tls;
pub mod tokens;
pub mod workbook;

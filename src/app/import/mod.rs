//! `tidings import`: files of other systems, read, cleaned and stored in bulk.

mod categories;
mod delimited;
mod fields;
mod input;
mod mapping;
mod movielens;
mod ndjson;
mod online_retail;
mod retailrocket;
mod row;
mod sink;
pub mod splits;
mod table;

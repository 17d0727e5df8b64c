//! `tidings import`: files of other systems, read, cleaned and stored in bulk.

mod categories;
mod fields;
mod input;
mod online_retail;
mod sink;
mod table;

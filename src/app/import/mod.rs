//! `tidings import`: files of other systems, read, cleaned and stored in bulk.

mod fields;
mod input;
mod sink;
mod table;

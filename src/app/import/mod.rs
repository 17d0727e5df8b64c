//! `tidings import`: files of other systems, read, cleaned and stored in bulk.

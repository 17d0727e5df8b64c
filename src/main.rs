//! The `tidings` command; everything is in the library.

fn main() {}

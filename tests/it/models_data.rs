//! Real data sets for tests of the models: from `TIDINGS_DATA`, else `../shared/data` beside the checkout. They are
//! not part of the project; without them such a test says so and does nothing.

use std::fs;
use std::io::Read;
use std::path::PathBuf;

/// Where the data is, if there is any.
pub fn folder() -> PathBuf {
    std::env::var_os("TIDINGS_DATA")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from)
}

/// A file of the data folder; `None` when it is not there.
pub fn path(name: &str) -> Option<PathBuf> {
    Some(folder().join(name)).filter(|path| path.exists())
}

/// The text of a file of the data folder, unpacked if it ends in `.gz`; `None` when it is not there.
pub fn read(name: &str) -> Option<String> {
    let bytes = fs::read(path(name)?).ok()?;
    let mut text = String::new();
    if name.ends_with(".gz") {
        flate2::read::GzDecoder::new(bytes.as_slice()).read_to_string(&mut text).unwrap();
    } else {
        text = String::from_utf8(bytes).unwrap();
    }
    Some(text)
}

/// Says that a part of a test was left out.
pub fn absent(what: &str) {
    println!("left out: {what} is not in the data folder (TIDINGS_DATA)");
}

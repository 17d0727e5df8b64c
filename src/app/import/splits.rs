//! Files for evaluation: `user,item,ts` as CSV, and sessions `SessionId ItemId Time` between tabs; plain or gzip.

use std::path::Path;

use anyhow::{Context, bail};

use super::input::{BytesRead, open};
use super::table::Table;

/// Who, what, and when in Unix seconds, as the file has them.
pub type SplitRow = (String, String, i64);

/// Rows of a split in file order. The header names its columns `user`, `item`, `ts`.
pub fn interactions(path: &Path) -> anyhow::Result<Vec<SplitRow>> {
    read(path, b',', ["user", "item", "ts"])
}

/// Clicks of sessions in file order; fractions of a second are cut off, so that the order of the file decides within
/// one. The header names its columns `SessionId`, `ItemId`, `Time`.
pub fn sessions(path: &Path) -> anyhow::Result<Vec<SplitRow>> {
    read(path, b'\t', ["SessionId", "ItemId", "Time"])
}

fn read(path: &Path, delimiter: u8, names: [&str; 3]) -> anyhow::Result<Vec<SplitRow>> {
    let mut table = Table::open(open(path, &BytesRead::default())?, delimiter)?;
    let [Some(user), Some(item), Some(time)] = names.map(|name| table.column(&[name])) else {
        bail!(
            "{}: expected the columns {} but found {}",
            path.display(),
            names.join(", "),
            table.header().join(", ")
        );
    };
    let mut rows = Vec::new();
    while let Some(line) = table.next_row()? {
        let seconds: f64 = table.field(time).trim().parse().with_context(|| {
            format!("{}, line {line}: not a number of seconds: {:?}", path.display(), table.field(time))
        })?;
        rows.push((table.field(user).to_owned(), table.field(item).to_owned(), seconds as i64));
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_and_sessions_are_read_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let split = dir.path().join("test.csv");
        std::fs::write(&split, "user,item,ts\n18074,22424,1291197180\nann,85123A,1291197181\n").unwrap();
        assert_eq!(
            interactions(&split).unwrap(),
            [("18074".into(), "22424".into(), 1_291_197_180), ("ann".into(), "85123A".into(), 1_291_197_181)]
        );
        let clicks = dir.path().join("test.txt");
        std::fs::write(&clicks, "SessionId\tItemId\tTime\n1\t214536502\t1396860669.277\n").unwrap();
        assert_eq!(sessions(&clicks).unwrap(), [("1".into(), "214536502".into(), 1_396_860_669)]);
        assert!(interactions(&clicks).unwrap_err().to_string().contains("user, item, ts"));
        std::fs::write(&split, "user,item,ts\n1,2,x\n").unwrap();
        assert!(interactions(&split).unwrap_err().to_string().contains("line 2"));
    }
}

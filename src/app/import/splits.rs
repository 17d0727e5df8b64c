//! Files for evaluation: `user,item,ts` as CSV, and sessions `SessionId ItemId Time` between tabs; plain or gzip.

use std::path::Path;

use anyhow::bail;

use super::input::{BytesRead, open};
use super::table::Table;

/// Who, what, and when in Unix seconds, as the file has them.
pub type SplitRow = (String, String, i64);

/// Rows of a split in file order. The header names its columns `user`, `item`, `ts`.
pub fn interactions(path: &Path) -> anyhow::Result<Vec<SplitRow>> {
    let mut rows = Vec::new();
    read(path, b',', ["user", "item", "ts"], |user, item, seconds| {
        rows.push((user.to_owned(), item.to_owned(), seconds as i64));
    })?;
    Ok(rows)
}

/// Hears session, item and Unix seconds with fractions of each click, in file order. The header names its columns
/// `SessionId`, `ItemId`, `Time`, between tabs or commas.
pub fn sessions(path: &Path, row: impl FnMut(&str, &str, f64)) -> anyhow::Result<()> {
    let tabs = Table::open(open(path, &BytesRead::default())?, b'\t')?.header().len() > 1;
    read(path, if tabs { b'\t' } else { b',' }, ["SessionId", "ItemId", "Time"], row)
}

fn read(
    path: &Path,
    delimiter: u8,
    names: [&str; 3],
    mut row: impl FnMut(&str, &str, f64),
) -> anyhow::Result<()> {
    let mut table = Table::open(open(path, &BytesRead::default())?, delimiter)?;
    let [Some(user), Some(item), Some(time)] = names.map(|name| table.column(&[name])) else {
        bail!(
            "{}: expected the columns {} but found {}",
            path.display(),
            names.join(", "),
            table.header().join(", ")
        );
    };
    while let Some(line) = table.next_row()? {
        let seconds = table.field(time).trim();
        match seconds.parse::<f64>() {
            Ok(seconds) if seconds.is_finite() => row(table.field(user), table.field(item), seconds),
            _ => bail!("{}, line {line}: not a number of seconds: {seconds:?}", path.display()),
        }
    }
    Ok(())
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
        let read = |path: &Path| {
            let mut rows = Vec::new();
            sessions(path, |session, item, at| rows.push((session.to_owned(), item.to_owned(), at)))
                .map(|()| rows)
        };
        let expected = [("1".to_owned(), "214536502".to_owned(), 1_396_860_669.277)];
        assert_eq!(read(&clicks).unwrap(), expected);
        std::fs::write(&split, "SessionId,Time,ItemId\n1,1396860669.277,214536502\n").unwrap();
        assert_eq!(read(&split).unwrap(), expected);
        assert!(interactions(&clicks).unwrap_err().to_string().contains("user, item, ts"));
        std::fs::write(&split, "user,item,ts\n1,2,x\n").unwrap();
        assert!(interactions(&split).unwrap_err().to_string().contains("line 2"));
    }
}

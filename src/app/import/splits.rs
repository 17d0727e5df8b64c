//! Files for evaluation: `user,item,ts` as CSV, and sessions `SessionId ItemId Time` between tabs; plain or gzip.

use std::path::Path;

use anyhow::{Context, bail};

use super::container::open_text;
use super::table::Table;

/// Hears user, item and Unix seconds with fractions of each row of a split, in file order. The header names its columns
/// `user`, `item`, `ts`.
pub fn interactions(path: &Path, row: impl FnMut(&str, &str, f64)) -> anyhow::Result<()> {
    read(path, b',', ["user", "item", "ts"], row)
}

/// Hears session, item and Unix seconds with fractions of each click, in file order. The header names its columns
/// `SessionId`, `ItemId`, `Time`, between tabs or commas.
pub fn sessions(path: &Path, row: impl FnMut(&str, &str, f64)) -> anyhow::Result<()> {
    let tabs = Table::open(open_text(path)?, b'\t')?.header().len() > 1;
    read(path, if tabs { b'\t' } else { b',' }, ["SessionId", "ItemId", "Time"], row)
}

fn read(
    path: &Path,
    delimiter: u8,
    names: [&str; 3],
    mut row: impl FnMut(&str, &str, f64),
) -> anyhow::Result<()> {
    let mut table = Table::open(open_text(path)?, delimiter)?;
    let [Some(user), Some(item), Some(time)] = names.map(|name| table.column(&[name])) else {
        bail!(
            "{}: expected the columns {} but found {}",
            path.display(),
            names.join(", "),
            table.header().join(", ")
        );
    };
    while let Some(line) = table.next_row().with_context(|| format!("cannot read {}", path.display()))? {
        let at = || format!("{}, line {line}", path.display());
        let (who, what) = (table.field(user).trim(), table.field(item).trim());
        if who.is_empty() || what.is_empty() {
            bail!("{}: expected {} but a field is empty or missing", at(), names.join(", "));
        }
        let seconds = table.field(time).trim();
        match seconds.parse::<f64>() {
            Ok(seconds) if seconds.is_finite() => row(who, what, seconds),
            _ => bail!("{}: not a number of seconds: {seconds:?}", at()),
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
        let read = |text: &str| {
            std::fs::write(&split, text).unwrap();
            let mut rows = Vec::new();
            interactions(&split, |user, item, ts| rows.push(format!("{user} {item} {ts}"))).map(|()| rows)
        };
        let rows = read("user,item,ts\n18074,22424,1291197180\nann,85123A,1291197181.25\n").unwrap();
        assert_eq!(rows, ["18074 22424 1291197180", "ann 85123A 1291197181.25"]);
        let clicks = dir.path().join("test.txt");
        std::fs::write(&clicks, "SessionId\tItemId\tTime\n1\t214536502\t1396860669.277\n").unwrap();
        let of_sessions = |path: &Path| {
            let mut rows = Vec::new();
            sessions(path, |session, item, at| rows.push((session.to_owned(), item.to_owned(), at)))
                .map(|()| rows)
        };
        let expected = [("1".to_owned(), "214536502".to_owned(), 1_396_860_669.277)];
        assert_eq!(of_sessions(&clicks).unwrap(), expected);
        std::fs::write(&split, "SessionId,Time,ItemId\n1,1396860669.277,214536502\n").unwrap();
        assert_eq!(of_sessions(&split).unwrap(), expected);
        for (text, said) in [
            ("user,item,ts\n1,2,x\n", "line 2: not a number"),
            ("user,item,ts\n1,2,3\n1,2,nan\n", "line 3: not a number"),
            ("user,item,ts\n1,2\n", "line 2: not a number"),
            ("user,item,ts\n1,,3\n", "line 2: expected user, item, ts"),
            ("who,what\n1,2\n", "user, item, ts but found who, what"),
            ("", "user, item, ts"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(said) && error.contains("test.csv"), "{error}");
        }
    }
}

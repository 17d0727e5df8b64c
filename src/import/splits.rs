//! Files for evaluation: `user,item,ts` as CSV, and sessions `SessionId ItemId Time` between tabs; plain or gzip.

use std::path::Path;

use anyhow::{Context, bail};

use super::container::open_text;
use super::table::Table;
use tidings_core::evaluate::files::Row;

/// Hears each row of a split with its kind, in file order. The header names its columns `user`, `item`, `ts` and, needed if
/// `has_kinds`, `kind`; without that column all kinds are empty.
pub fn interactions(path: &Path, has_kinds: bool, mut row: impl FnMut(Row<'_>, &str)) -> anyhow::Result<()> {
    let kind = if has_kinds { Kind::Needed } else { Kind::Optional };
    read(path, b',', ["user", "item", "ts"], kind, |user, item, ts, kind| row(Row { user, item, ts }, kind))
}

/// Hears session, item and Unix seconds with fractions of each click, in file order. The header names its columns
/// `SessionId`, `ItemId`, `Time`, between tabs or commas.
pub fn sessions(path: &Path, mut row: impl FnMut(&str, &str, f64)) -> anyhow::Result<()> {
    let tabs = Table::open(open_text(path)?, b'\t')?.header().len() > 1;
    let names = ["SessionId", "ItemId", "Time"];
    read(path, if tabs { b'\t' } else { b',' }, names, Kind::Optional, |who, what, at, _| row(who, what, at))
}

/// The column of kinds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Needed,
    Optional,
}

fn read(
    path: &Path,
    delimiter: u8,
    names: [&str; 3],
    has_kind: Kind,
    mut row: impl FnMut(&str, &str, f64, &str),
) -> anyhow::Result<()> {
    let mut table = Table::open(open_text(path)?, delimiter)?;
    let kind = table.column(&["kind"]);
    if kind.is_none() && has_kind == Kind::Needed {
        let header = table.header().join(", ");
        bail!("{}: --target needs the column kind, but there are {header}", path.display());
    }
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
        let kind = kind.map_or("", |kind| table.field(kind).trim());
        if kind.is_empty() && has_kind == Kind::Needed {
            bail!("{}: expected a kind but the field is empty or missing", at());
        }
        let seconds = table.field(time).trim();
        match seconds.parse::<f64>() {
            Ok(seconds) if seconds.is_finite() => row(who, what, seconds, kind),
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
        let read = |kinds: bool, text: &str| {
            std::fs::write(&split, text).unwrap();
            let mut rows = Vec::new();
            let row = |Row { user, item, ts }: Row<'_>, kind: &str| {
                rows.push(format!("{user} {item} {ts} {kind}").trim_end().to_owned());
            };
            interactions(&split, kinds, row).map(|()| rows)
        };
        let rows = read(true, "user,item,ts,kind\na,b,1,view\na,c,2,purchase\n").unwrap();
        assert_eq!(rows, ["a b 1 view", "a c 2 purchase"]);
        let error = read(true, "user,item,ts\na,b,1\n").unwrap_err().to_string();
        assert!(error.contains("--target needs the column kind"), "{error}");
        let error = read(true, "user,item,ts,kind\na,b,1,\n").unwrap_err().to_string();
        assert!(error.contains("line 2: expected a kind"), "{error}");
        let rows = read(false, "user,item,ts\n18074,22424,1291197180\nann,85123A,1291197181.25\n").unwrap();
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
            let error = read(false, text).unwrap_err().to_string();
            assert!(error.contains(said) && error.contains("test.csv"), "{error}");
        }
    }
}

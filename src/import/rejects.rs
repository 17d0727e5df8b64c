//! The rejects file: every row that could not be read, with where it stood and what is wrong, as CSV
//! (`file,line,reason,row`). Made only when there is something to say.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::database;
use super::sink::Reject;
use super::text::printable;

/// Reasons told apart; whatever comes beyond is one.
const MAX_REASONS: usize = 50;

/// Rows that were not taken for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReasonCount {
    /// The reason, without the values of single rows.
    pub reason: String,
    /// Rows.
    pub count: u64,
    /// The first of them: file, line and what was wrong.
    pub first: String,
}

/// Rows that were not taken, counted by reason.
#[derive(Clone, Debug, Default)]
pub struct Reasons(BTreeMap<String, ReasonCount>);

impl Reasons {
    /// Counts one. A value behind `: "` belongs to its row, not to the reason.
    pub fn note(&mut self, file: &str, line: u64, reason: &str) {
        let kind = reason.split_once(": \"").map_or(reason, |(kind, _)| kind);
        let kind =
            if self.0.len() < MAX_REASONS || self.0.contains_key(kind) { kind } else { "other reasons" };
        if let Some(known) = self.0.get_mut(kind) {
            known.count += 1;
            return;
        }
        let place = if line > 0 { format!("line {line} of {file}") } else { file.to_owned() };
        let first = printable(&format!("{place}: {reason}"));
        self.0.insert(kind.to_owned(), ReasonCount { reason: printable(kind), count: 1, first });
    }

    /// All, the most frequent first.
    pub fn finish(self) -> Vec<ReasonCount> {
        let mut reasons: Vec<ReasonCount> = self.0.into_values().collect();
        reasons.sort_by_key(|reason| std::cmp::Reverse(reason.count));
        reasons
    }
}

/// Writes rejects, lazily; without a path it only counts them.
pub struct Rejects {
    path: Option<PathBuf>,
    writer: Option<csv::Writer<File>>,
    count: u64,
}

impl Rejects {
    /// Nothing is touched before the first reject.
    pub fn new(path: Option<PathBuf>) -> Self {
        Self { path, writer: None, count: 0 }
    }

    /// Adds rows; the first one makes the file, over one of an earlier run.
    pub fn write(&mut self, rejects: &[Reject]) -> anyhow::Result<()> {
        self.count += rejects.len() as u64;
        let Some(path) = self.path.as_ref().filter(|_| !rejects.is_empty()) else { return Ok(()) };
        let context = || format!("cannot write the rejects file {}", path.display());
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => {
                let mut writer = csv::Writer::from_path(path).with_context(context)?;
                writer.write_record(["file", "line", "reason", "row"]).with_context(context)?;
                none.insert(writer)
            }
        };
        for reject in rejects {
            let line = reject.line.to_string();
            writer.write_record([&*reject.file, &line, &reject.reason, &reject.raw]).with_context(context)?;
        }
        Ok(())
    }

    /// Number of rejected rows, and the file that holds them, if any.
    pub fn finish(mut self) -> anyhow::Result<(u64, Option<PathBuf>)> {
        let Some((writer, path)) = self.writer.as_mut().zip(self.path) else { return Ok((self.count, None)) };
        writer.flush().with_context(|| format!("cannot write the rejects file {}", path.display()))?;
        Ok((self.count, Some(path)))
    }
}

/// `<first file>.rejects.csv` in the current directory.
pub fn default_path(first: &Path) -> PathBuf {
    let name = database::url(first).map_or_else(|| super::input::name(first), database::file_name);
    PathBuf::from(format!("{name}.rejects.csv"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_rejects_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.csv");
        let mut rejects = Rejects::new(Some(path.clone()));
        rejects.write(&[]).unwrap();
        assert_eq!(rejects.finish().unwrap(), (0, None));
        assert!(!path.exists());
    }

    #[test]
    fn each_reject_is_a_line_that_leads_back_to_its_row() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.csv");
        let mut rejects = Rejects::new(Some(path.clone()));
        let reject =
            Reject { file: "a.csv".into(), line: 7, reason: "no, not so".into(), raw: "1,\"x\"".into() };
        rejects.write(&[reject]).unwrap();
        assert_eq!(rejects.finish().unwrap(), (1, Some(path.clone())));
        let text = std::fs::read_to_string(path).unwrap();
        assert_eq!(text, "file,line,reason,row\na.csv,7,\"no, not so\",\"1,\"\"x\"\"\"\n");
    }

    #[test]
    fn the_default_is_named_after_the_first_file() {
        assert_eq!(default_path(Path::new("/data/a.csv.gz")), Path::new("a.csv.gz.rejects.csv"));
        assert_eq!(default_path(Path::new("-")), Path::new("stdin.rejects.csv"));
        for (address, file) in [
            ("mysql://ann:secret@db.example", "db.example.rejects.csv"),
            ("mysql://ann:secret@db/shop?ssl=on", "shop.rejects.csv"),
            ("postgres://ann:a/secret@db/shop", "database.rejects.csv"),
        ] {
            assert_eq!(default_path(Path::new(address)), Path::new(file), "{address}");
        }
    }

    #[test]
    fn rows_are_counted_by_reason_with_the_first_of_each() {
        let mut reasons = Reasons::default();
        reasons.note("a.csv", 2, "quantity is not a number: \"x\"");
        reasons.note("a.csv", 3, "item_id is missing");
        reasons.note("a.csv", 4, "quantity is not a number: \"\u{1b}\"");
        for n in 0..100 {
            reasons.note("a.csv", n, &format!("has {n} fields"));
        }
        let reasons = reasons.finish();
        assert_eq!(reasons.len(), MAX_REASONS + 1);
        assert_eq!((reasons[0].reason.as_str(), reasons[0].count), ("other reasons", 52));
        let quantity = ReasonCount {
            reason: "quantity is not a number".into(),
            count: 2,
            first: "line 2 of a.csv: quantity is not a number: \"x\"".into(),
        };
        assert_eq!(reasons[1], quantity);
    }
}

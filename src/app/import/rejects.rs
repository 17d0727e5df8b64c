//! The rejects file: every row that could not be read, with where it stood and what is wrong, as CSV
//! (`file,line,reason,row`). Made only when there is something to say.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::sink::Reject;

/// Writes rejects, lazily.
pub struct Rejects {
    path: PathBuf,
    writer: Option<csv::Writer<File>>,
    count: u64,
}

impl Rejects {
    /// Nothing is touched before the first reject.
    pub fn new(path: PathBuf) -> Self {
        Self { path, writer: None, count: 0 }
    }

    /// Adds rows; the first one makes the file, over one of an earlier run.
    pub fn write(&mut self, rejects: &[Reject]) -> anyhow::Result<()> {
        if rejects.is_empty() {
            return Ok(());
        }
        let path = &self.path;
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
        self.count += rejects.len() as u64;
        Ok(())
    }

    /// Number of rejected rows, and the file that holds them, if any.
    pub fn finish(mut self) -> anyhow::Result<(u64, Option<PathBuf>)> {
        if let Some(writer) = &mut self.writer {
            writer
                .flush()
                .with_context(|| format!("cannot write the rejects file {}", self.path.display()))?;
        }
        Ok((self.count, self.writer.map(|_| self.path)))
    }
}

/// `<first file>.rejects.csv` in the current directory.
pub fn default_path(first: &Path) -> PathBuf {
    let name = super::input::name(first);
    // A database's name may be followed by options.
    let name = name.split('?').next().unwrap_or_default();
    PathBuf::from(format!("{name}.rejects.csv"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_rejects_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.csv");
        let mut rejects = Rejects::new(path.clone());
        rejects.write(&[]).unwrap();
        assert_eq!(rejects.finish().unwrap(), (0, None));
        assert!(!path.exists());
    }

    #[test]
    fn each_reject_is_a_line_that_leads_back_to_its_row() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.csv");
        let mut rejects = Rejects::new(path.clone());
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
    }
}

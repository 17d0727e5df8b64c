//! Refused records, each with where it stood and why, as JSON objects: for a file, a line each.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::source::{Content, Record};

/// Longest part of a record's content that is kept, bytes.
const MAX_CONTENT_BYTES: usize = 64 << 10;
/// Records over which the refused share is taken.
const WINDOW: u64 = 1_000;
/// Fewest records after which it counts.
const LEAST: u64 = 100;

/// The line that tells of a refused record.
pub fn line(source: &str, record: &Record, reason: &str) -> String {
    let content = match &record.content {
        Content::Text(text) => Value::String(clip(&String::from_utf8_lossy(text))),
        Content::Fields(fields) => {
            let text = Value::Object(fields.clone()).to_string();
            if text.len() <= MAX_CONTENT_BYTES {
                Value::Object(fields.clone())
            } else {
                Value::String(clip(&text))
            }
        }
        Content::Unreadable(_) => Value::Null,
    };
    let at = record.at.map(|at| at.to_string());
    json!({"source": source, "record": record.id, "at": at, "reason": reason, "content": content}).to_string()
}

fn clip(text: &str) -> String {
    let mut end = text.len().min(MAX_CONTENT_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}

/// A file that grows by lines and is made by the first.
pub struct RejectFile {
    path: PathBuf,
    file: Option<File>,
}

impl RejectFile {
    /// Nothing is touched before the first line.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), file: None }
    }

    /// Appends lines; they are on the disk when this returns.
    pub fn write(&mut self, lines: &[String]) -> std::io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(OpenOptions::new().create(true).append(true).open(&self.path)?),
        };
        let mut text = lines.join("\n");
        text.push('\n');
        file.write_all(text.as_bytes())?;
        file.sync_data()
    }
}

/// The share of refused records among the latest.
#[derive(Debug, Default)]
pub struct Share {
    records: u64,
    refused: u64,
}

impl Share {
    /// Counts a batch; older ones fade.
    pub fn note(&mut self, records: usize, refused: usize) {
        if self.records > WINDOW {
            self.records /= 2;
            self.refused /= 2;
        }
        self.records += records as u64;
        self.refused += refused as u64;
    }

    /// The share, once there are enough records to tell.
    pub fn get(&self) -> Option<f64> {
        (self.records >= LEAST).then(|| self.refused as f64 / self.records as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Change;

    #[test]
    fn a_line_leads_back_to_its_record() {
        let content = Content::Text(b"{\"kind\":\"dance\"}".to_vec());
        let record = Record { id: "orders/0/17".to_owned(), at: None, change: Change::New, content };
        let line = line("shop", &record, "unknown kind");
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            (value["record"].as_str(), value["content"].as_str()),
            (Some("orders/0/17"), Some("{\"kind\":\"dance\"}"))
        );
        assert!(!line.contains('\n'));
    }

    #[test]
    fn lines_are_appended_over_runs() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.ndjson");
        RejectFile::new(&path).write(&[]).unwrap();
        assert!(!path.exists());
        RejectFile::new(&path).write(&["a".to_owned()]).unwrap();
        RejectFile::new(&path).write(&["b".to_owned(), "c".to_owned()]).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "a\nb\nc\n");
    }

    #[test]
    fn the_share_counts_from_a_hundred_records_on_and_forgets() {
        let mut share = Share::default();
        share.note(50, 50);
        assert_eq!(share.get(), None);
        share.note(50, 0);
        assert_eq!(share.get(), Some(0.5));
        for _ in 0..20 {
            share.note(1_000, 0);
        }
        assert!(share.get().unwrap() < 0.01);
    }
}

//! Refused records, each with where it stood and why, as JSON objects: for a file, a line each.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::source::{Content, Record};

/// Longest line that a topic takes, bytes: brokers refuse messages of about a mebibyte. Longer ones go into the file.
pub const MAX_TOPIC_BYTES: usize = 900_000;
/// Records over which the refused share is taken.
const WINDOW: u64 = 1_000;
/// Fewest records after which it counts.
const LEAST: u64 = 100;

/// The line that tells of a refused record, with all of its content: the source forgets it once it is acknowledged. Bytes that
/// are no UTF-8 stand under `content_base64`.
pub fn line(source: &str, record: &Record, reason: &str) -> String {
    let (name, content) = match &record.content {
        Content::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => ("content", Value::from(text)),
            Err(_) => ("content_base64", Value::from(BASE64_STANDARD.encode(bytes))),
        },
        Content::Fields(fields) => ("content", Value::Object(fields.clone())),
        Content::Unreadable { raw, .. } => ("content", raw.clone()),
        Content::Gone(_) => ("content", Value::Null),
    };
    let at = record.at.map(|at| at.to_string());
    json!({"source": source, "record": record.id, "at": at, "reason": reason, name: content}).to_string()
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

    /// The path, for people.
    pub fn path(&self) -> std::path::Display<'_> {
        self.path.display()
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
    use crate::source::{Change, raw_bytes};

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
    fn a_line_holds_all_of_its_record() {
        let kept = |content: Content| -> Value {
            let record = Record { id: "s/1".to_owned(), at: None, change: Change::New, content };
            serde_json::from_str(&line("shop", &record, "no")).unwrap()
        };
        let long = "x".repeat(200_000);
        assert_eq!(kept(Content::Text(long.clone().into_bytes()))["content"], long.as_str());
        let fields = serde_json::Map::from_iter([("a".to_owned(), Value::from(long.as_str()))]);
        assert_eq!(kept(Content::Fields(fields))["content"]["a"], long.as_str());
        assert_eq!(kept(Content::Text(b"a\xffb".to_vec()))["content_base64"], "Yf9i");
        let raw = json!({"user": "ann", "photo": raw_bytes(b"\xff")});
        let unreadable = Content::Unreadable { reason: "field \"photo\" is not UTF-8".to_owned(), raw };
        assert_eq!(kept(unreadable)["content"], json!({"user": "ann", "photo": {"base64": "/w=="}}));
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

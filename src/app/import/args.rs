//! `tidings import` as typed.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use jiff::tz::TimeZone;

use super::format::Format;
use super::options::ImportOptions;
use crate::intake::fields::kind;

/// Files to import, and how they are read.
#[derive(Clone, Debug, Args)]
pub struct ImportArgs {
    /// Layout of the files.
    #[arg(value_enum)]
    format: Format,
    /// Files, plain or gzip; a directory for movielens and retailrocket; - for standard input (csv, ndjson).
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// csv, ndjson: which column means what, e.g. user_id=customer,item_id=sku,occurred_at=ts; may be repeated.
    #[arg(long = "map", value_name = "FIELD=COLUMN,…")]
    map: Vec<String>,
    /// csv, ndjson: the kind of rows that don't say theirs, e.g. purchase.
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// csv: one character, or "tab" [default: told from the header].
    #[arg(long, value_name = "CHARACTER")]
    delimiter: Option<String>,
    /// Zone of times that carry none, an IANA name [default: Europe/London for online-retail, else UTC].
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// File for rows that can't be read, with line and reason [default: FIRST-FILE.rejects.csv].
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// No progress.
    #[arg(long, short)]
    quiet: bool,
}

impl ImportArgs {
    /// Checks what was typed.
    pub fn into_parts(self) -> anyhow::Result<(Format, Vec<PathBuf>, ImportOptions)> {
        let mapping = self.map.join(",").parse().context("--map")?;
        let default_kind = match &self.kind {
            Some(name) => Some(kind(name).with_context(|| format!("--kind: there is no kind {name:?}"))?),
            None => None,
        };
        let delimiter = match self.delimiter.as_deref() {
            None => None,
            Some("tab" | "\\t" | "\t") => Some(b'\t'),
            Some(text) => match text.as_bytes() {
                [byte] if byte.is_ascii_punctuation() || *byte == b' ' => Some(*byte),
                _ => bail!("--delimiter: must be one character such as ; or the word tab, is {text:?}"),
            },
        };
        let time_zone = match &self.time_zone {
            Some(name) => {
                Some(TimeZone::get(name).with_context(|| format!("--time-zone: there is no zone {name:?}"))?)
            }
            None => None,
        };
        let options = ImportOptions {
            mapping,
            default_kind,
            delimiter,
            time_zone,
            rejects: self.rejects,
            quiet: self.quiet,
            ..ImportOptions::default()
        };
        Ok((self.format, self.files, options))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventKind;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: ImportArgs,
    }

    fn parse(line: &str) -> anyhow::Result<(Format, Vec<PathBuf>, ImportOptions)> {
        Cli::try_parse_from(["import"].into_iter().chain(line.split_whitespace()))?.args.into_parts()
    }

    #[test]
    fn what_is_typed_is_understood() {
        let (format, files, options) =
            parse("csv a.csv b.csv --map user_id=who --map item_id=sku --kind buy --delimiter ;").unwrap();
        assert_eq!((format, files.len()), (Format::Csv, 2));
        assert_eq!(options.default_kind, Some(EventKind::Purchase));
        assert_eq!(options.delimiter, Some(b';'));
        assert_eq!(options.mapping.to_string(), "user_id=who,item_id=sku");
        assert_eq!(parse("csv a --delimiter tab").unwrap().2.delimiter, Some(b'\t'));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, says) in [
            ("csv a --kind dance", "dance"),
            ("csv a --delimiter ab", "delimiter"),
            ("csv a --time-zone Mars/Base", "Mars/Base"),
            ("csv a --map who=x", "who"),
            ("excel a", "online-retail"),
        ] {
            let error = format!("{:#}", parse(line).err().unwrap());
            assert!(error.contains(says), "{line}: {error}");
        }
    }
}

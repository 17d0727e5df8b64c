//! `tidings import` as typed.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use jiff::tz::TimeZone;

use super::database::{self, Selection};
use super::format::Format;
use super::options::ImportOptions;
use crate::intake::fields::kind;

/// Files to import, and how they are read.
#[derive(Clone, Debug, Args)]
pub struct ImportArgs {
    /// Layout: csv, ndjson, exported, online-retail, movielens, retailrocket, shopify-orders, woocommerce-products, segment, ga4 or
    /// rees46; may be left out before the address of a database.
    #[arg(value_name = "LAYOUT", value_parser = first)]
    first: First,
    /// Files: text, gzip, zstd, zip, .xlsx or Parquet, whatever their names; - for standard input; a directory for movielens and
    /// retailrocket; export.zip/orders.csv and book.xlsx/Sheet for parts; mysql://… or postgres://… for a database.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Database: all rows of this table or view.
    #[arg(long, value_name = "TABLE", conflicts_with = "query")]
    table: Option<String>,
    /// Database: the rows of this query.
    #[arg(long, value_name = "SELECT")]
    query: Option<String>,
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
        let (format, files) = self.first.with(self.files);
        let selection = self.table.map(Selection::Table).or(self.query.map(Selection::Query));
        let is_database = files.iter().any(|file| database::url(file).is_some());
        match (files.len(), is_database, &selection) {
            (0, ..) => bail!("name a file, or - for standard input"),
            (_, true, None) => bail!("a database: say which rows, by --table NAME or --query 'SELECT …'"),
            (2.., true, _) => bail!("a database is imported by itself, without other files"),
            (_, false, Some(_)) => bail!("--table and --query are for databases: mysql://… or postgres://…"),
            _ => {}
        }
        let options = ImportOptions {
            selection,
            mapping,
            default_kind,
            delimiter,
            time_zone,
            rejects: self.rejects,
            quiet: self.quiet,
            ..ImportOptions::default()
        };
        Ok((format, files, options))
    }
}

/// The first word: a layout, or already the address of a database.
#[derive(Clone, Debug)]
enum First {
    Layout(Format),
    Address(PathBuf),
}

impl First {
    /// The layout, and all files.
    fn with(self, mut files: Vec<PathBuf>) -> (Format, Vec<PathBuf>) {
        match self {
            Self::Layout(format) => (format, files),
            Self::Address(address) => {
                files.insert(0, address);
                (Format::Csv, files)
            }
        }
    }
}

fn first(text: &str) -> anyhow::Result<First> {
    if database::url(Path::new(text)).is_some() {
        return Ok(First::Address(PathBuf::from(text)));
    }
    Ok(First::Layout(text.parse()?))
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
    fn a_database_needs_no_layout_but_may_have_one() {
        let (format, files, options) = parse("mysql://u:p@db/shop --table user_behavior").unwrap();
        assert_eq!((format, files), (Format::Csv, vec![PathBuf::from("mysql://u:p@db/shop")]));
        assert_eq!(options.selection, Some(Selection::Table("user_behavior".into())));
        assert_eq!(parse("segment postgres://db/shop --query b").unwrap().0, Format::Segment);
    }

    #[test]
    fn the_help_names_every_layout() {
        let help = <Cli as clap::CommandFactory>::command().render_long_help().to_string();
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        for format in <Format as clap::ValueEnum>::value_variants() {
            assert!(help.contains(format.name()), "{} is not in the help", format.name());
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, says) in [
            ("csv a --kind dance", "dance"),
            ("csv a --delimiter ab", "delimiter"),
            ("csv a --time-zone Mars/Base", "Mars/Base"),
            ("csv a --map who=x", "who"),
            ("excel a", "online-retail"),
            ("csv", "name a file"),
            ("mysql://db/shop", "--table"),
            ("mysql://db/shop --table a --query b", "--query"),
            ("csv a --table b", "for databases"),
        ] {
            let error = format!("{:#}", parse(line).err().unwrap());
            assert!(error.contains(says), "{line}: {error}");
        }
    }
}

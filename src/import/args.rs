//! `tidings import` as typed.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use encoding_rs::Encoding;
use jiff::tz::TimeZone;

use super::database::{self, Selection};
use super::format::Format;
use super::options::{CatalogueMode, ImportOptions};
use super::table::Quotation;
use tidings_core::base::{Timestamp, nearest};
use tidings_core::event::EventKind;
use tidings_intake::fields::kind;
use tidings_intake::{Condition, DateForm, DecimalMark, Missing, OccurredAt, RecordOptions, StatedForms};

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
    /// csv, ndjson: which column means what, e.g. user_id=customer,item_id=sku,occurred_at=ts; may be repeated. With it, columns
    /// that are not named here are used only under our own names.
    #[arg(long = "map", value_name = "FIELD=COLUMN,…")]
    map: Vec<String>,
    /// csv, ndjson: the kind of rows that don't say theirs, e.g. purchase.
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// csv, ndjson: only rows that have this value there; column=a|b any of them, column!=value all others; may be repeated.
    #[arg(long = "where", value_name = "COLUMN=VALUE")]
    conditions: Vec<String>,
    /// csv: one character, or "tab" [default: told from the header].
    #[arg(long, value_name = "CHARACTER")]
    delimiter: Option<String>,
    /// csv: quotation marks are ordinary characters, not marks around fields.
    #[arg(long)]
    no_quotes: bool,
    /// Encoding of the files, e.g. windows-1252 [default: told from their bytes].
    #[arg(long, value_name = "NAME")]
    encoding: Option<String>,
    /// Form of times: day-first, month-first, year-first, named-month, compact, epoch-s, epoch-ms, epoch-us, epoch-ns, spreadsheet,
    /// or a pattern such as "%d.%m.%Y %H:%M" [default: found from the column].
    #[arg(long, value_name = "FORM", conflicts_with = "day_first")]
    date_format: Option<String>,
    /// The same as --date-format day-first.
    #[arg(long)]
    day_first: bool,
    /// Mark before decimals: "." or "," [default: found from the column].
    #[arg(long, value_name = "MARK")]
    decimal: Option<String>,
    /// Scale of ratings, e.g. 1-10; the least becomes one star, the most five.
    #[arg(long, value_name = "LEAST-MOST")]
    scale: Option<String>,
    /// A word that stands for a missing value, beside the usual ones (NULL, None, nan, N/A, (not set), -, …); may be repeated.
    #[arg(long = "null", value_name = "WORD")]
    nulls: Vec<String>,
    /// Only the words of --null stand for missing values.
    #[arg(long)]
    null_only: bool,
    /// Time of events that don't say theirs: a moment, or "order" for one second after the row before, from the year 2000 on.
    #[arg(long, value_name = "TIME")]
    occurred_at: Option<String>,
    /// Zone of times that carry none, an IANA name [default: Europe/London for online-retail, else UTC].
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// Treatment of items: keep the catalogue as it is, fill in what it lacks, replace it by what the files say [default:
    /// replace for files about items; files about events fill an empty catalogue and keep any other].
    #[arg(long, value_enum, value_name = "MODE")]
    catalogue: Option<CatalogueMode>,
    /// Fails (exit code 1) when a larger share of the rows is refused or impossible.
    #[arg(long, value_name = "SHARE", default_value = "10%", value_parser = share)]
    max_refused: f64,
    /// Shows how the files are understood and what would become of their rows; stores nothing and needs no database.
    #[arg(long)]
    dry_run: bool,
    /// File for rows that can't be read, with line and reason [default: FIRST-FILE.rejects.csv].
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// No progress.
    #[arg(long, short)]
    quiet: bool,
}

/// `10%` or `0.1`.
fn share(text: &str) -> Result<f64, String> {
    let number = match text.trim().strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().map(|percent| percent / 100.0),
        None => text.trim().parse(),
    };
    number
        .ok()
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or_else(|| "must be between 0 and 1, or 0% and 100%".into())
}

/// Arguments of an import, checked.
pub struct ImportRequest {
    /// Layout of the files.
    pub format: Format,
    /// Files as named.
    pub files: Vec<PathBuf>,
    /// Options by which they are read.
    pub options: ImportOptions,
    /// Store nothing.
    pub dry_run: bool,
}

impl ImportArgs {
    /// Checks what was typed.
    pub fn into_request(self) -> anyhow::Result<ImportRequest> {
        let time_zone = match &self.time_zone {
            Some(name) => Some(TimeZone::get(name).with_context(|| no_zone(name))?),
            None => None,
        };
        let (format, files) = self.first.clone().with(self.files.clone());
        let selection = self.table.clone().map(Selection::Table).or(self.query.clone().map(Selection::Query));
        if let Some(option) = self.unused_option().filter(|_| !format.is_mapped()) {
            bail!("{option} is for csv and ndjson; {} has a layout of its own", format.name());
        }
        let is_database = files.iter().any(|file| database::url(file).is_some());
        match (files.len(), is_database, &selection) {
            (0, ..) => bail!("name a file, or - for standard input"),
            (_, true, None) => bail!("a database: say which rows, by --table NAME or --query 'SELECT …'"),
            (2.., true, _) => bail!("a database is imported by itself, without other files"),
            (_, false, Some(_)) => bail!("--table and --query are for databases: mysql://… or postgres://…"),
            _ => {}
        }
        let encoding = match &self.encoding {
            Some(name) => Some(Encoding::for_label(name.as_bytes()).with_context(|| {
                format!("--encoding: there is no encoding {name:?}; e.g. utf-8, windows-1252, shift_jis")
            })?),
            None => None,
        };
        let options = ImportOptions {
            selection,
            records: self.records(time_zone.as_ref().unwrap_or(&TimeZone::UTC))?,
            delimiter: self.delimiter.as_deref().map(delimiter).transpose()?,
            quotation: if self.no_quotes { Quotation::None } else { Quotation::Marks },
            encoding,
            time_zone,
            catalogue: self.catalogue,
            max_refused: self.max_refused,
            rejects: self.rejects,
            quiet: self.quiet,
            ..ImportOptions::default()
        };
        Ok(ImportRequest { format, files, options, dry_run: self.dry_run })
    }

    /// An option that is given and means nothing to a format with a layout of its own.
    fn unused_option(&self) -> Option<&'static str> {
        let given = [
            ("--map", !self.map.is_empty()),
            ("--kind", self.kind.is_some()),
            ("--where", !self.conditions.is_empty()),
            ("--scale", self.scale.is_some()),
            ("--null", !self.nulls.is_empty() || self.null_only),
            ("--occurred-at", self.occurred_at.is_some()),
        ];
        given.into_iter().find(|(_, given)| *given).map(|(option, _)| option)
    }

    fn records(&self, zone: &TimeZone) -> anyhow::Result<RecordOptions> {
        let default_kind = match &self.kind {
            Some(name) => Some(kind(name).with_context(|| {
                format!(
                    "--kind: there is no kind {name:?}{}",
                    meant(name, EventKind::ALL.map(EventKind::name))
                )
            })?),
            None => None,
        };
        let dates = match (&self.date_format, self.day_first) {
            (Some(form), _) => Some(form.parse().context("--date-format")?),
            (None, true) => Some(DateForm::DayFirst),
            (None, false) => None,
        };
        let decimal = match self.decimal.as_deref() {
            None => None,
            Some("." | "dot" | "point") => Some(DecimalMark::Dot),
            Some("," | "comma") => Some(DecimalMark::Comma),
            Some(other) => bail!("--decimal: must be . or , and is {other:?}"),
        };
        let conditions: Result<Vec<Condition>, _> = self.conditions.iter().map(|text| text.parse()).collect();
        Ok(RecordOptions {
            mapping: self.map.join(",").parse().context("--map")?,
            default_kind,
            forms: StatedForms { dates, decimal, missing: Missing::new(self.nulls.clone(), self.null_only) },
            scale: self.scale.as_deref().map(str::parse).transpose().context("--scale")?.unwrap_or_default(),
            occurred_at: self.occurred_at.as_deref().map(|text| occurred_at(text, zone)).transpose()?,
            conditions: conditions.context("--where")?,
            ..RecordOptions::default()
        })
    }
}

fn delimiter(text: &str) -> anyhow::Result<u8> {
    match (text, text.as_bytes()) {
        ("tab" | "\\t" | "\t", _) => Ok(b'\t'),
        (_, [byte]) if byte.is_ascii_punctuation() || *byte == b' ' => Ok(*byte),
        _ => bail!("--delimiter: must be one character such as ; or the word tab, is {text:?}"),
    }
}

/// Words for the nearest of the names, or for all of them.
fn meant<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    match nearest(name, names.iter().copied()) {
        Some(near) => format!("; did you mean {near}?"),
        None => format!("; there are {}", names.join(", ")),
    }
}

fn no_zone(name: &str) -> String {
    let zones: Vec<String> = jiff::tz::db().available().map(|zone| zone.as_str().to_owned()).collect();
    let near = nearest(name, zones.iter().map(String::as_str));
    let near =
        near.map_or_else(|| "; e.g. Europe/Berlin".to_owned(), |near| format!("; did you mean {near}?"));
    format!("--time-zone: there is no zone {name:?}{near}")
}

fn occurred_at(text: &str, zone: &TimeZone) -> anyhow::Result<OccurredAt> {
    // Any moment would do; that it is always the same makes a second run find what the first one stored.
    let first = Timestamp::from_seconds(946_684_800);
    if text == "order" {
        return Ok(OccurredAt::Order(first));
    }
    match DateForm::Evident.read(text, zone) {
        Some(moment) => Ok(OccurredAt::Fixed(moment)),
        None => bail!("--occurred-at: must be a time such as 2026-01-31T12:00:00Z, or order, is {text:?}"),
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
    database::refuse_others(text)?;
    Ok(First::Layout(text.parse()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: ImportArgs,
    }

    fn parse(line: &str) -> anyhow::Result<ImportRequest> {
        Cli::try_parse_from(["import"].into_iter().chain(line.split_whitespace()))?.args.into_request()
    }

    #[test]
    fn what_is_typed_is_understood() {
        let request =
            parse("csv a.csv b.csv --map user_id=who --map item_id=sku --kind buy --delimiter ;").unwrap();
        assert_eq!((request.format, request.files.len(), request.dry_run), (Format::Csv, 2, false));
        let options = request.options;
        assert_eq!(options.records.default_kind, Some(EventKind::Purchase));
        assert_eq!((options.delimiter, options.max_refused), (Some(b';'), 0.1));
        assert_eq!(options.records.mapping.to_string(), "user_id=who,item_id=sku");
        assert_eq!(parse("csv a --delimiter tab").unwrap().options.delimiter, Some(b'\t'));
        let line = "csv a --day-first --decimal , --encoding latin1 --scale 1-10 --null 0 --where status=paid \
                    --occurred-at order --catalogue fill --max-refused 2.5% --dry-run";
        let request = parse(line).unwrap();
        let options = request.options;
        assert!(request.dry_run && options.records.forms.missing.is_missing("0"));
        assert_eq!(options.records.forms.dates, Some(DateForm::DayFirst));
        assert_eq!(options.records.forms.decimal, Some(DecimalMark::Comma));
        assert_eq!(options.encoding.map(Encoding::name), Some("windows-1252"));
        assert_eq!((options.catalogue, options.max_refused), (Some(CatalogueMode::Fill), 0.025));
        assert!(matches!(options.records.occurred_at, Some(OccurredAt::Order(_))));
        let fixed = parse("csv a --occurred-at 2026-01-31").unwrap().options.records.occurred_at;
        let at = |text| Some(OccurredAt::Fixed(Timestamp::parse(text).unwrap()));
        assert_eq!(fixed, at("2026-01-31T00:00:00Z"));
        let line = "csv a --occurred-at 2026-06-01T10:00 --time-zone Europe/Berlin";
        assert_eq!(parse(line).unwrap().options.records.occurred_at, at("2026-06-01T08:00:00Z"));
    }

    #[test]
    fn a_database_needs_no_layout_but_may_have_one() {
        let ImportRequest { format, files, options, .. } =
            parse("mysql://u:p@db/shop --table user_behavior").unwrap();
        assert_eq!((format, files), (Format::Csv, vec![PathBuf::from("mysql://u:p@db/shop")]));
        assert_eq!(options.selection, Some(Selection::Table("user_behavior".into())));
        assert_eq!(parse("segment postgres://db/shop --query b").unwrap().format, Format::Segment);
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
            ("csv a --kind purchse", "did you mean purchase?"),
            ("cvs a", "did you mean csv?"),
            ("csv a --map usr_id=x", "did you mean user_id?"),
            ("csv a --time-zone Europe/Berln", "did you mean Europe/Berlin?"),
            ("csv a --delimiter ab", "delimiter"),
            ("csv a --time-zone Mars/Base", "Mars/Base"),
            ("csv a --map who=x", "who"),
            ("csv a --encoding klingon", "windows-1252"),
            ("csv a --date-format soon", "day-first"),
            ("csv a --day-first --date-format month-first", "--day-first"),
            ("csv a --decimal ;", "--decimal"),
            ("csv a --scale 10", "1-10"),
            ("csv a --where status", "column=value"),
            ("csv a --occurred-at 1/2/2026", "--occurred-at"),
            ("csv a --max-refused 200%", "100%"),
            ("csv a --catalogue burn", "replace"),
            ("online-retail a --where Country=UK", "--where is for csv and ndjson"),
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

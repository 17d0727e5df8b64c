//! `tidings export` as typed.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::Args;

use super::format::{FileFormat, told_by_name};
use super::options::ExportOptions;
use super::wanted::Wanted;
use tidings_core::base::{Millis, Timestamp};

/// Most items a user.
const MAX_ITEMS: usize = 200;

/// Rows to export, and where to.
#[derive(Clone, Debug, Args)]
pub struct ExportArgs {
    /// Rows wanted.
    #[arg(value_enum)]
    wanted: Wanted,
    /// File, its form told by its name: .csv, .ndjson (.jsonl), each with .gz or .zst behind it to compress, or .parquet
    /// [default: standard output].
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Form of the rows [default: told by the file's name, csv on standard output].
    #[arg(long, value_enum)]
    format: Option<FileFormat>,
    /// Rows of this moment and later: RFC 3339, a date (UTC), or how long ago, e.g. 7d, 12h. Of items the last change counts, of
    /// users when they came.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Rows before this moment, written as --since.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// recommendations: items a user, 1 to 200 [default: 10].
    #[arg(short, value_name = "N")]
    n: Option<usize>,
    /// The counts as one JSON object, on standard error when the rows go to standard output.
    #[arg(long)]
    pub json: bool,
    /// No progress.
    #[arg(long, short)]
    quiet: bool,
}

impl ExportArgs {
    /// Checks what was typed.
    pub fn options(&self, now: Timestamp) -> anyhow::Result<ExportOptions> {
        let file = self.file.clone().filter(|file| file != Path::new("-"));
        let (told, packing) = match &file {
            Some(file) => told_by_name(file),
            None => (Some(FileFormat::Csv), None),
        };
        let Some(format) = self.format.or(told) else {
            bail!(
                "the file's name does not tell its form; end it in .csv, .ndjson or .parquet, or give --format"
            );
        };
        ensure!(
            format.name() != "parquet" || packing.is_none(),
            "a Parquet file is compressed inside; leave .gz or .zst away"
        );
        let moment = |name: &str, text: &Option<String>| {
            text.as_ref().map(|text| moment(text, now).with_context(|| name.to_owned())).transpose()
        };
        let (since, until) = (moment("--since", &self.since)?, moment("--until", &self.until)?);
        if let (Some(since), Some(until)) = (since, until) {
            ensure!(since < until, "--since {since} is not before --until {until}");
        }
        let is_list = self.wanted == Wanted::Recommendations;
        ensure!(is_list || self.n.is_none(), "-n is for recommendations");
        ensure!(
            !is_list || (since.is_none() && until.is_none()),
            "recommendations are those of now: --since and --until don't apply"
        );
        let n = self.n.unwrap_or(10);
        ensure!((1..=MAX_ITEMS).contains(&n), "-n: 1 to {MAX_ITEMS}");
        let packing = packing.unwrap_or_default();
        Ok(ExportOptions { wanted: self.wanted, file, format, packing, since, until, n, quiet: self.quiet })
    }
}

/// A moment as typed: RFC 3339, Unix seconds, a date, or how long ago.
fn moment(text: &str, now: Timestamp) -> anyhow::Result<Timestamp> {
    let text = text.trim();
    let ago = [("d", 24 * 60), ("h", 60), ("min", 1)].into_iter().find_map(|(unit, minutes)| {
        let number: u64 = text.strip_suffix(unit)?.trim().parse().ok()?;
        Some(Millis::seconds(number.checked_mul(minutes)?.checked_mul(60)?))
    });
    if let Some(ago) = ago {
        return Ok(now - ago);
    }
    let is_date = text.len() == 10 && text.bytes().filter(|byte| *byte == b'-').count() == 2;
    let whole = if is_date { format!("{text}T00:00:00Z") } else { text.to_owned() };
    Timestamp::parse(&whole).with_context(|| {
        format!(
            "{text:?} is no time; write 2026-01-31, 2026-01-31T12:00:00Z, or how long ago: 7d, 12h, 30min"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::export::format::Packing;
    use clap::Parser;

    const NOW: i64 = 1_700_000_000;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: ExportArgs,
    }

    fn parse(line: &str) -> anyhow::Result<ExportOptions> {
        let cli = Cli::try_parse_from(["export"].into_iter().chain(line.split_whitespace()))?;
        cli.args.options(Timestamp::from_seconds(NOW))
    }

    #[test]
    fn form_and_compression_are_told_by_the_name() {
        let told = |line: &str| parse(line).map(|options| (options.format, options.packing)).unwrap();
        assert_eq!(told("events"), (FileFormat::Csv, Packing::None));
        assert_eq!(told("events - --format ndjson"), (FileFormat::Ndjson, Packing::None));
        assert_eq!(told("events a.jsonl.gz"), (FileFormat::Ndjson, Packing::Gzip));
        assert_eq!(told("events a.data --format csv"), (FileFormat::Csv, Packing::None));
    }

    #[test]
    fn times_are_moments_dates_or_how_long_ago() {
        let at = |text: &str| moment(text, Timestamp::from_seconds(NOW)).unwrap();
        assert_eq!(at("2d"), Timestamp::from_seconds(NOW - 2 * 86_400));
        assert_eq!(at("90min"), Timestamp::from_seconds(NOW - 5_400));
        assert_eq!(Some(at("2026-01-31")), Timestamp::parse("2026-01-31T00:00:00Z"));
        assert_eq!(Some(at("2026-01-31T12:00:00+01:00")), Timestamp::parse("2026-01-31T11:00:00Z"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, says) in [
            ("events a.xlsx", "--format"),
            ("events --since yesterday", "yesterday"),
            ("events --since 1h --until 2h", "not before"),
            ("events -n 5", "for recommendations"),
            ("recommendations -n 500", "1 to 200"),
            ("recommendations --since 1d", "those of now"),
            ("orders", "events"),
        ] {
            let error = format!("{:#}", parse(line).err().unwrap());
            assert!(error.contains(says), "{line}: {error}");
        }
    }
}

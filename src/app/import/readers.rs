//! From a format to its reader: which files, in which order, and what is handed over when all are read.

use std::path::PathBuf;

use anyhow::{Context, bail};
use jiff::tz::TimeZone;

use super::format::Format;
use super::input::{BytesRead, is_stdin, name, open};
use super::options::ImportOptions;
use super::sink::Sink;
use super::{delimited, exported, movielens, ndjson, online_retail, retailrocket};
use crate::intake::{RecordReader, TimeReader};

/// Files that a directory of MovieLens or Retailrocket may hold, each plain or with `.gz` behind.
const MOVIELENS_FILES: [&str; 8] = [
    "u.item",
    "u.data",
    "movies.dat",
    "ratings.dat",
    "movies.csv",
    "ratings.csv",
    "ml-100k.item",
    "ml-100k.inter",
];
const RETAILROCKET_FILES: [&str; 4] =
    ["category_tree.csv", "item_properties_part1.csv", "item_properties_part2.csv", "events.csv"];

/// Replaces directories by what the format finds in them; checks that everything is there before anything is read.
pub fn expand(format: Format, given: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in given {
        if is_stdin(path) {
            if !matches!(format, Format::Csv | Format::Ndjson | Format::Exported) {
                bail!(
                    "{} can't be read from standard input, only csv, ndjson and exported can",
                    format.name()
                );
            }
            if given.len() > 1 {
                bail!("standard input can't be one of several files");
            }
            files.push(path.clone());
        } else if path.is_dir() {
            let names: &[&str] = match format {
                Format::MovieLens => &MOVIELENS_FILES,
                Format::RetailRocket => &RETAILROCKET_FILES,
                _ => bail!("{} is a directory; name the files", path.display()),
            };
            let found: Vec<PathBuf> = names
                .iter()
                .flat_map(|name| [path.join(name), path.join(format!("{name}.gz"))])
                .filter(|file| file.is_file())
                .collect();
            if found.is_empty() {
                bail!("{} holds none of {}", path.display(), names.join(", "));
            }
            files.extend(found);
        } else {
            std::fs::metadata(path).with_context(|| format!("cannot open {}", path.display()))?;
            files.push(path.clone());
        }
    }
    Ok(files)
}

/// Reads all files into the sink.
pub fn read(
    format: Format,
    files: &[PathBuf],
    options: &ImportOptions,
    bytes: &BytesRead,
    sink: &mut Sink,
) -> anyhow::Result<()> {
    let zone = match (&options.time_zone, format) {
        (Some(zone), _) => zone.clone(),
        (None, Format::OnlineRetail) => TimeZone::get(online_retail::TIME_ZONE)?,
        (None, _) => TimeZone::UTC,
    };
    let mut records = RecordReader::new(options.records(zone.clone()));
    let mut times = TimeReader::new(zone);
    let mut products = online_retail::Catalogue::default();
    let mut tree = retailrocket::Catalogue::default();
    let mut items = delimited::Items::default();
    for file in files {
        let name = name(file);
        let source = open(file, bytes)?;
        sink.begin_file(&name);
        match format {
            Format::OnlineRetail => online_retail::read(source, &mut times, &mut products, sink),
            Format::MovieLens => movielens::read(source, &name, sink),
            Format::RetailRocket => retailrocket::read(source, &name, &mut tree, sink),
            Format::Csv => delimited::read(source, &name, options, &mut records, &mut items, sink),
            Format::Ndjson => ndjson::read(source, &name, &mut records, &mut items, sink),
            Format::Exported => exported::read(source, &name, sink),
        }
        .with_context(|| format!("cannot import {}", file.display()))?;
    }
    match format {
        Format::OnlineRetail => products.finish(sink),
        Format::RetailRocket => tree.finish(sink),
        Format::Csv | Format::Ndjson => items.finish(sink),
        Format::MovieLens | Format::Exported => Ok(()),
    }
}

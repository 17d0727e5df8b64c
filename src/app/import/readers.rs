//! From a format to its reader: which files, in which order, and what is handed over when all are read.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use jiff::tz::TimeZone;

use super::format::Format;
use super::input::{BytesRead, Source, is_stdin, name as file_name};
use super::layouts::Layouts;
use super::options::ImportOptions;
use super::sink::Sink;
use super::{container, database, delimited, exported, movielens, ndjson, online_retail, retailrocket};
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

/// Replaces directories, archives and workbooks by what the format finds in them; checks that everything is there before
/// anything is read.
pub fn expand(format: Format, given: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let wanted: Option<&[&str]> = match format {
        Format::MovieLens => Some(&MOVIELENS_FILES),
        Format::RetailRocket => Some(&RETAILROCKET_FILES),
        _ => None,
    };
    let mut files = Vec::new();
    for path in given {
        if is_stdin(path) {
            if wanted.is_some() {
                bail!("{} is of several files and can't be read from standard input", format.name());
            }
            if given.len() > 1 {
                bail!("standard input can't be one of several files");
            }
            files.push(path.clone());
        } else if database::url(path).is_some() || container::locate(path).1.is_some() {
            files.push(path.clone());
        } else if path.is_dir() {
            let Some(names) = wanted else { bail!("{} is a directory; name the files", path.display()) };
            let packed = names.iter().flat_map(|name| [path.join(name), path.join(format!("{name}.gz"))]);
            let found: Vec<PathBuf> = packed.filter(|file| file.is_file()).collect();
            files.extend(some_of(path, found, names)?);
        } else {
            match container::members(path).with_context(|| format!("cannot read {}", path.display()))? {
                None => files.push(path.clone()),
                Some(members) => match wanted {
                    None => files.extend(members),
                    Some(names) => {
                        let called = |name: &&str| {
                            let is_it =
                                |member: &&PathBuf| member.file_name().is_some_and(|last| last == *name);
                            members.iter().find(is_it).cloned()
                        };
                        files.extend(some_of(path, names.iter().filter_map(called).collect(), names)?);
                    }
                },
            }
        }
    }
    Ok(files)
}

fn some_of(path: &Path, found: Vec<PathBuf>, names: &[&str]) -> anyhow::Result<Vec<PathBuf>> {
    if found.is_empty() {
        bail!("{} holds none of {}", path.display(), names.join(", "));
    }
    Ok(found)
}

/// The name shown to people: the file's last part, a database without its password, or "stdin".
pub fn name(path: &Path) -> String {
    database::url(path).map_or_else(|| file_name(path), database::shown)
}

/// Opens a file, or starts reading a database.
fn open(path: &Path, format: Format, options: &ImportOptions, bytes: &BytesRead) -> anyhow::Result<Source> {
    match database::url(path) {
        Some(url) => {
            let selection = options.selection.as_ref().context("no rows of the database were selected")?;
            database::open(url, selection, format.shape())
        }
        None => container::open(path, bytes, format.shape()),
    }
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
    let mut layouts = Layouts::default();
    for file in files {
        let name = name(file);
        let source = open(file, format, options, bytes).with_context(|| format!("cannot import {name}"))?;
        sink.begin_file(&name);
        match format {
            Format::OnlineRetail => online_retail::read(source, &mut times, &mut products, sink),
            Format::MovieLens => movielens::read(source, &name, sink),
            Format::RetailRocket => retailrocket::read(source, &name, &mut tree, sink),
            Format::Csv => delimited::read(source, &name, options, &mut records, &mut items, sink),
            Format::Ndjson => ndjson::read(source, &name, &mut records, &mut items, sink),
            Format::Exported => exported::read(source, &name, sink),
            Format::ShopifyOrders
            | Format::WooCommerceProducts
            | Format::Segment
            | Format::Ga4
            | Format::Rees46 => {
                layouts.read(source, format, &name, options, (&mut records, &mut items), sink)
            }
        }
        .with_context(|| format!("cannot import {name}"))?;
    }
    layouts.finish(sink);
    match format {
        Format::OnlineRetail => products.finish(sink),
        Format::RetailRocket => tree.finish(sink),
        Format::MovieLens | Format::Exported => Ok(()),
        _ => items.finish(sink),
    }
}

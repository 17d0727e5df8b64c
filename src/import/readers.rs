//! From a format to its reader, and what is handed over when all files are read.

use anyhow::Context;
use jiff::tz::TimeZone;

use super::expand::name;
use super::format::Format;
use super::input::BytesRead;
use super::items::Items;
use super::layouts::Layouts;
use super::options::ImportOptions;
use super::prepared::PreparedFile;
use super::sink::Sink;
use super::{delimited, exported, movielens, ndjson, online_retail, retailrocket};
use tidings_intake::{DecimalMark, RecordOptions, RecordReader};

/// Zone of times that carry none.
fn zone(format: Format, options: &ImportOptions) -> anyhow::Result<TimeZone> {
    Ok(match (&options.time_zone, format) {
        (Some(zone), _) => zone.clone(),
        (None, Format::OnlineRetail) => TimeZone::get(online_retail::TIME_ZONE)?,
        (None, _) => TimeZone::UTC,
    })
}

/// Reads all files into the sink.
pub fn read(
    format: Format,
    files: Vec<PreparedFile>,
    options: &ImportOptions,
    bytes: &BytesRead,
    sink: &mut Sink,
) -> anyhow::Result<()> {
    let zone = zone(format, options)?;
    let mut how = RecordOptions { time_zone: zone.clone(), ..options.records.clone() };
    if !format.is_mapped() {
        // Layouts by name are written by programs.
        how.forms.decimal.get_or_insert(DecimalMark::Dot);
    }
    let mut records = RecordReader::new(how);
    let mut products = online_retail::Catalogue::default();
    let mut tree = retailrocket::Catalogue::default();
    let mut items = Items::new(options.catalogue);
    let mut layouts = Layouts::default();
    for mut file in files {
        let name = name(&file.path);
        let source = file.open(format, options, bytes).with_context(|| format!("cannot import {name}"))?;
        let forms = file.understanding.take().map(|understanding| understanding.forms).unwrap_or_default();
        sink.begin_file(&name);
        match format {
            Format::OnlineRetail => online_retail::read(source, options, &forms, &zone, &mut products, sink),
            Format::MovieLens => movielens::read(source, &name, sink),
            Format::RetailRocket => retailrocket::read(source, &name, &mut tree, sink),
            Format::Csv => {
                records.begin_file(forms);
                delimited::read(source, &name, options, &mut records, &mut items, sink)
            }
            Format::Ndjson => {
                records.begin_file(forms);
                ndjson::read(source, options, &mut records, &mut items, sink)
            }
            Format::Exported => exported::read(source, &name, &options.records.kinds, sink),
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

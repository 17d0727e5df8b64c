//! Input of importers: values of columns, and whole files of every layout and packing.

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use jiff::tz::TimeZone;
use serde_json::Value;
use tidings::import::{Format, ImportOptions, prepare, take};
use tidings::intake::dates::{DateForm, DateSurvey};
use tidings::intake::numbers::{self, DecimalMark, NumberSurvey};
use tidings::intake::{
    Condition, FormSurvey, Mapping, RecordOptions, RecordReader, Scale, StatedForms, lists,
};

use crate::done;
use crate::wire::{choice, text};

/// Values of a column, a line each: moments, numbers, lists; options of the command; a record as JSON.
pub fn values(data: &[u8]) {
    let text = text(data);
    let (mut dates, mut amounts) = (DateSurvey::default(), NumberSurvey::default());
    for (n, line) in text.lines().enumerate().take(64) {
        dates.note(n as u64, line);
        amounts.note(n as u64, line);
        for mark in [None, Some(DecimalMark::Dot), Some(DecimalMark::Comma)] {
            let read = numbers::read(line, mark);
            assert!(read.is_none_or(|amount| amount.number.is_finite()), "{line:?}");
        }
        done(lists::categories(line));
        done(lists::first_address(line));
        done(line.parse::<DateForm>().map(|form| form.read(line, &TimeZone::UTC)));
        done((line.parse::<Mapping>(), line.parse::<Condition>(), line.parse::<Scale>()));
    }
    if let Ok(form) = dates.finish("column") {
        for line in text.lines().take(64) {
            done(form.read(line, &TimeZone::UTC));
        }
    }
    done(amounts.finish("column", None));
    if let Ok(Value::Object(object)) = serde_json::from_str::<Value>(&text) {
        let mut survey = FormSurvey::new(StatedForms::default());
        tidings::intake::record::note_object(&mut survey, 1, &object, &Mapping::default());
        let mut reader = RecordReader::new(RecordOptions::default());
        done(reader.object(&object));
    }
}

/// The file that inputs are written to, in memory where there is such a place.
fn path() -> &'static PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let memory = PathBuf::from("/dev/shm");
        let folder = if memory.is_dir() { memory } else { std::env::temp_dir() };
        folder.join(format!("tidings-fuzz-{}", std::process::id()))
    })
}

/// A file of one of the layouts, as `tidings import --dry-run` reads it.
pub fn import(data: &[u8]) {
    const FORMATS: [Format; 8] = [
        Format::Csv,
        Format::Ndjson,
        Format::OnlineRetail,
        Format::ShopifyOrders,
        Format::WooCommerceProducts,
        Format::Segment,
        Format::Ga4,
        Format::Rees46,
    ];
    let (first, bytes) = choice(data);
    let Some(format) = FORMATS.get(usize::from(first) % FORMATS.len()) else { return };
    fs::write(path(), bytes).expect("a file can be written");
    let options = ImportOptions { quiet: true, ..ImportOptions::default() };
    if let Ok(prepared) = prepare(*format, std::slice::from_ref(path()), &options) {
        done(take(None, prepared, &options, None));
    }
    done(fs::remove_file(path()));
}

//! Sheets of an Excel workbook (`.xlsx`, ECMA-376) as CSV, a sheet a file: numbers without trailing zeros, dates as
//! `2010-12-01 08:26:00`.

use std::io::{Read, Seek};

use anyhow::{Context, bail};
use calamine::{DataRef, ExcelDateTime, Reader, Xlsx};

use super::produced::Output;

/// Names of the sheets that hold at least one cell, in the order of the workbook.
pub fn names(workbook: impl Read + Seek) -> anyhow::Result<Vec<String>> {
    let mut workbook = open(workbook)?;
    let mut names = workbook.sheet_names();
    names.retain(|name| {
        workbook.worksheet_cells_reader(name).is_ok_and(|mut cells| matches!(cells.next_cell(), Ok(Some(_))))
    });
    if names.is_empty() {
        bail!("the workbook holds no cells");
    }
    Ok(names)
}

/// Writes one sheet, line n for row n.
pub fn write(workbook: impl Read + Seek, sheet: &str, output: &mut Output) -> anyhow::Result<()> {
    let mut workbook = open(workbook)?;
    let known = workbook.sheet_names();
    if !known.iter().any(|name| name == sheet) {
        bail!("there is no sheet {sheet:?}; there are {}", known.join(", "));
    }
    let mut cells = workbook.worksheet_cells_reader(sheet)?;
    let mut row = Vec::new();
    // Row of the sheet that `row` is, from 0; rows written so far.
    let mut at = 0;
    let mut written = 0;
    let mut is_header = true;
    while let Some(cell) = cells.next_cell()? {
        let (line, column) = cell.get_position();
        if line != at {
            pass_on(&mut row, at, &mut written, &mut is_header, output)?;
            at = line;
        }
        let column = column as usize;
        let text = match cell.get_value() {
            DataRef::Float(number) => output.number(column, number.to_string()),
            value => text(value),
        };
        if text.is_empty() {
            continue;
        }
        if row.len() <= column {
            row.resize(column + 1, String::new());
        }
        if let Some(slot) = row.get_mut(column) {
            *slot = text;
        }
    }
    pass_on(&mut row, at, &mut written, &mut is_header, output)
}

/// Writes a row and the blank lines before it; a row without a text is one of those.
fn pass_on(
    row: &mut Vec<String>,
    at: u32,
    written: &mut u32,
    is_header: &mut bool,
    output: &mut Output,
) -> anyhow::Result<()> {
    if row.is_empty() {
        return Ok(());
    }
    while *written < at {
        output.line("")?;
        *written += 1;
    }
    if std::mem::take(is_header) {
        output.header(&*row)?
    } else {
        output.row(&*row)?
    }
    *written += 1;
    row.clear();
    Ok(())
}

fn open<R: Read + Seek>(workbook: R) -> anyhow::Result<Xlsx<R>> {
    Xlsx::new(workbook).context("the workbook can't be read; open it in Excel and save it anew, or as CSV")
}

fn text(value: &DataRef) -> String {
    match value {
        DataRef::Int(number) => number.to_string(),
        DataRef::Float(number) => number.to_string(),
        DataRef::String(text) => text.clone(),
        DataRef::SharedString(text) => (*text).to_owned(),
        DataRef::Bool(flag) => flag.to_string(),
        DataRef::DateTime(serial) if serial.is_datetime() => moment(serial),
        DataRef::DateTime(duration) => duration.as_f64().to_string(),
        DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => text.clone(),
        DataRef::Error(_) | DataRef::Empty => String::new(),
    }
}

/// Local time of a serial number of days, without a zone.
fn moment(serial: &ExcelDateTime) -> String {
    let (year, month, day, hour, minute, second, milli) = serial.to_ymd_hms_milli();
    let fraction = if milli == 0 { String::new() } else { format!(".{milli:03}") };
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}{fraction}")
}

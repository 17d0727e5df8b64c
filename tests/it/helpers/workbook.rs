//! Excel workbooks, written cell by cell: shared strings, numbers, and dates by a style, as Excel writes them.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// A cell.
#[derive(Clone, Debug)]
pub enum Cell {
    Text(String),
    Number(f64),
    /// Days since the turn of 1900, as Excel counts them.
    Moment(f64),
    Empty,
}

const CONTENT_TYPES: &str = r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/></Types>"#;
const RELATIONS: &str = r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>"#;
/// Style 1 is numFmt 22, a date with a time.
const STYLES: &str = r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<styleSheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="22" applyNumberFormat="1"/></cellXfs></styleSheet>"#;
const MAIN: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";

/// Letters of a column from 0.
fn column(mut place: usize) -> String {
    let mut letters = String::new();
    loop {
        letters.insert(0, char::from(b'A' + (place % 26) as u8));
        if place < 26 {
            return letters;
        }
        place = place / 26 - 1;
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Writes a workbook of sheets by name.
pub fn write<R: Iterator<Item = Vec<Cell>>>(path: &Path, sheets: Vec<(&str, R)>) {
    let mut zip = ZipWriter::new(BufWriter::new(File::create(path).unwrap()));
    let options = SimpleFileOptions::default();
    let mut strings: HashMap<String, usize> = HashMap::new();
    let names: Vec<String> = sheets.iter().map(|(name, _)| escaped(name)).collect();
    for (text, part) in
        [(CONTENT_TYPES, "[Content_Types].xml"), (RELATIONS, "_rels/.rels"), (STYLES, "xl/styles.xml")]
    {
        zip.start_file(part, options).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    for (number, (_, rows)) in sheets.into_iter().enumerate() {
        zip.start_file(format!("xl/worksheets/sheet{}.xml", number + 1), options).unwrap();
        let mut out = BufWriter::new(&mut zip);
        write!(out, "<worksheet xmlns=\"{MAIN}\"><sheetData>").unwrap();
        for (row, cells) in rows.enumerate() {
            write!(out, "<row r=\"{}\">", row + 1).unwrap();
            for (place, cell) in cells.into_iter().enumerate() {
                let at = format!("{}{}", column(place), row + 1);
                match cell {
                    Cell::Text(text) => {
                        let n = strings.len();
                        let index = strings.entry(text).or_insert(n);
                        write!(out, "<c r=\"{at}\" t=\"s\"><v>{index}</v></c>").unwrap();
                    }
                    Cell::Number(number) => write!(out, "<c r=\"{at}\"><v>{number}</v></c>").unwrap(),
                    Cell::Moment(days) => write!(out, "<c r=\"{at}\" s=\"1\"><v>{days}</v></c>").unwrap(),
                    Cell::Empty => {}
                }
            }
            write!(out, "</row>").unwrap();
        }
        write!(out, "</sheetData></worksheet>").unwrap();
        out.flush().unwrap();
    }
    let mut texts: Vec<(String, usize)> = strings.into_iter().collect();
    texts.sort_by_key(|(_, index)| *index);
    let texts: String = texts
        .iter()
        .map(|(text, _)| format!("<si><t xml:space=\"preserve\">{}</t></si>", escaped(text)))
        .collect();
    zip.start_file("xl/sharedStrings.xml", options).unwrap();
    write!(zip, "<sst xmlns=\"{MAIN}\">{texts}</sst>").unwrap();
    let numbered = || names.iter().zip(1..);
    let listed: String = numbered()
        .map(|(name, n)| format!("<sheet name=\"{name}\" sheetId=\"{n}\" r:id=\"rId{n}\"/>"))
        .collect();
    zip.start_file("xl/workbook.xml", options).unwrap();
    write!(zip, "<workbook xmlns=\"{MAIN}\" xmlns:r=\"{OFFICE}\"><sheets>{listed}</sheets></workbook>")
        .unwrap();
    let relation = |id: usize, kind: &str, target: &str| {
        format!("<Relationship Id=\"rId{id}\" Type=\"{OFFICE}/{kind}\" Target=\"{target}\"/>")
    };
    let mut relations: String =
        numbered().map(|(_, n)| relation(n, "worksheet", &format!("worksheets/sheet{n}.xml"))).collect();
    relations += &relation(names.len() + 1, "styles", "styles.xml");
    relations += &relation(names.len() + 2, "sharedStrings", "sharedStrings.xml");
    zip.start_file("xl/_rels/workbook.xml.rels", options).unwrap();
    let package = "http://schemas.openxmlformats.org/package/2006/relationships";
    write!(zip, "<Relationships xmlns=\"{package}\">{relations}</Relationships>").unwrap();
    zip.finish().unwrap().flush().unwrap();
}

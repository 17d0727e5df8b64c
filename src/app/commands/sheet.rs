//! Rows on standard output: aligned text, CSV with a header, or one JSON object a line.

use std::io::{BufWriter, ErrorKind, Stdout, Write};

use clap::Args;
use serde_json::{Map, Value, json};

/// Form of the rows.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct FormArgs {
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
    /// CSV with a header.
    #[arg(long, conflicts_with = "json")]
    csv: bool,
}

/// A value of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// An id or a name.
    Text(String),
    /// A count.
    Count(u64),
    /// A measure; two decimals in text, all of them elsewhere.
    Number(f64),
    /// Nothing known.
    Absent,
}

impl Cell {
    fn plain(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Count(count) => count.to_string(),
            Self::Number(number) => number.to_string(),
            Self::Absent => String::new(),
        }
    }

    fn value(&self) -> Value {
        match self {
            Self::Text(text) => json!(text),
            Self::Count(count) => json!(count),
            Self::Number(number) => json!(number),
            Self::Absent => Value::Null,
        }
    }

    /// Names to the left, numbers to the right; a control character would move the cursor.
    fn aligned(&self, width: usize) -> String {
        match self {
            Self::Text(text) => {
                let shown: String = text.chars().filter(|c| !c.is_control()).collect();
                format!("{shown:<width$}")
            }
            Self::Count(count) => format!("{count:>width$}"),
            Self::Number(number) => format!("{number:>width$.2}"),
            Self::Absent => format!("{:>width$}", "-"),
        }
    }
}

enum Out<W: Write> {
    Csv(Box<csv::Writer<W>>),
    Json(W),
    Text(W),
}

/// Writes rows of the same columns.
pub struct Sheet<W: Write> {
    columns: Vec<&'static str>,
    out: Out<W>,
}

impl Sheet<BufWriter<Stdout>> {
    /// On standard output.
    pub fn on_stdout(form: FormArgs, columns: &[&'static str]) -> anyhow::Result<Self> {
        Self::new(form, columns, BufWriter::with_capacity(1 << 16, std::io::stdout()))
    }
}

impl<W: Write> Sheet<W> {
    /// Names of the columns; text columns come first.
    pub fn new(form: FormArgs, columns: &[&'static str], writer: W) -> anyhow::Result<Self> {
        let mut out = match form {
            FormArgs { csv: true, .. } => Out::Csv(Box::new(csv::Writer::from_writer(writer))),
            FormArgs { json: true, .. } => Out::Json(writer),
            FormArgs { .. } => Out::Text(writer),
        };
        match &mut out {
            Out::Csv(csv) => csv.write_record(columns)?,
            Out::Json(_) => {}
            Out::Text(text) => {
                let names: Vec<String> =
                    columns.iter().map(|name| format!("{name:<width$}", width = width(name))).collect();
                writeln!(text, "{}", names.join("  ").trim_end())?;
            }
        }
        Ok(Self { columns: columns.to_vec(), out })
    }

    /// One row, a cell a column.
    pub fn row(&mut self, cells: &[Cell]) -> anyhow::Result<()> {
        match &mut self.out {
            Out::Csv(csv) => csv.write_record(cells.iter().map(Cell::plain))?,
            Out::Json(json) => {
                let named = self.columns.iter().zip(cells);
                let object: Map<String, Value> =
                    named.map(|(name, cell)| ((*name).to_owned(), cell.value())).collect();
                writeln!(json, "{}", Value::Object(object))?;
            }
            Out::Text(text) => {
                let named = self.columns.iter().zip(cells);
                let shown: Vec<String> = named.map(|(name, cell)| cell.aligned(width(name))).collect();
                writeln!(text, "{}", shown.join("  ").trim_end())?;
            }
        }
        Ok(())
    }

    /// Writes what is left.
    pub fn finish(self) -> anyhow::Result<()> {
        match self.out {
            Out::Csv(mut csv) => csv.flush()?,
            Out::Json(mut writer) | Out::Text(mut writer) => writer.flush()?,
        }
        Ok(())
    }
}

fn width(name: &str) -> usize {
    name.chars().count().max(12)
}

/// No error when the reader has seen enough and closed the pipe, as `head` does.
pub fn until_closed(result: anyhow::Result<()>) -> anyhow::Result<()> {
    let closed = |error: &anyhow::Error| {
        let io = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        let csv = error.downcast_ref::<csv::Error>().and_then(|error| match error.kind() {
            csv::ErrorKind::Io(io) => Some(io.kind()),
            _ => None,
        });
        io.or(csv) == Some(ErrorKind::BrokenPipe)
    };
    match result {
        Err(error) if closed(&error) => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(form: FormArgs) -> String {
        let mut bytes = Vec::new();
        let mut sheet = Sheet::new(form, &["user_id", "segment", "searches_per_month"], &mut bytes).unwrap();
        sheet.row(&[Cell::Text("a,1".into()), Cell::Text("A".into()), Cell::Number(0.125)]).unwrap();
        sheet.row(&[Cell::Text("b\u{1b}[2J".into()), Cell::Absent, Cell::Count(3)]).unwrap();
        sheet.finish().unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_same_rows_as_csv_json_and_text() {
        let csv = written(FormArgs { csv: true, json: false });
        assert_eq!(csv.lines().next(), Some("user_id,segment,searches_per_month"));
        assert_eq!(csv.lines().nth(1), Some("\"a,1\",A,0.125"));
        let json = written(FormArgs { csv: false, json: true });
        let first: Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
        assert_eq!(first, json!({"user_id": "a,1", "segment": "A", "searches_per_month": 0.125}));
        let text = written(FormArgs::default());
        assert_eq!(text.lines().nth(1).unwrap().split_whitespace().collect::<Vec<_>>(), ["a,1", "A", "0.12"]);
        assert!(!text.contains('\u{1b}') && text.lines().count() == 3, "{text:?}");
    }
}

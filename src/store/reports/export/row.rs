//! Columns and rows of an export. A row is a line of PostgreSQL's COPY in text form: fields between tabs, `\N` for NULL, special
//! characters behind a backslash (PostgreSQL documentation, COPY, "Text Format").

use std::ops::Range;

/// Content of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// An id of the shop: an integer or a string.
    Id,
    /// A JSON list of ids of the shop, all as strings.
    Ids,
    /// Text.
    Text,
    /// A whole number.
    Integer,
    /// A number of 32 bits.
    Real,
    /// A number of 64 bits.
    Double,
    /// `t` or `f`.
    Boolean,
    /// A moment as PostgreSQL writes it in UTC: `2010-12-01 08:26:00.5+00`.
    Time,
    /// Any JSON.
    Json,
}

/// A column of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Name in the header.
    pub name: String,
    /// Content.
    pub holds: Holds,
}

impl Column {
    /// A column with the name and the content.
    pub fn new(name: &str, holds: Holds) -> Self {
        Self { name: name.to_owned(), holds }
    }

    /// From the name of a PostgreSQL type; ids of the shop are told by the name of the column.
    pub(super) fn of_type(name: String, of: &str) -> Self {
        let holds = match (of, name.as_str()) {
            ("text", "user_id" | "item_id" | "merged_into") => Holds::Id,
            ("jsonb", "items") => Holds::Ids,
            ("smallint" | "integer" | "bigint", _) => Holds::Integer,
            ("real", _) => Holds::Real,
            ("double precision", _) => Holds::Double,
            ("boolean", _) => Holds::Boolean,
            ("timestamp with time zone", _) => Holds::Time,
            ("jsonb", _) => Holds::Json,
            _ => Holds::Text,
        };
        Self { name, holds }
    }
}

/// Fields of one row, in the order of the columns. Reused from row to row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    text: String,
    fields: Vec<Option<Range<usize>>>,
}

impl Row {
    /// Text of a field; `None` for NULL, and behind the last field.
    pub fn get(&self, place: usize) -> Option<&str> {
        let field = self.fields.get(place)?.clone()?;
        self.text.get(field)
    }

    /// Empties the row.
    pub fn clear(&mut self) {
        self.text.clear();
        self.fields.clear();
    }

    /// Adds a field.
    pub fn push(&mut self, field: Option<&str>) {
        let start = self.text.len();
        self.text.push_str(field.unwrap_or_default());
        self.fields.push(field.map(|_| start..self.text.len()));
    }

    /// Takes the last field out.
    pub(super) fn pop(&mut self) -> Option<String> {
        let field = self.fields.pop()??;
        self.text.get(field).map(str::to_owned)
    }

    /// Replaces the text of a field; nothing behind the last field.
    pub(super) fn set(&mut self, place: usize, text: Option<&str>) {
        let start = self.text.len();
        if let Some(field) = self.fields.get_mut(place) {
            self.text.push_str(text.unwrap_or_default());
            *field = text.map(|_| start..self.text.len());
        }
    }

    /// Replaces the row by a line without its end. The error says what is wrong with it.
    pub(super) fn read(&mut self, line: &[u8]) -> Result<(), String> {
        self.clear();
        let mut bytes = std::mem::take(&mut self.text).into_bytes();
        for field in line.split(|byte| *byte == b'\t') {
            if field == b"\\N" {
                self.fields.push(None);
                continue;
            }
            let start = bytes.len();
            unescape(field, &mut bytes);
            self.fields.push(Some(start..bytes.len()));
        }
        self.text = String::from_utf8(bytes).map_err(|error| error.to_string())?;
        Ok(())
    }
}

fn unescape(field: &[u8], into: &mut Vec<u8>) {
    let mut bytes = field.iter();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'\\' => match bytes.next() {
                Some(b'b') => 0x08,
                Some(b'f') => 0x0c,
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b't') => b'\t',
                Some(b'v') => 0x0b,
                Some(other) => *other,
                None => b'\\',
            },
            byte => *byte,
        };
        into.push(byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_copy_becomes_its_fields() {
        let mut row = Row::default();
        row.read(b"a\\tb\\\\\\n\t\\N\t\t\\\\N").unwrap();
        let fields: Vec<Option<&str>> = (0..5).map(|place| row.get(place)).collect();
        assert_eq!(fields, [Some("a\tb\\\n"), None, Some(""), Some("\\N"), None]);
        row.read("é".as_bytes()).unwrap();
        assert_eq!((row.get(0), row.get(1)), (Some("é"), None));
        assert!(row.read(b"\xff").is_err());
    }

    #[test]
    fn ids_are_told_from_other_texts_and_lists() {
        let of = |name: &str, of| Column::of_type(name.to_owned(), of).holds;
        assert_eq!(of("user_id", "text"), Holds::Id);
        assert_eq!(of("decision_id", "uuid"), Holds::Text);
        assert_eq!((of("items", "jsonb"), of("steps", "jsonb")), (Holds::Ids, Holds::Json));
        assert_eq!(
            (of("value", "double precision"), of("stock", "integer")),
            (Holds::Double, Holds::Integer)
        );
    }
}

//! PostgreSQL's binary COPY format, written field by field (PostgreSQL documentation, COPY, "Binary Format"). A value bound to a
//! statement is copied whole twice, by diesel and by libpq; what is written here goes out in pieces.

use std::io::{Result, Write};

use diesel::result::Error as DieselError;

use super::copy_out::SIGNATURE;
use super::error::StoreError;

/// Bytes handed to libpq at once: its buffer grows to what one message takes.
pub(crate) const PIECE: usize = 1 << 16;
/// Version of the binary form of `jsonb`, before its text.
const JSONB: u8 = 1;

/// Writes the rows of one COPY … FROM STDIN (FORMAT binary).
pub(crate) struct CopyIn<'a> {
    to: &'a mut dyn Write,
}

impl<'a> CopyIn<'a> {
    /// Writes the header: no flags, no extension.
    pub(crate) fn new(to: &'a mut dyn Write) -> Result<Self> {
        to.write_all(&SIGNATURE)?;
        to.write_all(&[0; 8])?;
        Ok(Self { to })
    }

    /// Begins a row of so many fields, which are written next.
    pub(crate) fn row(&mut self, n_fields: i16) -> Result<()> {
        self.to.write_all(&n_fields.to_be_bytes())
    }

    /// A value in its binary form: big-endian numbers, text and `bytea` as they are.
    pub(crate) fn value(&mut self, value: &[u8]) -> Result<()> {
        self.parts(&[value])
    }

    /// NULL.
    pub(crate) fn null(&mut self) -> Result<()> {
        self.to.write_all(&(-1i32).to_be_bytes())
    }

    /// A `jsonb`.
    pub(crate) fn json(&mut self, value: &serde_json::Value) -> Result<()> {
        self.parts(&[&[JSONB], value.to_string().as_bytes()])
    }

    /// A value of so many bytes, which `write` writes, at most [`PIECE`] at once.
    pub(crate) fn written(
        &mut self,
        length: usize,
        write: impl FnOnce(&mut dyn Write) -> Result<()>,
    ) -> Result<()> {
        self.length(length)?;
        write(self.to)
    }

    fn parts(&mut self, parts: &[&[u8]]) -> Result<()> {
        self.length(parts.iter().map(|part| part.len()).sum())?;
        parts.iter().flat_map(|part| part.chunks(PIECE)).try_for_each(|piece| self.to.write_all(piece))
    }

    fn length(&mut self, length: usize) -> Result<()> {
        let length = i32::try_from(length).map_err(std::io::Error::other)?;
        self.to.write_all(&length.to_be_bytes())
    }

    /// Writes the trailer.
    pub(crate) fn end(self) -> Result<()> {
        self.to.write_all(&(-1i16).to_be_bytes())
    }
}

/// Reason why rows could not be written: PostgreSQL's own error where there is one.
pub(crate) fn store_error(error: std::io::Error) -> StoreError {
    let error = error.downcast::<DieselError>();
    error.unwrap_or_else(|other| DieselError::SerializationError(Box::new(other))).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::copy_out::CopyOut;

    #[test]
    fn what_is_written_is_read_back() {
        let mut bytes = Vec::new();
        let mut copy = CopyIn::new(&mut bytes).unwrap();
        copy.row(3).unwrap();
        copy.value(&(-7i64).to_be_bytes()).unwrap();
        copy.null().unwrap();
        copy.value(b"EUR").unwrap();
        copy.end().unwrap();
        let mut copy = CopyOut::new(bytes.as_slice()).unwrap();
        assert!(copy.next_row(3).unwrap());
        assert_eq!(copy.integer().unwrap(), Some(-7));
        assert_eq!(copy.integer().unwrap(), None);
        assert_eq!(copy.letters().unwrap(), Some(*b"EUR"));
        assert!(!copy.next_row(3).unwrap());
    }

    #[test]
    fn long_values_go_out_in_pieces() {
        /// Largest write.
        struct Largest(usize, usize);
        impl Write for Largest {
            fn write(&mut self, bytes: &[u8]) -> Result<usize> {
                (self.0, self.1) = (self.0.max(bytes.len()), self.1 + bytes.len());
                Ok(bytes.len())
            }

            fn flush(&mut self) -> Result<()> {
                Ok(())
            }
        }
        let mut to = Largest(0, 0);
        let mut copy = CopyIn::new(&mut to).unwrap();
        copy.value(&vec![1; 3 * PIECE + 1]).unwrap();
        assert_eq!((to.0, to.1), (PIECE, 11 + 8 + 4 + 3 * PIECE + 1));
    }
}

//! The stored form of a model: `TIDINGSM`, format version (u16, little endian), SHA-256 of the body, body
//! (postcard). What is foreign, newer or damaged is refused before any of it is believed.

use std::io::{self, BufWriter, Write};

use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

const MAGIC: &[u8; 8] = b"TIDINGSM";
/// Raise it whenever a stored type changes shape: postcard does not describe itself.
const FORMAT: u16 = 12;
const HEADER: usize = 8 + 2 + 32;
/// Bytes written at once.
const AT_ONCE: usize = 1 << 16;

/// Reason why an artefact can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArtefactError {
    /// It does not start as ours do.
    #[error("this is not a model of Tidings")]
    Foreign,
    /// Written by a version with another format.
    #[error(
        "the model has format {found}, this version reads format {FORMAT}: {}",
        if *found > FORMAT { "a newer version made it; start that one, or train again" } else { "train again" }
    )]
    OtherFormat {
        /// Format version stated by the artefact.
        found: u16,
    },
    /// Its checksum does not fit, or its content makes no sense.
    #[error("the model is damaged: {0}")]
    Corrupt(String),
    /// It could not be written.
    #[error("the model can't be written: {0}")]
    Encode(String),
}

/// A value and the header of its stored form. The bytes of the body are made each time they are written, so that a large model
/// and its bytes are not in memory together.
#[derive(Clone, Debug)]
pub struct Artefact<T> {
    value: T,
    checksum: [u8; 32],
    /// Bytes of the body.
    body: usize,
}

impl<T: Serialize> Artefact<T> {
    /// Counts and digests the bytes of the body. O(size).
    pub fn new(value: T) -> Result<Self, ArtefactError> {
        let mut checked = Checked { digest: Sha256::new(), bytes: 0 };
        write_body(&value, &mut checked).map_err(|error| ArtefactError::Encode(error.to_string()))?;
        Ok(Self { value, checksum: checked.digest.finalize().into(), body: checked.bytes })
    }

    /// In bytes, ≥ 42.
    pub fn length(&self) -> usize {
        HEADER + self.body
    }

    /// Writes all bytes, little by little. O(size).
    pub fn write(&self, to: &mut dyn Write) -> io::Result<()> {
        to.write_all(MAGIC)?;
        to.write_all(&FORMAT.to_le_bytes())?;
        to.write_all(&self.checksum)?;
        write_body(&self.value, to)
    }

    /// All bytes. O(size).
    pub fn to_bytes(&self) -> Result<Vec<u8>, ArtefactError> {
        let mut bytes = Vec::with_capacity(self.length());
        self.write(&mut bytes).map_err(|error| ArtefactError::Encode(error.to_string()))?;
        Ok(bytes)
    }
}

/// Counts bytes and digests them.
struct Checked {
    digest: Sha256,
    bytes: usize,
}

impl Write for Checked {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.digest.update(bytes);
        self.bytes += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A writer that keeps its last error, of which postcard says no more than that there was one.
struct Keeping<'a> {
    to: &'a mut dyn Write,
    error: &'a mut Option<io::Error>,
}

impl Write for Keeping<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.to.write(bytes).map_err(|error| {
            let kind = error.kind();
            *self.error = Some(error);
            kind.into()
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

fn write_body<T: Serialize>(value: &T, to: &mut dyn Write) -> io::Result<()> {
    let mut error = None;
    let out = BufWriter::with_capacity(AT_ONCE, Keeping { to, error: &mut error });
    let written = postcard::to_io(value, out).map_err(io::Error::other).and_then(|mut out| out.flush());
    error.map_or(written, Err)
}

/// Checks and unwraps. O(size).
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ArtefactError> {
    let rest = bytes.strip_prefix(MAGIC.as_slice()).ok_or(ArtefactError::Foreign)?;
    let (format, rest) = rest.split_first_chunk::<2>().ok_or(ArtefactError::Foreign)?;
    let found = u16::from_le_bytes(*format);
    if found != FORMAT {
        return Err(ArtefactError::OtherFormat { found });
    }
    let (checksum, body) =
        rest.split_first_chunk::<32>().ok_or_else(|| ArtefactError::Corrupt("it is cut off".into()))?;
    if Sha256::digest(body).as_slice() != checksum {
        return Err(ArtefactError::Corrupt("its checksum does not fit".into()));
    }
    postcard::from_bytes(body).map_err(|error| ArtefactError::Corrupt(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Remembers the longest write, and fails after so many bytes.
    struct Narrow {
        longest: usize,
        left: usize,
    }

    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.longest = self.longest.max(bytes.len());
            self.left = self.left.checked_sub(bytes.len()).ok_or_else(|| io::Error::other("it is full"))?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn it_is_written_in_pieces_and_as_long_as_it_says() {
        let numbers: Vec<f32> = (0..60_000u16).map(f32::from).collect();
        let artefact = Artefact::new(numbers.clone()).unwrap();
        let bytes = artefact.to_bytes().unwrap();
        assert_eq!((bytes.len(), decode::<Vec<f32>>(&bytes).unwrap()), (artefact.length(), numbers));
        let mut to = Narrow { longest: 0, left: artefact.length() };
        artefact.write(&mut to).unwrap();
        assert!(to.left == 0 && (AT_ONCE - 4..=AT_ONCE).contains(&to.longest), "{} at once", to.longest);
    }

    #[test]
    fn an_error_of_the_writer_comes_out() {
        let artefact = Artefact::new(vec![1.0f32; 50_000]).unwrap();
        let error = artefact.write(&mut Narrow { longest: 0, left: 100_000 }).unwrap_err();
        assert_eq!(error.to_string(), "it is full");
    }
}

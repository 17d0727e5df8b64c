//! The stored form of a model: `TIDINGSM`, format version (u16, little endian), SHA-256 of the body, body
//! (postcard). What is foreign, newer or damaged is refused before any of it is believed.

use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

const MAGIC: &[u8; 8] = b"TIDINGSM";
/// Raise it whenever a stored type changes shape: postcard does not describe itself.
const FORMAT: u16 = 12;
const HEADER: usize = 8 + 2 + 32;

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

/// Wraps a value. O(size).
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, ArtefactError> {
    let body = postcard::to_stdvec(value).map_err(|error| ArtefactError::Encode(error.to_string()))?;
    let mut bytes = Vec::with_capacity(HEADER + body.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&FORMAT.to_le_bytes());
    bytes.extend_from_slice(&Sha256::digest(&body));
    bytes.extend_from_slice(&body);
    Ok(bytes)
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

//! Bodies of the server's answers.

use serde::Deserialize;

/// Answer to `POST /v1/events`, and to `PUT /v1/items`.
#[derive(Debug, Default, Deserialize)]
pub struct Answer {
    /// Events stored.
    #[serde(default)]
    pub accepted: u64,
    /// Events stored before.
    #[serde(default)]
    pub duplicates: u64,
    /// Refused records.
    #[serde(default)]
    pub rejected: Vec<Rejected>,
}

/// One thing that was refused.
#[derive(Debug, Deserialize)]
pub struct Rejected {
    /// Its place in the request.
    pub index: usize,
    /// Stable code.
    #[serde(default)]
    pub code: String,
    /// The reason, for a person.
    #[serde(default)]
    pub message: String,
}

#[derive(Default, Deserialize)]
struct Failed {
    #[serde(default)]
    error: Error,
}

#[derive(Default, Deserialize)]
struct Error {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// Code and message of an error; for a body of another form, its beginning.
pub fn error(body: &[u8]) -> (String, String) {
    match serde_json::from_slice::<Failed>(body) {
        Ok(Failed { error }) if !error.code.is_empty() => (error.code, error.message),
        _ => (String::new(), String::from_utf8_lossy(body).chars().take(200).collect()),
    }
}

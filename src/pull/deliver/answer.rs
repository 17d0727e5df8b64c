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

impl Rejected {
    /// Message and code.
    pub fn reason(&self) -> String {
        format!("{} ({})", self.message, self.code)
    }
}

/// A request that was refused.
#[derive(Debug, Default)]
pub struct Refusal {
    /// Stable code; empty for a body of another form.
    pub code: String,
    /// The reason, for a person; for a body of another form, its beginning.
    pub message: String,
    /// The error of each record, where the records could be read.
    pub rejected: Vec<Rejected>,
}

#[derive(Default, Deserialize)]
struct Failed {
    #[serde(default)]
    error: Error,
    #[serde(default)]
    rejected: Vec<Rejected>,
}

#[derive(Default, Deserialize)]
struct Error {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// Reads the body of an error.
pub fn refusal(body: &[u8]) -> Refusal {
    match serde_json::from_slice::<Failed>(body) {
        Ok(Failed { error, rejected }) if !error.code.is_empty() => {
            Refusal { code: error.code, message: error.message, rejected }
        }
        _ => {
            let message = String::from_utf8_lossy(body).chars().take(200).collect();
            Refusal { message, ..Refusal::default() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_of_all_names_each() {
        let body = br#"{"error":{"code":"too_old","message":"none of the 2 events can be accepted; see rejected"},
            "accepted":0,"duplicates":0,"rejected":[{"index":0,"code":"too_old","field":"occurred_at","message":"a"},
            {"index":1,"code":"bad_json","field":null,"message":"b"}]}"#;
        let refusal = refusal(body);
        assert_eq!(refusal.code, "too_old");
        let named: Vec<(usize, &str)> =
            refusal.rejected.iter().map(|one| (one.index, one.message.as_str())).collect();
        assert_eq!(named, [(0, "a"), (1, "b")]);
    }

    #[test]
    fn a_body_of_another_form_is_told_as_it_is() {
        let refusal = refusal(b"<html>");
        assert_eq!(
            (refusal.code.as_str(), refusal.message.as_str(), refusal.rejected.len()),
            ("", "<html>", 0)
        );
    }
}

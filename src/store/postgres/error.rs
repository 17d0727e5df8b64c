//! Errors between us and PostgreSQL, told without secrets.

use diesel::result::{DatabaseErrorKind, Error as DieselError};

/// An error of the store. Its text holds no password and no row's values.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No connection: server down, wrong password, every connection busy for too long.
    #[error("no connection to PostgreSQL: {0}")]
    Connect(String),
    /// All connections were in use for longer than a request waits.
    #[error("every connection to PostgreSQL is in use, try again in a moment")]
    Busy,
    /// A statement failed.
    #[error("PostgreSQL: {0}")]
    Database(#[from] DieselError),
    /// A migration can't run; the database is as it was before it.
    #[error("migration {name} can't run and changed nothing: {reason}")]
    Migration {
        /// Name of the migration.
        name: String,
        /// PostgreSQL's words.
        reason: String,
    },
    /// A schema that this version can't bring up to date: of a newer version, or of one too old.
    #[error("this version can't use the database and changed nothing: {0}")]
    Schema(String),
    /// A stored row that this version can't read.
    #[error("{table}: a row that this version can't read: {reason}")]
    Unreadable {
        /// Table of the row.
        table: &'static str,
        /// Fault of the row.
        reason: String,
    },
    /// A field would have been stored without encryption, which is on.
    #[error("{0} would have been stored unencrypted: no key was made for it")]
    Unencrypted(&'static str),
    /// Embeddings of several lengths.
    #[error(
        "embeddings of {least} and of {most} numbers: all items of a catalogue have as many; to change the model erase the old ones \
         first, by DELETE /v1/embeddings, or import with --catalogue replace, which erases those of another length"
    )]
    EmbeddingLengths {
        /// The shortest.
        least: i32,
        /// The longest.
        most: i32,
    },
    /// Another server decides on this database now.
    #[error("another server has taken over this database: nothing that this one decides is stored any more")]
    LeaseLost,
    /// The task was cancelled or panicked: the server is stopping.
    #[error("the database task ended early")]
    Interrupted,
}

impl StoreError {
    /// A failed connection; whatever of `url` libpq's message repeats is masked.
    pub(crate) fn connect(url: &str, message: &str) -> Self {
        Self::Connect(redact(url, message.trim()))
    }

    /// Worth trying again unchanged? True for lost connections, deadlocks, time limits and a server that restarts.
    pub fn temporary(&self) -> bool {
        match self {
            Self::Connect(_) | Self::Busy => true,
            Self::Database(DieselError::DatabaseError(kind, information)) => match kind {
                DatabaseErrorKind::SerializationFailure
                | DatabaseErrorKind::ClosedConnection
                | DatabaseErrorKind::UnableToSendCommand
                | DatabaseErrorKind::ReadOnlyTransaction => true,
                // diesel hides the SQLSTATE of these, so the message must do.
                _ => [
                    "deadlock",
                    "timeout",
                    "terminating connection",
                    "starting up",
                    "shutting down",
                    "closed",
                ]
                .iter()
                .any(|sign| information.message().contains(sign)),
            },
            Self::Database(DieselError::BrokenTransactionManager) => true,
            Self::Database(_)
            | Self::Migration { .. }
            | Self::Schema(_)
            | Self::Unreadable { .. }
            | Self::Unencrypted(_)
            | Self::EmbeddingLengths { .. }
            | Self::LeaseLost
            | Self::Interrupted => false,
        }
    }

    /// Returns whether a text was refused for a NUL in it: SQLSTATE 22021 and 22P05, which diesel hides.
    pub fn is_bad_text(&self) -> bool {
        matches!(
            self,
            Self::Database(DieselError::DatabaseError(DatabaseErrorKind::Unknown, information))
                if information.message().starts_with("invalid byte sequence for encoding")
                    || information.message().starts_with("unsupported Unicode escape sequence")
        )
    }

    /// Returns whether a value was refused (SQLSTATE class 22, which diesel hides): it is none of its type, or out of the type's range.
    pub fn is_bad_value(&self) -> bool {
        let of_class_22 = |message: &str| {
            message.contains("out of range")
                || ["invalid input syntax for type", "value too long for type", "numeric field overflow"]
                    .iter()
                    .any(|begin| message.starts_with(begin))
        };
        self.is_bad_text()
            || matches!(
                self,
                Self::Database(DieselError::DatabaseError(DatabaseErrorKind::Unknown, information))
                    if of_class_22(information.message())
            )
    }

    /// Returns whether the error is an event whose year has no partition yet. PostgreSQL reports it as a check without a name.
    pub(crate) fn is_missing_partition(&self) -> bool {
        matches!(
            self,
            Self::Database(DieselError::DatabaseError(DatabaseErrorKind::CheckViolation, information))
                if information.constraint_name().is_none() && information.table_name() == Some("events")
        )
    }
}

/// `message` with the password of `url`, and `url` itself, masked. libpq quotes parts of a URL it can't parse,
/// so then nothing of the message is kept.
fn redact(url: &str, message: &str) -> String {
    if message.starts_with("invalid") || message.contains("URI") {
        return "the database URL is not valid".into();
    }
    let mut message = message.replace(url, "…");
    for secret in passwords(url) {
        message = message.replace(&secret, "…");
    }
    if message.contains("server does not support SSL") {
        message.push_str(
            " (sslmode of database.url): set `ssl = on`, ssl_cert_file and ssl_key_file in postgresql.conf",
        );
    }
    message
}

/// Passwords in a connection URL or a `key=value` string.
fn passwords(url: &str) -> Vec<String> {
    let mut found = Vec::new();
    if let Some((_, rest)) = url.split_once("://")
        && let Some((authority, _)) = rest.rsplit_once('@')
        && let Some((_, password)) = authority.split_once(':')
    {
        found.push(password.to_owned());
    }
    for piece in url.split("password=").skip(1) {
        found.extend(piece.split(['&', ' ', '\'']).find(|word| !word.is_empty()).map(str::to_owned));
    }
    found.retain(|password| !password.is_empty());
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_never_shows() {
        for url in [
            "postgres://bob:hunter2@db:5432/shop",
            "postgres://db/shop?user=bob&password=hunter2&sslmode=require",
            "host=db user=bob password=hunter2 dbname=shop",
            "host=db password='hunter2'",
        ] {
            let text = StoreError::connect(url, &format!("could not use {url}: hunter2 refused")).to_string();
            assert!(!text.contains("hunter2"), "{text}");
        }
        let text = StoreError::connect("x", "invalid port number: \"hunter2@db\" in URI").to_string();
        assert!(!text.contains("hunter2"), "{text}");
    }

    #[test]
    fn values_that_no_column_takes_are_told_from_outages() {
        let error = |message: &str| {
            StoreError::Database(DieselError::DatabaseError(
                DatabaseErrorKind::Unknown,
                Box::new(message.to_owned()),
            ))
        };
        for message in [
            "timestamp out of range: \"9001-01-01 00:00:00+00 BC\"",
            "date/time field value out of range: \"2030-13-01\"",
            "integer out of range",
            "invalid input syntax for type timestamp with time zone: \"x\"",
            "unsupported Unicode escape sequence",
            "invalid byte sequence for encoding \"UTF8\": 0x00",
        ] {
            assert!(error(message).is_bad_value(), "{message}");
        }
        for message in ["deadlock detected", "relation \"events\" does not exist", "out of shared memory"] {
            assert!(!error(message).is_bad_value(), "{message}");
        }
        assert!(!StoreError::Connect("port out of range".into()).is_bad_value());
    }

    #[test]
    fn lost_connections_and_deadlocks_are_worth_another_try() {
        let error = |kind, message: &str| {
            StoreError::Database(DieselError::DatabaseError(kind, Box::new(message.to_owned())))
        };
        assert!(error(DatabaseErrorKind::Unknown, "deadlock detected").temporary());
        assert!(error(DatabaseErrorKind::ClosedConnection, "x").temporary());
        assert!(StoreError::Connect("refused".into()).temporary() && StoreError::Busy.temporary());
        assert!(!error(DatabaseErrorKind::UniqueViolation, "duplicate key").temporary());
    }
}

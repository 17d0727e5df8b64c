//! The position in the log, and the file that holds it.

use std::fmt;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::PathBuf;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use serde::{Deserialize, Serialize};
use tidings_core::base::Timestamp;

use super::connection::away;
use crate::source::SourceError;

/// Days for which the server surely knows the rows of a snapshot that was not read to its end.
const MAX_SNAPSHOT_DAYS: f64 = 29.0;

/// The end of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// File of the log.
    pub file: String,
    /// Bytes into it.
    pub position: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.file, self.position)
    }
}

#[derive(Debug, Default, Deserialize, Serialize)]
struct Stored {
    /// Number of the server whose log it is.
    server_id: Option<u32>,
    /// Moment at which a snapshot was begun that is not read to its end, milliseconds.
    snapshot: Option<i64>,
    /// Everything up to here is stored by the Tidings server.
    place: Option<Place>,
}

/// The file, and what it holds.
#[derive(Debug)]
pub struct State {
    path: PathBuf,
    stored: Stored,
}

impl State {
    /// Of this file, not read yet.
    pub fn at(path: PathBuf) -> Self {
        Self { path, stored: Stored::default() }
    }

    /// Reads the file; one that is not there is the beginning.
    pub fn load(&mut self) -> Result<(), SourceError> {
        let wrong = |error: String| {
            SourceError::Wrong(format!("mysql-binlog.state {}: {error}", self.path.display()))
        };
        self.stored = match fs::read(&self.path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?,
            Err(error) if error.kind() == ErrorKind::NotFound => Stored::default(),
            Err(error) => return Err(wrong(error.to_string())),
        };
        Ok(())
    }

    /// Place from which the log goes on; `None` before a snapshot is read.
    pub fn place(&self) -> Option<Place> {
        self.stored.place.clone()
    }

    /// Returns whether this place is stored.
    pub fn is_at(&self, place: &Place) -> bool {
        self.stored.place.as_ref() == Some(place)
    }

    /// Refuses the position of another server's log.
    pub fn check_server(&mut self, server: u32) -> Result<(), SourceError> {
        match self.stored.server_id {
            Some(before) if before != server => Err(SourceError::Wrong(format!(
                "the stored position is of the log of server_id {before}, this is server_id {server}: positions mean nothing \
                 in another log. Remove {} to begin with a snapshot",
                self.path.display()
            ))),
            _ => {
                self.stored.server_id = Some(server);
                Ok(())
            }
        }
    }

    /// The stamp of the snapshot to read: of the one that was begun before, since its rows may be stored already.
    pub fn begin_snapshot(&mut self) -> Result<i64, SourceError> {
        let now = Timestamp::now();
        if let Some(stamp) = self.stored.snapshot {
            if now.days_since(Timestamp::from_millis(stamp)) > MAX_SNAPSHOT_DAYS {
                return Err(SourceError::Wrong(format!(
                    "a snapshot was begun more than {MAX_SNAPSHOT_DAYS} days ago and not read to its end: the server can't \
                     tell any more which rows it has. Remove {} to begin anew",
                    self.path.display()
                )));
            }
            return Ok(stamp);
        }
        self.stored.snapshot = Some(now.as_millis());
        self.write()?;
        Ok(now.as_millis())
    }

    /// Keeps a place, and with it that the snapshot is done.
    pub fn save(&mut self, place: &Place) -> Result<(), SourceError> {
        self.stored.place = Some(place.clone());
        self.stored.snapshot = None;
        self.write()
    }

    /// Whole or not at all: a second file, then its name.
    fn write(&self) -> Result<(), SourceError> {
        let new = self.path.with_extension("new");
        let write = || {
            let mut file = File::create(&new)?;
            file.write_all(&serde_json::to_vec(&self.stored)?)?;
            file.sync_all()?;
            fs::rename(&new, &self.path)
        };
        write().map_err(|error| {
            SourceError::Wrong(format!("mysql-binlog.state {}: {error}", self.path.display()))
        })
    }
}

/// The present end of the log.
pub async fn present(conn: &mut Conn) -> Result<Place, SourceError> {
    // MySQL 8.4 knows only the second name.
    let found: Result<Option<mysql_async::Row>, _> = conn.query_first("SHOW MASTER STATUS").await;
    let row = match found {
        Ok(row) => row,
        Err(_) => conn.query_first("SHOW BINARY LOG STATUS").await.map_err(away)?,
    };
    let place = row.and_then(|row| Some(Place { file: row.get(0)?, position: row.get(1)? }));
    place.ok_or_else(|| {
        SourceError::Wrong("this server of MySQL tells no position of its binlog: is log_bin set?".to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_outlives_the_process_and_belongs_to_one_server() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.position.json");
        let mut state = State::at(path.clone());
        state.load().unwrap();
        state.check_server(1).unwrap();
        let stamp = state.begin_snapshot().unwrap();
        let mut again = State::at(path.clone());
        again.load().unwrap();
        assert_eq!((again.begin_snapshot().unwrap(), again.place()), (stamp, None));
        let place = Place { file: "bin.000002".to_owned(), position: 77 };
        state.save(&place).unwrap();
        again.load().unwrap();
        assert!(again.is_at(&place));
        assert!(again.check_server(2).unwrap_err().to_string().contains("server_id 1"));
        fs::write(&path, "{").unwrap();
        assert!(again.load().is_err());
    }
}

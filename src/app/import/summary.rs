//! Summary of an import, for the terminal.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::event::clean::{CleaningReport, grouped};
use crate::store::bulk::Loaded;

/// Everything that was read, written and refused.
#[derive(Clone, Debug)]
pub struct ImportSummary {
    /// Format and files.
    pub source: String,
    /// Rows of any sort in the files.
    pub rows: u64,
    /// From the first byte to the last commit.
    pub took: Duration,
    /// Counts of what was written.
    pub loaded: Loaded,
    /// Users that the events name.
    pub users_named: u64,
    /// Items that events or the catalogue name.
    pub items_named: u64,
    /// Clean events that name no user.
    pub anonymous: u64,
    /// Users flagged as robots by this import.
    pub robots: u64,
    /// Rows that could not be read.
    pub rejects: u64,
    /// File of these rows.
    pub rejects_file: Option<PathBuf>,
    /// Remarks, e.g. of files left out.
    pub notes: Vec<String>,
    /// Step by step.
    pub cleaning: CleaningReport,
}

impl ImportSummary {
    /// Rows per second over the whole import.
    pub fn rows_per_second(&self) -> f64 {
        self.rows as f64 / self.took.as_secs_f64().max(1e-6)
    }
}

/// A block of aligned lines and the cleaning table; no newline at the end.
impl fmt::Display for ImportSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Loaded { events, known_events, users, items, changed_items, stated_users } = self.loaded;
        writeln!(f, "imported {}", self.source)?;
        writeln!(
            f,
            "  rows     {} in {:.1} s, {} rows/s",
            grouped(self.rows),
            self.took.as_secs_f64(),
            grouped(self.rows_per_second() as u64)
        )?;
        writeln!(
            f,
            "  events   {} new, {} already there, {} of both anonymous",
            grouped(events),
            grouped(known_events),
            grouped(self.anonymous)
        )?;
        writeln!(
            f,
            "  users    {} named, {} new, {} flagged as robots",
            grouped(self.users_named),
            grouped(users),
            grouped(self.robots)
        )?;
        writeln!(
            f,
            "  items    {} named, {} new, {} changed",
            grouped(self.items_named),
            grouped(items),
            grouped(changed_items)
        )?;
        if stated_users > 0 {
            writeln!(f, "  stated   features of {} users, new or changed", grouped(stated_users))?;
        }
        match &self.rejects_file {
            Some(path) => writeln!(f, "  rejects  {}, see {}", grouped(self.rejects), path.display())?,
            None => writeln!(f, "  rejects  {}", grouped(self.rejects))?,
        }
        for note in &self.notes {
            writeln!(f, "  note     {note}")?;
        }
        writeln!(f)?;
        f.write_str(self.cleaning.to_string().trim_end())
    }
}
